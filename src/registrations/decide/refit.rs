//! Following the programme: another capacity, other pools, an earlier start.

use super::{Batch, ChangeKind};
use crate::{
    registrations::{
        model::{Actor, IfOverfull, Registration, Status},
        refusal::{Hit, Overfull, Refusal},
    },
    sessions::model::WaitlistMode,
};
use serde_json::json;
use uuid::Uuid;

impl Batch {
    /// Brings the seats of a session to what the programme says. A lower capacity than the seats taken is refused unless
    /// the organiser says what becomes of them; more seats, or a released pool, go to who waits.
    pub(super) fn refit(&mut self, session_id: Uuid, if_overfull: IfOverfull, actor: Actor) -> Result<(), Refusal> {
        self.shorten_offers(session_id, actor)?;
        // Nobody is promoted before the number of seats is the new one.
        self.expire(session_id);
        let session = self.session(session_id)?;
        let (before, limit) = (session.seats_limit, session.capacity);
        if before != limit {
            let lowered = limit.is_some_and(|limit| before.is_none_or(|before| limit < before));
            let too_many = limit.map_or(0, |limit| session.seats_taken - limit);
            if lowered && too_many > 0 {
                self.lower(session_id, limit.unwrap_or_default(), too_many, if_overfull, actor)?;
            }
            let session = self.touch(session_id);
            let over_before = session.seats_over;
            session.seats_limit = limit;
            session.seats_over = session.beyond_limit();
            let over = session.seats_over;
            let mut details = json!({ "from": before, "to": limit });
            if over != over_before {
                details["over"] = json!(over);
            }
            self.write_down(session_id, ChangeKind::SeatsChanged, None, Some(actor.user_id), Some(details));
        }
        if let Some(release) = self.session(session_id)?.next_release(self.now) {
            self.due_by(session_id, release);
        }
        self.quiet.remove(&session_id);
        self.promote(session_id);
        Ok(())
    }

    /// An offer ends with the start, also of a session that was brought forward.
    fn shorten_offers(&mut self, session_id: Uuid, actor: Actor) -> Result<(), Refusal> {
        let starts_at = self.session(session_id)?.starts_at;
        if !self.world.with_offers.contains(&session_id) {
            self.needs.offers.insert(session_id);
            return Ok(());
        }
        for held in self.world.all_in(session_id) {
            if held.offer_expires_at.is_some_and(|expires_at| starts_at < expires_at) {
                self.change(held.id, |registration| registration.offer_expires_at = Some(starts_at));
                self.journal(held.id, ChangeKind::Offered, Some(actor.user_id), Some(json!({ "expiresAt": starts_at })));
                self.due_by(session_id, starts_at);
            }
        }
        Ok(())
    }

    /// What becomes of seats beyond a lower capacity.
    fn lower(&mut self, session_id: Uuid, limit: i64, too_many: i64, if_overfull: IfOverfull, actor: Actor) -> Result<(), Refusal> {
        if if_overfull == IfOverfull::Keep {
            return Ok(());
        }
        if !self.world.whole.contains(&session_id) {
            self.needs.whole.insert(session_id);
            return Ok(());
        }
        let session = self.session(session_id)?;
        let newest = newest(self.world.all_in(session_id), too_many);
        if if_overfull == IfOverfull::Refuse {
            let (code, taken) = (session.code.clone(), session.seats_taken);
            let hits = newest.iter().map(|held| Hit {
                registration_id: held.id,
                attendee_id: held.attendee_id,
                session_id,
                status: held.status,
                seq: held.seq,
            });
            return Err(Refusal::Overfull(Box::new(Overfull { session_id, code, limit, taken, hits: hits.collect() })));
        }
        if session.waitlist_mode == WaitlistMode::None {
            return Err(Refusal::NoWaitlist(session_id));
        }
        for held in newest {
            self.demote(&held, actor);
        }
        Ok(())
    }

    /// Sends somebody back to their old place in line.
    fn demote(&mut self, held: &Registration, actor: Actor) {
        if held.status == Status::Confirmed {
            self.lost(held.attendee_id);
        }
        self.change(held.id, |registration| {
            registration.status = Status::Waitlisted;
            registration.offer_expires_at = None;
        });
        let session = self.touch(held.session_id);
        session.free_one();
        session.waitlisted += 1;
        self.journal(held.id, ChangeKind::Demoted, Some(actor.user_id), Some(json!({ "from": held.status })));
    }
}

/// Those who would lose their seats: offers first, then the highest `seq`, and never who has been in the room.
fn newest(all: Vec<Registration>, too_many: i64) -> Vec<Registration> {
    let mut seated: Vec<Registration> = all.into_iter().filter(|held| held.status.is_seated() && held.checked_in_at.is_none()).collect();
    seated.sort_by_key(|held| (held.status != Status::Offered, -held.seq));
    seated.truncate(usize::try_from(too_many).unwrap_or(0));
    seated
}
