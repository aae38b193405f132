//! Reading the journal.

use super::store::{self, Entry, Filter};
use crate::{
    app::Registrar,
    auth::{Guard, Manage, guard::OfEvent},
    clock::Timestamp,
    db::JsonText,
    extract::Params,
    page::PageRequest,
    reply::Reply,
    state::State,
};
use actix_web::HttpRequest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// Its routes.
pub fn routes(registrar: &mut Registrar) {
    registrar.on("listJournal", list);
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ListParams {
    session_id: Option<Uuid>,
    attendee_id: Option<Uuid>,
    kind: Option<String>,
    from: Option<Timestamp>,
    before: Option<Timestamp>,
}

async fn list(
    request: HttpRequest,
    state: State,
    guard: Guard<OfEvent, Manage>,
    Params(params): Params<ListParams>,
    page: PageRequest,
) -> Reply {
    let ListParams { session_id, attendee_id, kind, from, before } = params;
    let filter = Filter { session_id, attendee_id, kind, from, before };
    let (_, descending) = page.order("id");
    // An entry's number is all its place; the cursor's id is not needed.
    let after = page.after::<i64>()?.map(|(id, _)| id);
    let entries = store::list(&state.db, guard.event_id(), filter, descending, after, page.fetch()).await?;
    page.reply(&request, entries, |entry: &Entry| (entry.id, Uuid::nil()), EntryView::from)
}

/// An entry as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView {
    id: i64,
    at: Timestamp,
    kind: String,
    session_id: Option<Uuid>,
    session_code: Option<String>,
    change: Option<i64>,
    registration_id: Option<Uuid>,
    attendee_id: Option<Uuid>,
    actor_id: Option<Uuid>,
    actor_name: Option<String>,
    details: Value,
}

impl From<Entry> for EntryView {
    fn from(entry: Entry) -> Self {
        let Entry { id, at, kind, session_id, session_code, change, registration_id, attendee_id, actor_id, actor_name, details } = entry;
        let JsonText(details) = details;
        Self { id, at, kind, session_id, session_code, change, registration_id, attendee_id, actor_id, actor_name, details }
    }
}
