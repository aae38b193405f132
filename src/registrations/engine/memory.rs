//! What the engine knows from the batches before, so that it need not be read again.
//!
//! On SQLite one process owns the file, and everything that a booking is judged by is changed by its engine alone: by its
//! batches, which are followed here, and by edits, after which all is forgotten. So whoever writes registrations, seats,
//! what makes an attendee eligible, whose an attendee is, or the rules of a session or an event, does it by a command or an
//! edit. What is not there is never remembered: others may add it. On Postgres other nodes change all of it, so there
//! nothing is kept.
//! Sessions in which somebody may be promoted are not judged from here: their lines are read.

use super::wanted::{Wanted, Whom};
use crate::{
    clock::Timestamp,
    db::{Db, Dialect},
    registrations::{
        decide::{AttendeeState, Changes, EventRules, SessionState, Slot, World},
        model::{Command, Registration},
    },
};
use hashlink::LinkedHashMap;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use uuid::Uuid;

/// With more sessions than this all is forgotten.
const MAX_SESSIONS: usize = 4_096;
/// How many people are known, with some 750 bytes a person: about 25 MB. More than a batch can have, so that nobody is
/// forgotten while they are being written.
const MAX_PEOPLE: usize = 32_768;

/// What the engine knows. Clones are the same.
#[derive(Clone)]
pub struct Memory(Option<Arc<Mutex<Known>>>);

/// Sessions, and people with all they have.
#[derive(Default)]
struct Known {
    events: HashMap<Uuid, EventRules>,
    sessions: HashMap<Uuid, SessionState>,
    /// Of all sessions that somebody has.
    slots: HashMap<Uuid, Slot>,
    people: People,
}

/// What is known of what is wanted.
pub struct Recalled {
    pub world: World,
    /// Who has to be read besides.
    pub missing: BTreeSet<Whom>,
}

/// Where there are too many, those are forgotten who were read or changed the longest ago.
#[derive(Default)]
struct People {
    by_id: LinkedHashMap<Uuid, Person>,
    /// By event and user.
    by_user: HashMap<(Uuid, Uuid), Uuid>,
    /// Of their registrations.
    by_registration: HashMap<Uuid, Uuid>,
}

struct Person {
    attendee: AttendeeState,
    /// The active ones.
    registrations: Vec<Registration>,
}

impl Memory {
    /// That of an engine on this database.
    pub fn of(db: &Db) -> Self {
        Self((db.dialect() == Dialect::Sqlite).then(Arc::default))
    }

    /// What is known of what commands want; `None` if more than people is missing.
    pub fn recall<'c>(&self, commands: impl IntoIterator<Item = &'c Command>, now: Timestamp) -> Option<Recalled> {
        self.known()?.recall(&Wanted::of(commands), now)
    }

    /// Whether everybody who books is known: a first look, which costs little.
    pub fn knows_people<'c>(&self, commands: impl IntoIterator<Item = &'c Command>) -> bool {
        self.known().is_some_and(|known| Wanted::of(commands).people(&[]).iter().all(|whom| known.person(whom).is_some()))
    }

    /// Follows what was decided. It is known from now on, before it is written: if that fails, all is to be forgotten.
    pub fn follow(&self, world: &World, changes: &Changes) {
        if let Some(mut known) = self.known() {
            known.follow(world, changes);
        }
    }

    /// The same for a batch that was run for itself: the people who were read for it are kept too.
    pub fn learn(&self, world: &World, changes: &Changes) {
        if let Some(mut known) = self.known() {
            // What is being written is known from here only: never while another batch is decided ahead.
            if known.sessions.len().max(known.slots.len()) > MAX_SESSIONS {
                *known = Known::default();
            }
            known.learn_people(world);
            known.follow(world, changes);
        }
    }

    /// Forgets all: it may be otherwise.
    pub fn forget(&self) {
        if let Some(mut known) = self.known() {
            *known = Known::default();
        }
    }

    /// What a panic may have left half changed: after each all is forgotten.
    fn known(&self) -> Option<MutexGuard<'_, Known>> {
        self.0.as_ref().map(|known| known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Known {
    fn recall(&self, wanted: &Wanted, now: Timestamp) -> Option<Recalled> {
        let (mut world, named) = self.recall_sessions(wanted, now)?;
        let mut missing = BTreeSet::new();
        for whom in wanted.people(&named) {
            match self.person(&whom) {
                Some(person) => self.add_to(&mut world, person),
                None => drop(missing.insert(whom)),
            }
        }
        if !missing.is_empty() {
            // Of what they have it need not be read when it is.
            self.slots.values().for_each(|slot| world.add_slot(slot));
        }
        Some(Recalled { world, missing })
    }

    /// The sessions, with what was named of their registrations.
    fn recall_sessions(&self, wanted: &Wanted, now: Timestamp) -> Option<(World, Vec<Registration>)> {
        if !wanted.is_plain() {
            return None;
        }
        let mut world = World::default();
        let named: Vec<Registration> = wanted.registrations.iter().map(|id| self.registration(*id)).collect::<Option<_>>()?;
        let sessions: BTreeSet<Uuid> = wanted.sessions.iter().copied().chain(named.iter().map(|named| named.session_id)).collect();
        for session_id in sessions {
            let session = self.sessions.get(&session_id)?;
            if session.is_due(now) || session.held_pools(now).next().is_some() {
                return None;
            }
            world.add_event(self.events.get(&session.event_id)?);
            world.add_session(session.clone());
        }
        wanted.heads(world.sessions(), &named).is_empty().then_some((world, named))
    }

    fn learn_people(&mut self, world: &World) {
        for (attendee, registrations) in world.people() {
            if self.person(&Whom::Attendee(attendee.id)).is_some() {
                continue;
            }
            for slot in registrations.iter().filter_map(|held| world.slot(held.session_id)) {
                self.slots.entry(slot.session_id).or_insert_with(|| slot.clone());
            }
            self.people.put(Person { attendee: attendee.clone(), registrations: registrations.into_iter().cloned().collect() });
        }
    }

    fn follow(&mut self, world: &World, changes: &Changes) {
        for session in world.sessions() {
            if let Some(event) = world.event_of(session) {
                self.events.entry(event.id).or_insert_with(|| event.clone());
                self.slots.entry(session.id).or_insert_with(|| Slot::of(session));
                self.sessions.entry(session.id).or_insert_with(|| session.clone());
            }
        }
        self.sessions.extend(changes.seats.iter().map(|session| (session.id, session.clone())));
        for registration in changes.inserted.iter().chain(&changes.updated) {
            self.people.put_registration(registration);
        }
    }

    fn registration(&self, id: Uuid) -> Option<Registration> {
        let owner = self.people.by_id.get(self.people.by_registration.get(&id)?)?;
        owner.registrations.iter().find(|held| held.id == id).cloned()
    }

    fn person(&self, whom: &Whom) -> Option<&Person> {
        let id = match *whom {
            Whom::Attendee(id) => id,
            Whom::Caller { user_id, session_id } => {
                let event_id = self.sessions.get(&session_id)?.event_id;
                *self.people.by_user.get(&(event_id, user_id))?
            }
        };
        self.people.by_id.get(&id)
    }

    fn add_to(&self, world: &mut World, person: &Person) {
        world.add_attendee(person.attendee.clone());
        world.has_all_of(person.attendee.id, person.registrations.iter().map(|held| held.id).collect());
        for held in &person.registrations {
            if let Some(slot) = self.slots.get(&held.session_id) {
                world.add_slot(slot);
            }
            world.add_registration(held.clone());
        }
    }
}

impl People {
    fn put(&mut self, person: Person) {
        self.by_registration.extend(person.registrations.iter().map(|held| (held.id, person.attendee.id)));
        if let Some(user_id) = person.attendee.user_id {
            self.by_user.insert((person.attendee.event_id, user_id), person.attendee.id);
        }
        self.by_id.insert(person.attendee.id, person);
        if self.by_id.len() > MAX_PEOPLE
            && let Some((_, oldest)) = self.by_id.pop_front()
        {
            self.drop_names(&oldest);
        }
    }

    fn drop_names(&mut self, person: &Person) {
        for held in &person.registrations {
            self.by_registration.remove(&held.id);
        }
        if let Some(user_id) = person.attendee.user_id {
            self.by_user.remove(&(person.attendee.event_id, user_id));
        }
    }

    fn put_registration(&mut self, registration: &Registration) {
        let Some(person) = self.by_id.to_back(&registration.attendee_id) else { return };
        person.registrations.retain(|held| held.id != registration.id);
        if registration.is_active() {
            person.registrations.push(registration.clone());
            self.by_registration.insert(registration.id, registration.attendee_id);
        } else {
            self.by_registration.remove(&registration.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registrations::model::Status;

    fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// Somebody with one seat, whose registration has the number of the person.
    fn with_seat(number: u128, status: Status) -> (AttendeeState, Registration) {
        let attendee = AttendeeState { id: id(number), event_id: id(0), user_id: Some(id(number)), category: None, erased: false };
        let now = Timestamp::from_micros(0).expect("a time");
        (attendee, Registration::new(id(number), id(0), id(number), status, 1, 0, now))
    }

    fn meets(known: &mut Known, numbers: std::ops::Range<u128>) {
        let mut world = World::default();
        for number in numbers {
            let (attendee, registration) = with_seat(number, Status::Confirmed);
            world.has_all_of(attendee.id, vec![registration.id]);
            world.add_attendee(attendee);
            world.add_registration(registration);
        }
        known.learn_people(&world);
    }

    fn knows(known: &Known, number: u128) -> bool {
        let registered = known.registration(id(number)).is_some();
        assert_eq!(registered, known.person(&Whom::Attendee(id(number))).is_some_and(|person| !person.registrations.is_empty()));
        registered
    }

    #[test]
    fn who_changed_of_late_is_known_and_the_memory_is_bounded() {
        let (mut known, full) = (Known::default(), MAX_PEOPLE as u128);
        for met in [1..2, 2..3, 3..full + 1] {
            meets(&mut known, met);
        }
        assert!((1..=full).all(|number| knows(&known, number)));
        let (_, changed) = with_seat(1, Status::Confirmed);
        known.people.put_registration(&changed);
        meets(&mut known, full + 1..full + 2);
        assert!(knows(&known, 1) && !knows(&known, 2), "the first has changed since");
        assert!((3..full + 2).all(|number| knows(&known, number)));
        let People { by_id, by_user, by_registration } = &known.people;
        assert_eq!([by_id.len(), by_user.len(), by_registration.len()], [MAX_PEOPLE; 3]);
    }

    #[test]
    fn what_ended_is_forgotten() {
        let mut known = Known::default();
        meets(&mut known, 1..3);
        known.people.put_registration(&with_seat(1, Status::Cancelled).1);
        assert!(!knows(&known, 1) && knows(&known, 2));
        assert!(known.person(&Whom::Attendee(id(1))).is_some_and(|person| person.registrations.is_empty()), "the person is known");
        known.people.put_registration(&with_seat(3, Status::Confirmed).1);
        assert!(!knows(&known, 3), "of who is not known not all is known");
    }
}
