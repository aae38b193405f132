//! The rows, as the database keeps them, and what the engine reads of them for a batch and writes back: as little as it
//! does, so that decisions are made on parts of the world.

use crate::rig::model::{Model, Session};
use plenary::{
    clock::Timestamp,
    registrations::{
        decide::{AttendeeState, CategorySeats, Changes, EventRules, SessionState, Slot, World},
        engine::Wanted,
        model::{Command, Registration, Status},
    },
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

#[derive(Clone, Default)]
pub struct Store {
    pub events: BTreeMap<Uuid, EventRules>,
    pub sessions: BTreeMap<Uuid, SessionState>,
    pub attendees: BTreeMap<Uuid, AttendeeState>,
    pub registrations: BTreeMap<Uuid, Registration>,
    /// `due_sessions`.
    pub marks: BTreeMap<i64, Uuid>,
    last_mark: i64,
}

impl Store {
    /// What `engine::load` reads.
    pub fn load(&self, wanted: &Wanted, now: Timestamp) -> World {
        let mut world = World::default();
        let mut people: BTreeSet<Uuid> = wanted.attendees.clone();
        let mut named: Vec<Registration> = wanted.registrations.iter().filter_map(|id| self.registrations.get(id)).cloned().collect();
        let moved_to: Vec<Uuid> = named.iter().filter_map(|row| row.moved_to).collect();
        named.extend(moved_to.iter().filter_map(|id| self.registrations.get(id)).cloned());
        let ids: BTreeSet<Uuid> = wanted.sessions.iter().copied().chain(named.iter().map(|row| row.session_id)).collect();
        let sessions: Vec<SessionState> = ids.iter().filter_map(|id| self.sessions.get(id)).cloned().collect();
        for session in &sessions {
            world.add_event(&self.events[&session.event_id]);
            world.add_session(session.clone());
        }
        people.extend(named.iter().map(|row| row.attendee_id));
        let due = sessions.iter().filter(|session| session.due_at.is_some_and(|due| due <= now)).map(|session| session.id);
        for id in wanted.offers.iter().copied().chain(due) {
            self.add(&mut world, &mut people, id, |row| row.status == Status::Offered);
            world.has_offers_of(id);
        }
        for id in wanted.whole.iter().copied() {
            self.add(&mut world, &mut people, id, |row| row.status != Status::Cancelled);
            world.has_all_in(id);
        }
        self.add_lines(&mut world, &mut people, &wanted.heads(sessions.iter(), &named));
        for (user, session) in &wanted.callers {
            let Some(event) = self.sessions.get(session).map(|session| session.event_id) else { continue };
            if let Some(caller) = self.attendees.values().find(|one| one.user_id == Some(*user) && one.event_id == event) {
                people.insert(caller.id);
            }
        }
        people.into_iter().for_each(|id| self.add_person(&mut world, id));
        named.into_iter().for_each(|row| world.add_registration(row));
        self.add_pools(&mut world, &sessions, now);
        world
    }

    fn add(&self, world: &mut World, people: &mut BTreeSet<Uuid>, session: Uuid, which: impl Fn(&Registration) -> bool) {
        for row in self.registrations.values().filter(|row| row.session_id == session && which(row)) {
            people.insert(row.attendee_id);
            world.add_registration(row.clone());
        }
    }

    fn add_lines(&self, world: &mut World, people: &mut BTreeSet<Uuid>, lines: &BTreeMap<Uuid, i64>) {
        let Some(most) = lines.values().copied().max() else { return };
        for session in lines.keys() {
            let waits = |row: &&Registration| row.session_id == *session && row.status == Status::Waitlisted;
            let mut heads: Vec<Registration> = self.registrations.values().filter(waits).cloned().collect();
            heads.sort_by_key(Registration::place);
            heads.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            people.extend(heads.iter().map(|row| row.attendee_id));
            let whole = (heads.len() as i64) < most;
            world.add_line(*session, heads, whole);
        }
    }

    fn add_person(&self, world: &mut World, id: Uuid) {
        if let Some(attendee) = self.attendees.get(&id) {
            world.add_attendee(attendee.clone());
        }
        let active = |row: &&Registration| row.attendee_id == id && row.status != Status::Cancelled;
        let mut all: Vec<&Registration> = self.registrations.values().filter(active).collect();
        all.sort_by_key(|row| row.session_id);
        for row in &all {
            world.add_slot(&Slot::of(&self.sessions[&row.session_id]));
            world.add_registration((*row).clone());
        }
        world.has_all_of(id, all.into_iter().map(|row| row.id).collect());
    }

    fn add_pools(&self, world: &mut World, sessions: &[SessionState], now: Timestamp) {
        for session in sessions {
            for pool in session.held_pools(now) {
                let of = |row: &&Registration| row.session_id == session.id && row.status.is_seated() && self.is_of(row, &pool.category);
                let taken = self.registrations.values().filter(of).count() as i64;
                world.add_category_seats(CategorySeats { session_id: session.id, category: pool.category.clone(), taken });
            }
        }
    }

    fn is_of(&self, row: &Registration, category: &str) -> bool {
        self.attendees[&row.attendee_id].category.as_deref() == Some(category)
    }

    /// What `engine::write` writes, with the constraints of the tables.
    pub fn write(&mut self, changes: &Changes) -> Result<(), String> {
        for (id, event_id, user_id) in &changes.attendees {
            let attendee = AttendeeState { id: *id, event_id: *event_id, user_id: Some(*user_id), category: None, erased: false };
            must(self.attendees.insert(*id, attendee).is_none(), "an attendee is there twice")?;
        }
        for row in &changes.updated {
            must(self.registrations.insert(row.id, row.clone()).is_some(), "a registration that changed is not there")?;
        }
        for row in &changes.inserted {
            must(self.registrations.insert(row.id, row.clone()).is_none(), "a registration is there twice")?;
        }
        let mut journal: HashMap<Uuid, i64> = HashMap::new();
        for change in &changes.journal {
            let last = journal.entry(change.session_id).or_insert_with(|| self.sessions[&change.session_id].last_change);
            *last += 1;
            must(*last == change.change, "the numbers of the changes have a gap")?;
        }
        for seats in &changes.seats {
            let written = journal.remove(&seats.id);
            must(written.is_none_or(|last| last == seats.last_change), "the last change is another")?;
            let session = self.sessions.get_mut(&seats.id).ok_or("seats of no session")?;
            // The programme is not the engine's to write.
            let SessionState { seats_limit, seats_taken, seats_over, waitlisted, last_seq, last_change, due_at, .. } = *seats;
            *session = SessionState { seats_limit, seats_taken, seats_over, waitlisted, last_seq, last_change, due_at, ..session.clone() };
        }
        must(journal.is_empty(), "changes of a session whose seats were not written")?;
        let lines = self.sessions.values().filter(|session| changes.reconsidered.contains(&session.event_id) && session.waitlisted > 0);
        let marked: Vec<Uuid> = changes.due.iter().copied().chain(lines.map(|session| session.id)).collect();
        for session in marked {
            self.last_mark += 1;
            self.marks.insert(self.last_mark, session);
        }
        self.marks.retain(|mark, _| !changes.marks_done.contains(mark));
        Ok(())
    }

    /// What the watch would ask now.
    pub fn due(&self, now: Timestamp) -> Vec<Command> {
        let mut due: BTreeMap<Uuid, Vec<i64>> = BTreeMap::new();
        for (mark, session) in &self.marks {
            due.entry(*session).or_default().push(*mark);
        }
        for session in self.sessions.values().filter(|session| session.due_at.is_some_and(|at| at <= now)) {
            due.entry(session.id).or_default();
        }
        due.into_iter().map(|(session_id, marks)| Command::Settle { session_id, marks }).collect()
    }

    /// The same as the naive model sees it.
    pub fn model(&self, now: Timestamp) -> Model {
        let mut model = Model::new(now);
        model.events = self.events.clone();
        model.people = self.attendees.clone();
        model.rows = self.registrations.clone();
        model.sessions = self.sessions.values().map(|session| (session.id, in_model(session))).collect();
        model
    }
}

fn must(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn in_model(session: &SessionState) -> Session {
    let session = session.clone();
    Session {
        id: session.id,
        event_id: session.event_id,
        status: session.status,
        starts_at: session.starts_at,
        ends_at: session.ends_at,
        room_id: session.room_id,
        opens_at: session.opens_at,
        closes_at: session.closes_at,
        waitlist_mode: session.waitlist_mode,
        waitlist_limit: session.waitlist_limit,
        categories: session.categories.0,
        pools: session.pools.0,
        capacity: session.capacity,
        limit: session.seats_limit,
        over: session.seats_over,
        changes: session.last_change,
    }
}
