//! Booking and what follows, and what must be true of registrations at any time.

use super::{
    app::App,
    client::Answer,
    fixtures::{AsId, User},
};
use serde_json::{Value, json};

/// Where a session is booked and its registrations are listed.
pub fn registrations(session: impl AsId) -> String {
    format!("/v1/sessions/{}/registrations", session.as_id())
}

impl App {
    /// Books a session for the user themselves.
    pub async fn book(&self, session: impl AsId, user: &User) -> Answer {
        self.post(registrations(session)).token(&user.token).send().await
    }

    /// Books with wishes of their own.
    pub async fn book_with(&self, session: impl AsId, user: &User, wishes: Value) -> Answer {
        self.post(registrations(session)).token(&user.token).json(&wishes).send().await
    }

    /// Does to a registration what takes no body: `cancel`, `accept`, `decline`.
    pub async fn act(&self, action: &str, registration: impl AsId, user: &User) -> Answer {
        self.post(format!("/v1/registrations/{}/{action}", registration.as_id())).token(&user.token).send().await
    }

    /// Cancels a registration.
    pub async fn cancel(&self, registration: impl AsId, user: &User) -> Answer {
        self.act("cancel", registration, user).await
    }

    /// Moves a registration to another session.
    pub async fn move_to(&self, session: impl AsId, registration: impl AsId, user: &User) -> Answer {
        let path = format!("/v1/registrations/{}/move", registration.as_id());
        self.post(path).token(&user.token).json(&json!({ "sessionId": session.as_id() })).send().await
    }

    /// A registration as it is now.
    pub async fn registration(&self, registration: impl AsId, user: &User) -> Value {
        self.get(format!("/v1/registrations/{}", registration.as_id())).token(&user.token).send().await.expect(200).json
    }

    /// The seats of a session, as everybody sees them.
    pub async fn availability(&self, session: impl AsId) -> Value {
        self.get(format!("/v1/sessions/{}/availability", session.as_id())).send().await.expect(200).json
    }

    /// Fails unless the counters are counts, only what somebody allowed is beyond a limit, every change is in the journal,
    /// numbered within its session without a gap, and nobody has a session twice.
    pub async fn assert_sound(&self) {
        const COUNTERS: &str = "SELECT COUNT(*) FROM session_seats t WHERE t.seats_taken <> \
            (SELECT COUNT(*) FROM registrations r WHERE r.session_id = t.session_id AND r.status IN ('confirmed', 'offered')) \
            OR t.waitlisted <> (SELECT COUNT(*) FROM registrations r WHERE r.session_id = t.session_id AND r.status = 'waitlisted')";
        const BEYOND: &str = "SELECT COUNT(*) FROM session_seats WHERE seats_over <> CASE WHEN seats_taken > seats_limit \
            THEN seats_taken - seats_limit ELSE 0 END";
        const CHANGES: &str = "SELECT COUNT(*) FROM session_seats t WHERE t.last_change <> \
            (SELECT COUNT(*) FROM journal j WHERE j.session_id = t.session_id) OR t.last_change <> \
            (SELECT COALESCE(MAX(j.change), 0) FROM journal j WHERE j.session_id = t.session_id)";
        const TWICE: &str = "SELECT COUNT(*) FROM (SELECT attendee_id, session_id FROM registrations WHERE status <> 'cancelled' \
            GROUP BY attendee_id, session_id HAVING COUNT(*) > 1) d";
        for (must_be_none, statement) in [
            ("counters that are not counts", COUNTERS),
            ("seats beyond a limit that nobody allowed", BEYOND),
            ("gaps in the journal", CHANGES),
            ("people who have a session twice", TWICE),
        ] {
            assert_eq!(self.db().query(statement).scalar::<i64>().await.expect("a number"), 0, "{must_be_none}");
        }
    }
}

/// Fails unless all seats are taken by the lowest `seq`s, the others wait in their order, and no number is missing.
pub fn assert_rush(mut rows: Vec<Value>, seats: usize) {
    rows.sort_by_key(|row| row["seq"].as_i64().expect("a seq"));
    for (index, row) in rows.iter().enumerate() {
        assert_eq!(row["seq"], index + 1);
        if index < seats {
            assert_eq!(row["status"], "confirmed");
        } else {
            assert_eq!((&row["status"], &row["position"]), (&json!("waitlisted"), &json!(index - seats + 1)));
        }
    }
}
