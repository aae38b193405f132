//! What deciding has to write.

use super::world::SessionState;
use crate::{clock::Timestamp, db::text_enum, registrations::model::Registration};
use std::collections::BTreeSet;
use uuid::Uuid;

text_enum! {
    /// What happened, as the journal calls it.
    pub enum ChangeKind {
        /// A registration has a seat: a new one, or one that an organiser confirmed.
        Confirmed = "registration_confirmed",
        /// A new registration that waits.
        Waitlisted = "registration_waitlisted",
        /// A registration that waited got a seat.
        Promoted = "registration_promoted",
        /// A freed seat is held for a registration that waited.
        Offered = "registration_offered",
        /// A seat that was held was taken.
        Accepted = "registration_accepted",
        /// A registration lost its seat to a lower capacity, and waits.
        Demoted = "registration_demoted",
        /// A registration waits with another priority.
        Prioritised = "registration_prioritised",
        /// A registration ended.
        Cancelled = "registration_cancelled",
        /// The session has another number of seats.
        SeatsChanged = "seats_changed",
    }
}

/// A journal row to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The session's event.
    pub event_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// Its number within the session, without a gap.
    pub change: i64,
    /// What happened.
    pub kind: ChangeKind,
    /// To which registration; to the session itself, if none.
    pub registration_id: Option<Uuid>,
    /// Of whom.
    pub attendee_id: Option<Uuid>,
    /// Who did it; nobody for what follows from the rules.
    pub actor_id: Option<Uuid>,
    /// What the contract says beside this kind.
    pub details: Option<serde_json::Value>,
}

/// What a batch has to write.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// New attendees: `(id, event, user)`.
    pub attendees: Vec<(Uuid, Uuid, Uuid)>,
    /// New registrations as they are at the end of the batch.
    pub inserted: Vec<Registration>,
    /// Registrations that were there and changed.
    pub updated: Vec<Registration>,
    /// Seats rows that changed.
    pub seats: Vec<SessionState>,
    /// Journal rows, in order.
    pub journal: Vec<Change>,
    /// Sessions to be marked as due.
    pub due: BTreeSet<Uuid>,
    /// Events all of whose sessions with a line are to be marked.
    pub reconsidered: BTreeSet<Uuid>,
    /// Marks that were followed.
    pub marks_done: BTreeSet<i64>,
    /// The first moment at which something new is due by itself. It is kept in the seats rows.
    pub next_due: Option<Timestamp>,
}

impl Changes {
    /// Whether there is nothing to write. Every change of a registration changes its session's seats row too: it has
    /// the number of the journal's last row.
    pub fn is_empty(&self) -> bool {
        let Self { attendees: _, inserted: _, updated: _, seats, journal: _, due, reconsidered, marks_done, next_due: _ } = self;
        seats.is_empty() && due.is_empty() && reconsidered.is_empty() && marks_done.is_empty()
    }

    /// Whether a session waits to be settled after this.
    pub fn leaves_work(&self) -> bool {
        !self.due.is_empty() || !self.reconsidered.is_empty() || self.next_due.is_some()
    }
}
