//! Giving freed seats to who waits, in order: by priority, then by `seq`; never by a clock.

use super::{Batch, ChangeKind, Needs, Round, eligible::Person, world::SessionState};
use crate::{
    clock::Timestamp,
    events::model::EventStatus,
    registrations::{
        model::{CancelReason, Place, Registration, Status},
        refusal::Refusal,
    },
    sessions::model::{SessionStatus, WaitlistMode},
};
use serde_json::json;
use std::ops::Bound;
use uuid::Uuid;

/// What can be said of who stands at a place in line.
enum Verdict {
    /// They get the seat, and lose these.
    Eligible(Vec<Uuid>),
    /// They can't have it.
    Passed,
    /// It can't be said without what is missing.
    Unknown,
}

impl Batch {
    /// Does what is due in a session: ends offers whose time is over, and gives free seats to who waits. Answers whether
    /// it is certain that nobody who waits could have a seat now.
    pub(super) fn settle(&mut self, session_id: Uuid) -> bool {
        self.expire(session_id) && self.promote(session_id)
    }

    /// Ends offers whose time is over. Answers whether that is known.
    pub(super) fn expire(&mut self, session_id: Uuid) -> bool {
        if self.world.sessions.get(&session_id).is_some_and(|session| session.is_due(self.now)) {
            if !self.world.with_offers.contains(&session_id) {
                self.needs.offers.insert(session_id);
                return false;
            }
            self.end_offers(session_id);
        }
        true
    }

    fn end_offers(&mut self, session_id: Uuid) {
        let now = self.now;
        let mut offers: Vec<Registration> =
            self.world.all_in(session_id).into_iter().filter(|registration| registration.status == Status::Offered).collect();
        offers.sort_by_key(|offer| (offer.offer_expires_at, offer.seq));
        let (over, open): (Vec<_>, Vec<_>) = offers.into_iter().partition(|offer| offer.offer_expires_at.is_none_or(|at| at <= now));
        for offer in over {
            self.end(offer.id, CancelReason::OfferExpired, None);
        }
        let next_offer = open.iter().filter_map(|offer| offer.offer_expires_at).min();
        let session = self.touch(session_id);
        session.due_at = None;
        let next_release = session.next_release(now);
        for at in [next_offer, next_release].into_iter().flatten() {
            self.due_by(session_id, at);
        }
        self.quiet.remove(&session_id);
    }

    /// Remembers that something is due in a session at a time.
    pub(super) fn due_by(&mut self, session_id: Uuid, at: Timestamp) {
        let session = &self.world.sessions[&session_id];
        if session.due_at.is_none_or(|due| at < due) {
            self.touch(session_id).due_at = Some(at);
            self.changes.next_due = Some(self.changes.next_due.map_or(at, |next| next.min(at)));
        }
    }

    /// Gives free seats to who waits and could have one. Answers whether it is certain that nobody else could.
    pub(super) fn promote(&mut self, session_id: Uuid) -> bool {
        let Some(session) = self.world.sessions.get(&session_id) else { return true };
        let Ok(rules) = self.world.rules(session) else { return true };
        let open = session.status == SessionStatus::Published && rules.status == EventStatus::Published;
        if session.waitlisted == 0 || session.started(self.now) || !open || self.quiet.contains(&session_id) {
            return true;
        }
        let (mut after, mut certain) = (None, true);
        loop {
            let session = &self.world.sessions[&session_id];
            if self.most_free(session) <= 0 {
                break;
            }
            let Some((place, id)) = self.next_in_line(session_id, after) else {
                if self.world.lines.get(&session_id).is_none_or(|line| line.known_to.is_some()) {
                    certain = self.unknown(session_id, |needs| needs.lines.insert(session_id));
                }
                break;
            };
            after = Some(place);
            match self.judge(session_id, id) {
                Verdict::Eligible(swapped) => self.give_seat(id, swapped),
                Verdict::Passed => {}
                // What the others need is found out in the same round.
                Verdict::Unknown if self.round == Round::Early => certain = false,
                Verdict::Unknown => return false,
            }
        }
        if certain {
            self.quiet.insert(session_id);
        }
        certain
    }

    /// What is missing is asked for; in the last round the session is marked instead.
    fn unknown<T>(&mut self, session_id: Uuid, ask: impl FnOnce(&mut Needs) -> T) -> bool {
        match self.round {
            Round::Early => {
                ask(&mut self.needs);
            }
            Round::Last => self.due(session_id),
        }
        false
    }

    /// Seats that are free for the category that finds the most.
    fn most_free(&self, session: &SessionState) -> i64 {
        let of_pools = session.held_pools(self.now).map(|pool| self.world.free_for(session, Some(&pool.category), self.now));
        of_pools.chain([self.world.free_for(session, None, self.now)]).max().unwrap_or(0)
    }

    /// Who stands next in line. Nobody, if that can't be said: newcomers of this batch stand behind those not loaded.
    fn next_in_line(&self, session_id: Uuid, after: Option<Place>) -> Option<(Place, Uuid)> {
        let line = self.world.lines.get(&session_id)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let (place, id) = line.waiting.range((from, Bound::Unbounded)).next()?;
        line.known_to.is_none_or(|known| *place <= known).then_some((*place, *id))
    }

    /// Whether who waits could have the seat: what they would be told if they booked now, the window aside.
    fn judge(&mut self, session_id: Uuid, id: Uuid) -> Verdict {
        let Some(attendee_id) = self.world.registration(id).map(|registration| registration.attendee_id) else { return Verdict::Passed };
        if self.world.all_of(attendee_id).is_none() || !self.world.attendees.contains_key(&attendee_id) {
            self.unknown(session_id, |needs| needs.attendees.insert(attendee_id));
            return Verdict::Unknown;
        }
        let session = &self.world.sessions[&session_id];
        if self.world.free_for(session, self.world.category(attendee_id), self.now) <= 0 {
            return Verdict::Passed;
        }
        match self.makes_room(session_id, attendee_id) {
            Err(_) => Verdict::Passed,
            Ok(swapped) => {
                let missing: Vec<Uuid> = self.sessions_of(&swapped).filter(|other| !self.world.sessions.contains_key(other)).collect();
                if missing.is_empty() {
                    return Verdict::Eligible(swapped);
                }
                self.unknown(session_id, |needs| needs.sessions.extend(missing));
                Verdict::Unknown
            }
        }
    }

    /// Refuses who could not have a seat: by category, limits or a seat at the same hours. With `swap` those seats are
    /// given up for it, and answered.
    pub(super) fn makes_room(&self, session_id: Uuid, attendee_id: Uuid) -> Result<Vec<Uuid>, Refusal> {
        let session = self.session(session_id)?;
        let rules = self.world.rules(session)?;
        self.world.entitled(session, attendee_id)?;
        let swapped = self.world.given_up(session, attendee_id, self.now);
        let person = Person { attendee_id, leaving: &swapped };
        self.world.without_clash(rules, session, person)?;
        self.world.within_limits(rules, session, person)?;
        Ok(swapped)
    }

    fn sessions_of(&self, registrations: &[Uuid]) -> impl Iterator<Item = Uuid> {
        registrations.iter().filter_map(|id| Some(self.world.registration(*id)?.session_id))
    }

    /// Gives the seat, or holds it for them.
    fn give_seat(&mut self, id: Uuid, swapped: Vec<Uuid>) {
        let Some(session_id) = self.world.registration(id).map(|registration| registration.session_id) else { return };
        let offer = self.offer_until(session_id);
        let session = self.touch(session_id);
        session.waitlisted -= 1;
        session.seats_taken += 1;
        match offer {
            Some(expires_at) => {
                self.due_by(session_id, expires_at);
                self.change(id, |registration| {
                    registration.status = Status::Offered;
                    registration.offer_expires_at = Some(expires_at);
                });
                self.journal(id, ChangeKind::Offered, None, Some(json!({ "expiresAt": expires_at })));
            }
            None => {
                self.change(id, |registration| registration.status = Status::Confirmed);
                self.journal(id, ChangeKind::Promoted, None, None);
                self.swap(swapped, id);
                self.gained(id);
            }
        }
    }

    /// Until when a seat of this session is held now; `None` where it is given at once.
    fn offer_until(&self, session_id: Uuid) -> Option<Timestamp> {
        let session = self.world.sessions.get(&session_id)?;
        let offers = self.world.rules(session).ok()?.offers();
        match session.waitlist_mode {
            WaitlistMode::Offer => offers.until(self.now, session.starts_at),
            WaitlistMode::Auto | WaitlistMode::None => None,
        }
    }

    /// Gives up seats for one at the same hours. Their sessions are due.
    pub(super) fn swap(&mut self, swapped: Vec<Uuid>, for_seat: Uuid) {
        for id in swapped {
            let Some(session_id) = self.world.registration(id).map(|registration| registration.session_id) else { continue };
            if !self.world.sessions.contains_key(&session_id) {
                self.needs.sessions.insert(session_id);
                continue;
            }
            self.end_for(id, CancelReason::Swapped, Some(for_seat), None);
            self.due(session_id);
        }
    }

    /// Who has a seat now stops waiting at its hours, where the event says so.
    pub(super) fn gained(&mut self, id: Uuid) {
        let Some(registration) = self.world.registration(id) else { return };
        let (session_id, attendee_id) = (registration.session_id, registration.attendee_id);
        let Ok(rules) = self.session(session_id).and_then(|session| self.world.rules(session)) else { return };
        if !rules.leave_overlapping_waitlists {
            return;
        }
        for wait in self.world.waits_beside(rules, session_id, attendee_id) {
            let Some(other) = self.world.registration(wait).map(|registration| registration.session_id) else { continue };
            if self.world.sessions.contains_key(&other) {
                self.end_for(wait, CancelReason::Withdrawn, Some(id), None);
            } else if self.round == Round::Early {
                self.needs.sessions.insert(other);
            }
        }
    }
}

impl SessionState {
    /// When the next pool is released.
    pub(super) fn next_release(&self, now: Timestamp) -> Option<Timestamp> {
        self.held_pools(now).filter_map(|pool| pool.releases_at).min()
    }
}
