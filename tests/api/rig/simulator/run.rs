//! One history: each step through the real decisions and through the naive model.

use super::{
    numbers::{self, Act, Numbers, Part, Step},
    store::Store,
};
use crate::rig::model::{Entry, Model, No, Told};
use plenary::{
    clock::Timestamp,
    error::Problem,
    registrations::{
        decide::{Change, ChangeKind, Changes, Decided, Round},
        edits,
        engine::{Steps, Wanted},
        model::{Actor, Command, Done, IfOverfull, Outcome, Status},
        refusal::Refusal,
    },
    sessions::model::{SessionBooking, SessionForm, Waitlist},
};
use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
    panic::{AssertUnwindSafe, catch_unwind},
};
use uuid::Uuid;

/// As often as the engine reads more before it decides with what it has.
const ROUNDS: usize = 4;
/// More than any line of due sessions takes.
const SETTLINGS: usize = 60;

pub struct Run<'d> {
    decisions: &'d dyn Steps,
    store: Store,
    now: Timestamp,
    /// The registrations that were made, or may be made by the batch under way.
    made: Vec<Uuid>,
    /// How many ids were given.
    named: u64,
    /// What was asked and not yet decided.
    batch: Vec<Command>,
    /// How often more may be read for it.
    rounds: usize,
    told: Option<String>,
    /// How often what happened.
    pub tally: BTreeMap<String, u64>,
}

/// A batch that was decided.
struct Batch {
    outcomes: Vec<Result<Done, Refusal>>,
    changes: Changes,
    /// Whether some could not be judged.
    in_part: bool,
}

impl<'d> Run<'d> {
    pub fn new(decisions: &'d dyn Steps, world: &[u16]) -> Self {
        Self {
            decisions,
            store: numbers::world(world),
            now: numbers::beginning(),
            made: Vec::new(),
            named: 0,
            batch: Vec::new(),
            rounds: ROUNDS,
            told: None,
            tally: BTreeMap::new(),
        }
    }

    /// The whole history, until it goes wrong.
    pub fn all(&mut self, history: &[Step]) -> Result<(), String> {
        for step in history {
            let [.., joins, rounds] = *step;
            let mut numbers = Numbers::new(&step[..step.len() - 2]);
            if joins % 3 != 2 || self.batch.len() >= 6 {
                self.decide_batch()?;
                self.rounds = if rounds % 8 == 7 { 1 + usize::from(rounds) / 8 % ROUNDS } else { ROUNDS };
            }
            match numbers::act(&mut numbers, &self.store, &self.made, self.now, self.named) {
                Act::Ask(command) => {
                    let before = self.made.len();
                    self.made.extend(new_rows(&command).map(|(id, _)| id));
                    self.named += (self.made.len() - before) as u64;
                    self.batch.push(command);
                }
                act => {
                    self.decide_batch()?;
                    self.act(act, &mut numbers)?;
                }
            }
        }
        self.decide_batch()?;
        self.settle()
    }

    /// The same history, told: why it goes wrong, and a line for all that happens.
    pub fn telling(&mut self, history: &[Step]) -> String {
        let Store { events, sessions, attendees, .. } = &self.store;
        let mut told = String::new();
        events.values().for_each(|event| told += &format!("{event:?}\n"));
        sessions.values().for_each(|session| told += &format!("{session:?}\n"));
        attendees.values().for_each(|attendee| told += &format!("{attendee:?}\n"));
        self.told = Some(told);
        let run = catch_unwind(AssertUnwindSafe(|| self.all(history)));
        let why = run.unwrap_or_else(|_| Err("a decision panicked".to_owned())).err().unwrap_or_default();
        numbers::brief(&format!("{why}\n{}", self.told.take().unwrap_or_default()))
    }

    fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(told) = &mut self.told {
            let _ = writeln!(told, "{} {}", self.now, what());
        }
    }

    fn act(&mut self, act: Act, numbers: &mut Numbers) -> Result<(), String> {
        match act {
            Act::Ask(_) => unreachable!("it joins a batch"),
            Act::Wait(secs) => self.now = self.now.plus_secs(secs),
            Act::WaitUntil(at) => self.now = at,
            Act::Watch => return self.settle(),
            Act::CheckIn(id) => {
                let now = self.now;
                self.tell(|| format!("{id} comes in"));
                if let Some(row) = self.store.registrations.get_mut(&id).filter(|row| row.status == Status::Confirmed) {
                    row.checked_in_at = row.checked_in_at.or(Some(now));
                }
            }
            Act::Edit(session, part, if_overfull) => return self.edit(session, part, if_overfull, numbers),
            Act::Rules(event) => {
                let mut after = self.store.clone();
                numbers::any_rule(after.events.get_mut(&event).expect("an event"), numbers);
                self.tell(|| format!("{:?}", after.events[&event]));
                return self.edited(after, vec![Command::Reconsider { event_id: event }]);
            }
            Act::Categorise(person, category) => {
                let mut after = self.store.clone();
                let attendee = after.attendees.get_mut(&person).expect("an attendee");
                attendee.category = category.map(str::to_owned);
                let event_id = attendee.event_id;
                self.tell(|| format!("{person} is {category:?}"));
                return self.edited(after, vec![Command::Reconsider { event_id }]);
            }
            Act::Erase(attendee_id) => {
                let mut after = self.store.clone();
                after.attendees.get_mut(&attendee_id).expect("an attendee").user_id = None;
                return self.edited(after, vec![Command::EndAttendee { attendee_id, actor: organiser() }]);
            }
        }
        Ok(())
    }

    /// A change of a session, with the commands that follow from it, as `sessions::http` has it.
    fn edit(&mut self, session: Uuid, part: Part, if_overfull: IfOverfull, numbers: &mut Numbers) -> Result<(), String> {
        let mut after = self.store.clone();
        let edited = after.sessions.get_mut(&session).expect("a session");
        numbers::change(edited, part, numbers);
        let forms = (form(&self.store, session), form(&after, session));
        let (active, waits) = (self.store.sessions[&session].seats_taken, self.store.sessions[&session].waitlisted);
        if forms.0.ousts(&forms.1, waits > 0) && active + waits > 0 {
            return Ok(());
        }
        self.tell(|| format!("{:?} {if_overfull:?} {:?}", part, after.sessions[&session]));
        let event = self.store.sessions[&session].event_id;
        let commands = edits::of_session((session, event), &forms.0, &forms.1, if_overfull, organiser());
        self.edited(after, commands)
    }

    /// An edit and what follows from it: both or neither.
    fn edited(&mut self, after: Store, commands: Vec<Command>) -> Result<(), String> {
        let before = std::mem::replace(&mut self.store, after);
        let mut expected = self.store.model(self.now);
        let batch = self.decide(&commands, ROUNDS)?;
        self.compare_told(&commands, &batch, &mut expected)?;
        if batch.outcomes.iter().any(Result::is_err) {
            self.store = before;
            return Ok(());
        }
        self.write(&commands, &batch, &expected)
    }

    /// Does what is due, as the watch does, until nothing is. Then everybody has what they can have.
    fn settle(&mut self) -> Result<(), String> {
        for _ in 0..SETTLINGS {
            let due = self.store.due(self.now);
            if due.is_empty() {
                return Ok(());
            }
            self.rounds = ROUNDS;
            self.batch = due;
            self.decide_batch()?;
        }
        Err("what is due is never done".to_owned())
    }

    fn decide_batch(&mut self) -> Result<(), String> {
        let commands = std::mem::take(&mut self.batch);
        if commands.is_empty() {
            return Ok(());
        }
        let mut expected = self.store.model(self.now);
        let batch = self.decide(&commands, self.rounds)?;
        self.compare_told(&commands, &batch, &mut expected)?;
        self.write(&commands, &batch, &expected)?;
        self.made.retain(|id| self.store.registrations.contains_key(id));
        Ok(())
    }

    /// As the engine does it: what is missing is read, and it is decided again.
    fn decide(&mut self, commands: &[Command], rounds: usize) -> Result<Batch, String> {
        let mut wanted = Wanted::of(commands);
        for round in 1..=ROUNDS {
            let last = round >= rounds;
            let world = self.store.load(&wanted, self.now);
            match self.decisions.decide(world, commands, self.now, if last { Round::Last } else { Round::Early }) {
                Ok(Decided { outcomes, changes, .. }) => {
                    let line = |(command, outcome)| format!("{command:?}\n    -> {:?}\n", told(outcome));
                    self.tell(|| commands.iter().zip(&outcomes).map(line).collect());
                    return Ok(Batch { outcomes, changes, in_part: last });
                }
                Err(needs) => wanted.extend(needs),
            }
        }
        Err(format!("deciding asked for more {ROUNDS} times"))
    }

    /// What was told is what the model tells, unless some could not be judged.
    fn compare_told(&mut self, commands: &[Command], batch: &Batch, expected: &mut Model) -> Result<(), String> {
        let before = expected.clone();
        for (command, outcome) in commands.iter().zip(&batch.outcomes) {
            let (told, wanted) = (told(outcome), expected.run(command));
            if told != wanted && !batch.in_part {
                return Err(format!("{command:?} was told {told:?} instead of {wanted:?}"));
            }
        }
        // The journal leads there too, and each of its entries was allowed.
        let mut followed = before;
        followed.people.extend(expected.people.clone());
        let priorities: BTreeMap<Uuid, i64> = commands.iter().flat_map(new_rows).collect();
        for change in &batch.changes.journal {
            let entry = entry(change, self.now, &priorities);
            if !batch.in_part {
                followed.waits_for_a_reason(&entry).map_err(|breach| format!("{breach:?}"))?;
            }
            followed.follow(&entry).map_err(|breach| format!("{breach:?}"))?;
        }
        let rows = batch.changes.inserted.iter().chain(&batch.changes.updated);
        if let Some(row) = rows.into_iter().find(|row| followed.rows.get(&row.id) != Some(*row)) {
            return Err(format!("the journal leads to {:?}, and {row:?} was written", followed.rows.get(&row.id)));
        }
        Ok(())
    }

    fn write(&mut self, commands: &[Command], batch: &Batch, expected: &Model) -> Result<(), String> {
        self.store.write(&batch.changes)?;
        self.count(batch);
        let now = self.store.model(self.now);
        let different = now.rows.values().find(|row| expected.rows.get(&row.id) != Some(*row));
        let wrong = different.map(|row| format!("{row:?} instead of {:?}", expected.rows.get(&row.id)));
        let wrong = wrong.or_else(|| expected.rows.values().find(|row| !now.rows.contains_key(&row.id)).map(|row| format!("no {row:?}")));
        match wrong {
            Some(wrong) if !batch.in_part => Err(format!("{wrong} after {commands:?}")),
            _ => self.check(&now),
        }
    }

    /// Counts what happened, so that it can be seen that everything does.
    fn count(&mut self, batch: &Batch) {
        for change in &batch.changes.journal {
            let reason =
                change.details.as_ref().and_then(|details| details["reason"].as_str()).filter(|_| change.kind == ChangeKind::Cancelled);
            *self.tally.entry(reason.unwrap_or(change.kind.as_str()).to_owned()).or_default() += 1;
        }
        for no in batch.outcomes.iter().flat_map(told).filter_map(Result::err) {
            *self.tally.entry(no.code.to_owned()).or_default() += 1;
        }
    }

    /// The invariants, counted afresh.
    fn check(&self, model: &Model) -> Result<(), String> {
        let mut active = HashSet::new();
        let twice = model.rows.values().find(|row| row.is_active() && !active.insert((row.attendee_id, row.session_id)));
        must(twice.is_none(), || format!("I3: {twice:?} is there twice"))?;
        for session in self.store.sessions.values() {
            let (taken, line) = (model.taken(session.id), model.line(session.id).len() as i64);
            let counted = (taken, line, model.next_seq(session.id) - 1, model.beyond(session.id));
            let counters = (session.seats_taken, session.waitlisted, session.last_seq, session.seats_over);
            must(counted == counters, || format!("I6: {counters:?} instead of {counted:?} in {session:?}"))?;
            let most = session.seats_limit.map(|limit| limit + session.seats_over);
            must(most.is_none_or(|most| taken <= most), || format!("I1: oversold {session:?}"))?;
            let offers = model.inside(session.id).filter_map(|row| row.offer_expires_at);
            let releases = session.held_pools(self.now).filter_map(|pool| pool.releases_at);
            let next = offers.chain(releases).min();
            must(next.is_none_or(|next| session.due_at.is_some_and(|due| due <= next)), || format!("due at {next:?}: {session:?}"))?;
        }
        if self.store.due(self.now).is_empty() {
            let left = self.store.sessions.keys().find_map(|session| model.next_eligible(*session));
            must(left.is_none(), || format!("I1: at rest, and {:?} could have a seat", left.and_then(|id| model.rows.get(&id))))?;
        }
        Ok(())
    }
}

fn must(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

fn organiser() -> Actor {
    Actor { user_id: numbers::id(numbers::USERS, 9), organiser: true }
}

/// The registrations that a command may make, with their priorities.
fn new_rows(command: &Command) -> impl Iterator<Item = (Uuid, i64)> {
    let bookings = match command {
        Command::Book(booking) => std::slice::from_ref(booking),
        Command::BookAll(bookings) => bookings,
        _ => &[],
    };
    let moved = if let Command::Move { new_id, .. } = command { Some((*new_id, 0)) } else { None };
    bookings.iter().map(|booking| (booking.registration_id, booking.priority)).chain(moved)
}

fn entry(change: &Change, at: Timestamp, priorities: &BTreeMap<Uuid, i64>) -> Entry {
    Entry {
        session_id: change.session_id,
        change: change.change,
        kind: change.kind,
        registration_id: change.registration_id,
        attendee_id: change.attendee_id,
        actor_id: change.actor_id,
        at,
        details: change.details.clone().unwrap_or_default(),
        priority: change.registration_id.and_then(|id| priorities.get(&id)).copied().unwrap_or_default(),
    }
}

/// What a decision tells, in the model's words.
fn told(decision: &Result<Done, Refusal>) -> Vec<Result<Told, No>> {
    match decision {
        Ok(Done::One(outcome)) => vec![Ok(told_of(outcome))],
        Ok(Done::Each(outcomes)) => outcomes.iter().map(|one| one.as_ref().map(told_of).map_err(refused)).collect(),
        Ok(Done::Settled) => Vec::new(),
        Err(refusal) => vec![Err(refused(refusal))],
    }
}

fn told_of(outcome: &Outcome) -> Told {
    Told { row: outcome.registration.clone(), created: outcome.created, position: outcome.position }
}

fn refused(refusal: &Refusal) -> No {
    let names = match refusal {
        Refusal::TimeConflict(clash) => [clash.session_id].into_iter().chain(clash.registration_id).collect(),
        Refusal::Overfull(overfull) => overfull.hits.iter().map(|hit| hit.registration_id).collect(),
        _ => Vec::new(),
    };
    No { code: Problem::from(refusal.clone()).code().as_str(), names }
}

/// A session as its editors write it.
fn form(store: &Store, session: Uuid) -> SessionForm {
    let session = store.sessions[&session].clone();
    SessionForm {
        code: session.code,
        title: String::new(),
        summary: None,
        starts_at: session.starts_at,
        ends_at: session.ends_at,
        stream_id: None,
        room_id: session.room_id,
        chairs: Vec::new(),
        parts: Vec::new(),
        capacity: session.capacity,
        waitlist: Waitlist { mode: session.waitlist_mode, limit: session.waitlist_limit },
        pools: session.pools.0,
        booking: SessionBooking { categories: session.categories.0, ..SessionBooking::default() },
        status: session.status,
    }
}
