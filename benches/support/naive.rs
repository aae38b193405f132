//! Booking as it is usually written: a transaction a request. The engine is measured against it; nothing else uses it.

use super::server::{SessionPath, Wish};
use actix_web::HttpResponse;
use plenary::{
    clock::Timestamp,
    db::{Sql, Tx},
    error::{Code, Problem},
    extract::{Caller, Json, Params},
    reply::Reply,
    state::State,
};
use serde_json::json;
use uuid::Uuid;

macro_rules! session {
    ($lock:literal) => {
        concat!(
            "SELECT s.event_id, s.starts_at, COALESCE(s.booking_opens_at, e.booking_opens_at) AS opens_at, ",
            "COALESCE(s.booking_closes_at, e.booking_closes_at) AS closes_at, s.status = 'published' AND e.status = 'published' AS open, ",
            "t.seats_limit, t.seats_taken, t.last_seq, t.last_change FROM session_seats t JOIN sessions s ON s.id = t.session_id ",
            "JOIN events e ON e.id = s.event_id WHERE t.session_id = $1",
            $lock
        )
    };
}

const SESSION: Sql = Sql::Differs { sqlite: session!(""), postgres: session!(" FOR UPDATE OF t") };
const ATTENDEE: &str = "SELECT id FROM attendees WHERE user_id = $1 AND event_id = $2";
const ACTIVE: &str = "SELECT id FROM registrations WHERE attendee_id = $1 AND session_id = $2 AND status <> 'cancelled'";
const OVERLAPPING: &str = "SELECT COUNT(*) FROM registrations r JOIN sessions o ON o.id = r.session_id JOIN sessions s ON s.id = $2 \
    WHERE r.attendee_id = $1 AND r.status = 'confirmed' AND o.starts_at < s.ends_at AND s.starts_at < o.ends_at";
const ADD: &str = "INSERT INTO registrations (id, session_id, attendee_id, status, seq, created_at, updated_at) \
    VALUES ($1, $2, $3, 'confirmed', $4, $5, $5)";
const SEATS: &str = "UPDATE session_seats SET seats_taken = seats_taken + 1, last_seq = $2, last_change = $3 WHERE session_id = $1";
const JOURNAL: &str = "INSERT INTO journal (event_id, session_id, change, kind, registration_id, attendee_id, actor_id, at, details) \
    VALUES ($1, $2, $3, 'registration_confirmed', $4, $5, $6, $7, '{}')";

#[derive(sqlx::FromRow)]
struct Session {
    event_id: Uuid,
    starts_at: Timestamp,
    opens_at: Option<Timestamp>,
    closes_at: Option<Timestamp>,
    open: bool,
    seats_limit: Option<i64>,
    seats_taken: i64,
    last_seq: i64,
    last_change: i64,
}

/// Books a seat for the caller.
pub async fn book(state: State, Caller(user): Caller, Params(path): Params<SessionPath>, Json(_): Json<Wish>) -> Reply {
    let booking = Booking { id: state.new_id(), session: path.session, user, now: state.clock.now() };
    let (id, created) = state.db.write(move |tx| Box::pin(booking.run(tx))).await?;
    let mut response = if created { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(response.json(json!({ "id": id, "sessionId": path.session, "status": "confirmed" })))
}

struct Booking {
    id: Uuid,
    session: Uuid,
    user: Uuid,
    now: Timestamp,
}

impl Booking {
    /// The registration's id, and whether it is new.
    async fn run(self, tx: &mut Tx) -> Result<(Uuid, bool), Problem> {
        let Self { id, session: session_id, user, now } = self;
        let session: Session = tx.query(SESSION).bind(session_id).optional().await?.ok_or_else(Problem::not_found)?;
        let attendee: Option<Uuid> = tx.query(ATTENDEE).bind(user).bind(session.event_id).optional_scalar().await?;
        let attendee = attendee.ok_or_else(Problem::not_found)?;
        if let Some(had) = tx.query(ACTIVE).bind(attendee).bind(session_id).optional_scalar::<Uuid>().await? {
            return Ok((had, false));
        }
        let in_window = session.opens_at.is_none_or(|at| at <= now) && session.closes_at.is_none_or(|at| now < at);
        if !session.open || !in_window || session.starts_at <= now {
            return Err(Problem::new(Code::BookingClosed, "Not now."));
        }
        if session.seats_limit.is_some_and(|limit| session.seats_taken >= limit) {
            return Err(Problem::new(Code::SessionFull, "All seats are taken."));
        }
        if tx.query(OVERLAPPING).bind(attendee).bind(session_id).scalar::<i64>().await? > 0 {
            return Err(Problem::new(Code::TimeConflict, "There is a seat at these hours."));
        }
        let (seq, change) = (session.last_seq + 1, session.last_change + 1);
        tx.query(ADD).bind(id).bind(session_id).bind(attendee).bind(seq).bind(now).execute().await?;
        tx.query(SEATS).bind(session_id).bind(seq).bind(change).execute().await?;
        let journal = tx.query(JOURNAL).bind(session.event_id).bind(session_id).bind(change).bind(id);
        journal.bind(attendee).bind(user).bind(now).execute().await?;
        Ok((id, true))
    }
}
