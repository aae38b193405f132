//! The seats row of a session, for whoever edits the programme: locked in id order, so that no edit and no booking
//! wait for each other in a circle.

use crate::{
    db::{Dialect, Result, Select, Tx},
    error::{Code, Problem},
};
use serde::Serialize;
use uuid::Uuid;

/// A session's active registrations, read under its lock.
#[derive(Clone, Debug, Serialize, sqlx::FromRow)]
pub struct Occupancy {
    /// The session.
    #[serde(rename = "id")]
    pub session_id: Uuid,
    /// Its code.
    pub code: String,
    /// Registrations that are not cancelled: confirmed and waiting.
    #[serde(skip)]
    pub active: i64,
    /// Of these, who waits.
    #[serde(skip)]
    pub waitlisted: i64,
}

const OCCUPANCY: &str = "SELECT s.id AS session_id, s.code, t.seats_taken + t.waitlisted AS active, t.waitlisted \
    FROM sessions s JOIN session_seats t ON t.session_id = s.id";

/// Which sessions an edit touches.
#[derive(Clone, Copy, Debug)]
pub enum Touched {
    /// One session.
    Session(Uuid),
    /// The sessions held in a room that take their capacity from it.
    CapacityOfRoom(Uuid),
    /// All sessions of an event.
    Event(Uuid),
}

/// Locks the seats of the sessions an edit touches until its transaction ends, and says who holds them.
/// Call it before anything else is written.
pub async fn lock(tx: &mut Tx, touched: Touched) -> Result<Vec<Occupancy>> {
    if tx.dialect() == Dialect::Postgres {
        const LOCK: &str = "SELECT session_id FROM session_seats WHERE session_id = $1 FOR UPDATE";
        const LOCK_ROOM: &str = "SELECT t.session_id FROM session_seats t JOIN sessions s ON s.id = t.session_id \
            WHERE s.room_id = $1 AND s.capacity IS NULL ORDER BY t.session_id FOR UPDATE OF t";
        const LOCK_EVENT: &str = "SELECT t.session_id FROM session_seats t JOIN sessions s ON s.id = t.session_id \
            WHERE s.event_id = $1 ORDER BY t.session_id FOR UPDATE OF t";
        let (sql, id) = match touched {
            Touched::Session(id) => (LOCK, id),
            Touched::CapacityOfRoom(id) => (LOCK_ROOM, id),
            Touched::Event(id) => (LOCK_EVENT, id),
        };
        tx.query(sql).bind(id).all::<(Uuid,)>().await?;
    }
    let select = Select::new(tx.dialect(), OCCUPANCY);
    let select = match touched {
        Touched::Session(id) => select.and("s.id = {}", id),
        Touched::CapacityOfRoom(id) => select.and("s.room_id = {}", id).and_if(true, "s.capacity IS NULL"),
        Touched::Event(id) => select.and("s.event_id = {}", id),
    };
    select.tail("ORDER BY s.id").all_in(tx).await
}

/// How many sessions a problem names, as the contract says.
const MAX_NAMED: usize = 100;

/// Refuses an edit that would touch active registrations: 409, naming the first sessions by code.
pub fn require_none(occupied: &[Occupancy]) -> std::result::Result<(), Problem> {
    let mut held: Vec<&Occupancy> = occupied.iter().filter(|occupancy| occupancy.active > 0).collect();
    if held.is_empty() {
        return Ok(());
    }
    let count: i64 = held.iter().map(|occupancy| occupancy.active).sum();
    held.sort_by(|one, other| one.code.cmp(&other.code));
    held.truncate(MAX_NAMED);
    let codes: Vec<&str> = held.iter().take(20).map(|occupancy| occupancy.code.as_str()).collect();
    let detail = format!("{count} active registrations in {} would be touched. Cancel them first.", codes.join(", "));
    Err(Problem::new(Code::HasRegistrations, detail).with("registrations", count).with("sessions", held))
}

/// Gives a new session its seats row. `limit` is its effective capacity: its own, else its room's, else none.
pub async fn create(tx: &mut Tx, session_id: Uuid, limit: Option<i64>) -> Result<()> {
    const CREATE: &str = "INSERT INTO session_seats (session_id, seats_limit) VALUES ($1, $2)";
    tx.query(CREATE).bind(session_id).bind(limit).execute().await.map(|_| ())
}

/// Copies the effective capacity of a session into its seats row, after the session or its room has changed.
pub async fn copy_limit(tx: &mut Tx, touched: Touched) -> Result<()> {
    macro_rules! copy {
        ($which:literal) => {
            concat!(
                "UPDATE session_seats SET seats_limit = (SELECT COALESCE(s.capacity, r.capacity) FROM sessions s ",
                "LEFT JOIN rooms r ON r.id = s.room_id WHERE s.id = session_seats.session_id) WHERE session_id ",
                $which
            )
        };
    }
    let (sql, id) = match touched {
        Touched::Session(id) => (copy!("= $1"), id),
        Touched::CapacityOfRoom(id) => (copy!("IN (SELECT id FROM sessions WHERE room_id = $1 AND capacity IS NULL)"), id),
        Touched::Event(id) => (copy!("IN (SELECT id FROM sessions WHERE event_id = $1)"), id),
    };
    tx.query(sql).bind(id).execute().await.map(|_| ())
}
