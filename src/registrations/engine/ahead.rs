//! Deciding ahead, on SQLite: while one batch is written and committed the next one is decided by what the engine knows.
//!
//! ```text
//! batch 1    recall ─► decide ─► BEGIN ─► write ─► COMMIT ─► answer
//! batch 2                        recall ─► decide ─► BEGIN ─► write ─► COMMIT ─► answer
//! ```
//!
//! A batch is written only when the one before is committed; if that fails, what was decided on top of it is decided
//! again. A batch for which something has to be read is run for itself ([`batch::run`]): a second connection would have
//! to read every page anew after each commit.

use super::{
    Asked, Verdict, Workshop,
    batch::{self, AskedFor, Batch, Draft, Failure, joined},
    keys::Replays,
    memory::Recalled,
    timings::Phase,
};
use crate::registrations::decide::Round;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::task::JoinHandle;

/// Runs batches one after the other.
pub struct Ahead {
    workshop: Workshop,
    /// The batch that is being written.
    writing: Option<Writing>,
}

struct Writing {
    batch: Batch,
    task: JoinHandle<Tried>,
}

/// What is known of a batch at once.
enum Foreseen {
    /// All that it comes to.
    Decided(Box<Draft>),
    /// Something has to be read: only people or keys, if the rest is known.
    Open(Option<Box<Recalled>>),
}

type Tried = Result<Vec<Verdict>, Failure>;

impl Ahead {
    /// With nothing under way.
    pub fn new(workshop: Workshop) -> Self {
        Self { workshop, writing: None }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.writing.is_none()
    }

    /// Whether these can be decided while another batch is under way, as far as can be told at once.
    pub fn knows(&self, asked: &[Asked]) -> bool {
        let plain = asked.iter().all(|asked| asked.keyed.is_none());
        plain && self.workshop.memory.knows_people(asked.iter().map(|asked| &asked.command))
    }

    /// Runs commands. They may still be under way when this ends: see [`Ahead::rest`].
    pub async fn run(&mut self, asked: Vec<Asked>) {
        let batch = Batch::of(asked, &self.workshop.meter);
        let mut foreseen = self.foresee(&batch.asked);
        let before = self.written().await;
        if matches!(before, Some((_, Err(_)))) {
            foreseen = Foreseen::Open(None);
        }
        match foreseen {
            Foreseen::Decided(draft) if draft.changes.is_empty() => {
                self.answer(before).await;
                let done = batch::done(&self.workshop, *draft).await;
                self.answer(Some((batch, Ok(done)))).await;
            }
            Foreseen::Decided(draft) => {
                self.writing = Some(self.write(batch, *draft));
                self.answer(before).await;
            }
            Foreseen::Open(recalled) => {
                self.answer(before).await;
                batch::run(&self.workshop, batch, recalled).await;
            }
        }
    }

    /// Ends what is under way.
    pub async fn rest(&mut self) {
        let written = self.written().await;
        self.answer(written).await;
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
        Writing { batch, task }
    }

    /// Waits for what is being written. If that fails, what was decided on top of it is not to be believed.
    async fn written(&mut self) -> Option<(Batch, Tried)> {
        let Writing { batch, task } = self.writing.take()?;
        let tried = joined(task).await;
        if tried.is_err() {
            self.workshop.forget();
        }
        Some((batch, tried))
    }

    async fn answer(&mut self, written: Option<(Batch, Tried)>) {
        match written {
            None => {}
            Some((batch, Err(failure))) if failure.met_another_node() => batch::run(&self.workshop, batch, None).await,
            Some((batch, tried)) => batch::recover(&self.workshop, batch, tried).await,
        }
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
