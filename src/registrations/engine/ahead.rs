//! One batch after the other, each begun before the one before is answered, and if possible decided before that is written.
//!
//! On SQLite the engine knows what the batches before came to. While one is written and committed the next one is decided:
//!
//! ```text
//! batch 1    recall ─► decide ─► BEGIN ─► write ─► COMMIT ─► answer
//! batch 2                        recall ─► decide ─► BEGIN ─► write ─► COMMIT ─► answer
//! ```
//!
//! It is written only when the one before is committed; if that fails, what was decided on top of it is decided again. A
//! batch for which something has to be read begins when the one before is committed: on SQLite a second connection would
//! have to read every page anew after each commit, and on Postgres it would only wait for the locks.

use super::{
    Asked, Workshop,
    batch::{self, AskedFor, Batch, Begun, Draft, Tried},
    keys::Replays,
    memory::Recalled,
    timings::Phase,
};
use crate::{
    db::{Error, is_unavailable},
    registrations::decide::Round,
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::task::JoinHandle;

/// Runs batches one after the other.
pub struct Ahead {
    workshop: Workshop,
    /// The batch that is under way.
    writing: Option<Writing>,
    /// One that ended and is yet to be answered.
    unanswered: Option<(Batch, Tried)>,
    /// The transaction of the next one, where it had to wait for its turn.
    begun: Option<Begun>,
}

struct Writing {
    batch: Batch,
    task: JoinHandle<Tried>,
    /// Whether it was decided before it began.
    decided: bool,
}

/// What is known of a batch at once.
enum Foreseen {
    /// All that it comes to.
    Decided(Box<Draft>),
    /// Something has to be read: only people or keys, if the rest is known.
    Open(Option<Box<Recalled>>),
}

impl Ahead {
    /// With nothing under way.
    pub fn new(workshop: Workshop) -> Self {
        Self { workshop, writing: None, unanswered: None, begun: None }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.writing.is_none() && self.unanswered.is_none()
    }

    /// Whether these can be decided while another batch is under way, as far as can be told at once.
    pub fn knows(&self, asked: &[Asked]) -> bool {
        let decided = self.writing.as_ref().is_none_or(|writing| writing.decided);
        let plain = asked.iter().all(|asked| asked.keyed.is_none());
        decided && plain && self.workshop.memory.knows_people(asked.iter().map(|asked| &asked.command))
    }

    /// Waits until it is this node's turn to book what these commands do, if turns are taken. Answers whether it waited.
    pub async fn take_turn(&mut self, asked: &[Asked]) -> bool {
        let Some(event_id) = self.workshop.turns.event_of(asked.iter().map(|asked| &asked.command)) else { return false };
        let (db, meter) = (self.workshop.db.clone(), Arc::clone(&self.workshop.meter));
        // And nobody shall wait for a turn in which that is done.
        self.wait_and_mend().await;
        // Who asked before need not wait for it.
        let (begun, ()) = tokio::join!(meter.time(Phase::Begin, db.begin_in_turn(event_id)), self.answer());
        let waited = begun.is_ok();
        // A turn only makes it faster: who can't have it goes without.
        self.begun = Some(begun).filter(|begun| begun.as_ref().err().is_none_or(is_unavailable));
        waited
    }

    /// Runs commands. They may still be under way when this ends: see [`Ahead::rest`].
    pub async fn run(&mut self, asked: Vec<Asked>) {
        let batch = Batch::of(asked, &self.workshop.meter);
        if self.writing.as_ref().is_some_and(|writing| !writing.decided) {
            self.wait().await;
        }
        let mut foreseen = self.foresee(&batch.asked);
        if !self.wait_and_mend().await {
            foreseen = Foreseen::Open(None);
        }
        let next = match foreseen {
            Foreseen::Decided(draft) if draft.changes.is_empty() => {
                self.answer().await;
                let verdicts = batch::done(&self.workshop, *draft).await;
                return batch::conclude(&self.workshop, batch, Ok(verdicts)).await;
            }
            Foreseen::Decided(draft) => self.write(batch, *draft),
            Foreseen::Open(recalled) => self.open(batch, recalled),
        };
        self.writing = Some(next);
        // Who asked first need not wait for it, and it need not wait for them.
        self.answer().await;
    }

    /// Ends what is under way.
    pub async fn rest(&mut self) {
        self.wait().await;
        self.answer().await;
    }

    /// What comes of commands by what is known. Where that panics they are run for themselves, and fail by themselves.
    fn foresee(&self, asked: &AskedFor) -> Foreseen {
        catch_unwind(AssertUnwindSafe(|| foresee(&self.workshop, asked))).unwrap_or_else(|_| {
            self.workshop.memory.forget();
            Foreseen::Open(None)
        })
    }

    fn write(&self, batch: Batch, draft: Draft) -> Writing {
        let (workshop, asked) = (self.workshop.clone(), Arc::clone(&batch.asked));
        let task = self.workshop.db.spawn(async move {
            let tx = workshop.meter.time(Phase::Begin, workshop.db.begin()).await?;
            batch::write(&workshop, tx, &asked, draft).await
        });
        Writing { batch, task, decided: true }
    }

    fn open(&mut self, batch: Batch, recalled: Option<Box<Recalled>>) -> Writing {
        let (workshop, asked, begun) = (self.workshop.clone(), Arc::clone(&batch.asked), self.begun.take());
        let task = self.workshop.db.spawn(async move { batch::attempt(&workshop, &asked, recalled, begun).await });
        Writing { batch, task, decided: false }
    }

    /// Waits for what is under way, and leaves its answers to [`Ahead::run`] or [`Ahead::rest`]. If that fails, what was
    /// decided on top of it is not to be believed.
    pub async fn wait(&mut self) {
        let Some(Writing { batch, task, .. }) = self.writing.take() else { return };
        let ended_early = |ended| Err(Error::Protocol(format!("a batch ended early: {ended}")).into());
        let tried = task.await.unwrap_or_else(ended_early);
        if tried.is_err() {
            self.workshop.forget();
        }
        self.unanswered = Some((batch, tried));
    }

    /// The same; what failed is run again at once, since who asked first comes first. Answers whether it went well.
    async fn wait_and_mend(&mut self) -> bool {
        self.wait().await;
        let failed = matches!(self.unanswered, Some((_, Err(_))));
        if failed {
            self.answer().await;
        }
        !failed
    }

    async fn answer(&mut self) {
        let Some((batch, tried)) = self.unanswered.take() else { return };
        let tried = match tried {
            Err(failure) if failure.met_another_node() => batch::attempt(&self.workshop, &batch.asked, None, None).await,
            tried => tried,
        };
        batch::conclude(&self.workshop, batch, tried).await;
    }
}

fn foresee(workshop: &Workshop, asked: &AskedFor) -> Foreseen {
    let Workshop { clock, steps, meter, memory, .. } = workshop;
    let now = clock.now();
    let loading = meter.start(Phase::Load);
    let Some(recalled) = memory.recall(&asked.commands, now) else { return Foreseen::Open(None) };
    drop(loading);
    if !(recalled.missing.is_empty() && asked.keys.is_empty()) {
        return Foreseen::Open(Some(Box::new(recalled)));
    }
    let _deciding = meter.start(Phase::Decide);
    let Ok(decided) = steps.decide(recalled.world, &asked.commands, now, Round::Early) else { return Foreseen::Open(None) };
    memory.follow(&decided.world, &decided.changes);
    Foreseen::Decided(Box::new(Draft::of(decided, Replays::default(), now)))
}
