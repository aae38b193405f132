//! One batch: one transaction, all its answers after COMMIT.

use super::{
    Answered, Asked, Verdict, Workshop, full,
    keys::{self, Keys, Replays},
    load::load_people,
    memory::{Memory, Recalled},
    timings::{Meter, Phase},
    wanted::Wanted,
};
use crate::{
    clock::Timestamp,
    db::{Error, Tx, is_foreign_key_violation, is_transient, is_unavailable, is_unique_violation},
    error::{Code, Problem},
    registrations::{
        decide::{Changes, Decided, Round, World},
        model::Command,
    },
};
use futures_util::FutureExt;
use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Instant};
use tokio::sync::oneshot;
use uuid::Uuid;

/// How often a batch that met another node's change is tried again.
pub(super) const ATTEMPTS: usize = 8;
/// How often more is read for deciding before what can't be decided is marked as due.
pub(super) const ROUNDS: usize = 4;

/// Commands that are run together, and who waits for their answers.
pub struct Batch {
    pub asked: Arc<AskedFor>,
    answers: Vec<oneshot::Sender<Answered>>,
    began: Instant,
}

/// What a batch is asked for.
pub struct AskedFor {
    pub commands: Vec<Command>,
    pub keys: Keys,
}

impl AskedFor {
    /// One of its commands alone.
    fn one(&self, place: usize) -> Self {
        let keys = self.keys.get(&place).map(|keyed| (0, keyed.clone()));
        Self { commands: vec![self.commands[place].clone()], keys: keys.into_iter().collect() }
    }
}

impl Batch {
    /// Of these commands.
    pub fn of(asked: Vec<Asked>, meter: &Meter) -> Self {
        meter.count(asked.iter().map(|asked| asked.since));
        let (mut commands, mut answers, mut keys) = (Vec::with_capacity(asked.len()), Vec::with_capacity(asked.len()), Keys::new());
        for (place, asked) in asked.into_iter().enumerate() {
            keys.extend(asked.keyed.map(|keyed| (place, keyed)));
            commands.push(asked.command);
            answers.push(asked.answer);
        }
        Self { asked: Arc::new(AskedFor { commands, keys }), answers, began: Instant::now() }
    }

    /// Answers its commands.
    pub fn answer(self, results: impl IntoIterator<Item = Answered>, meter: &Meter) {
        let Self { asked, answers, began } = self;
        // Its keys are free again before anybody is answered, else who repeats at once is told that it is under way.
        drop(asked);
        meter.durations.record_duration(began.elapsed());
        let _answering = meter.start(Phase::Answer);
        for (answer, result) in answers.into_iter().zip(results) {
            // Who asked may have hung up; the outcome stands all the same, and asking again tells it.
            let _ = answer.send(result);
        }
    }
}

/// What a batch came to: what was decided and is durable, or why it did not commit.
pub type Tried = Result<Vec<Verdict>, Failure>;

/// Answers the commands of a batch that was tried. One that can't be written fails alone: the others are run again without
/// it.
pub async fn conclude(workshop: &Workshop, batch: Batch, tried: Tried) {
    let count = batch.answers.len();
    let results: Vec<Answered> = match tried {
        Ok(verdicts) => verdicts.into_iter().map(Ok).collect(),
        Err(failure) if count == 1 || failure.unknown || is_unavailable(&failure.error) => {
            (0..count).map(|_| Err(failure.problem())).collect()
        }
        Err(failure) => {
            tracing::error!(error = %failure.error, commands = count, "a batch failed; its commands are run one by one");
            let mut results = Vec::with_capacity(count);
            for place in 0..count {
                let result = attempt(workshop, &batch.asked.one(place), None, None).await;
                results.push(result.map(|mut verdicts| verdicts.remove(0)).map_err(|failure| failure.problem()));
            }
            results
        }
    };
    batch.answer(results, &workshop.meter);
}

/// Why a batch did not commit.
pub struct Failure {
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
    /// Whether it may be tried again as it is. A unique violation is another node's attendee, registration or key that was
    /// not there when we looked, a foreign key violation an attendee or session that another node removed since.
    pub fn met_another_node(&self) -> bool {
        let met = is_transient(&self.error) || is_unique_violation(&self.error) || is_foreign_key_violation(&self.error);
        met && !self.unknown
    }

    fn problem(&self) -> Problem {
        if self.unknown || is_transient(&self.error) {
            return Problem::new(Code::Unavailable, "It is not known whether this was done. Ask again: repeating it does no harm.");
        }
        Problem::from(&self.error)
    }
}

/// A transaction that was begun for a batch, or why it could not be.
pub type Begun = Result<Tx, Error>;

/// Runs a batch, again where it met another node's change. What is recalled for it need not be read. A panic ends only that.
pub async fn attempt(workshop: &Workshop, asked: &AskedFor, mut recalled: Option<Box<Recalled>>, mut begun: Option<Begun>) -> Tried {
    let mut last = None;
    for _ in 0..ATTEMPTS {
        let once = AssertUnwindSafe(once(workshop, asked, recalled.take(), begun.take())).catch_unwind().await;
        match once.unwrap_or_else(|_| Err(Error::Protocol("a batch ended early".into()).into())) {
            Ok(verdicts) => return Ok(verdicts),
            Err(failure) => {
                workshop.forget();
                if !failure.met_another_node() {
                    return Err(failure);
                }
                last = Some(failure);
            }
        }
    }
    Err(last.unwrap_or_else(|| Error::Protocol("no attempt was made".into()).into()))
}

async fn once(workshop: &Workshop, asked: &AskedFor, mut recalled: Option<Box<Recalled>>, mut begun: Option<Begun>) -> Tried {
    let Workshop { db, clock, steps, meter, .. } = workshop;
    let mut wanted = Wanted::of(&asked.commands);
    for round in 1..=ROUNDS {
        let mut tx = match begun.take() {
            Some(begun) => begun?,
            None => meter.time(Phase::Begin, db.begin()).await?,
        };
        let replays = Replays::find(&mut tx, &asked.keys, clock.now()).await?;
        let commands = replays.rest(&asked.commands);
        let loading = meter.start(Phase::Load);
        let world = match recalled.take() {
            Some(recalled) => load_people(&mut tx, &recalled.missing, recalled.world).await?,
            None => steps.load(&mut tx, &wanted, clock.now()).await?,
        };
        drop(loading);
        // Read after the locks are held: time, as decisions see it, runs in the order of the transactions.
        let now = clock.now();
        let deciding = meter.start(Phase::Decide);
        let decided = steps.decide(world, &commands, now, if round < ROUNDS { Round::Early } else { Round::Last });
        drop(deciding);
        match decided {
            Ok(decided) => return write(workshop, tx, asked, Draft { unlearned: true, ..Draft::of(decided, replays, now) }).await,
            // On Postgres what else must be locked has to be locked in order: from the beginning.
            Err(needs) => {
                meter.time(Phase::Rollback, tx.rollback()).await?;
                wanted.extend(needs);
            }
        }
    }
    Err(Error::Protocol(format!("deciding asked for more {ROUNDS} times")).into())
}

/// What was decided about a batch and is to be written.
pub struct Draft {
    pub changes: Changes,
    verdicts: Vec<Verdict>,
    world: World,
    /// Whether the engine has yet to learn it.
    unlearned: bool,
    found_full: HashSet<Uuid>,
    now: Timestamp,
}

impl Draft {
    /// Out of decisions and what was answered before.
    pub fn of(decided: Decided, replays: Replays, now: Timestamp) -> Self {
        let Decided { outcomes, changes, world } = decided;
        let found_full = full::found_full(&outcomes);
        Self { verdicts: replays.weave(outcomes), changes, world, unlearned: false, found_full, now }
    }

    /// Has the engine know it, if it doesn't yet.
    fn teach(&self, memory: &Memory) {
        if self.unlearned {
            memory.learn(&self.world, &self.changes);
        }
    }
}

/// Writes what was decided about a batch and makes it durable.
pub async fn write(workshop: &Workshop, mut tx: Tx, asked: &AskedFor, draft: Draft) -> Tried {
    let Workshop { steps, meter, due, memory, seats, .. } = workshop;
    let Draft { verdicts, changes, world, now, .. } = &draft;
    if changes.is_empty() {
        draft.teach(memory);
        meter.time(Phase::Rollback, tx.rollback()).await?;
        return Ok(done(workshop, draft).await);
    }
    meter.time(Phase::Write, steps.write(&mut tx, changes, *now)).await?;
    keys::write(&mut tx, &asked.keys, verdicts, *now).await?;
    // From COMMIT on others may see that they ended.
    seats.forget_ended(world, changes);
    // It learns while the disk is waited for; if that fails, all is forgotten.
    let (committed, ()) = tokio::join!(meter.time(Phase::Commit, steps.commit(tx)), async { draft.teach(memory) });
    // Postgres says so too when it ends a connection whose commit is already durable.
    committed.map_err(|error| Failure { unknown: error.as_database_error().is_none() || is_unavailable(&error), error })?;
    if changes.leaves_work() {
        due.notify_one();
    }
    Ok(done(workshop, draft).await)
}

/// What is left to do when what was decided is durable, or nothing has to be: refusals and repeats only.
pub async fn done(workshop: &Workshop, draft: Draft) -> Vec<Verdict> {
    let Draft { verdicts, changes, world, found_full, .. } = draft;
    workshop.turns.learn(&world);
    workshop.seats.remember(&world, &changes, verdicts.iter().filter_map(Verdict::outcome));
    workshop.full.follow(&workshop.db, &world, &changes, found_full).await;
    verdicts
}
