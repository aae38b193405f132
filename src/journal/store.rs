//! The journal in the database.

use crate::{
    clock::Timestamp,
    db::{Db, JsonText, Key, Result, Select},
};
use serde_json::Value;
use uuid::Uuid;

/// What happened, and who did it.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Entry {
    /// Its number in the installation: later is higher within a session.
    pub id: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub kind: String,
    /// In which session.
    pub session_id: Option<Uuid>,
    /// Its code, while the session is there.
    pub session_code: Option<String>,
    /// Its number in the session, without a gap.
    pub change: Option<i64>,
    /// To which registration.
    pub registration_id: Option<Uuid>,
    /// Of whom.
    pub attendee_id: Option<Uuid>,
    /// By whom: a user or an API key; nobody, where it follows from the rules.
    pub actor_id: Option<Uuid>,
    /// What the user or the key is called, while they are there.
    pub actor_name: Option<String>,
    /// What else belongs to it.
    pub details: JsonText<Value>,
}

/// Which entries of an event.
#[derive(Debug, Default)]
pub struct Filter {
    /// Of this session.
    pub session_id: Option<Uuid>,
    /// Of this attendee.
    pub attendee_id: Option<Uuid>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Not earlier.
    pub from: Option<Timestamp>,
    /// Earlier.
    pub before: Option<Timestamp>,
}

/// A part of an event's journal, in order.
pub async fn list(db: &Db, event_id: Uuid, filter: Filter, descending: bool, after: Option<i64>, limit: i64) -> Result<Vec<Entry>> {
    const JOURNAL: &str = "SELECT j.id, j.at, j.kind, j.session_id, s.code AS session_code, j.change, j.registration_id, j.attendee_id, \
        j.actor_id, COALESCE(u.name, k.name) AS actor_name, j.details FROM journal j LEFT JOIN sessions s ON s.id = j.session_id \
        LEFT JOIN users u ON u.id = j.actor_id LEFT JOIN api_keys k ON k.id = j.actor_id";
    Select::new(db.dialect(), JOURNAL)
        .and("j.event_id = {}", event_id)
        .and_some("j.session_id = {}", filter.session_id)
        .and_some("j.attendee_id = {}", filter.attendee_id)
        .and_some("j.kind = {}", filter.kind)
        .and_some("j.at >= {}", filter.from)
        .and_some("j.at < {}", filter.before)
        .page_by(&["j.id"], descending, after.map(|id| vec![Key::Integer(id)]), limit)
        .all(db)
        .await
}
