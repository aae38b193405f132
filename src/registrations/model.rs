//! What a registration is, and what can be asked of the booking engine.

use crate::{
    clock::Timestamp,
    db::text_enum,
    error::{Code, Problem},
};
use serde::Deserialize;
use uuid::Uuid;

text_enum! {
    /// Where a registration stands.
    pub enum Status {
        /// Has a seat.
        Confirmed = "confirmed",
        /// Waits for one.
        Waitlisted = "waitlisted",
        /// Ended, for good.
        Cancelled = "cancelled",
    }
}

text_enum! {
    /// Why a registration ended.
    pub enum CancelReason {
        /// By the attendee.
        ByAttendee = "by_attendee",
        /// By an organiser.
        ByOrganiser = "by_organiser",
    }
}

text_enum! {
    /// What a booking wants when there is no seat.
    pub enum IfFull {
        /// To wait, where the session has a waitlist.
        Waitlist = "waitlist",
        /// To be refused.
        Reject = "reject",
    }
}

text_enum! {
    /// What happened, as the journal calls it.
    pub enum ChangeKind {
        /// A new registration with a seat.
        Confirmed = "registration_confirmed",
        /// A new registration that waits.
        Waitlisted = "registration_waitlisted",
        /// A registration that waited got a seat.
        Promoted = "registration_promoted",
        /// A registration ended.
        Cancelled = "registration_cancelled",
    }
}

/// A registration as it is kept. Field order is that of the engine's statements.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, sqlx::FromRow)]
pub struct Registration {
    /// Its id.
    pub id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// The attendee.
    pub attendee_id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// Its place in the session: unique, given when it entered, never by a clock.
    pub seq: i64,
    /// Why it ended.
    pub cancel_reason: Option<CancelReason>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub cancelled_at: Option<Timestamp>,
}

/// Who is asking, for the journal and for what only organisers may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The signed-in user, or the API key; a key never books for itself.
    pub user_id: Uuid,
    /// Whether they act as owner or organiser of the event.
    pub organiser: bool,
}

/// For whom a seat is booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The calling user, who becomes an attendee of an `open` event by booking.
    Caller {
        /// The id of the attendee that would be made.
        new_attendee_id: Uuid,
    },
    /// An attendee the caller named and may book for.
    Attendee(Uuid),
}

/// One thing asked of the engine. Ids are given beforehand: deciding is pure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Book a session.
    Book {
        /// The id of the registration that would be made.
        registration_id: Uuid,
        /// The session.
        session_id: Uuid,
        /// For whom.
        who: Who,
        /// What to do when it is full; by default to wait where the session has a waitlist.
        if_full: Option<IfFull>,
        /// Who asks.
        actor: Actor,
    },
    /// Cancel a registration.
    Cancel {
        /// Which.
        registration_id: Uuid,
        /// Whether it is the actor's own.
        own: bool,
        /// Who asks.
        actor: Actor,
    },
}

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The registration as it is now.
    pub registration: Registration,
    /// Its event.
    pub event_id: Uuid,
    /// Whether this command made it.
    pub created: bool,
    /// The place in the line of one that waits, where deciding knows it.
    pub position: Option<i64>,
    /// Whether the session has begun: then nobody has a position any more.
    pub started: bool,
}

/// Why a command was refused; nothing was written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Session, event or registration is not there, or not published.
    NotFound,
    /// The attendee is not one of this event.
    UnknownAttendee,
    /// The caller is no attendee, and the event takes only those on its list.
    NotAdmitted,
    /// The session is cancelled.
    SessionCancelled,
    /// The session has begun.
    SessionStarted,
    /// The window opens later.
    NotOpen(Timestamp),
    /// The window is over (since when, if it has an end).
    Closed(Option<Timestamp>),
    /// No seat, and waiting was not wanted or not possible.
    Full(Uuid),
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found(),
            Refusal::UnknownAttendee => Self::unknown_reference("/attendeeId"),
            Refusal::NotAdmitted => {
                Self::new(Code::NotAdmitted, "This event admits only attendees on its list. Claim your place with the code you were sent.")
            }
            Refusal::SessionCancelled => Self::new(Code::SessionCancelled, "The session is cancelled."),
            Refusal::SessionStarted => Self::new(Code::SessionStarted, "The session has started."),
            Refusal::NotOpen(at) => Self::new(Code::BookingNotOpen, format!("Booking opens at {at}.")).with("opensAt", at),
            Refusal::Closed(None) => Self::new(Code::BookingClosed, "Booking is over: the event is archived."),
            Refusal::Closed(Some(at)) => Self::new(Code::BookingClosed, format!("Booking closed at {at}.")).with("closesAt", at),
            Refusal::Full(session_id) => Self::new(Code::SessionFull, "All seats are taken.").with("sessionId", session_id),
        }
    }
}
