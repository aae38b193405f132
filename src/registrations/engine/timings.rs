//! Where the engine's time goes: totals since it was started, for the metrics and the benchmarks. Two readings of a
//! clock a phase and a batch, whatever the batch's size.

use crate::metrics::Histogram;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// What the engine does. Where one batch is decided while another is written, their phases overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Waits for commands.
    Idle,
    /// Begins a transaction, and waits for its turn.
    Begin,
    /// Reads what the commands touch, and locks it.
    Load,
    /// Decides.
    Decide,
    /// Writes what was decided.
    Write,
    /// Makes it durable.
    Commit,
    /// Ends a transaction that has nothing to write.
    Rollback,
    /// Wakes who waits for an answer.
    Answer,
}

impl Phase {
    /// All of them, in order.
    pub const ALL: [Self; 8] = [Self::Idle, Self::Begin, Self::Load, Self::Decide, Self::Write, Self::Commit, Self::Rollback, Self::Answer];

    /// Its name in metrics and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Begin => "begin",
            Self::Load => "load",
            Self::Decide => "decide",
            Self::Write => "write",
            Self::Commit => "commit",
            Self::Rollback => "rollback",
            Self::Answer => "answer",
        }
    }
}

/// Totals since the engine was started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Batches run.
    pub batches: u64,
    /// Commands in them.
    pub commands: u64,
    /// How long commands waited in the queue, added up.
    pub queued: Duration,
    /// How long each phase took, added up, in the order of [`Phase::ALL`].
    pub phases: [Duration; Phase::ALL.len()],
}

impl Timings {
    /// How long a phase took, added up.
    pub fn of(&self, phase: Phase) -> Duration {
        self.phases[phase as usize]
    }
}

/// Commands in a batch.
const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096];
/// Microseconds of a batch.
const MICROS: &[u64] = &[250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 5_000_000];

/// Counts while the engine runs.
pub struct Meter {
    /// How many commands the batches had.
    pub sizes: Histogram,
    /// How long they took, in microseconds, until all was written and committed.
    pub durations: Histogram,
    batches: AtomicU64,
    commands: AtomicU64,
    queued_nanos: AtomicU64,
    phases_nanos: [AtomicU64; Phase::ALL.len()],
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            sizes: Histogram::new(SIZES),
            durations: Histogram::new(MICROS),
            batches: AtomicU64::default(),
            commands: AtomicU64::default(),
            queued_nanos: AtomicU64::default(),
            phases_nanos: Default::default(),
        }
    }
}

/// A phase under way; it ends when this is dropped.
pub struct Running<'m> {
    total: &'m AtomicU64,
    since: Instant,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.total.fetch_add(nanos(self.since.elapsed()), Ordering::Relaxed);
    }
}

impl Meter {
    /// Starts a phase.
    pub fn start(&self, phase: Phase) -> Running<'_> {
        Running { total: &self.phases_nanos[phase as usize], since: Instant::now() }
    }

    /// Takes the time of a phase.
    pub async fn time<T>(&self, phase: Phase, work: impl Future<Output = T>) -> T {
        let _running = self.start(phase);
        work.await
    }

    /// Counts a batch whose commands have waited since then.
    pub fn count(&self, since: impl Iterator<Item = Instant>) {
        let now = Instant::now();
        let (mut commands, mut queued) = (0, 0);
        for since in since {
            commands += 1;
            queued += nanos(now - since);
        }
        self.sizes.record(commands);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.commands.fetch_add(commands, Ordering::Relaxed);
        self.queued_nanos.fetch_add(queued, Ordering::Relaxed);
    }

    /// The totals so far.
    pub fn read(&self) -> Timings {
        let duration = |nanos: &AtomicU64| Duration::from_nanos(nanos.load(Ordering::Relaxed));
        Timings {
            batches: self.batches.load(Ordering::Relaxed),
            commands: self.commands.load(Ordering::Relaxed),
            queued: duration(&self.queued_nanos),
            phases: std::array::from_fn(|index| duration(&self.phases_nanos[index])),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
