//! Reading registrations and availability. What changes them is the engine's.

use super::model::{CancelReason, Registration, Status};
use crate::{
    auth::Role,
    clock::Timestamp,
    contract::door::Principal,
    db::{Db, Key, Keyset, Result, Select, Sql, Tx},
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
    /// Who waits with a higher one comes first.
    pub priority: i64,
    /// Its place in the line while it waits, whether or not the session has begun.
    pub position: Option<i64>,
    /// Until when a seat is held for it.
    pub offer_expires_at: Option<Timestamp>,
    /// Why it ended.
    pub cancel_reason: Option<CancelReason>,
    /// When it ended.
    pub cancelled_at: Option<Timestamp>,
    /// The registration that took its place.
    pub moved_to: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the session begins.
    pub starts_at: Timestamp,
}

impl Shown {
    /// As it is at `now`: an offer whose time is over has ended, though nobody may have written it down yet, and once the
    /// session has begun nobody has a position.
    #[must_use]
    pub fn at(mut self, now: Timestamp) -> Self {
        if let Some(expired_at) = self.offer_expires_at.filter(|expires_at| *expires_at <= now) {
            self.status = Status::Cancelled;
            self.cancel_reason = Some(CancelReason::OfferExpired);
            self.cancelled_at = Some(expired_at);
            self.offer_expires_at = None;
        }
        self.position = self.position.filter(|_| now < self.starts_at);
        self
    }
}

/// Adds a condition on the status as it is at `now`.
fn with_status(select: Select, status: Option<Status>, now: Timestamp) -> Select {
    match status {
        Some(Status::Offered) => select.and("r.offer_expires_at > {}", now),
        Some(Status::Cancelled) => select.and("(r.status = 'cancelled' OR r.offer_expires_at <= {})", now),
        status => select.and_some("r.status = {}", status),
    }
}

/// The columns of [`Shown`] and what follows them.
macro_rules! shown {
    ($rest:literal) => {
        concat!(
            "SELECT r.id, s.event_id, r.session_id, r.attendee_id, r.status, r.seq, r.priority, ",
            "CASE WHEN r.status = 'waitlisted' THEN (SELECT COUNT(*) FROM registrations q WHERE q.session_id = r.session_id ",
            "AND q.status = 'waitlisted' AND (q.priority > r.priority OR (q.priority = r.priority AND q.seq <= r.seq))) END AS position, ",
            "r.offer_expires_at, r.cancel_reason, r.cancelled_at, r.moved_to, r.created_at, r.updated_at, s.starts_at",
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
    /// The organisation it belongs to.
    pub organisation_id: Uuid,
    /// The caller's role.
    pub role: Option<Role>,
}

/// What the caller has to do with a registration; `None` if there is none.
pub async fn relation(db: &Db, id: Uuid, caller: Principal) -> Result<Option<Relation>> {
    const RELATION: &str = "SELECT a.user_id, e.organisation_id, m.role FROM registrations r JOIN attendees a ON a.id = r.attendee_id \
        JOIN events e ON e.id = a.event_id \
        LEFT JOIN members m ON m.organisation_id = e.organisation_id AND m.user_id = $2 WHERE r.id = $1";
    let found: Option<Relation> = db.query(RELATION).bind(id).bind(caller.user()).optional().await?;
    Ok(found.map(|found| Relation { role: caller.role_in(found.organisation_id, found.role), ..found }))
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
    /// Their category.
    pub category: Option<String>,
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
    /// Whether the text is looked for in what only some see: addresses and references. Else by whom it finds it tells them.
    pub contacts: bool,
    /// The time at which it is asked.
    pub now: Timestamp,
}

impl RosterFilter {
    /// Adds itself to a statement over `registrations r`; with `q` and over an event it
    /// needs `attendees a` and `sessions s`.
    pub fn add_to(&self, select: Select) -> Select {
        let select = match self.scope {
            Scope::Session(id) => select.and("r.session_id = {}", id),
            Scope::Event(id) => select.and("s.event_id = {}", id),
        };
        with_status(select, self.status, self.now)
            .and_some("r.attendee_id = {}", self.attendee_id)
            .and_some(self.found_in(), self.q.as_deref().map(text::contains))
    }

    fn found_in(&self) -> &'static str {
        match self.contacts {
            true => "a.search_text LIKE {} ESCAPE '\\'",
            false => "a.sort_key LIKE {} ESCAPE '\\'",
        }
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
        ", a.name, a.sort_key, a.email, a.affiliation, a.country, a.external_reference, a.category, s.code, s.title, s.ends_at FROM registrations r \
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
pub async fn mine(
    db: &Db,
    user: Uuid,
    event_id: Option<Uuid>,
    (status, now): (Option<Status>, Timestamp),
    keyset: Keyset<Timestamp>,
) -> Result<Vec<MineRow>> {
    const MINE: &str = shown!(
        ", s.code, s.title, s.ends_at, s.status AS session_status, e.time_zone, s.room_id, o.name AS room_name \
         FROM attendees a JOIN registrations r ON r.attendee_id = a.id JOIN sessions s ON s.id = r.session_id \
         JOIN events e ON e.id = s.event_id LEFT JOIN rooms o ON o.id = s.room_id"
    );
    let select = Select::new(db.dialect(), MINE).and("a.user_id = {}", user).and_some("a.event_id = {}", event_id);
    with_status(select, status, now).page(keyset).all(db).await
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

/// How many registrations of a session have a seat.
#[derive(Clone, Copy, Debug, sqlx::FromRow)]
pub struct Counts {
    /// For good.
    pub confirmed: i64,
    /// Until they take it.
    pub offered: i64,
}

/// Counts the seats of a session.
pub async fn counts(tx: &mut Tx, session_id: Uuid) -> Result<Counts> {
    const COUNTS: &str = "SELECT COUNT(*) FILTER (WHERE status = 'confirmed') AS confirmed, \
        COUNT(*) FILTER (WHERE status = 'offered') AS offered FROM registrations WHERE session_id = $1";
    tx.query(COUNTS).bind(session_id).one().await
}

/// The active registration of an attendee in a session, and how many stand before it in line.
pub async fn held(tx: &mut Tx, session_id: Uuid, attendee_id: Uuid) -> Result<Option<(Registration, i64)>> {
    const HELD: &str = "SELECT id, session_id, attendee_id, status, seq, priority, offer_expires_at, checked_in_at, cancel_reason, \
        moved_to, created_at, updated_at, cancelled_at FROM registrations WHERE attendee_id = $2 AND session_id = $1 AND ended_seq = 0";
    const AHEAD: &str = "SELECT COUNT(*) FROM registrations WHERE session_id = $1 AND status = 'waitlisted' \
        AND (priority > $2 OR (priority = $2 AND seq < $3))";
    let Some(held): Option<Registration> = tx.query(HELD).bind(session_id).bind(attendee_id).optional().await? else { return Ok(None) };
    let ahead = tx.query(AHEAD).bind(session_id).bind(held.priority).bind(held.seq).scalar().await?;
    Ok(Some((held, ahead)))
}

/// The names of attendees.
pub async fn names(tx: &mut Tx, attendees: &[Uuid]) -> Result<Vec<(Uuid, String)>> {
    const NAMES: Sql = Sql::Differs {
        sqlite: "SELECT id, name FROM attendees WHERE id IN (SELECT unhex(value) FROM json_each($1))",
        postgres: "SELECT id, name FROM attendees WHERE id = ANY($1)",
    };
    tx.query(NAMES).bind_ids(attendees).all().await
}
