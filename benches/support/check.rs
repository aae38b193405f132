//! What must be true of an event after a round, and what is in it.

use plenary::{db::Result, state::State};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// What was found.
#[derive(Debug, Deserialize, Serialize)]
pub struct Checked {
    /// A sentence for each broken invariant.
    pub wrong: Vec<String>,
    pub sessions: BTreeMap<Uuid, Counts>,
}

/// How many registrations of a session stand where.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Counts {
    pub confirmed: i64,
    pub waitlisted: i64,
    pub cancelled: i64,
}

#[derive(sqlx::FromRow)]
struct Row {
    session_id: Uuid,
    seats_limit: Option<i64>,
    seats_taken: i64,
    seats_over: i64,
    waitlisted: i64,
    last_seq: i64,
    last_change: i64,
    confirmed: i64,
    waiting: i64,
    registrations: i64,
    highest_seq: i64,
    changes: i64,
    highest_change: i64,
}

/// Holds counters against counts, the journal against gaps, and looks for people who have a session twice.
pub async fn event(state: &State, event: Uuid) -> Result<Checked> {
    const SESSIONS: &str = "SELECT t.session_id, t.seats_limit, t.seats_taken, t.seats_over, t.waitlisted, t.last_seq, t.last_change, \
        (SELECT COUNT(*) FROM registrations r WHERE r.session_id = t.session_id AND r.status = 'confirmed') AS confirmed, \
        (SELECT COUNT(*) FROM registrations r WHERE r.session_id = t.session_id AND r.status = 'waitlisted') AS waiting, \
        (SELECT COUNT(*) FROM registrations r WHERE r.session_id = t.session_id) AS registrations, \
        (SELECT COALESCE(MAX(r.seq), 0) FROM registrations r WHERE r.session_id = t.session_id) AS highest_seq, \
        (SELECT COUNT(*) FROM journal j WHERE j.event_id = s.event_id AND j.session_id = t.session_id) AS changes, \
        (SELECT COALESCE(MAX(j.change), 0) FROM journal j WHERE j.event_id = s.event_id AND j.session_id = t.session_id) AS highest_change \
        FROM session_seats t JOIN sessions s ON s.id = t.session_id WHERE s.event_id = $1";
    const TWICE: &str = "SELECT COUNT(*) FROM (SELECT 1 AS one FROM sessions s JOIN registrations r ON r.session_id = s.id \
        WHERE s.event_id = $1 AND r.status <> 'cancelled' GROUP BY r.attendee_id, r.session_id HAVING COUNT(*) > 1) twice";
    let mut wrong = Vec::new();
    let mut sessions = BTreeMap::new();
    for row in state.db.query(SESSIONS).bind(event).all::<Row>().await? {
        let id = row.session_id;
        let held = [
            ("seats taken are those confirmed", row.seats_taken == row.confirmed),
            ("who waits is counted", row.waitlisted == row.waiting),
            ("no seat is sold twice", row.seats_limit.is_none_or(|limit| row.seats_taken <= limit + row.seats_over)),
            ("seq has no gap", row.last_seq == row.registrations && row.last_seq == row.highest_seq),
            ("the journal has no gap", row.last_change == row.changes && row.last_change == row.highest_change),
        ];
        wrong.extend(held.iter().filter(|(_, holds)| !holds).map(|(what, _)| format!("not true of session {id}: {what}")));
        let cancelled = row.registrations - row.confirmed - row.waiting;
        sessions.insert(id, Counts { confirmed: row.confirmed, waitlisted: row.waiting, cancelled });
    }
    let twice: i64 = state.db.query(TWICE).bind(event).scalar().await?;
    if twice > 0 {
        wrong.push(format!("{twice} people have a session twice"));
    }
    Ok(Checked { wrong, sessions })
}

/// The active registrations of a session: user and id.
pub async fn registrations(state: &State, session: Uuid) -> Result<Vec<(Uuid, Uuid)>> {
    const ACTIVE: &str = "SELECT a.user_id, r.id FROM registrations r JOIN attendees a ON a.id = r.attendee_id \
        WHERE r.session_id = $1 AND r.status <> 'cancelled' AND a.user_id IS NOT NULL ORDER BY r.seq";
    state.db.query(ACTIVE).bind(session).all().await
}
