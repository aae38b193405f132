//! One batch: one transaction, all its answers after COMMIT.

use super::{
    Answered, Asked, Verdict, Workshop, full,
    keys::{self, Keys, Replays},
    timings::Phase,
    wanted::Wanted,
};
use crate::{
    db::{Error, is_foreign_key_violation, is_transient, is_unavailable, is_unique_violation},
    error::{Code, Problem},
    registrations::{
        decide::{Decided, Round},
        model::Command,
    },
};
use std::{sync::Arc, time::Instant};

/// How often a batch that met another node's change is tried again.
pub(super) const ATTEMPTS: usize = 8;
/// How often more is read for deciding before what can't be decided is marked as due.
pub(super) const ROUNDS: usize = 4;

/// Runs the commands and answers them. One that can't be written fails alone: the others are run again without it.
pub async fn run(workshop: &Workshop, asked: Vec<Asked>) {
    if asked.is_empty() {
        return;
    }
    let meter = &workshop.meter;
    meter.count(asked.iter().map(|asked| asked.since));
    let began = Instant::now();
    let (mut commands, mut answers, mut keys) = (Vec::with_capacity(asked.len()), Vec::with_capacity(asked.len()), Keys::new());
    for (place, asked) in asked.into_iter().enumerate() {
        keys.extend(asked.keyed.map(|keyed| (place, keyed)));
        commands.push(asked.command);
        answers.push(asked.answer);
    }
    let batch = Arc::new(Batch { commands, keys });
    let results = match attempt(workshop, &batch).await {
        Ok(verdicts) => verdicts.into_iter().map(Ok).collect(),
        Err(failure) if answers.len() == 1 || failure.unknown || is_unavailable(&failure.error) => {
            answers.iter().map(|_| Err(failure.problem())).collect()
        }
        Err(failure) => {
            tracing::error!(error = %failure.error, commands = answers.len(), "a batch failed; its commands are run one by one");
            let mut results: Vec<Answered> = Vec::with_capacity(answers.len());
            for place in 0..answers.len() {
                let result = attempt(workshop, &Arc::new(batch.one(place))).await;
                results.push(result.map(|mut verdicts| verdicts.remove(0)).map_err(|failure| failure.problem()));
            }
            results
        }
    };
    // Its keys are free again before anybody is answered, else who repeats at once is told that it is under way.
    drop(batch);
    meter.durations.record_duration(began.elapsed());
    let _answering = meter.start(Phase::Answer);
    for (answer, result) in answers.into_iter().zip(results) {
        // Who asked may have hung up; the outcome stands all the same, and asking again tells it.
        let _ = answer.send(result);
    }
}

struct Batch {
    commands: Vec<Command>,
    keys: Keys,
}

impl Batch {
    /// One of its commands alone.
    fn one(&self, place: usize) -> Self {
        let keys = self.keys.get(&place).map(|keyed| (0, keyed.clone()));
        Self { commands: vec![self.commands[place].clone()], keys: keys.into_iter().collect() }
    }
}

/// Why a batch did not commit.
struct Failure {
    error: Error,
    /// The connection broke in COMMIT: it may have happened or not.
    unknown: bool,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, unknown: false }
    }
}

impl Failure {
    fn problem(&self) -> Problem {
        if self.unknown || is_transient(&self.error) {
            return Problem::new(Code::Unavailable, "It is not known whether this was done. Ask again: repeating it does no harm.");
        }
        Problem::from(&self.error)
    }
}

/// Runs a batch in a task of its own (a panic ends only that), again where it met another node's change.
async fn attempt(workshop: &Workshop, batch: &Arc<Batch>) -> Result<Vec<Verdict>, Failure> {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let (task_workshop, task_batch) = (workshop.clone(), Arc::clone(batch));
        let task = workshop.db.spawn(async move { once(&task_workshop, &task_batch).await });
        let done = task.await.unwrap_or_else(|panicked| Err(Error::Protocol(format!("a batch ended early: {panicked}")).into()));
        match done {
            Ok(verdicts) => return Ok(verdicts),
            Err(failure) if !failure.unknown && met_another_node(&failure.error) => last = Some(failure),
            Err(failure) => return Err(failure),
        }
    }
    Err(last.unwrap_or_else(|| Error::Protocol("no attempt was made".into()).into()))
}

/// A unique violation is another node's attendee, registration or key that was not there when we looked, a foreign key
/// violation an attendee or session that another node removed since.
fn met_another_node(error: &Error) -> bool {
    is_transient(error) || is_unique_violation(error) || is_foreign_key_violation(error)
}

async fn once(workshop: &Workshop, batch: &Batch) -> Result<Vec<Verdict>, Failure> {
    let Workshop { db, clock, steps, meter, due, full } = workshop;
    let mut wanted = Wanted::of(&batch.commands);
    for round in 1..=ROUNDS {
        let mut tx = meter.time(Phase::Begin, db.begin()).await?;
        let replays = Replays::find(&mut tx, &batch.keys, clock.now()).await?;
        let commands = replays.rest(&batch.commands);
        let world = meter.time(Phase::Load, steps.load(&mut tx, &wanted, clock.now())).await?;
        // Read after the locks are held: time, as decisions see it, runs in the order of the transactions.
        let now = clock.now();
        let deciding = meter.start(Phase::Decide);
        let decided = steps.decide(world, &commands, now, if round < ROUNDS { Round::Early } else { Round::Last });
        drop(deciding);
        let decided = match decided {
            Ok(decided) => decided,
            // On Postgres what else must be locked has to be locked in order: from the beginning.
            Err(needs) => {
                meter.time(Phase::Rollback, tx.rollback()).await?;
                wanted.extend(needs);
                continue;
            }
        };
        let Decided { outcomes, changes, world } = decided;
        let found_full = full::found_full(&outcomes);
        let verdicts = replays.weave(outcomes);
        if changes.is_empty() {
            // Refusals and repeats only: nothing to make durable.
            meter.time(Phase::Rollback, tx.rollback()).await?;
        } else {
            meter.time(Phase::Write, steps.write(&mut tx, &changes, now)).await?;
            keys::write(&mut tx, &batch.keys, &verdicts, now).await?;
            let committed = meter.time(Phase::Commit, steps.commit(tx)).await;
            // Postgres says so too when it ends a connection whose commit is already durable.
            committed.map_err(|error| Failure { unknown: error.as_database_error().is_none() || is_unavailable(&error), error })?;
            if changes.leaves_work() {
                due.notify_one();
            }
        }
        full.follow(db, &world, &changes, found_full).await;
        return Ok(verdicts);
    }
    Err(Error::Protocol(format!("deciding asked for more {ROUNDS} times")).into())
}
