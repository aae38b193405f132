//! Seats that were given of late, remembered: who asks again for what they have is told so without a transaction.
//!
//! It only answers what the engine would: to somebody who books for themselves, that they have the seat. Neither time nor a
//! rule changes that answer, only what ends the seat: a command or an edit, as [`super::memory`] has it. What it remembers is
//! written after COMMIT, and what ends is forgotten before. On Postgres another node may have ended it or changed it: there
//! the database says whether it stands.

use super::standing::Standing;
use crate::{
    db::{Db, Dialect},
    registrations::{
        decide::{Changes, World},
        model::{Outcome, Registration, Status},
    },
};
use hashlink::LinkedHashMap;
use std::sync::{Arc, PoisonError, RwLock};
use uuid::Uuid;

/// How many seats are known, with some 300 bytes a seat: about 20 MB.
const MAX_SEATS: usize = 65_536;

/// Seats by session and user. Cheap to clone.
#[derive(Clone, Default)]
pub struct Seats {
    known: Arc<RwLock<Known>>,
    /// Where other nodes may change them.
    standing: Option<Standing>,
}

/// Where there are too many, those are forgotten that were given the longest ago.
#[derive(Default)]
struct Known(LinkedHashMap<(Uuid, Uuid), Outcome>);

impl Seats {
    /// Those of an engine on this database.
    pub fn of(db: &Db) -> Self {
        let standing = (db.dialect() == Dialect::Postgres).then(|| Standing::start(db));
        Self { standing, ..Self::default() }
    }

    /// The seat that a user has in a session, if it is known.
    pub async fn get(&self, session_id: Uuid, user_id: Uuid) -> Option<Outcome> {
        let seat = self.remembered(session_id, user_id)?;
        match &self.standing {
            Some(standing) if !standing.has(&seat.registration).await => {
                self.update(|known| known.drop(session_id, user_id, &seat));
                None
            }
            _ => Some(seat),
        }
    }

    fn remembered(&self, session_id: Uuid, user_id: Uuid) -> Option<Outcome> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).0.get(&(session_id, user_id)).cloned()
    }

    /// Forgets all.
    pub fn forget(&self) {
        self.update(|known| *known = Known::default());
    }

    /// Forgets the seats that a batch ends, before it is durable: what others read then is never contradicted.
    pub fn forget_ended(&self, world: &World, changes: &Changes) {
        self.update(|known| {
            for ended in changes.updated.iter().filter(|registration| registration.status != Status::Confirmed) {
                // Whoever has no user asks for nothing themselves.
                if let Some(user_id) = world.user_of(ended.attendee_id) {
                    known.0.remove(&(ended.session_id, user_id));
                }
            }
        });
    }

    /// Remembers the seats that a batch has given, or told again, when it is durable and before another one begins.
    pub fn remember<'o>(&self, world: &World, changes: &Changes, told: impl Iterator<Item = &'o Outcome>) {
        let told = told.filter(|outcome| !outcome.created).filter_map(|outcome| world.registration(outcome.registration.id));
        self.update(|known| {
            for seat in changes.inserted.iter().chain(&changes.updated).chain(told).filter(|seat| seat.status == Status::Confirmed) {
                known.remember(world, seat);
            }
        });
    }

    fn update(&self, update: impl FnOnce(&mut Known)) {
        update(&mut self.known.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Known {
    fn remember(&mut self, world: &World, given: &Registration) {
        let (Some(user_id), Some(session)) = (world.user_of(given.attendee_id), world.session(given.session_id)) else { return };
        // Who has a seat has no position, begun or not.
        let seat = Outcome { registration: given.clone(), event_id: session.event_id, created: false, position: None, started: false };
        self.put((session.id, user_id), seat);
    }

    /// Forgets a seat that doesn't stand, unless it is another one by now.
    fn drop(&mut self, session_id: Uuid, user_id: Uuid, seat: &Outcome) {
        if self.0.get(&(session_id, user_id)) == Some(seat) {
            self.0.remove(&(session_id, user_id));
        }
    }

    fn put(&mut self, of: (Uuid, Uuid), seat: Outcome) {
        self.0.insert(of, seat);
        if self.0.len() > MAX_SEATS {
            self.0.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Timestamp, registrations::decide::AttendeeState};

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    fn registration(number: u128, status: Status) -> Registration {
        Registration::new(id(number), id(0), id(number), status, 1, 0, Timestamp::from_micros(0).expect("a time"))
    }

    fn seat(number: u128) -> Outcome {
        Outcome { registration: registration(number, Status::Confirmed), event_id: id(0), created: false, position: None, started: false }
    }

    fn knows(known: &Known, number: u128) -> bool {
        known.0.contains_key(&(id(0), id(number)))
    }

    #[test]
    fn what_is_known_is_bounded() {
        let (mut known, full) = (Known::default(), MAX_SEATS as u128);
        (0..=full).for_each(|number| known.put((id(0), id(number)), seat(number)));
        assert!(!knows(&known, 0) && (1..=full).all(|number| knows(&known, number)));
        assert_eq!(known.0.len(), MAX_SEATS);
    }

    #[test]
    fn what_ended_is_forgotten() {
        let (seats, mut world) = (Seats::default(), World::default());
        for number in 1..3 {
            world.add_attendee(AttendeeState { id: id(number), event_id: id(0), user_id: Some(id(number)), category: None, erased: false });
        }
        seats.update(|known| (1..4).for_each(|number| known.put((id(0), id(number)), seat(number))));
        let changed = [Status::Waitlisted, Status::Confirmed, Status::Cancelled].into_iter().zip(1..);
        let updated = changed.map(|(status, number)| registration(number, status)).collect();
        seats.forget_ended(&world, &Changes { updated, ..Changes::default() });
        let known = |number| seats.remembered(id(0), id(number)).is_some();
        assert!(!known(1) && known(2));
        seats.forget();
        assert!(!known(2));
    }
}
