//! Why a command is refused. Nothing was written for it.

use super::model::{CancelReason, Status};
use crate::{
    clock::Timestamp,
    error::{Code, Problem},
};
use jiff::civil::Date;
use serde::Serialize;
use uuid::Uuid;

/// A seat that somebody has at the same hours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Clash {
    /// Its session.
    pub session_id: Uuid,
    /// The session's code.
    pub code: String,
    /// When that begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
    /// The registration that holds the seat; none for one that is only planned.
    pub registration_id: Option<Uuid>,
}

/// A limit of the event that is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// How many sessions somebody may have.
    pub sessions: i64,
    /// On which day, by the event's clocks; none for the whole event.
    pub day: Option<Date>,
}

/// A registration that a lower capacity would reach.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hit {
    /// Which.
    pub registration_id: Uuid,
    /// Whose.
    pub attendee_id: Uuid,
    /// Where it stands.
    pub status: Status,
    /// Of which session.
    pub session_id: Uuid,
    /// Its place in the session.
    pub seq: i64,
}

/// A capacity below the seats taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overfull {
    /// The session.
    pub session_id: Uuid,
    /// Its code.
    pub code: String,
    /// What the capacity would be.
    pub limit: i64,
    /// How many seats are taken.
    pub taken: i64,
    /// The newest of them, as many as are too many.
    pub hits: Vec<Hit>,
}

/// Why a command was refused; nothing was written for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Session, event or registration is not there, or not published.
    NotFound,
    /// The session to go to is not there, not published, or of another event.
    UnknownSession,
    /// The attendee is not one of this event.
    UnknownAttendee,
    /// The caller is no attendee, and the event takes only those on its list.
    NotAdmitted,
    /// The session is for attendees of other categories.
    NotEntitled(Uuid),
    /// The session is cancelled.
    SessionCancelled,
    /// The session has begun.
    SessionStarted,
    /// The window opens later.
    NotOpen(Timestamp),
    /// The window is over (since when, if it has an end).
    Closed(Option<Timestamp>),
    /// The attendee has as many sessions as the event allows.
    LimitReached(Limit),
    /// No seat, and waiting was not wanted or not possible.
    Full(Uuid),
    /// No seat, and no place to wait.
    WaitlistFull(Uuid),
    /// The attendee has a seat at the same hours.
    TimeConflict(Box<Clash>),
    /// The offer was not accepted in time.
    OfferExpired,
    /// There is no offer to accept or decline.
    NotOffered(Status),
    /// The attendee has been in the room.
    CheckedIn,
    /// The registration ended before.
    Ended(CancelReason),
    /// The capacity would be lower than the seats taken.
    Overfull(Box<Overfull>),
    /// The newest can't wait: the session has no waitlist.
    NoWaitlist(Uuid),
}

/// How many registrations a problem names, as the contract says.
const MAX_HITS: usize = 100;

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Self::not_found(),
            Refusal::UnknownSession => Self::unknown_reference("/sessionId"),
            Refusal::UnknownAttendee => Self::unknown_reference("/attendeeId"),
            Refusal::NotAdmitted => {
                Self::new(Code::NotAdmitted, "This event admits only attendees on its list. Claim your place with the code you were sent.")
            }
            Refusal::NotEntitled(session_id) => {
                Self::new(Code::NotEntitled, "This session is for attendees of other categories.").with("sessionId", session_id)
            }
            Refusal::SessionCancelled => Self::new(Code::SessionCancelled, "The session is cancelled."),
            Refusal::SessionStarted => Self::new(Code::SessionStarted, "The session has started."),
            Refusal::NotOpen(at) => Self::new(Code::BookingNotOpen, format!("Booking opens at {at}.")).with("opensAt", at),
            Refusal::Closed(None) => Self::new(Code::BookingClosed, "Booking is over: the event is archived."),
            Refusal::Closed(Some(at)) => Self::new(Code::BookingClosed, format!("Booking closed at {at}.")).with("closesAt", at),
            Refusal::LimitReached(limit) => limit_reached(&limit),
            Refusal::Full(session_id) => {
                Self::new(Code::SessionFull, "No seat is free for you: all are taken, or held for others.").with("sessionId", session_id)
            }
            Refusal::WaitlistFull(session_id) => {
                Self::new(Code::WaitlistFull, "No seat is free for you, and no place on the waitlist.").with("sessionId", session_id)
            }
            Refusal::TimeConflict(clash) => {
                let Clash { code, starts_at, ends_at, .. } = &*clash;
                Self::new(Code::TimeConflict, format!("There is a seat in {code} already, from {starts_at} to {ends_at}."))
                    .with("clash", &*clash)
            }
            Refusal::OfferExpired => Self::new(Code::OfferExpired, "The offer was not accepted in time; the seat is no longer held."),
            Refusal::NotOffered(status) => {
                Self::new(Code::NotOffered, format!("No seat is offered: the registration is {}.", status.as_str()))
                    .with("registrationStatus", status)
            }
            Refusal::CheckedIn => Self::new(Code::CheckedIn, "The attendee has checked in to the session."),
            Refusal::Ended(reason) => Self::new(Code::RegistrationCancelled, "The registration has ended.").with("cancelReason", reason),
            Refusal::Overfull(overfull) => overfull_problem(vec![*overfull]),
            Refusal::NoWaitlist(session_id) => {
                Self::new(Code::NoWaitlist, "The newest can't wait: the session has no waitlist.").with("sessionId", session_id)
            }
        }
    }
}

fn limit_reached(limit: &Limit) -> Problem {
    let detail = match limit.day {
        None => format!("At this event nobody may have more than {} sessions.", limit.sessions),
        Some(day) => format!("Nobody may have more than {} sessions on {day}.", limit.sessions),
    };
    Problem::new(Code::LimitReached, detail).with("limit", limit)
}

/// One problem out of all refusals of an edit: capacities that are too low are told together, else the first speaks.
pub fn problem_of(refusals: Vec<Refusal>) -> Option<Problem> {
    let mut overfull = Vec::new();
    for refusal in refusals {
        match refusal {
            Refusal::Overfull(one) => overfull.push(*one),
            other => return Some(other.into()),
        }
    }
    (!overfull.is_empty()).then(|| overfull_problem(overfull))
}

fn overfull_problem(overfull: Vec<Overfull>) -> Problem {
    let too_many: i64 = overfull.iter().map(|one| one.taken - one.limit).sum();
    let sessions: Vec<_> =
        overfull.iter().take(MAX_HITS).map(|one| serde_json::json!({ "id": one.session_id, "code": one.code })).collect();
    let codes: Vec<&str> = overfull.iter().take(20).map(|one| one.code.as_str()).collect();
    let detail = format!(
        "{too_many} more seats are taken in {} than there would be. Choose with ifOverfull whether they are kept, or the newest wait again.",
        codes.join(", ")
    );
    let hits: Vec<Hit> = overfull.into_iter().flat_map(|one| one.hits).take(MAX_HITS).collect();
    Problem::new(Code::HasRegistrations, detail).with("registrations", too_many).with("sessions", sessions).with("hits", hits)
}
