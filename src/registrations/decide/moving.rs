//! Giving a seat up for another, as one decision: the other is taken, or the old one is kept.

use super::{
    Batch, ChangeKind,
    book::{Room, begins_later, published},
    eligible::Person,
};
use crate::registrations::{
    model::{Actor, Booking, CancelReason, IfFull, Outcome, Status, Who},
    refusal::Refusal,
};
use serde_json::json;
use uuid::Uuid;

/// What stands in the other session already.
enum There {
    Nothing,
    Seat(Uuid),
    /// A seat that is held.
    Offer(Uuid),
    /// A place in line.
    Place(Uuid),
}

impl Batch {
    pub(super) fn move_to(&mut self, id: Uuid, new_id: Uuid, to: Uuid, if_full: Option<IfFull>, actor: Actor) -> Result<Outcome, Refusal> {
        let from = self.acted_on(id, actor)?.session_id;
        let target = self.session(to).map_err(|_| Refusal::UnknownSession)?;
        if target.event_id != self.session(from)?.event_id {
            return Err(Refusal::UnknownSession);
        }
        self.settle(from);
        let nobody_waits = self.settle(to);
        let registration = self.registration(id)?;
        if let Some(reason) = registration.cancel_reason {
            return self.moved_before(registration.moved_to, to).ok_or(Refusal::Ended(reason));
        }
        if from == to {
            return Ok(self.outcome(id, false, None));
        }
        self.may_leave(registration, actor)?;
        let attendee_id = registration.attendee_id;
        let person = Person { attendee_id, leaving: &[id] };
        let booking = Booking {
            registration_id: new_id,
            session_id: to,
            within: None,
            who: Who::Attendee(attendee_id),
            if_full: Some(if_full.unwrap_or(IfFull::Reject)),
            passing: None,
            priority: 0,
            actor,
        };
        let there = self.stands(attendee_id, to);
        let room = self.room_at(&booking, person, &there, nobody_waits)?;
        let target = match there {
            There::Seat(held) | There::Offer(held) | There::Place(held) => held,
            There::Nothing => new_id,
        };
        // The old seat goes first, so that nothing clashes with it; who waits for it comes last.
        self.end_for(id, CancelReason::Moved, Some(target), Some(actor.user_id));
        let position = self.arrive(&booking, attendee_id, &there, room, id);
        self.promote(from);
        Ok(self.outcome(target, matches!(there, There::Nothing), position))
    }

    /// The registration that a repeated move led to.
    fn moved_before(&self, moved_to: Option<Uuid>, to: Uuid) -> Option<Outcome> {
        let target = self.world.registration(moved_to?).filter(|target| target.session_id == to)?;
        Some(self.outcome(target.id, false, None))
    }

    fn stands(&self, attendee_id: Uuid, session_id: Uuid) -> There {
        match self.world.active(attendee_id, session_id).and_then(|held| self.world.registration(held)) {
            None => There::Nothing,
            Some(held) => match held.status {
                Status::Confirmed => There::Seat(held.id),
                Status::Offered => There::Offer(held.id),
                Status::Waitlisted | Status::Cancelled => There::Place(held.id),
            },
        }
    }

    /// What the other session would give, with the old seat left out of it.
    fn room_at(&self, booking: &Booking, person: Person, there: &There, nobody_waits: bool) -> Result<Room, Refusal> {
        // Booking what one has is a success, whatever the rest says.
        if matches!(there, There::Seat(_)) {
            return Ok(Room::Seat);
        }
        let session = self.session(booking.session_id)?;
        let rules = self.world.rules(session)?;
        published(rules, session).map_err(|refusal| match refusal {
            Refusal::NotFound => Refusal::UnknownSession,
            other => other,
        })?;
        if !matches!(there, There::Nothing) {
            begins_later(rules, session, self.now)?;
        }
        let room = match there {
            There::Seat(_) | There::Offer(_) => Room::Seat,
            There::Place(_) => match self.room(session, person.attendee_id, nobody_waits, Some(IfFull::Reject)) {
                Err(_) if booking.if_full == Some(IfFull::Waitlist) => Room::Line,
                room => room?,
            },
            There::Nothing => {
                self.may_have(session, rules, person, booking)?;
                self.room(session, person.attendee_id, nobody_waits, booking.if_full)?
            }
        };
        if room == Room::Seat {
            self.world.entitled(session, person.attendee_id)?;
            self.world.without_clash(rules, session, person)?;
            self.world.within_limits(rules, session, person)?;
        }
        Ok(room)
    }

    /// Takes the seat or place there; answers the position where it is known.
    fn arrive(&mut self, booking: &Booking, attendee_id: Uuid, there: &There, room: Room, from: Uuid) -> Option<i64> {
        let details = Some(json!({ "movedFrom": from }));
        match *there {
            There::Nothing => {
                self.add(booking.registration_id, booking.session_id, attendee_id, room, booking.priority, booking.actor, details)
            }
            There::Place(held) if room == Room::Seat => {
                self.confirm_held(held, ChangeKind::Promoted, booking.actor, details);
                let session = self.touch(booking.session_id);
                session.waitlisted -= 1;
                session.seats_taken += 1;
                None
            }
            There::Offer(held) => {
                self.confirm_held(held, ChangeKind::Accepted, booking.actor, details);
                None
            }
            There::Place(_) | There::Seat(_) => None,
        }
    }

    fn confirm_held(&mut self, held: Uuid, kind: ChangeKind, actor: Actor, details: Option<serde_json::Value>) {
        self.change(held, |registration| {
            registration.status = Status::Confirmed;
            registration.offer_expires_at = None;
        });
        self.journal(held, kind, Some(actor.user_id), details);
        self.gained(held);
    }
}
