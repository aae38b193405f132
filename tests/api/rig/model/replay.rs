//! Following the journal: each entry must be something that the rules allow at that moment, and leads to the next state.

use super::{Model, No, has_seat};
use plenary::{
    clock::Timestamp,
    registrations::{
        decide::ChangeKind,
        model::{CancelReason, Registration, Rule, Status},
    },
    sessions::model::WaitlistMode,
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use uuid::Uuid;

/// An invariant of the design (I1 to I10) that does not hold, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    pub invariant: &'static str,
    pub what: String,
}

impl Breach {
    /// One of `invariant`.
    pub fn of(invariant: &'static str, what: impl Into<String>) -> Self {
        Self { invariant, what: what.into() }
    }
}

/// An entry of the journal.
#[derive(Clone, Debug)]
pub struct Entry {
    pub session_id: Uuid,
    pub change: i64,
    pub kind: ChangeKind,
    pub registration_id: Option<Uuid>,
    pub attendee_id: Option<Uuid>,
    pub actor_id: Option<Uuid>,
    pub at: Timestamp,
    pub details: Value,
    /// With which priority a new registration came.
    pub priority: i64,
}

impl Entry {
    fn detail<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_value(self.details.get(name)?.clone()).ok()
    }

    fn passes(&self, rule: Rule) -> bool {
        self.detail::<Vec<Rule>>("override").is_some_and(|rules| rules.contains(&rule))
    }

    fn breach(&self, invariant: &'static str, what: impl std::fmt::Display) -> Breach {
        Breach::of(invariant, format!("{what}: {self:?}"))
    }

    fn must(&self, holds: bool, invariant: &'static str, what: &str) -> Result<(), Breach> {
        if holds { Ok(()) } else { Err(self.breach(invariant, what)) }
    }

    fn allowed(&self, invariant: &'static str, verdict: Result<(), No>) -> Result<(), Breach> {
        verdict.map_err(|no| self.breach(invariant, format!("against the rules ({})", no.code)))
    }
}

impl Model {
    /// Takes an entry's word for what happened, if it may have happened.
    pub fn follow(&mut self, entry: &Entry) -> Result<(), Breach> {
        self.now = entry.at;
        let session = self.sessions.get_mut(&entry.session_id).ok_or_else(|| entry.breach("I4", "a session nobody knows"))?;
        session.changes += 1;
        entry.must(session.changes == entry.change, "I6", "the numbers of the changes have a gap")?;
        match entry.kind {
            ChangeKind::SeatsChanged => self.follow_seats(entry)?,
            ChangeKind::Confirmed | ChangeKind::Waitlisted if !self.knows(entry) => self.follow_new(entry)?,
            _ => self.follow_old(entry)?,
        }
        let Some(limit) = self.sessions[&entry.session_id].limit else { return Ok(()) };
        let (taken, over) = (self.taken(entry.session_id), self.sessions[&entry.session_id].over);
        entry.must(taken <= limit + over, "I1", &format!("{taken} seats taken of {limit}, {over} allowed beyond"))
    }

    fn knows(&self, entry: &Entry) -> bool {
        entry.registration_id.is_some_and(|id| self.rows.contains_key(&id))
    }

    /// Whether who came to wait had to: else a seat was free for them, and for nobody before them. Where a batch asked for
    /// too much the seats are given later, in order; that they are is seen in the end.
    pub fn waits_for_a_reason(&self, entry: &Entry) -> Result<(), Breach> {
        let new = entry.kind == ChangeKind::Waitlisted && !self.knows(entry);
        let free = new && entry.attendee_id.is_some_and(|person| self.free_for(entry.session_id, person) > 0);
        entry.must(!free || self.next_eligible(entry.session_id).is_some(), "I1", "told to wait while a seat was free")
    }

    fn follow_new(&mut self, entry: &Entry) -> Result<(), Breach> {
        let (Some(id), Some(person), session) = (entry.registration_id, entry.attendee_id, entry.session_id) else {
            return Err(entry.breach("I6", "a registration without an id"));
        };
        entry.must(self.people.contains_key(&person), "I4", "an attendee nobody knows")?;
        entry.must(self.people[&person].event_id == self.sessions[&session].event_id, "I10", "an attendee of another event")?;
        entry.must(self.held(session, person).is_none(), "I3", "a second active registration")?;
        entry.allowed("I4", self.published(session))?;
        entry.allowed("I4", self.begins_later(session))?;
        if !entry.passes(Rule::Window) {
            entry.allowed("I4", self.window(session))?;
        }
        if !entry.passes(Rule::Entitlement) {
            entry.allowed("I4", self.entitled(session, person).and_then(|()| self.limits(session, person, &[])))?;
        }
        let seated = entry.kind == ChangeKind::Confirmed;
        if seated {
            self.check_seat(entry, session, person)?;
        } else {
            let own = &self.sessions[&session];
            entry.must(own.waitlist_mode != WaitlistMode::None, "I4", "nobody waits here")?;
            let room = own.waitlist_limit.is_none_or(|limit| (self.line(session).len() as i64) < limit);
            entry.must(room, "I4", "the waitlist was full")?;
        }
        let row = Registration {
            id,
            session_id: session,
            attendee_id: person,
            status: if seated { Status::Confirmed } else { Status::Waitlisted },
            seq: self.next_seq(session),
            priority: entry.priority,
            offer_expires_at: None,
            checked_in_at: None,
            cancel_reason: None,
            moved_to: None,
            created_at: entry.at,
            updated_at: entry.at,
            cancelled_at: None,
        };
        self.rows.insert(id, row);
        self.allow(entry);
        Ok(())
    }

    /// Whether a seat could be given to somebody by booking.
    fn check_seat(&self, entry: &Entry, session: Uuid, person: Uuid) -> Result<(), Breach> {
        if !entry.passes(Rule::Overlap) {
            entry.allowed("I4", self.without_clash(session, person, &[]))?;
        }
        if entry.passes(Rule::Capacity) {
            return Ok(());
        }
        entry.must(self.free_for(session, person) > 0, "I1", "no seat was free for them")?;
        let before = self.next_eligible(session).filter(|next| Some(*next) != entry.registration_id);
        entry.must(before.is_none(), "I5", "others stood before them")
    }

    /// What an override allows beyond the limit.
    fn allow(&mut self, entry: &Entry) {
        if entry.passes(Rule::Capacity) {
            let beyond = self.beyond(entry.session_id);
            let own = self.sessions.get_mut(&entry.session_id).expect("a session");
            own.over = own.over.max(beyond);
        }
    }

    fn follow_old(&mut self, entry: &Entry) -> Result<(), Breach> {
        let known = entry.registration_id.and_then(|id| self.rows.get(&id)).cloned();
        let row = known.ok_or_else(|| entry.breach("I4", "a registration that was never made"))?;
        entry.must(row.status != Status::Cancelled, "I2", "it had ended")?;
        let same = (row.session_id, Some(row.attendee_id)) == (entry.session_id, entry.attendee_id);
        entry.must(same, "I6", "it is of another session or attendee")?;
        let mut next = row.clone();
        next.updated_at = entry.at;
        match entry.kind {
            ChangeKind::Confirmed => self.check_override(entry, &row)?,
            ChangeKind::Offered if row.status == Status::Offered => self.check_shortened(entry, &row)?,
            ChangeKind::Promoted | ChangeKind::Offered => self.check_turn(entry, &row)?,
            ChangeKind::Accepted => self.check_accepted(entry, &row)?,
            ChangeKind::Demoted => self.check_demoted(entry, &row)?,
            ChangeKind::Prioritised => entry.must(entry.detail("from") == Some(row.priority), "I6", "it had another priority")?,
            ChangeKind::Cancelled => self.check_end(entry, &row)?,
            ChangeKind::Waitlisted | ChangeKind::SeatsChanged => return Err(entry.breach("I6", "it is there already")),
        }
        next.offer_expires_at = None;
        match entry.kind {
            ChangeKind::Offered => (next.status, next.offer_expires_at) = (Status::Offered, entry.detail("expiresAt")),
            ChangeKind::Demoted => next.status = Status::Waitlisted,
            ChangeKind::Prioritised => {
                next.priority = entry.detail("to").unwrap_or(next.priority);
                next.offer_expires_at = row.offer_expires_at;
            }
            ChangeKind::Cancelled => {
                next.status = Status::Cancelled;
                next.cancelled_at = Some(entry.at);
                next.cancel_reason = entry.detail("reason");
                next.moved_to = entry.detail("for").filter(|_| next.cancel_reason == Some(CancelReason::Moved));
            }
            _ => next.status = Status::Confirmed,
        }
        self.rows.insert(row.id, next);
        self.allow(entry);
        let beyond = self.beyond(entry.session_id);
        let own = self.sessions.get_mut(&entry.session_id).expect("a session");
        own.over = own.over.min(beyond);
        Ok(())
    }

    /// An organiser confirms who waits or has an offer.
    fn check_override(&self, entry: &Entry, row: &Registration) -> Result<(), Breach> {
        entry.must(entry.actor_id.is_some() && entry.details.get("override").is_some(), "I1", "nobody answers for this seat")?;
        match row.status {
            Status::Waitlisted => self.check_seat(entry, row.session_id, row.attendee_id),
            status => entry.must(status == Status::Offered, "I6", "it had a seat"),
        }
    }

    /// A seat was freed: it goes to the first in line who could have it, and to nobody after the start.
    fn check_turn(&self, entry: &Entry, row: &Registration) -> Result<(), Breach> {
        let session = row.session_id;
        entry.must(row.status == Status::Waitlisted, "I5", "it did not wait")?;
        entry.must(!self.started(session), "I5", "promoted after the start")?;
        entry.must(self.free_for(session, row.attendee_id) > 0, "I1", "no seat was free for them")?;
        entry.must(self.eligible(session, row.attendee_id), "I5", "they could not have the seat")?;
        entry.must(self.next_eligible(session) == Some(row.id), "I5", "others stood before them")?;
        let until = match entry.kind {
            ChangeKind::Offered => entry.detail("expiresAt"),
            _ => self.offer_until(session).filter(|_| entry.details.get("movedFrom").is_some()),
        };
        entry.must(self.offer_until(session) == until, "I5", "the seat is held for another time")
    }

    /// The session was brought forward: an offer ends with its start.
    fn check_shortened(&self, entry: &Entry, row: &Registration) -> Result<(), Breach> {
        let until: Option<Timestamp> = entry.detail("expiresAt");
        let shorter = until.is_some_and(|until| row.offer_expires_at.is_some_and(|before| until < before));
        entry.must(entry.actor_id.is_some() && shorter, "I5", "an offer was prolonged")?;
        entry.must(until == Some(self.sessions[&row.session_id].starts_at), "I5", "the seat is held for another time")
    }

    fn check_accepted(&self, entry: &Entry, row: &Registration) -> Result<(), Breach> {
        entry.must(row.status == Status::Offered, "I6", "it was not offered")?;
        entry.must(row.offer_expires_at.is_some_and(|at| entry.at < at), "I5", "the offer was over")?;
        entry.allowed("I4", self.may_take(row.session_id, row.attendee_id).map(drop))
    }

    /// "offers first, then highest seq, never the checked-in".
    fn check_demoted(&self, entry: &Entry, row: &Registration) -> Result<(), Breach> {
        entry.must(entry.actor_id.is_some() && has_seat(row), "I6", "it had no seat to lose")?;
        let seated = self.inside(row.session_id).filter(|row| has_seat(row) && row.checked_in_at.is_none());
        let newest = seated.max_by_key(|row| (row.status == Status::Offered, row.seq)).map(|row| row.id);
        entry.must(newest == Some(row.id), "I5", "others came later")
    }

    fn check_end(&self, entry: &Entry, row: &Registration) -> Result<(), Breach> {
        entry.must(entry.detail("from") == Some(row.status), "I6", "it stood elsewhere")?;
        let reason: Option<CancelReason> = entry.detail("reason");
        let reason = reason.ok_or_else(|| entry.breach("I6", "it ended without a reason"))?;
        let by_somebody = entry.actor_id.is_some();
        let may = match reason {
            CancelReason::ByAttendee | CancelReason::ByOrganiser | CancelReason::Erased | CancelReason::SessionCancelled => by_somebody,
            CancelReason::Moved => by_somebody && entry.detail::<Uuid>("for").is_some(),
            CancelReason::Declined => by_somebody && row.status == Status::Offered,
            CancelReason::OfferExpired => row.offer_expires_at.is_some_and(|at| at <= entry.at),
            CancelReason::Swapped | CancelReason::Withdrawn => {
                let other = entry.detail("for").and_then(|id: Uuid| self.rows.get(&id));
                let gained = other.is_some_and(|other| other.status == Status::Confirmed && other.attendee_id == row.attendee_id);
                gained && (reason == CancelReason::Swapped) == (row.status == Status::Confirmed)
            }
        };
        let checked_in = row.checked_in_at.is_some() && !matches!(reason, CancelReason::Erased | CancelReason::SessionCancelled);
        entry.must(may && !checked_in, "I2", "it had no reason to end")
    }

    fn follow_seats(&mut self, entry: &Entry) -> Result<(), Breach> {
        let own = &self.sessions[&entry.session_id];
        let (from, to) = (entry.detail::<Option<i64>>("from").flatten(), entry.detail::<Option<i64>>("to").flatten());
        let before = own.over;
        entry.must(own.limit == from, "I6", "it had another number of seats")?;
        self.sessions.get_mut(&entry.session_id).expect("a session").limit = to;
        let beyond = self.beyond(entry.session_id);
        entry.must(beyond == before || entry.detail("over") == Some(beyond), "I1", "seats beyond the limit that nobody told of")?;
        entry.must(beyond == 0 || entry.actor_id.is_some(), "I1", "nobody answers for seats beyond the limit")?;
        self.sessions.get_mut(&entry.session_id).expect("a session").over = beyond;
        Ok(())
    }
}
