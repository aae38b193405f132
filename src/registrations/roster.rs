//! The attendee list of a session: pages of JSON, or whole as CSV.

use super::{
    http::RegistrationView,
    model::Status,
    store::{self, RosterFilter, RosterRow},
};
use crate::{
    accept,
    auth::{Guard, Staff, guard::OfSession},
    clock::Timestamp,
    db::{Db, Keyset},
    error::{Code, In, Problem},
    exports::csv,
    extract::Params,
    page::PageRequest,
    reply::Reply,
    state::State,
};
use actix_web::{HttpRequest, HttpResponse, http::header, web::Bytes};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Rows read at once while a CSV is streamed.
const CHUNK_ROWS: i64 = 1_000;
const COLUMNS: [&str; 13] = [
    "Registration",
    "Seq",
    "Status",
    "Position",
    "Attendee",
    "Name",
    "Email",
    "Affiliation",
    "Country",
    "Reference",
    "Created at",
    "Cancelled at",
    "Cancel reason",
];

/// The query parameters beside those of the page.
#[derive(Deserialize)]
pub struct RosterParams {
    status: Option<Status>,
    q: Option<String>,
    format: Option<String>,
    limit: Option<i64>,
    cursor: Option<String>,
}

/// `listSessionRegistrations`.
pub async fn list(
    request: HttpRequest,
    state: State,
    guard: Guard<OfSession, Staff>,
    Params(params): Params<RosterParams>,
    page: PageRequest,
) -> Reply {
    let media = match params.format.as_deref() {
        Some("csv") => "text/csv",
        Some(_) => "application/json",
        None => accept::choose(&request, &["application/json", "text/csv"])?,
    };
    let roster = Roster {
        db: state.db.clone(),
        session_id: guard.id(),
        filter: RosterFilter { status: params.status, q: params.q },
        order: Order::of(&page),
        contacts: guard.manages(),
        now: state.clock.now(),
    };
    if media == "text/csv" {
        let paged = [("limit", params.limit.is_some()), ("cursor", params.cursor.is_some())];
        if let Some((name, _)) = paged.into_iter().find(|(_, given)| *given) {
            let problem = Problem::new(Code::InvalidParameter, "A CSV is the whole list and has no pages.");
            return Err(problem.parameter(In::Query, name, "not_allowed", "is not allowed with CSV"));
        }
        let code = store::session_code(&state.db, guard.id()).await?.ok_or_else(Problem::not_found)?;
        return roster.csv(&code).await;
    }
    let rows = roster.page(&page).await?;
    match roster.order {
        Order::Seq { .. } => page.reply(&request, rows, |row| (row.registration.seq, row.registration.id), |row| roster.view(row)),
        Order::Name { .. } => page.reply(&request, rows, |row| (row.sort_key.clone(), row.registration.id), |row| roster.view(row)),
    }
}

#[derive(Clone, Copy)]
enum Order {
    Seq { descending: bool },
    Name { descending: bool },
}

impl Order {
    fn of(page: &PageRequest) -> Self {
        match page.order("seq") {
            ("name", descending) => Self::Name { descending },
            (_, descending) => Self::Seq { descending },
        }
    }
}

/// One roster, as the caller may see it.
struct Roster {
    db: Db,
    session_id: Uuid,
    filter: RosterFilter,
    order: Order,
    /// Whether the caller sees emails and external references.
    contacts: bool,
    now: Timestamp,
}

/// After which row the next part begins.
type Last = Option<RosterRow>;

impl Roster {
    async fn page(&self, page: &PageRequest) -> Result<Vec<RosterRow>, Problem> {
        match self.order {
            Order::Seq { descending } => self.by_seq(descending, page.after()?, page.fetch()).await,
            Order::Name { descending } => self.by_name(descending, page.after()?, page.fetch()).await,
        }
    }

    async fn after(&self, last: Last) -> Result<Vec<RosterRow>, Problem> {
        match self.order {
            Order::Seq { descending } => {
                self.by_seq(descending, last.map(|row| (row.registration.seq, row.registration.id)), CHUNK_ROWS).await
            }
            Order::Name { descending } => self.by_name(descending, last.map(|row| (row.sort_key, row.registration.id)), CHUNK_ROWS).await,
        }
    }

    async fn by_seq(&self, descending: bool, after: Option<(i64, Uuid)>, limit: i64) -> Result<Vec<RosterRow>, Problem> {
        let keyset = Keyset { columns: ("r.seq", "r.id"), descending, after, limit };
        Ok(store::roster_by_seq(&self.db, self.session_id, &self.filter, keyset).await?)
    }

    async fn by_name(&self, descending: bool, after: Option<(String, Uuid)>, limit: i64) -> Result<Vec<RosterRow>, Problem> {
        let keyset = Keyset { columns: ("a.sort_key", "r.id"), descending, after, limit };
        Ok(store::roster_by_name(&self.db, self.session_id, &self.filter, keyset).await?)
    }

    fn view(&self, row: RosterRow) -> Entry {
        let attendee = EntryAttendee {
            id: row.registration.attendee_id,
            name: row.name,
            email: row.email.filter(|_| self.contacts),
            affiliation: row.affiliation,
            country: row.country,
            external_reference: row.external_reference.filter(|_| self.contacts),
        };
        Entry { registration: RegistrationView::at(self.now, row.registration), attendee }
    }

    /// The whole list, streamed: memory does not grow with its rows. The first part is read before the answer
    /// begins, so that a failing database is still a problem and not a broken file.
    async fn csv(self, code: &str) -> Reply {
        let first = self.after(None).await?;
        let name = format!("attachment; filename=\"roster-{code}.csv\"");
        Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8; header=present")
            .insert_header((header::CONTENT_DISPOSITION, name))
            .insert_header((header::VARY, "Accept"))
            .streaming(self.lines(first)))
    }

    fn lines(self, first: Vec<RosterRow>) -> impl Stream<Item = Result<Bytes, Problem>> {
        let heading = csv::heading(&COLUMNS);
        stream::try_unfold((self, Some(first), heading), |(roster, rows, mut text)| async move {
            let Some(rows) = rows else { return Ok(None) };
            let more = rows.len() as i64 == CHUNK_ROWS;
            let last = rows.last().cloned();
            rows.into_iter().for_each(|row| roster.line(row, &mut text));
            let next = if more { Some(roster.after(last).await?) } else { None };
            Ok(Some((Bytes::from(text), (roster, next, Vec::new()))))
        })
    }

    fn line(&self, row: RosterRow, text: &mut Vec<u8>) {
        let Entry { registration, attendee } = self.view(row);
        let [id, seq, status, position, created_at, cancelled_at, cancel_reason] = registration.cells();
        let given = Option::unwrap_or_default;
        let cells = [
            id,
            seq,
            status,
            position,
            attendee.id.to_string(),
            attendee.name,
            given(attendee.email),
            given(attendee.affiliation),
            given(attendee.country),
            given(attendee.external_reference),
            created_at,
            cancelled_at,
            cancel_reason,
        ];
        csv::line(&cells, text);
    }
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    registration: RegistrationView,
    attendee: EntryAttendee,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryAttendee {
    id: Uuid,
    name: String,
    email: Option<String>,
    affiliation: Option<String>,
    country: Option<String>,
    external_reference: Option<String>,
}
