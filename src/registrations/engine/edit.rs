//! An edit of the programme: one transaction that carries it and what follows from it for registrations.

use super::{
    Workshop,
    batch::{ATTEMPTS, ROUNDS},
    wanted::Wanted,
};
use crate::{
    db::{Error, Tx},
    error::Problem,
    registrations::{
        decide::{Change, Changes, Round, SessionState},
        model::Command,
        refusal::problem_of,
    },
};
use futures_util::future::BoxFuture;

/// What an edit did to registrations and seats.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// What happened, in order.
    pub changes: Vec<Change>,
    /// The sessions whose seats changed, as they are now.
    pub seats: Vec<SessionState>,
}

/// An edit that was done, or tried.
pub struct Edited<T> {
    /// What it answers.
    pub value: T,
    /// What it did to registrations and seats.
    pub effects: Effects,
}

/// Runs an edit in a task of its own, again where it met another node's change. With `preview` it is undone.
pub(super) async fn run<T, W>(workshop: &Workshop, preview: bool, work: W) -> Result<Edited<T>, Problem>
where
    T: Send + 'static,
    W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(T, Vec<Command>), Problem>> + Send + Sync + 'static,
{
    let task_workshop = workshop.clone();
    let task = workshop.db.spawn(async move {
        let mut attempts = 0;
        loop {
            attempts += 1;
            match once(&task_workshop, preview, &work).await {
                Err(problem) if problem.is_transient() && attempts < ATTEMPTS => {}
                done => return done,
            }
        }
    });
    task.await.unwrap_or_else(|failed| Err(Problem::internal(format!("an edit ended early: {failed}"))))
}

async fn once<T, W>(workshop: &Workshop, preview: bool, work: &W) -> Result<Edited<T>, Problem>
where
    W: for<'t> Fn(&'t mut Tx) -> BoxFuture<'t, Result<(T, Vec<Command>), Problem>>,
{
    let mut tx = workshop.db.begin().await?;
    let done = async {
        let (value, commands) = work(&mut tx).await?;
        let changes = follow(workshop, &mut tx, &commands).await?;
        Ok((value, changes))
    };
    match done.await {
        Err(problem) => {
            tx.rollback().await?;
            Err(problem)
        }
        Ok((value, changes)) => {
            if preview {
                tx.rollback().await?;
            } else {
                // Whatever comes of it: a commit whose answer was lost may be done. Nobody looks there meanwhile.
                workshop.forget();
                tx.commit().await?;
                if changes.leaves_work() {
                    workshop.due.notify_one();
                }
            }
            Ok(Edited { value, effects: Effects { changes: changes.journal, seats: changes.seats } })
        }
    }
}

/// Decides and writes what follows from an edit. What it needs besides is read in the same transaction: who edits holds
/// the seats of the whole event, so nothing is locked out of order.
async fn follow(workshop: &Workshop, tx: &mut Tx, commands: &[Command]) -> Result<Changes, Problem> {
    if commands.is_empty() {
        return Ok(Changes::default());
    }
    let mut wanted = Wanted::of(commands);
    for round in 1..=ROUNDS {
        let world = workshop.steps.load(tx, &wanted, workshop.clock.now()).await?;
        let now = workshop.clock.now();
        let round = if round < ROUNDS { Round::Early } else { Round::Last };
        match workshop.steps.decide(world, commands, now, round) {
            Err(needs) => wanted.extend(needs),
            Ok(decided) => {
                if let Some(problem) = problem_of(decided.outcomes.into_iter().filter_map(Result::err).collect()) {
                    return Err(problem);
                }
                workshop.steps.write(tx, &decided.changes, now).await?;
                return Ok(decided.changes);
            }
        }
    }
    Err(Error::Protocol(format!("deciding asked for more {ROUNDS} times")).into())
}
