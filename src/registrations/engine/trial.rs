//! Deciding without writing: what would come of commands.

use super::{batch::ROUNDS, load, wanted::Wanted};
use crate::{
    clock::Clock,
    db::{Db, Error},
    error::Problem,
    registrations::{
        decide::{Round, decide},
        model::{Command, Done},
        refusal::Refusal,
    },
};

/// What would come of commands now, one answer each. It reads one snapshot, and nobody waits for it.
pub async fn try_out(db: &Db, clock: &Clock, commands: Vec<Command>) -> Result<Vec<Result<Done, Refusal>>, Problem> {
    let now = clock.now();
    let tried = db.read(move |tx| {
        Box::pin(async move {
            let mut wanted = Wanted::of(&commands);
            for round in 1..=ROUNDS {
                let world = load(tx, &wanted, now, false).await?;
                match decide(world, &commands, now, if round < ROUNDS { Round::Early } else { Round::Last }) {
                    Ok(decided) => return Ok(decided.outcomes),
                    Err(needs) => wanted.extend(needs),
                }
            }
            Err(Error::Protocol(format!("deciding asked for more {ROUNDS} times")).into())
        })
    });
    tried.await
}
