//! Seats that were given of late, remembered: who asks again for what they have is told so without a transaction.
//!
//! It only answers what the engine would: to somebody who books for themselves, that they have the seat. Neither time nor a
//! rule changes that answer, only what ends the seat. What it remembers is written after COMMIT. Only where one process
//! owns the database: elsewhere another node may have ended it.

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
#[derive(Clone)]
pub struct Seats(Option<Arc<RwLock<Known>>>);

/// Where there are too many, those are forgotten that were given the longest ago.
#[derive(Default)]
struct Known(LinkedHashMap<(Uuid, Uuid), Outcome>);

impl Seats {
    /// Those of an engine on this database.
    pub fn of(db: &Db) -> Self {
        Self((db.dialect() == Dialect::Sqlite).then(Arc::default))
    }

    /// The seat that a user has in a session, if it is known.
    pub fn get(&self, session_id: Uuid, user_id: Uuid) -> Option<Outcome> {
        let known = self.0.as_ref()?.read().unwrap_or_else(PoisonError::into_inner);
        known.0.get(&(session_id, user_id)).cloned()
    }

    /// Forgets all.
    pub fn forget(&self) {
        if let Some(known) = &self.0 {
            *known.write().unwrap_or_else(PoisonError::into_inner) = Known::default();
        }
    }

    /// Follows what a batch has made durable.
    pub fn follow(&self, world: &World, changes: &Changes) {
        let Some(known) = &self.0 else { return };
        let mut known = known.write().unwrap_or_else(PoisonError::into_inner);
        for registration in changes.inserted.iter().chain(&changes.updated) {
            known.follow(world, registration);
        }
    }
}

impl Known {
    fn follow(&mut self, world: &World, registration: &Registration) {
        match (world.user_of(registration.attendee_id), world.session(registration.session_id)) {
            (Some(user_id), Some(session)) if registration.status == Status::Confirmed => {
                let registration = registration.clone();
                // Who has a seat has no position, begun or not.
                let outcome = Outcome { registration, event_id: session.event_id, created: false, position: None, started: false };
                self.put((session.id, user_id), outcome);
            }
            (Some(user_id), _) => {
                self.0.remove(&(registration.session_id, user_id));
            }
            // Whose it was can't be told.
            (None, _) => self.0.retain(|_, seat| seat.registration.id != registration.id),
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
    fn what_ended_is_forgotten_whoever_had_it() {
        let (mut known, mut world) = (Known::default(), World::default());
        world.add_attendee(AttendeeState { id: id(1), event_id: id(0), user_id: Some(id(1)), category: None, erased: false });
        (1..4).for_each(|number| known.put((id(0), id(number)), seat(number)));
        known.follow(&world, &registration(1, Status::Waitlisted));
        assert!(!knows(&known, 1) && knows(&known, 2) && knows(&known, 3));
        known.follow(&world, &registration(2, Status::Cancelled));
        assert!(!knows(&known, 2) && knows(&known, 3), "nobody knows whose it was");
    }
}
