//! The seats row of a session, for whoever edits the programme: locked in id order, so that no edit and no booking
//! wait for each other in a circle.

use crate::{
    clock::Timestamp,
    db::{Columns, Dialect, Result, Select, Sql, Tx, batch_write},
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
    /// Registrations that are not cancelled: with a seat, or waiting.
    #[serde(skip)]
    pub active: i64,
    /// Of these, who waits.
    #[serde(skip)]
    pub waitlisted: i64,
}

const OCCUPANCY: &str = "SELECT s.id AS session_id, s.code, t.seats_taken + t.waitlisted AS active, t.waitlisted \
    FROM sessions s JOIN session_seats t ON t.session_id = s.id";

/// Locks the seats of all sessions of an event until the transaction ends, and says who holds them. Call it before anything
/// else is written: what an edit leads to may reach any session of the event, and only so is everything locked in one order.
pub async fn lock(tx: &mut Tx, event_id: Uuid) -> Result<Vec<Occupancy>> {
    const LOCK: &str = "SELECT t.session_id FROM session_seats t JOIN sessions s ON s.id = t.session_id \
        WHERE s.event_id = $1 ORDER BY t.session_id FOR UPDATE OF t";
    if tx.dialect() == Dialect::Postgres {
        tx.query(LOCK).bind(event_id).all::<(Uuid,)>().await?;
    }
    Select::new(tx.dialect(), OCCUPANCY).and("s.event_id = {}", event_id).tail("ORDER BY s.id").all_in(tx).await
}

/// Those of them in one session.
pub fn of_session(occupied: Vec<Occupancy>, session_id: Uuid) -> Option<Occupancy> {
    occupied.into_iter().find(|occupancy| occupancy.session_id == session_id)
}

/// How many sessions a problem names, as the contract says.
const MAX_NAMED: usize = 100;

/// Refuses an edit that would leave active registrations with nothing: 409, naming the first sessions by code.
pub fn require_none<'o>(occupied: impl IntoIterator<Item = &'o Occupancy>) -> std::result::Result<(), Problem> {
    let mut held: Vec<&Occupancy> = occupied.into_iter().filter(|occupancy| occupancy.active > 0).collect();
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

/// Gives new sessions their seats rows. They have the effective capacity: the session's own, else its room's, else none.
/// With each comes the first moment at which one of its pools is released.
pub async fn create(tx: &mut Tx, sessions: &[(Uuid, Option<Timestamp>)]) -> Result<()> {
    const CREATE: Sql = batch_write!(
        "INSERT INTO session_seats (session_id, seats_limit, due_at) SELECT s.id, COALESCE(s.capacity, o.capacity), w.due_at FROM ",
        (id: uuid, due_at: time),
        " w JOIN sessions s ON s.id = w.id LEFT JOIN rooms o ON o.id = s.room_id"
    );
    if sessions.is_empty() {
        return Ok(());
    }
    let input = Columns::new().ids(sessions.iter().map(|session| session.0)).times(sessions.iter().map(|session| session.1));
    tx.batch_write(CREATE, input).await.map(drop)
}

/// The sessions that take their capacity from a room.
pub async fn sized_by_room(tx: &mut Tx, room_id: Uuid) -> Result<Vec<Uuid>> {
    const SIZED: &str = "SELECT id FROM sessions WHERE room_id = $1 AND capacity IS NULL ORDER BY id";
    let sessions: Vec<(Uuid,)> = tx.query(SIZED).bind(room_id).all().await?;
    Ok(sessions.into_iter().map(|(id,)| id).collect())
}
