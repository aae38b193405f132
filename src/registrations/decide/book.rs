//! Making registrations.

use super::{
    Batch, ChangeKind,
    eligible::Person,
    world::{AttendeeState, EventRules, SessionState},
};
use crate::{
    clock::Timestamp,
    events::model::{Admission, EventStatus},
    registrations::{
        model::{Actor, Booking, IfFull, Outcome, Registration, Rule, Status, Who},
        refusal::Refusal,
    },
    sessions::model::{SessionStatus, WaitlistMode},
};
use serde_json::json;
use uuid::Uuid;

/// Where a booking leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// A free seat.
    Seat,
    /// A seat that an organiser gives although none is free, or others wait for it.
    Beyond,
    /// A place in line.
    Line,
}

impl Batch {
    /// The first guard that fails answers, in the order of the contract.
    pub(super) fn book(&mut self, booking: &Booking) -> Result<Outcome, Refusal> {
        let session = self.session(booking.session_id)?;
        if booking.within.is_some_and(|event_id| event_id != session.event_id) {
            return Err(Refusal::NotFound);
        }
        let known = self.world.attendee(session, booking.who, booking.actor);
        let nobody_waits = self.settle(booking.session_id);
        // Booking what one has is a success, whatever the rest says: a lost answer can be asked for again.
        if let Ok(Some(attendee)) = known
            && let Some(held) = self.world.active(attendee, booking.session_id)
        {
            return self.book_again(held, booking, nobody_waits);
        }
        let session = self.session(booking.session_id)?;
        let rules = self.world.rules(session)?;
        published(rules, session)?;
        let attendee = known?.map_or_else(|| admitted(rules, booking.who), Ok)?;
        self.may_have(session, rules, Person::of(attendee), booking)?;
        let room = match self.room(session, attendee, nobody_waits, booking.if_full) {
            Ok(Room::Line) | Err(_) if booking.passes(Rule::Capacity) => Room::Beyond,
            room => room?,
        };
        if room != Room::Line && !booking.passes(Rule::Overlap) {
            self.world.without_clash(rules, session, Person::of(attendee))?;
        }
        let event_id = session.event_id;
        if !self.world.attendees.contains_key(&attendee) {
            let user_id = booking.actor.user_id;
            self.world.add_attendee(AttendeeState { id: attendee, event_id, user_id: Some(user_id), category: None, erased: false });
            self.world.has_all_of(attendee, Vec::new());
            self.changes.attendees.push((attendee, event_id, user_id));
        }
        Ok(self.enter(booking, attendee, room))
    }

    /// What everybody needs who wants a session, whether there is a seat or not: to be of its categories, the window and
    /// the limits, unless an organiser passes them over.
    pub(super) fn may_have(&self, session: &SessionState, rules: &EventRules, person: Person, booking: &Booking) -> Result<(), Refusal> {
        if !booking.passes(Rule::Entitlement) {
            self.world.entitled(session, person.attendee_id)?;
        }
        bookable(rules, session, booking.passes(Rule::Window), self.now)?;
        if !booking.passes(Rule::Entitlement) {
            self.world.within_limits(rules, session, person)?;
        }
        Ok(())
    }

    /// Whether there is a seat, or else a place in line. Who waits comes before who comes now.
    pub(super) fn room(
        &self,
        session: &SessionState,
        attendee: Uuid,
        nobody_waits: bool,
        if_full: Option<IfFull>,
    ) -> Result<Room, Refusal> {
        if nobody_waits && self.world.free_for(session, self.world.category(attendee), self.now) > 0 {
            return Ok(Room::Seat);
        }
        if session.waitlist_mode == WaitlistMode::None || if_full == Some(IfFull::Reject) {
            return Err(Refusal::Full(session.id));
        }
        match session.waitlist_limit {
            Some(limit) if session.waitlisted >= limit => Err(Refusal::WaitlistFull(session.id)),
            _ => Ok(Room::Line),
        }
    }

    /// What somebody has already. An organiser who passes rules over confirms who waits.
    fn book_again(&mut self, held: Uuid, booking: &Booking, nobody_waits: bool) -> Result<Outcome, Refusal> {
        let registration = self.registration(held)?;
        if booking.passing.is_none() || registration.status == Status::Confirmed {
            return Ok(self.outcome(held, false, None));
        }
        let (status, attendee) = (registration.status, registration.attendee_id);
        let session = self.session(booking.session_id)?;
        let rules = self.world.rules(session)?;
        published(rules, session)?;
        let person = Person { attendee_id: attendee, leaving: &[held] };
        self.may_have(session, rules, person, booking)?;
        let beyond = match self.room(session, attendee, nobody_waits, Some(IfFull::Reject)) {
            _ if status == Status::Offered => false,
            Err(_) if booking.passes(Rule::Capacity) => true,
            room => room? == Room::Beyond,
        };
        if !booking.passes(Rule::Overlap) {
            self.world.without_clash(rules, session, person)?;
        }
        self.change(held, |registration| {
            registration.status = Status::Confirmed;
            registration.offer_expires_at = None;
        });
        let session = self.touch(booking.session_id);
        if status == Status::Waitlisted {
            session.waitlisted -= 1;
            session.seats_taken += 1;
        }
        if beyond {
            session.seats_over = session.beyond_limit();
        }
        self.journal(held, ChangeKind::Confirmed, Some(booking.actor.user_id), passing(booking));
        self.gained(held);
        Ok(self.outcome(held, false, None))
    }

    /// Makes the registration.
    fn enter(&mut self, booking: &Booking, attendee_id: Uuid, room: Room) -> Outcome {
        let (id, session_id, actor) = (booking.registration_id, booking.session_id, booking.actor);
        let position = self.add(id, session_id, attendee_id, room, booking.priority, actor, passing(booking));
        self.outcome(id, true, position)
    }

    /// Adds a registration with a seat or a place in line; answers the position where it is known.
    #[allow(clippy::too_many_arguments, reason = "what a new row is made of")]
    pub(super) fn add(
        &mut self,
        id: Uuid,
        session_id: Uuid,
        attendee_id: Uuid,
        room: Room,
        priority: i64,
        actor: Actor,
        details: Option<serde_json::Value>,
    ) -> Option<i64> {
        let now = self.now;
        let session = self.touch(session_id);
        session.last_seq += 1;
        let seq = session.last_seq;
        let (status, kind, position) = match room {
            Room::Line => {
                session.waitlisted += 1;
                // Nobody has a lower priority than none.
                (Status::Waitlisted, ChangeKind::Waitlisted, (priority == 0).then_some(session.waitlisted))
            }
            Room::Seat | Room::Beyond => {
                session.seats_taken += 1;
                if room == Room::Beyond {
                    session.seats_over = session.beyond_limit();
                }
                (Status::Confirmed, ChangeKind::Confirmed, None)
            }
        };
        self.world.enter(Registration::new(id, session_id, attendee_id, status, seq, priority, now));
        self.journal(id, kind, Some(actor.user_id), with_priority(details, priority));
        if room != Room::Line {
            self.gained(id);
        }
        position
    }

    /// Gives who waits another place.
    pub(super) fn prioritise(&mut self, id: Uuid, priority: i64, actor: Actor) -> Result<Outcome, Refusal> {
        self.settle(self.registration(id)?.session_id);
        let registration = self.registration(id)?;
        if let Some(reason) = registration.cancel_reason {
            return Err(Refusal::Ended(reason));
        }
        let (from, session_id) = (registration.priority, registration.session_id);
        if from != priority {
            self.change(id, |registration| registration.priority = priority);
            // Who is looked at first is another now.
            self.quiet.remove(&session_id);
            self.journal(id, ChangeKind::Prioritised, Some(actor.user_id), Some(json!({ "from": from, "to": priority })));
        }
        Ok(self.outcome(id, false, None))
    }
}

/// What the journal keeps of a new registration's priority: with it, who stood where can be told from the journal alone.
fn with_priority(details: Option<serde_json::Value>, priority: i64) -> Option<serde_json::Value> {
    if priority == 0 {
        return details;
    }
    let mut details = details.unwrap_or_else(|| json!({}));
    details["priority"] = json!(priority);
    Some(details)
}

/// What the journal keeps of rules that were passed over.
fn passing(booking: &Booking) -> Option<serde_json::Value> {
    let passing = booking.passing.as_ref()?;
    Some(json!({ "override": passing.rules, "reason": passing.reason }))
}

/// What is not published is not there for anybody; what is cancelled says so.
pub(super) fn published(rules: &EventRules, session: &SessionState) -> Result<(), Refusal> {
    match (rules.status, session.status) {
        (EventStatus::Draft, _) | (_, SessionStatus::Draft) => Err(Refusal::NotFound),
        (_, SessionStatus::Cancelled) => Err(Refusal::SessionCancelled),
        (EventStatus::Published | EventStatus::Archived, SessionStatus::Published) => Ok(()),
    }
}

/// The id under which somebody who is no attendee yet becomes one by booking.
fn admitted(rules: &EventRules, who: Who) -> Result<Uuid, Refusal> {
    match (who, rules.admission) {
        (Who::Caller { new_attendee_id }, Admission::Open) => Ok(new_attendee_id),
        _ => Err(Refusal::NotAdmitted),
    }
}

/// A session that has begun takes nobody; before, its window and that of the event say when.
fn bookable(rules: &EventRules, session: &SessionState, at_any_time: bool, now: Timestamp) -> Result<(), Refusal> {
    begins_later(rules, session, now)?;
    if at_any_time {
        return Ok(());
    }
    let (opens_at, closes_at) = (session.opens_at.or(rules.opens_at), session.closes_at.or(rules.closes_at));
    if let Some(opens_at) = opens_at.filter(|opens_at| now < *opens_at) {
        return Err(Refusal::NotOpen(opens_at));
    }
    match closes_at.filter(|closes_at| now >= *closes_at) {
        Some(closes_at) => Err(Refusal::Closed(Some(closes_at))),
        None => Ok(()),
    }
}

/// Nothing is taken of what has begun or is over.
pub(super) fn begins_later(rules: &EventRules, session: &SessionState, now: Timestamp) -> Result<(), Refusal> {
    match rules.status {
        _ if session.started(now) => Err(Refusal::SessionStarted),
        EventStatus::Archived => Err(Refusal::Closed(None)),
        EventStatus::Draft | EventStatus::Published => Ok(()),
    }
}
