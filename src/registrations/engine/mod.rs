//! The booking engine: group commit around a pure decision.
//!
//! ```text
//! handler ── command ──► bounded queue ──► engine task: take up to N ─► BEGIN ─► load ─► decide ─► write ─► COMMIT ─► answer all N
//! ```
//!
//! Batches need no timer: while one commits the next one gathers. On SQLite, what the batches before have read or written
//! is kept in [`memory`], and a batch that needs nothing else is decided while the one before is written ([`ahead`]).
//! Answers go out only after COMMIT. Edits of the programme that can change seats or eligibility take their turn in the same
//! queue, each in a transaction of its own that carries the edit and what follows from it. What is due by itself
//! ([`Watch`]) is a command like any other. On Postgres nodes that book at the same event take [`turns`].

mod ahead;
mod batch;
mod edit;
mod full;
mod keys;
mod load;
mod memory;
mod seats;
mod standing;
mod steps;
mod timings;
mod trial;
mod turns;
mod wanted;
mod watch;
mod write;

pub use edit::{Edited, Effects};
pub use load::load;
pub use steps::{Real, Steps};
pub use timings::{Meter, Phase, Timings};
pub use trial::try_out;
pub use wanted::Wanted;
pub use watch::Watch;

use super::{
    model::{Command, Done, IfFull, Outcome},
    refusal::Refusal,
};
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    db::{Db, Tx},
    error::{Code, Problem},
    idempotency::{Claim, Stored},
    reply::Answer,
};
use ahead::Ahead;
use full::Full;
use futures_util::future::BoxFuture;
use memory::Memory;
use seats::Seats;
use std::{collections::VecDeque, sync::Arc, time::Instant};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    task::JoinHandle,
};
use turns::Turns;
use uuid::Uuid;

/// What was decided about a command.
type Decision = Result<Done, Refusal>;

/// What a command comes to.
enum Verdict {
    Decided(Decision),
    /// Its idempotency key was used before.
    Replay(Stored),
}

impl Verdict {
    /// What it says about one registration, if it does.
    fn outcome(&self) -> Option<&Outcome> {
        match self {
            Self::Decided(Ok(Done::One(outcome))) => Some(outcome),
            _ => None,
        }
    }
}

/// The answer to a command: decided and committed, or failed as a whole.
type Answered = Result<Verdict, Problem>;

/// An idempotency key on a command.
#[derive(Clone)]
struct Keyed {
    claim: Arc<Claim>,
    render: Render,
}

/// What is answered to an outcome, to be kept beside its key. `None` if the command had no effect: what it tells was
/// true before, and who asks again may be told what is true then.
pub type Render = Arc<dyn Fn(&Done) -> Option<Answer> + Send + Sync>;

/// What comes of a command that carries an idempotency key.
#[derive(Debug)]
pub enum Once {
    /// It was done now.
    Done(Done),
    /// The key was used before.
    Replay(Stored),
}

/// A command with who waits for its answer.
struct Asked {
    command: Command,
    keyed: Option<Keyed>,
    answer: oneshot::Sender<Answered>,
    since: Instant,
}

enum Work {
    Command(Asked),
    Edit(Box<dyn FnOnce(Workshop) -> BoxFuture<'static, ()> + Send>),
}

/// What a batch is run with.
#[derive(Clone)]
struct Workshop {
    db: Db,
    clock: Clock,
    steps: Arc<dyn Steps>,
    meter: Arc<Meter>,
    /// Told when something became due.
    due: Arc<Notify>,
    /// Sessions that are full.
    full: Full,
    /// Who has seats.
    seats: Seats,
    /// What is known from the batches before.
    memory: Memory,
    /// When other nodes book.
    turns: Turns,
}

impl Workshop {
    /// Forgets what is known: an edit or a lost commit may have changed anything.
    fn forget(&self) {
        self.memory.forget();
        self.full.forget();
        self.seats.forget();
    }
}

/// The queue's sending end: what handlers book through.
#[derive(Clone)]
pub struct Bookings {
    queue: mpsc::Sender<Work>,
    meter: Arc<Meter>,
    full: Full,
    seats: Seats,
}

/// The engine's limits.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Commands that may wait.
    pub queue: usize,
    /// Commands that one transaction takes at the most.
    pub batch: usize,
}

impl From<&Config> for Settings {
    fn from(config: &Config) -> Self {
        Self { queue: config.booking_queue as usize, batch: config.booking_batch as usize }
    }
}

/// The running engine.
pub struct Engine {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
    watch: Option<watch::Running>,
}

/// Starts the engine on the database's runtime, and what watches over what is due.
pub fn start(db: Db, clock: Clock, settings: Settings, steps: Arc<dyn Steps>) -> (Bookings, Watch, Engine) {
    let (bookings, watch, engine) = start_unwatched(db, clock, settings, steps);
    let watching = Some(watch.clone().start());
    (bookings, watch, Engine { watch: watching, ..engine })
}

/// Starts only the engine: it does what it is asked for, and what is due is left to who watches.
pub fn start_unwatched(db: Db, clock: Clock, settings: Settings, steps: Arc<dyn Steps>) -> (Bookings, Watch, Engine) {
    let (queue, work) = mpsc::channel(settings.queue);
    let (stop, stopped) = oneshot::channel();
    let (meter, due, full) = (Arc::<Meter>::default(), Arc::<Notify>::default(), Full::default());
    let (memory, seats) = (Memory::of(&db), Seats::of(&db.for_bookings()));
    let bookings = Bookings { queue, meter: Arc::clone(&meter), full: full.clone(), seats: seats.clone() };
    let turns = Turns::of(&db);
    let workshop =
        Workshop { db: db.for_bookings(), clock: clock.clone(), steps, meter, due: Arc::clone(&due), full, seats, memory, turns };
    let task = db.spawn(run(workshop, settings, work, stopped));
    let watch = Watch::new(db, clock, bookings.clone(), due);
    (bookings, watch, Engine { stop, task, watch: None })
}

impl Bookings {
    /// Asks for one thing about a registration, and waits until it is decided and durable.
    pub async fn ask(&self, command: Command) -> Result<Outcome, Problem> {
        match self.settle(command).await? {
            Done::One(outcome) => Ok(*outcome),
            other => Err(Problem::internal(format!("a command about a registration came to {other:?}"))),
        }
    }

    /// Whether it is known without asking that a user's booking for themselves is refused, because the session is full.
    pub fn is_full_for(&self, session_id: Uuid, user_id: Uuid, if_full: Option<IfFull>, now: Timestamp) -> bool {
        self.full.refuses(session_id, user_id, if_full, now)
    }

    /// The seat that a user has in a session, if it is known without asking for it to be decided: what a booking for
    /// themselves comes to.
    pub async fn seat_of(&self, session_id: Uuid, user_id: Uuid) -> Option<Outcome> {
        self.seats.get(session_id, user_id).await
    }

    /// Asks for anything.
    pub async fn settle(&self, command: Command) -> Result<Done, Problem> {
        match self.decide(command, None).await? {
            Once::Done(done) => Ok(done),
            Once::Replay(_) => Err(Problem::internal("a command without a key was repeated")),
        }
    }

    /// The same at most once for an idempotency key: its row is written in the command's own transaction.
    pub async fn ask_once(&self, command: Command, claim: Arc<Claim>, render: Render) -> Result<Once, Problem> {
        self.decide(command, Some(Keyed { claim, render })).await
    }

    async fn decide(&self, command: Command, keyed: Option<Keyed>) -> Result<Once, Problem> {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Command(Asked { command, keyed, answer, since: Instant::now() }))?;
        match answered.await {
            Ok(answer) => match answer? {
                Verdict::Decided(decision) => Ok(Once::Done(decision?)),
                Verdict::Replay(stored) => Ok(Once::Replay(stored)),
            },
            Err(_) => Err(Problem::internal("the engine dropped a command")),
        }
    }

    /// Runs an edit of the programme that can change seats or eligibility, in order with the bookings, in a transaction
    /// of its own: `work` writes the edit and answers the commands that follow from it; both commit together or not at
    /// all. `work` is run again where it met another node's change.
    pub async fn edit<T, W>(&self, work: W) -> Result<T, Problem>
    where
        T: Send + 'static,
        W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(T, Vec<Command>), Problem>> + Send + Sync + 'static,
    {
        Ok(self.edit_or_preview(false, work).await?.value)
    }

    /// The same, with what it did to registrations and seats; with `preview` all of it is undone.
    pub async fn edit_or_preview<T, W>(&self, preview: bool, work: W) -> Result<Edited<T>, Problem>
    where
        T: Send + 'static,
        W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(T, Vec<Command>), Problem>> + Send + Sync + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.enqueue(Work::Edit(Box::new(move |workshop| {
            Box::pin(async move {
                // Who asked may be gone; the edit is done all the same.
                let _ = answer.send(edit::run(&workshop, preview, work).await);
            })
        })))?;
        answered.await.unwrap_or_else(|_| Err(Problem::internal("the engine dropped an edit")))
    }

    /// Where the engine's time has gone since it was started.
    pub fn timings(&self) -> Timings {
        self.meter.read()
    }

    /// What is counted while the engine runs.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// How much waits in the queue, and how much may.
    pub fn queue(&self) -> (usize, usize) {
        let most = self.queue.max_capacity();
        (most - self.queue.capacity(), most)
    }

    fn enqueue(&self, work: Work) -> Result<(), Problem> {
        self.queue.try_send(work).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Problem::new(Code::QueueFull, "Too many bookings at once. Nothing was done; try again in a moment.")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Problem::new(Code::Unavailable, "The server is shutting down. Nothing was done; try again.")
            }
        })
    }
}

impl Engine {
    /// Takes nothing new, does what is queued, and ends.
    pub async fn finish(self) {
        if let Some(watch) = self.watch {
            watch.finish().await;
        }
        // An engine that ended already has nothing left to stop.
        let _ = self.stop.send(());
        if let Err(failed) = self.task.await {
            tracing::error!(%failed, "the booking engine ended early");
        }
    }
}

async fn run(workshop: Workshop, settings: Settings, mut queue: mpsc::Receiver<Work>, mut stopped: oneshot::Receiver<()>) {
    let mut batches = Ahead::new(workshop.clone());
    let (mut taken, mut inbox) = (Vec::with_capacity(settings.batch), VecDeque::with_capacity(settings.batch));
    let mut stopping = false;
    loop {
        if inbox.is_empty() && queue.is_empty() && !batches.is_idle() {
            batches.rest().await;
        }
        if inbox.is_empty() {
            let _idle = workshop.meter.start(Phase::Idle);
            tokio::select! {
                biased;
                _ = &mut stopped, if !stopping => {
                    stopping = true;
                    queue.close();
                    continue;
                }
                _ = queue.recv_many(&mut taken, settings.batch) => inbox.extend(taken.drain(..)),
            }
        }
        if inbox.is_empty() {
            return;
        }
        let mut commands = first_commands(&mut inbox);
        let waits = !batches.is_idle() && !batches.knows(&commands);
        if waits {
            batches.wait().await;
        }
        if batches.take_turn(&commands).await || waits {
            // What came meanwhile goes with them.
            while commands.len() + inbox.len() < settings.batch
                && let Ok(work) = queue.try_recv()
            {
                inbox.push_back(work);
            }
            commands.extend(first_commands(&mut inbox));
        }
        if !commands.is_empty() {
            batches.run(commands).await;
        } else if let Some(Work::Edit(edit)) = inbox.pop_front() {
            batches.rest().await;
            edit(workshop.clone()).await;
        }
    }
}

/// Takes the commands that stand before the next edit.
fn first_commands(inbox: &mut VecDeque<Work>) -> Vec<Asked> {
    let mut commands = Vec::with_capacity(inbox.len());
    while let Some(Work::Command(asked)) = inbox.pop_front_if(|work| matches!(work, Work::Command(_))) {
        commands.push(asked);
    }
    commands
}
