//! What an attendee may have: categories, limits, and no two seats at the same hours.

use super::world::{EventRules, SessionState, Slot, World};
use crate::{
    clock::Timestamp,
    events::model::{OnClash, Overlap},
    registrations::{
        model::{Registration, Status},
        refusal::{Clash, Limit, Refusal},
    },
};
use jiff::civil::Date;
use uuid::Uuid;

const MICROS_PER_MINUTE: i64 = 60_000_000;

/// An attendee and what they are about to give up: it counts towards no limit and clashes with nothing.
#[derive(Clone, Copy, Debug)]
pub struct Person<'l> {
    /// The attendee.
    pub attendee_id: Uuid,
    /// The registrations that they are about to give up.
    pub leaving: &'l [Uuid],
}

impl Person<'_> {
    /// Who gives nothing up.
    pub fn of(attendee_id: Uuid) -> Self {
        Self { attendee_id, leaving: &[] }
    }
}

impl World {
    /// Refuses who is not of the session's categories.
    pub(super) fn entitled(&self, session: &SessionState, attendee_id: Uuid) -> Result<(), Refusal> {
        let categories = &session.categories.0;
        let entitled = categories.is_empty() || self.category(attendee_id).is_some_and(|own| categories.iter().any(|other| other == own));
        if entitled { Ok(()) } else { Err(Refusal::NotEntitled(session.id)) }
    }

    /// The seats that an attendee keeps; `None` if they were not loaded.
    fn seats_of(&self, person: Person) -> Option<impl Iterator<Item = (&Registration, &Slot)>> {
        let all = self.all_of(person.attendee_id)?;
        let kept = all.filter(move |held| held.status == Status::Confirmed && !person.leaving.contains(&held.id));
        Some(kept.filter_map(|held| Some((held, self.slots.get(&held.session_id)?))))
    }

    /// Refuses who has as many sessions as the event allows. Only seats count: who waits has none.
    pub(super) fn within_limits(&self, rules: &EventRules, session: &SessionState, person: Person) -> Result<(), Refusal> {
        let reached = |sessions: i64, day: Option<Date>| Err(Refusal::LimitReached(Limit { sessions, day }));
        let Some(seats) = self.seats_of(person) else { return Ok(()) };
        let others: Vec<&Slot> = seats.map(|(_, slot)| slot).filter(|slot| slot.session_id != session.id).collect();
        if let Some(most) = rules.max_sessions.filter(|most| others.len() as i64 >= *most) {
            return reached(most, None);
        }
        let Some(most) = rules.max_sessions_per_day else { return Ok(()) };
        let day_of = |at: Timestamp| rules.time_zone.as_jiff().to_datetime(at.to_jiff()).date();
        let day = day_of(session.starts_at);
        let that_day = others.iter().filter(|slot| day_of(slot.starts_at) == day).count() as i64;
        if that_day >= most { reached(most, Some(day)) } else { Ok(()) }
    }

    /// The seats of an attendee at the hours of a session, the earliest first.
    pub(super) fn clashes(&self, rules: &EventRules, session: &SessionState, person: Person) -> Vec<(Uuid, &Slot)> {
        if rules.overlap == Overlap::Allow {
            return Vec::new();
        }
        let Some(seats) = self.seats_of(person) else { return Vec::new() };
        let slot = &self.slots[&session.id];
        let mut clashing: Vec<(Uuid, &Slot)> =
            seats.filter(|(_, other)| overlap(slot, other, rules.overlap_buffer_minutes)).map(|(held, other)| (held.id, other)).collect();
        clashing.sort_by_key(|(id, other)| (other.starts_at, *id));
        clashing
    }

    /// The seats that an attendee gives up for one in a session they wait for, where the event says `swap`: all at its
    /// hours, or none if one of those sessions has begun or they have checked in there.
    pub(super) fn given_up(&self, session: &SessionState, attendee_id: Uuid, now: Timestamp) -> Vec<Uuid> {
        let Ok(rules) = self.rules(session) else { return Vec::new() };
        if rules.on_promotion_clash == OnClash::Skip {
            return Vec::new();
        }
        let clashes = self.clashes(rules, session, Person::of(attendee_id));
        let free = |id: &Uuid| self.registration(*id).is_some_and(|held| held.checked_in_at.is_none());
        match clashes.iter().all(|(id, slot)| free(id) && now < slot.starts_at) {
            true => clashes.into_iter().map(|(id, _)| id).collect(),
            false => Vec::new(),
        }
    }

    /// Refuses a session at whose hours the attendee has a seat.
    pub(super) fn without_clash(&self, rules: &EventRules, session: &SessionState, person: Person) -> Result<(), Refusal> {
        match self.clashes(rules, session, person).first() {
            None => Ok(()),
            Some((registration_id, slot)) => Err(Refusal::TimeConflict(Box::new(Clash {
                session_id: slot.session_id,
                code: slot.code.clone(),
                starts_at: slot.starts_at,
                ends_at: slot.ends_at,
                registration_id: Some(*registration_id),
            }))),
        }
    }

    /// Who has a seat in a session that was loaded whole, and another at its hours: the registration there, and the other
    /// seat.
    pub fn clashes_in(&self, session_id: Uuid) -> Vec<(Registration, Uuid, Slot)> {
        let Some(session) = self.session(session_id) else { return Vec::new() };
        let Ok(rules) = self.rules(session) else { return Vec::new() };
        let seated = self.all_in(session_id).into_iter().filter(|held| held.status == Status::Confirmed);
        let clashing = seated.flat_map(|held| {
            let others = self.clashes(rules, session, Person::of(held.attendee_id));
            others.into_iter().map(move |(id, slot)| (held.clone(), id, slot.clone()))
        });
        clashing.collect()
    }

    /// The sessions an attendee waits for at the hours of one.
    pub(super) fn waits_beside(&self, rules: &EventRules, session_id: Uuid, attendee_id: Uuid) -> Vec<Uuid> {
        let (Some(all), Some(slot)) = (self.all_of(attendee_id), self.slots.get(&session_id)) else { return Vec::new() };
        let beside = |held: &&Registration| {
            let other = self.slots.get(&held.session_id);
            held.status == Status::Waitlisted && other.is_some_and(|other| overlap(slot, other, rules.overlap_buffer_minutes))
        };
        all.filter(beside).map(|held| held.id).collect()
    }
}

/// Whether nobody can be in both. Hours are half-open: one may begin when the other ends, unless they are in different
/// rooms and the event wants minutes between them. A session without a room may be anywhere.
pub fn overlap(one: &Slot, other: &Slot, buffer_minutes: i64) -> bool {
    if one.session_id == other.session_id {
        return false;
    }
    let same_room = one.room_id.is_some() && one.room_id == other.room_id;
    let buffer = if same_room { 0 } else { buffer_minutes * MICROS_PER_MINUTE };
    one.starts_at.as_micros() < other.ends_at.as_micros() + buffer && other.starts_at.as_micros() < one.ends_at.as_micros() + buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn slot(number: u128, room: Option<u128>, from: i64, to: i64) -> Slot {
        let at = |minutes: i64| Timestamp::from_micros(minutes * MICROS_PER_MINUTE).expect("a time");
        Slot {
            session_id: Uuid::from_u128(number),
            code: number.to_string(),
            starts_at: at(from),
            ends_at: at(to),
            room_id: room.map(Uuid::from_u128),
        }
    }

    #[test]
    fn hours_are_half_open_and_a_buffer_is_for_different_rooms() {
        let first = slot(1, Some(1), 0, 60);
        assert!(overlap(&first, &slot(2, Some(1), 59, 90), 0));
        assert!(!overlap(&first, &slot(2, Some(2), 60, 90), 0));
        assert!(overlap(&first, &slot(2, Some(2), 60, 90), 15));
        assert!(overlap(&first, &slot(2, Some(2), 74, 90), 15));
        assert!(!overlap(&first, &slot(2, Some(2), 75, 90), 15));
        assert!(!overlap(&first, &slot(2, Some(1), 60, 90), 15), "nobody has to walk");
        assert!(overlap(&slot(1, None, 0, 60), &slot(2, None, 60, 90), 15), "two rooms that are not known may be far apart");
        assert!(overlap(&slot(2, Some(2), 60, 90), &first, 15), "whichever is asked about");
        assert!(!overlap(&first, &first, 15), "a session is not beside itself");
    }
}
