//! Ending registrations, and what follows from it.

use super::{Batch, ChangeKind};
use crate::registrations::{
    model::{Actor, CancelReason, Outcome, Registration, Status},
    refusal::Refusal,
};
use serde_json::json;
use uuid::Uuid;

impl Batch {
    /// Attendees give back until the start, organisers at any time, and nobody who has been in the room.
    pub(super) fn cancel(&mut self, id: Uuid, actor: Actor) -> Result<Outcome, Refusal> {
        let session_id = self.acted_on(id, actor)?.session_id;
        self.settle(session_id);
        let registration = self.registration(id)?;
        if !registration.is_active() {
            return Ok(self.outcome(id, false, None));
        }
        self.may_leave(registration, actor)?;
        let reason = if self.is_own(registration, actor) { CancelReason::ByAttendee } else { CancelReason::ByOrganiser };
        self.end(id, reason, Some(actor.user_id));
        self.promote(session_id);
        Ok(self.outcome(id, false, None))
    }

    /// Refuses who can't give a registration back any more.
    pub(super) fn may_leave(&self, registration: &Registration, actor: Actor) -> Result<(), Refusal> {
        if registration.checked_in_at.is_some() {
            return Err(Refusal::CheckedIn);
        }
        if !actor.organiser && self.session(registration.session_id)?.started(self.now) {
            return Err(Refusal::SessionStarted);
        }
        Ok(())
    }

    /// Takes the seat that is held.
    pub(super) fn accept(&mut self, id: Uuid, actor: Actor) -> Result<Outcome, Refusal> {
        self.settle(self.acted_on(id, actor)?.session_id);
        let registration = self.registration(id)?;
        match (registration.status, registration.cancel_reason) {
            (Status::Confirmed, _) => return Ok(self.outcome(id, false, None)),
            (Status::Offered, _) => {}
            (_, Some(CancelReason::OfferExpired)) => return Err(Refusal::OfferExpired),
            (_, Some(reason)) => return Err(Refusal::Ended(reason)),
            (status, None) => return Err(Refusal::NotOffered(status)),
        }
        let swapped = self.makes_room(registration.session_id, registration.attendee_id)?;
        self.change(id, |registration| {
            registration.status = Status::Confirmed;
            registration.offer_expires_at = None;
        });
        self.journal(id, ChangeKind::Accepted, Some(actor.user_id), None);
        self.swap(swapped, id);
        self.gained(id);
        Ok(self.outcome(id, false, None))
    }

    /// Gives the seat that is held to the next.
    pub(super) fn decline(&mut self, id: Uuid, actor: Actor) -> Result<Outcome, Refusal> {
        let session_id = self.acted_on(id, actor)?.session_id;
        self.settle(session_id);
        let registration = self.registration(id)?;
        match (registration.status, registration.cancel_reason) {
            (_, Some(CancelReason::Declined)) => return Ok(self.outcome(id, false, None)),
            (Status::Offered, _) => {}
            (_, Some(CancelReason::OfferExpired)) => return Err(Refusal::OfferExpired),
            (_, Some(reason)) => return Err(Refusal::Ended(reason)),
            (status, None) => return Err(Refusal::NotOffered(status)),
        }
        self.end(id, CancelReason::Declined, Some(actor.user_id));
        self.promote(session_id);
        Ok(self.outcome(id, false, None))
    }

    /// Ends all registrations of a session that was cancelled. Nobody is promoted: there is nothing to go to.
    pub(super) fn end_session(&mut self, session_id: Uuid, actor: Actor) -> Result<(), Refusal> {
        let event_id = self.session(session_id)?.event_id;
        if !self.world.whole.contains(&session_id) {
            self.needs.whole.insert(session_id);
            return Ok(());
        }
        self.expire(session_id);
        for registration in self.world.all_in(session_id) {
            self.end(registration.id, CancelReason::SessionCancelled, Some(actor.user_id));
        }
        // Whoever had a seat may have one elsewhere now.
        self.changes.reconsidered.insert(event_id);
        Ok(())
    }

    /// Ends all registrations of an attendee.
    pub(super) fn end_attendee(&mut self, attendee_id: Uuid, actor: Actor) -> Result<(), Refusal> {
        let Some(all) = self.world.all_of(attendee_id) else {
            self.needs.attendees.insert(attendee_id);
            return Ok(());
        };
        let all: Vec<(Uuid, Uuid)> = all.map(|registration| (registration.id, registration.session_id)).collect();
        let missing: Vec<Uuid> = all.iter().map(|(_, session)| *session).filter(|id| !self.world.sessions.contains_key(id)).collect();
        if !missing.is_empty() {
            self.needs.sessions.extend(missing);
            return Ok(());
        }
        // All of theirs end before anybody moves up, else they would: what they had elsewhere kept them from it.
        for (id, session_id) in &all {
            self.expire(*session_id);
            if self.registration(*id)?.is_active() {
                self.end(*id, CancelReason::Erased, Some(actor.user_id));
            }
        }
        for (_, session_id) in all {
            self.promote(session_id);
        }
        Ok(())
    }

    /// Ends a registration: a seat that it had is free, or melts if it was beyond the limit.
    pub(super) fn end(&mut self, id: Uuid, reason: CancelReason, actor_id: Option<Uuid>) {
        self.end_for(id, reason, None, actor_id);
    }

    /// The same for the sake of another registration of theirs.
    pub(super) fn end_for(&mut self, id: Uuid, reason: CancelReason, other: Option<Uuid>, actor_id: Option<Uuid>) {
        let Some(before) = self.world.registration(id).cloned() else { return };
        let now = self.now;
        self.change(id, |registration| {
            registration.status = Status::Cancelled;
            registration.cancel_reason = Some(reason);
            registration.cancelled_at = Some(now);
            registration.offer_expires_at = None;
            registration.moved_to = other.filter(|_| reason == CancelReason::Moved);
        });
        let session = self.touch(before.session_id);
        match before.status {
            Status::Waitlisted => session.waitlisted -= 1,
            Status::Confirmed | Status::Offered => {
                session.free_one();
                self.quiet.remove(&before.session_id);
            }
            Status::Cancelled => {}
        }
        let mut details = json!({ "reason": reason, "from": before.status });
        if let Some(other) = other {
            details["for"] = json!(other);
        }
        self.journal(id, ChangeKind::Cancelled, actor_id, Some(details));
        if before.status == Status::Confirmed {
            self.lost(before.attendee_id);
        }
    }

    /// Who loses a seat may have one where they wait: those sessions are due.
    pub(super) fn lost(&mut self, attendee_id: Uuid) {
        let Some(all) = self.world.all_of(attendee_id) else { return };
        let waits: Vec<Uuid> = all.filter(|other| other.status == Status::Waitlisted).map(|other| other.session_id).collect();
        waits.into_iter().for_each(|session_id| self.due(session_id));
    }
}
