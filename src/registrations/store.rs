//! Reading registrations and availability. What changes them is the engine's.

use super::model::{CancelReason, Status};
use crate::{
    auth::Role,
    clock::Timestamp,
    db::{Db, Key, Keyset, Result, Select},
    sessions::model::SessionStatus,
    text,
};
use uuid::Uuid;

/// A registration as it is shown.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct Shown {
    /// Its id.
    pub id: Uuid,
    /// Its session's event.
    pub event_id: Uuid,
    /// Its session.
    pub session_id: Uuid,
    /// Whose it is.
    pub attendee_id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// Its place in the session.
    pub seq: i64,
    /// Its place in the line while it waits, whether or not the session has begun.
    pub position: Option<i64>,
    /// Why it ended.
    pub cancel_reason: Option<CancelReason>,
    /// When it ended.
    pub cancelled_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the session begins.
    pub starts_at: Timestamp,
}

/// The columns of [`Shown`] and what follows them.
macro_rules! shown {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, s.event_id, r.session_id, r.attendee_id, r.status, r.seq, ",
            "CASE WHEN r.status = 'waitlisted' THEN (SELECT COUNT(*) FROM registrations q WHERE q.session_id = r.session_id ",
            "AND q.status = 'waitlisted' AND q.seq <= r.seq) END AS position, ",
            "r.cancel_reason, r.cancelled_at, r.created_at, r.updated_at, s.starts_at",
            $rest
        )
    };
}

/// The registration of that id.
pub async fn find(db: &Db, id: Uuid) -> Result<Option<Shown>> {
    const FIND: &str = shown!(" FROM registrations r JOIN sessions s ON s.id = r.session_id WHERE r.id = $1");
    db.query(FIND).bind(id).optional().await
}

/// Whose a registration is, and what the caller is in its organisation.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Relation {
    /// The user its attendee is linked to.
    pub user_id: Option<Uuid>,
    /// The caller's role.
    pub role: Option<Role>,
}

/// What a user has to do with a registration; `None` if there is none.
pub async fn relation(db: &Db, id: Uuid, user: Uuid) -> Result<Option<Relation>> {
    const RELATION: &str = "SELECT a.user_id, m.role FROM registrations r JOIN attendees a ON a.id = r.attendee_id \
        JOIN events e ON e.id = a.event_id \
        LEFT JOIN members m ON m.organisation_id = e.organisation_id AND m.user_id = $2 WHERE r.id = $1";
    db.query(RELATION).bind(id).bind(user).optional().await
}

/// The event and the linked user of an attendee.
pub async fn attendee_link(db: &Db, attendee_id: Uuid) -> Result<Option<(Uuid, Option<Uuid>)>> {
    db.query("SELECT event_id, user_id FROM attendees WHERE id = $1").bind(attendee_id).optional().await
}

/// The code of a session, for the name of a file.
pub async fn session_code(db: &Db, session_id: Uuid) -> Result<Option<String>> {
    db.query("SELECT code FROM sessions WHERE id = $1").bind(session_id).optional_scalar().await
}

/// A registration beside its attendee and its session.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct RosterRow {
    /// The registration.
    #[sqlx(flatten)]
    pub registration: Shown,
    /// The attendee's name.
    pub name: String,
    /// What it is sorted by.
    pub sort_key: String,
    /// Their email.
    pub email: Option<String>,
    /// Their affiliation.
    pub affiliation: Option<String>,
    /// Their country.
    pub country: Option<String>,
    /// Their badge or ticket number.
    pub external_reference: Option<String>,
    /// The session's code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Its end.
    pub ends_at: Timestamp,
}

/// Whose registrations.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    /// Those of a session.
    Session(Uuid),
    /// Those of all sessions of an event.
    Event(Uuid),
}

/// Which of them.
#[derive(Clone, Debug)]
pub struct RosterFilter {
    /// Whose.
    pub scope: Scope,
    /// Only with this status.
    pub status: Option<Status>,
    /// Only of this attendee.
    pub attendee_id: Option<Uuid>,
    /// Only attendees that are found by this text.
    pub q: Option<String>,
}

impl RosterFilter {
    /// Adds itself to a statement over `registrations r`; with `q` and over an event it
    /// needs `attendees a` and `sessions s`.
    pub fn add_to(&self, select: Select) -> Select {
        let select = match self.scope {
            Scope::Session(id) => select.and("r.session_id = {}", id),
            Scope::Event(id) => select.and("s.event_id = {}", id),
        };
        select
            .and_some("r.status = {}", self.status)
            .and_some("r.attendee_id = {}", self.attendee_id)
            .and_some("a.search_text LIKE {} ESCAPE '\\'", self.q.as_deref().map(text::contains))
    }
}

/// A part of a list of registrations: the rows after a place in an order by `columns`.
pub async fn roster(
    db: &Db,
    filter: &RosterFilter,
    (columns, descending): (&[&'static str], bool),
    after: Option<Vec<Key>>,
    limit: i64,
) -> Result<Vec<RosterRow>> {
    const ROSTER: &str = shown!(
        ", a.name, a.sort_key, a.email, a.affiliation, a.country, a.external_reference, s.code, s.title, s.ends_at FROM registrations r \
         JOIN sessions s ON s.id = r.session_id JOIN attendees a ON a.id = r.attendee_id"
    );
    filter.add_to(Select::new(db.dialect(), ROSTER)).page_by(columns, descending, after, limit).all(db).await
}

/// A registration beside its session, for its owner.
#[derive(Clone, Debug, sqlx::FromRow)]
pub struct MineRow {
    /// The registration.
    #[sqlx(flatten)]
    pub registration: Shown,
    /// The session's code.
    pub code: String,
    /// Its title.
    pub title: String,
    /// Its end.
    pub ends_at: Timestamp,
    /// Its status.
    pub session_status: SessionStatus,
    /// The event's zone.
    pub time_zone: String,
    /// Its room.
    pub room_id: Option<Uuid>,
    /// The room's name.
    pub room_name: Option<String>,
}

/// A part of a user's own registrations, by the time they were made.
pub async fn mine(db: &Db, user: Uuid, event_id: Option<Uuid>, status: Option<Status>, keyset: Keyset<Timestamp>) -> Result<Vec<MineRow>> {
    const MINE: &str = shown!(
        ", s.code, s.title, s.ends_at, s.status AS session_status, e.time_zone, s.room_id, o.name AS room_name \
         FROM attendees a JOIN registrations r ON r.attendee_id = a.id JOIN sessions s ON s.id = r.session_id \
         JOIN events e ON e.id = s.event_id LEFT JOIN rooms o ON o.id = s.room_id"
    );
    Select::new(db.dialect(), MINE)
        .and("a.user_id = {}", user)
        .and_some("a.event_id = {}", event_id)
        .and_some("r.status = {}", status)
        .page(keyset)
        .all(db)
        .await
}

/// The seats of a session.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Seats {
    /// The session.
    pub session_id: Uuid,
    /// Its effective capacity.
    pub seats_limit: Option<i64>,
    /// Seats taken.
    pub seats_taken: i64,
    /// How many wait.
    pub waitlisted: i64,
}

const SEATS: &str = "SELECT t.session_id, t.seats_limit, t.seats_taken, t.waitlisted \
    FROM session_seats t JOIN sessions s ON s.id = t.session_id";

/// The seats of one session; drafts only for members.
pub async fn seats_of_session(db: &Db, session_id: Uuid, drafts: bool) -> Result<Option<Seats>> {
    let select = Select::new(db.dialect(), SEATS).and("s.id = {}", session_id).and_if(!drafts, "s.status <> 'draft'");
    Ok(select.all(db).await?.into_iter().next())
}

/// The seats of all sessions of an event, by start and code; drafts only for members.
pub async fn seats_of_event(db: &Db, event_id: Uuid, drafts: bool) -> Result<Vec<Seats>> {
    let select = Select::new(db.dialect(), SEATS).and("s.event_id = {}", event_id).and_if(!drafts, "s.status <> 'draft'");
    select.tail("ORDER BY s.starts_at, s.code").all(db).await
}
