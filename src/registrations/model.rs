//! What a registration is, and who asks for what.

use crate::{clock::Timestamp, db::text_enum};
use serde::Deserialize;
use uuid::Uuid;

text_enum! {
    /// Where a registration stands.
    pub enum Status {
        /// Has a seat.
        Confirmed = "confirmed",
        /// Waits for one.
        Waitlisted = "waitlisted",
        /// A freed seat is held for them until a time.
        Offered = "offered",
        /// Ended, for good.
        Cancelled = "cancelled",
    }
}

impl Status {
    /// Whether it takes a seat.
    pub fn is_seated(self) -> bool {
        matches!(self, Self::Confirmed | Self::Offered)
    }
}

text_enum! {
    /// Why a registration ended.
    pub enum CancelReason {
        /// By the attendee.
        ByAttendee = "by_attendee",
        /// By an organiser.
        ByOrganiser = "by_organiser",
        /// The offer was declined.
        Declined = "declined",
        /// The offer was not accepted in time.
        OfferExpired = "offer_expired",
        /// Another registration took its place.
        Moved = "moved",
        /// A seat they waited for clashed with this one and was preferred, as the event's rules say.
        Swapped = "swapped",
        /// They got a seat at the same hours, and the event's rules end such waiting.
        Withdrawn = "withdrawn",
        /// The session was cancelled.
        SessionCancelled = "session_cancelled",
        /// The attendee was erased.
        Erased = "erased",
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
    /// What becomes of seats taken beyond a capacity that is lowered.
    pub enum IfOverfull {
        /// Nothing: the capacity is not lowered.
        Refuse = "refuse",
        /// They are kept; the session is over-full until seats are given back.
        Keep = "keep",
        /// The newest wait again, in their old places.
        WaitlistNewest = "waitlist_newest",
    }
}

text_enum! {
    /// A rule that an organiser can pass over in booking for somebody.
    pub enum Rule {
        /// There must be a free seat, and nobody waiting for it.
        Capacity = "capacity",
        /// Booking must be open.
        Window = "window",
        /// No two seats at the same hours.
        Overlap = "overlap",
        /// The session's categories, and the limits of the event.
        Entitlement = "entitlement",
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
    /// Who waits with a higher one comes first.
    pub priority: i64,
    /// Until when a seat is held, for one that is offered.
    pub offer_expires_at: Option<Timestamp>,
    /// When its attendee first came through the door.
    pub checked_in_at: Option<Timestamp>,
    /// Why it ended.
    pub cancel_reason: Option<CancelReason>,
    /// The registration that took its place, if it was moved.
    pub moved_to: Option<Uuid>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When it ended.
    pub cancelled_at: Option<Timestamp>,
}

impl Registration {
    /// One that was made at that time, and has not changed since.
    pub fn new(id: Uuid, session_id: Uuid, attendee_id: Uuid, status: Status, seq: i64, priority: i64, created_at: Timestamp) -> Self {
        Self {
            id,
            session_id,
            attendee_id,
            status,
            seq,
            priority,
            offer_expires_at: None,
            checked_in_at: None,
            cancel_reason: None,
            moved_to: None,
            created_at,
            updated_at: created_at,
            cancelled_at: None,
        }
    }

    /// Whether it has not ended.
    pub fn is_active(&self) -> bool {
        self.status != Status::Cancelled
    }

    /// Its place among those who wait: the least is served first.
    pub fn place(&self) -> Place {
        Place { behind: -self.priority, seq: self.seq }
    }
}

/// A place in a session's line: by priority, then by `seq`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    behind: i64,
    seq: i64,
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

/// Rules that an organiser passes over, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// Which.
    pub rules: Vec<Rule>,
    /// Why, for the journal.
    pub reason: String,
}

/// A wish to have a seat. Ids are given beforehand: deciding is pure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booking {
    /// The id of the registration that would be made.
    pub registration_id: Uuid,
    /// The session.
    pub session_id: Uuid,
    /// The event that it must be of, where the request names one.
    pub within: Option<Uuid>,
    /// For whom.
    pub who: Who,
    /// What to do when it is full; by default to wait where the session has a waitlist.
    pub if_full: Option<IfFull>,
    /// What an organiser passes over.
    pub passing: Option<Box<Override>>,
    /// Its priority, should it have to wait.
    pub priority: i64,
    /// Who asks.
    pub actor: Actor,
}

impl Booking {
    /// Whether a rule is passed over.
    pub fn passes(&self, rule: Rule) -> bool {
        self.passing.as_ref().is_some_and(|passing| passing.rules.contains(&rule))
    }
}

/// One thing asked of the engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Book a session.
    Book(Booking),
    /// Book several, the most wanted first; each is decided for itself.
    BookAll(Vec<Booking>),
    /// Cancel a registration.
    Cancel {
        /// Which.
        registration_id: Uuid,
        /// Who asks.
        actor: Actor,
    },
    /// Give a registration up for one of another session, or keep it.
    Move {
        /// Which.
        registration_id: Uuid,
        /// The id of the registration that would be made.
        new_id: Uuid,
        /// The other session.
        session_id: Uuid,
        /// What to do when that is full; by default to stay.
        if_full: Option<IfFull>,
        /// Who asks.
        actor: Actor,
    },
    /// Take the seat that is held.
    Accept {
        /// Which registration.
        registration_id: Uuid,
        /// Who asks.
        actor: Actor,
    },
    /// Give the seat that is held to the next.
    Decline {
        /// Which registration.
        registration_id: Uuid,
        /// Who asks.
        actor: Actor,
    },
    /// Change the place in line.
    Prioritise {
        /// Which registration.
        registration_id: Uuid,
        /// Its new priority.
        priority: i64,
        /// Who asks.
        actor: Actor,
    },
    /// Bring the seats of a session to what the programme now says: its capacity, its pools and its start.
    Refit {
        /// The session.
        session_id: Uuid,
        /// What becomes of seats beyond the capacity.
        if_overfull: IfOverfull,
        /// Who changed the programme.
        actor: Actor,
    },
    /// End all registrations of a session that was cancelled.
    EndSession {
        /// The session.
        session_id: Uuid,
        /// Who cancelled it.
        actor: Actor,
    },
    /// End all registrations of an attendee who is being erased.
    EndAttendee {
        /// The attendee.
        attendee_id: Uuid,
        /// Who erases them.
        actor: Actor,
    },
    /// Look at everybody who waits in the sessions of an event: its rules changed.
    Reconsider {
        /// The event.
        event_id: Uuid,
    },
    /// Do what is due in a session: end offers, release pools, promote.
    Settle {
        /// The session.
        session_id: Uuid,
        /// The marks that asked for it.
        marks: Vec<i64>,
    },
}

/// What became of a registration.
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

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Of one that is about a registration.
    One(Box<Outcome>),
    /// Of each booking of [`Command::BookAll`], in order.
    Each(Vec<Result<Outcome, super::refusal::Refusal>>),
    /// Of one that is about a session, an attendee or an event: what changed is in the journal.
    Settled,
}
