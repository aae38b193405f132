//! The attendee lists of a session and of an event: pages of JSON, or whole as a file.

use super::{
    columns,
    http::RegistrationView,
    model::Status,
    store::{self, RosterFilter, RosterRow, Scope},
};
use crate::{
    auth::{
        Guard, Staff,
        guard::{OfEvent, OfSession},
    },
    clock::Timestamp,
    db::{Dialect, Key, Listing, ListingOf, Select},
    error::Problem,
    events,
    exports::{Export, Exported, Layout, Wanted, negotiated},
    extract::Params,
    page::PageRequest,
    reply::Reply,
    state::State,
};
use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The filters.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RosterParams {
    status: Option<Status>,
    attendee_id: Option<Uuid>,
    q: Option<String>,
}

impl RosterParams {
    fn within(self, scope: Scope, now: Timestamp, contacts: bool) -> RosterFilter {
        let Self { status, attendee_id, q } = self;
        RosterFilter { scope, status, attendee_id, q, contacts, now }
    }
}

/// `listSessionRegistrations`.
pub async fn of_session(
    request: HttpRequest,
    state: State,
    guard: Guard<OfSession, Staff>,
    Params(params): Params<RosterParams>,
    Params(wanted): Params<Wanted>,
    page: PageRequest,
) -> Reply {
    let layout = wanted.layout(&request, &columns::OF_SESSION)?;
    let roster = Roster {
        filter: params.within(Scope::Session(guard.id()), state.clock.now(), guard.sees_contacts()),
        order: Order::of(&page, "seq"),
        contacts: guard.sees_contacts(),
    };
    let Some(layout) = layout else { return negotiated(roster.page(&request, &state, &page).await) };
    let code = store::session_code(&state.db, guard.id()).await?.ok_or_else(Problem::not_found)?;
    let exported = Exported {
        event_id: guard.event_id(),
        actor_id: guard.actor(),
        list: "session_registrations",
        session_id: Some(guard.id()),
        filter: wanted.filter(),
    };
    roster.file(&state, layout, &format!("-{code}"), exported).await
}

/// `listEventRegistrations`.
pub async fn of_event(
    request: HttpRequest,
    state: State,
    guard: Guard<OfEvent, Staff>,
    Params(params): Params<RosterParams>,
    Params(wanted): Params<Wanted>,
    page: PageRequest,
) -> Reply {
    let layout = wanted.layout(&request, &columns::OF_EVENT)?;
    let roster = Roster {
        filter: params.within(Scope::Event(guard.id()), state.clock.now(), guard.sees_contacts()),
        order: Order::of(&page, "session"),
        contacts: guard.sees_contacts(),
    };
    let Some(layout) = layout else { return negotiated(roster.page(&request, &state, &page).await) };
    let exported = Exported {
        event_id: guard.event_id(),
        actor_id: guard.actor(),
        list: "event_registrations",
        session_id: None,
        filter: wanted.filter(),
    };
    roster.file(&state, layout, "", exported).await
}

#[derive(Clone, Copy)]
enum By {
    Seq,
    Name,
    Session,
    CreatedAt,
}

#[derive(Clone, Copy)]
struct Order {
    by: By,
    descending: bool,
}

impl Order {
    fn of(page: &PageRequest, default: &str) -> Self {
        let (name, descending) = page.order(default);
        let by = match name {
            "name" => By::Name,
            "session" => By::Session,
            "createdAt" => By::CreatedAt,
            _ => By::Seq,
        };
        Self { by, descending }
    }

    /// Together they leave no tie.
    fn columns(self) -> &'static [&'static str] {
        match self.by {
            By::Seq => &["r.seq", "r.id"],
            By::Name => &["a.sort_key", "r.id"],
            By::Session => &["s.starts_at", "s.code", "r.seq"],
            By::CreatedAt => &["r.created_at", "r.id"],
        }
    }

    /// The same columns as a list.
    fn text(self) -> &'static str {
        match (self.by, self.descending) {
            (By::Seq, false) => "r.seq, r.id",
            (By::Seq, true) => "r.seq DESC, r.id DESC",
            (By::Name, false) => "a.sort_key, r.id",
            (By::Name, true) => "a.sort_key DESC, r.id DESC",
            (By::Session, false) => "s.starts_at, s.code, r.seq",
            (By::Session, true) => "s.starts_at DESC, s.code DESC, r.seq DESC",
            (By::CreatedAt, false) => "r.created_at, r.id",
            (By::CreatedAt, true) => "r.created_at DESC, r.id DESC",
        }
    }

    fn place(self, row: &RosterRow) -> Place {
        let registration = &row.registration;
        match self.by {
            By::Seq => Place::Seq(registration.seq),
            By::Name => Place::Name(row.sort_key.clone()),
            By::Session => Place::Session(registration.starts_at, row.code.clone(), registration.seq),
            By::CreatedAt => Place::CreatedAt(registration.created_at),
        }
    }
}

/// Where a page ended, as its cursor keeps it.
#[derive(Serialize, Deserialize)]
enum Place {
    Seq(i64),
    Name(String),
    Session(Timestamp, String, i64),
    CreatedAt(Timestamp),
}

impl Place {
    /// A value for each of the order's columns.
    fn keys(self, id: Uuid) -> Vec<Key> {
        match self {
            Self::Seq(seq) => vec![Key::Integer(seq), Key::Id(id)],
            Self::Name(name) => vec![Key::Text(name), Key::Id(id)],
            Self::Session(starts_at, code, seq) => vec![Key::Time(starts_at), Key::Text(code), Key::Integer(seq)],
            Self::CreatedAt(at) => vec![Key::Time(at), Key::Id(id)],
        }
    }
}

/// One list, as the caller may see it.
struct Roster {
    filter: RosterFilter,
    order: Order,
    /// Whether the caller sees emails and external references.
    contacts: bool,
}

impl Roster {
    async fn page(&self, request: &HttpRequest, state: &State, page: &PageRequest) -> Reply {
        let after = page.after::<Place>()?.map(|(place, id)| place.keys(id));
        let order = (self.order.columns(), self.order.descending);
        let rows = store::roster(&state.db, &self.filter, order, after, page.fetch()).await?;
        page.reply(request, rows, |row| (self.order.place(row), row.registration.id), |row| self.view(row))
    }

    fn view(&self, row: RosterRow) -> Entry {
        let session = EntrySession {
            id: row.registration.session_id,
            code: row.code,
            title: row.title,
            starts_at: row.registration.starts_at,
            ends_at: row.ends_at,
        };
        let attendee = EntryAttendee {
            id: row.registration.attendee_id,
            name: row.name,
            email: row.email.filter(|_| self.contacts),
            affiliation: row.affiliation,
            country: row.country,
            external_reference: row.external_reference.filter(|_| self.contacts),
            category: row.category,
        };
        let session = matches!(self.filter.scope, Scope::Event(_)).then_some(session);
        Entry { registration: RegistrationView::from(row.registration.at(self.filter.now)), attendee, session }
    }

    async fn file(self, state: &State, layout: Layout, suffix: &str, exported: Exported) -> Reply {
        // A file has what is written: offers whose time is over are ended first.
        state.watch.step().await?;
        let event = events::store::find(&state.db, exported.event_id).await?.ok_or_else(Problem::not_found)?;
        let listing = self.listing(state.db.dialect(), &layout);
        let name = format!("{}{suffix}-registrations", event.slug);
        let zone = event.time_zone.as_jiff().clone();
        Export { layout, listing, name, zone, exported }.answer(state).await
    }

    fn listing(&self, dialect: Dialect, layout: &Layout) -> Listing {
        const SESSIONS: &str = "JOIN sessions s ON s.id = r.session_id";
        const ATTENDEES: &str = "JOIN attendees a ON a.id = r.attendee_id";
        const BOTH: &str = "JOIN sessions s ON s.id = r.session_id JOIN attendees a ON a.id = r.attendee_id";
        let sessions = matches!(self.filter.scope, Scope::Event(_)) || matches!(self.order.by, By::Session);
        let attendees = self.filter.q.is_some() || matches!(self.order.by, By::Name);
        let order_joins = match (sessions, attendees) {
            (true, true) => BOTH,
            (true, false) => SESSIONS,
            (false, true) => ATTENDEES,
            (false, false) => "",
        };
        let of = ListingOf { table: "registrations r", id: "r.id", joins: BOTH, order_joins };
        let ranks = layout.has("position").then(|| self.positions(dialect));
        Listing::new(dialect, of, &layout.fields(self.contacts), ranks)
            .filtered(|select| self.filter.add_to(select))
            .ordered(self.order.text())
    }

    /// Everybody's place in the line, counted once for the whole list. Once a session has begun nobody has one.
    fn positions(&self, dialect: Dialect) -> Select {
        const WAITING: &str = "SELECT q.id, ROW_NUMBER() OVER (PARTITION BY q.session_id ORDER BY q.priority DESC, q.seq) AS rank \
            FROM registrations q JOIN sessions x ON x.id = q.session_id";
        let select = Select::new(dialect, WAITING).and("q.status = 'waitlisted' AND x.starts_at > {}", self.filter.now);
        match self.filter.scope {
            Scope::Session(id) => select.and("q.session_id = {}", id),
            Scope::Event(id) => select.and("x.event_id = {}", id),
        }
    }
}

#[derive(Serialize)]
struct Entry {
    #[serde(flatten)]
    registration: RegistrationView,
    attendee: EntryAttendee,
    /// In the list of an event only.
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<EntrySession>,
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
    category: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntrySession {
    id: Uuid,
    code: String,
    title: String,
    starts_at: Timestamp,
    ends_at: Timestamp,
}
