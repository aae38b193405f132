//! Every rule of registration, once: what is there, what is asked and the time go in; outcomes and changes come out.
//! No I/O, no clock, no randomness, so it can be simulated by seed.
//!
//! [`world`] is what was loaded, [`changes`] what is to be written. The transitions: [`book`] makes registrations,
//! [`leave`] ends them, [`moving`] does both, [`promote`] gives freed seats to who waits, [`refit`] follows the programme.
//! [`eligible`] says what somebody may have, [`mod@explain`] why they don't.

mod book;
mod changes;
mod eligible;
mod explain;
mod leave;
mod moving;
mod promote;
mod refit;
mod world;

pub use changes::{Change, ChangeKind, Changes};
pub use eligible::{Person, overlap};
pub use explain::{Explanation, Reason, explain};
pub use world::{AttendeeState, CategorySeats, EventRules, SessionState, Slot, World};

use super::{
    model::{Actor, Command, Done, Outcome, Registration},
    refusal::Refusal,
};
use crate::clock::Timestamp;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

/// A decision for each command, in order, and what to write for them.
#[derive(Debug)]
pub struct Decided {
    /// One a command.
    pub outcomes: Vec<Result<Done, Refusal>>,
    /// To be written in the same transaction.
    pub changes: Changes,
    /// Sessions, events and attendees as they are then.
    pub world: World,
}

/// What deciding needs beside what was loaded: nothing was written, load more and decide again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Sessions whose seats would change.
    pub sessions: BTreeSet<Uuid>,
    /// Attendees with all their registrations.
    pub attendees: BTreeSet<Uuid>,
    /// Sessions with more of those who wait.
    pub lines: BTreeSet<Uuid>,
    /// Sessions with all their offers.
    pub offers: BTreeSet<Uuid>,
    /// Sessions with all their registrations.
    pub whole: BTreeSet<Uuid>,
}

impl Needs {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        let Self { sessions, attendees, lines, offers, whole } = self;
        [sessions, attendees, lines, offers, whole].into_iter().all(BTreeSet::is_empty)
    }

    /// Adds what is missing besides.
    pub fn extend(&mut self, more: Self) {
        self.sessions.extend(more.sessions);
        self.attendees.extend(more.attendees);
        self.lines.extend(more.lines);
        self.offers.extend(more.offers);
        self.whole.extend(more.whole);
    }
}

/// Whether deciding may ask for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Round {
    /// It may.
    Early,
    /// It may not, if it can help it: who can't be judged waits on, and the session is marked as due.
    Last,
}

/// Decides a batch in the order of arrival.
pub fn decide(world: World, commands: &[Command], now: Timestamp, round: Round) -> Result<Decided, Needs> {
    let mut batch = Batch::new(world, now, round);
    let outcomes: Vec<_> = commands.iter().map(|command| batch.run(command)).collect();
    if !batch.needs.is_empty() {
        return Err(batch.needs);
    }
    let (changes, world) = batch.finish();
    Ok(Decided { outcomes, changes, world })
}

/// A batch under way.
struct Batch {
    world: World,
    now: Timestamp,
    round: Round,
    /// Sessions whose seats changed.
    changed: BTreeSet<Uuid>,
    changes: Changes,
    needs: Needs,
    /// Sessions in which nobody who waits could have a seat, until one is freed.
    quiet: HashSet<Uuid>,
}

impl Batch {
    fn new(world: World, now: Timestamp, round: Round) -> Self {
        Self { world, now, round, changed: BTreeSet::new(), changes: Changes::default(), needs: Needs::default(), quiet: HashSet::new() }
    }

    fn run(&mut self, command: &Command) -> Result<Done, Refusal> {
        let one = |outcome: Outcome| Done::One(Box::new(outcome));
        match *command {
            Command::Book(ref booking) => self.book(booking).map(one),
            Command::BookAll(ref bookings) => Ok(Done::Each(bookings.iter().map(|booking| self.book(booking)).collect())),
            Command::Cancel { registration_id, actor } => self.cancel(registration_id, actor).map(one),
            Command::Move { registration_id, new_id, session_id, if_full, actor } => {
                self.move_to(registration_id, new_id, session_id, if_full, actor).map(one)
            }
            Command::Accept { registration_id, actor } => self.accept(registration_id, actor).map(one),
            Command::Decline { registration_id, actor } => self.decline(registration_id, actor).map(one),
            Command::Prioritise { registration_id, priority, actor } => self.prioritise(registration_id, priority, actor).map(one),
            Command::Refit { session_id, if_overfull, actor } => self.refit(session_id, if_overfull, actor).map(|()| Done::Settled),
            Command::EndSession { session_id, actor } => self.end_session(session_id, actor).map(|()| Done::Settled),
            Command::EndAttendee { attendee_id, actor } => self.end_attendee(attendee_id, actor).map(|()| Done::Settled),
            Command::Reconsider { event_id } => {
                self.changes.reconsidered.insert(event_id);
                Ok(Done::Settled)
            }
            Command::Settle { session_id, ref marks } => {
                self.settle(session_id);
                self.changes.marks_done.extend(marks);
                Ok(Done::Settled)
            }
        }
    }

    /// A session, as it is now.
    fn session(&self, id: Uuid) -> Result<&SessionState, Refusal> {
        self.world.sessions.get(&id).ok_or(Refusal::NotFound)
    }

    /// A registration, as it is now.
    fn registration(&self, id: Uuid) -> Result<&Registration, Refusal> {
        self.world.registration(id).ok_or(Refusal::NotFound)
    }

    /// A registration that the actor acts on: as the user it belongs to, or as an organiser.
    fn acted_on(&self, id: Uuid, actor: Actor) -> Result<&Registration, Refusal> {
        let registration = self.registration(id)?;
        if actor.organiser || self.is_own(registration, actor) { Ok(registration) } else { Err(Refusal::NotFound) }
    }

    fn is_own(&self, registration: &Registration, actor: Actor) -> bool {
        self.world.user_of(registration.attendee_id) == Some(actor.user_id)
    }

    /// A session whose seats are about to change.
    fn touch(&mut self, session_id: Uuid) -> &mut SessionState {
        self.changed.insert(session_id);
        self.world.sessions.get_mut(&session_id).expect("a session that is changed was loaded")
    }

    /// Changes a registration.
    fn change(&mut self, id: Uuid, change: impl FnOnce(&mut Registration)) {
        self.world.change(id, self.now, change);
    }

    /// Writes down what happened to a registration.
    fn journal(&mut self, id: Uuid, kind: ChangeKind, actor_id: Option<Uuid>, details: Option<serde_json::Value>) {
        let Some(registration) = self.world.registration(id) else { return };
        let (session_id, attendee_id) = (registration.session_id, registration.attendee_id);
        self.write_down(session_id, kind, Some((id, attendee_id)), actor_id, details);
    }

    /// Writes down what happened in a session.
    fn write_down(
        &mut self,
        session_id: Uuid,
        kind: ChangeKind,
        registration: Option<(Uuid, Uuid)>,
        actor_id: Option<Uuid>,
        details: Option<serde_json::Value>,
    ) {
        let session = self.touch(session_id);
        session.last_change += 1;
        let (event_id, change) = (session.event_id, session.last_change);
        let (registration_id, attendee_id) = registration.unzip();
        self.changes.journal.push(Change { event_id, session_id, change, kind, registration_id, attendee_id, actor_id, details });
    }

    /// Marks a session as one that somebody must look at: later, or whatever comes to it next in this batch.
    fn due(&mut self, session_id: Uuid) {
        self.changes.due.insert(session_id);
        self.quiet.remove(&session_id);
    }

    fn outcome(&self, id: Uuid, created: bool, position: Option<i64>) -> Outcome {
        let registration = self.world.registrations[&id].registration.clone();
        let session = &self.world.sessions[&registration.session_id];
        Outcome { event_id: session.event_id, started: session.started(self.now), registration, created, position }
    }

    fn finish(self) -> (Changes, World) {
        let Self { world, changed, mut changes, .. } = self;
        for held in world.registrations.values() {
            match held.origin {
                world::Origin::New => changes.inserted.push(held.registration.clone()),
                world::Origin::Changed => changes.updated.push(held.registration.clone()),
                world::Origin::Loaded => {}
            }
        }
        // Rows in one order, whatever the map's: the same batch writes the same, and rows lie together.
        changes.inserted.sort_by_key(|registration| registration.id);
        changes.updated.sort_by_key(|registration| registration.id);
        changes.seats = changed.iter().filter_map(|id| world.sessions.get(id).cloned()).collect();
        (changes, world)
    }
}
