//! What an edit of the programme means for those who are registered: what it asks of the engine, what the organiser may
//! choose, and how its effects are shown.

use super::{
    clashes::Clash,
    decide::{Change, ChangeKind, SessionState},
    engine::Effects,
    model::{Actor, Command, IfOverfull},
};
use crate::sessions::model::{SessionForm, SessionStatus};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What an organiser chooses beside an edit.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Choices {
    /// Only to be told what it would do.
    #[serde(default)]
    pub preview: bool,
    /// What becomes of seats taken beyond a lower capacity.
    #[serde(default = "refuse")]
    pub if_overfull: IfOverfull,
}

fn refuse() -> IfOverfull {
    IfOverfull::Refuse
}

/// What follows from a session becoming what `after` says.
pub fn of_session(session: (Uuid, Uuid), before: &SessionForm, after: &SessionForm, if_overfull: IfOverfull, actor: Actor) -> Vec<Command> {
    let (session_id, event_id) = session;
    let mut commands = Vec::new();
    if before.status != SessionStatus::Cancelled && after.status == SessionStatus::Cancelled {
        commands.push(Command::EndSession { session_id, actor });
    }
    if before.refits(after) {
        commands.push(Command::Refit { session_id, if_overfull, actor });
    }
    if before.affects_eligibility(after) {
        commands.push(Command::Reconsider { event_id });
    }
    commands
}

/// How many changes and clashes an answer names, as the contract says.
const MAX_SHOWN: usize = 1_000;

/// What an edit does, or would do, to registrations and seats.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EffectsView {
    /// The sessions whose seats change, as they are then.
    pub sessions: Vec<SeatsView>,
    /// How many changes there are.
    pub change_count: usize,
    /// The first of them.
    pub changes: Vec<ChangeView>,
    /// How many have a seat elsewhere at the hours of the session that moves.
    pub clash_count: usize,
    /// The first of them.
    pub clashes: Vec<Clash>,
}

/// The seats of a session.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct SeatsView {
    pub session_id: Uuid,
    pub code: String,
    pub capacity: Option<i64>,
    pub taken: i64,
    pub over: i64,
    pub waitlisted: i64,
}

/// A change of a registration.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
#[allow(missing_docs)]
pub struct ChangeView {
    pub session_id: Uuid,
    pub kind: ChangeKind,
    pub registration_id: Option<Uuid>,
    pub attendee_id: Option<Uuid>,
    pub details: serde_json::Value,
}

impl EffectsView {
    /// Of an edit, with who would have two seats at the same hours.
    pub fn of(effects: Effects, mut clashes: Vec<Clash>) -> Self {
        let (change_count, clash_count) = (effects.changes.len(), clashes.len());
        clashes.truncate(MAX_SHOWN);
        Self {
            sessions: effects.seats.into_iter().map(SeatsView::from).collect(),
            change_count,
            changes: effects.changes.into_iter().take(MAX_SHOWN).map(ChangeView::from).collect(),
            clash_count,
            clashes,
        }
    }
}

impl EffectsView {
    /// As somebody sees it: without the right to read registrations only how many they are, not whose.
    pub fn seen_by(mut self, sees_registrations: bool) -> Self {
        if !sees_registrations {
            self.changes.clear();
            self.clashes.clear();
        }
        self
    }
}

impl From<SessionState> for SeatsView {
    fn from(session: SessionState) -> Self {
        let SessionState { id, code, seats_limit, seats_taken, seats_over, waitlisted, .. } = session;
        Self { session_id: id, code, capacity: seats_limit, taken: seats_taken, over: seats_over, waitlisted }
    }
}

impl From<Change> for ChangeView {
    fn from(change: Change) -> Self {
        let Change { session_id, kind, registration_id, attendee_id, details, .. } = change;
        Self { session_id, kind, registration_id, attendee_id, details: details.unwrap_or_else(|| serde_json::json!({})) }
    }
}
