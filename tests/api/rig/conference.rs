//! The workload against the server as it is: on SQLite, on Postgres, through two nodes and through two processes. Nothing
//! may be wrong.

use super::{
    checker::judge,
    flag,
    history::Attempt,
    ledger::Ledger,
    model::Breach,
    tell_failures,
    venue::{Size, Venue},
    workload::{Doors, Load, Time, Workload},
};
use crate::support::*;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// How much is asked: hundreds of clients by hand, fewer in the tests.
fn load() -> Load {
    let clients = flag("RIG_CLIENTS", 40) as usize;
    Load { clients, people: clients * 2, wishes: flag("RIG_WISHES", 20) as usize, pairs: 8, lost: 12 }
}

/// Longer than it takes to do what is due on a busy machine.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a run lasts by the servers' clock, and in how many moves.
const HOURS: i64 = 8;
const MOVES: usize = 80;

/// Few at once, who want two seats at the same hours in the same instant: their batches are small, and seldom wait for
/// each other's sessions.
pub const PAIRS: Load = Load { clients: 4, people: 120, wishes: 40, pairs: 75, lost: 4 };

/// Runs the workload through servers of this process, whose clock moves on with it, and judges it.
pub async fn run(apps: &[&App], seed: u64, load: Load) -> Vec<Breach> {
    tell_failures();
    let app = apps[0];
    let size = Size { people: load.people, users: 3 };
    let anna = app.user(&format!("Anna {seed}")).await;
    let venue = Venue::open(app, &anna, app.clock.now(), seed, size).await;
    let doors = Doors::of(apps.iter().map(|app| Front::clone(app)).collect());
    let wishes = (load.clients * load.wishes * (100 + load.pairs as usize) / 100).max(MOVES) as u64;
    let time = Time::Moved { clock: app.clock.clone(), secs: HOURS * 3_600 / MOVES as i64, wishes: wishes / MOVES as u64 };
    let workload = Arc::new(Workload::new(doors, venue, load, time, seed));
    workload.run().await;
    let settled = match tokio::time::timeout(PATIENCE, app.state().watch.settle()).await {
        Ok(settled) => settled.map_err(|problem| Breach::of("I1", format!("what is due can't be done: {problem}"))),
        Err(_) => Err(Breach::of("I1", "what is due is done again and again, and stays due")),
    };
    let ledger = Ledger::read(app, app.db(), &workload.venue, app.clock.now()).await;
    let attempts = workload.history.attempts();
    println!("seed {seed}: {}", summary(&attempts, &ledger));
    judge(&workload.venue, &attempts, &ledger).into_iter().chain(settled.err()).collect()
}

/// What happened, so that it can be seen that something did.
pub fn summary(attempts: &[Attempt], ledger: &Ledger) -> String {
    let mut tally: BTreeMap<String, usize> = BTreeMap::new();
    for attempt in attempts {
        let (status, code) = attempt.answer.as_ref().map_or((0, ""), |told| (told.status, told.code()));
        let what = if status == 0 { "no answer".to_owned() } else { format!("{status} {code}") };
        *tally.entry(what).or_default() += 1;
    }
    for entry in &ledger.journal {
        *tally.entry(entry.kind.as_str().to_owned()).or_default() += 1;
    }
    format!("{} attempts, {} registrations, {tally:?}", attempts.len(), ledger.rows.len())
}

/// Fails with all that is wrong.
pub fn assert_clean(breaches: &[Breach], seed: u64) {
    let told: Vec<String> = breaches.iter().take(10).map(|breach| format!("{}: {}", breach.invariant, breach.what)).collect();
    assert!(breaches.is_empty(), "RIG_SEED={seed}: {} breaches, the first are\n{}", breaches.len(), told.join("\n"));
}

on_both! {
    async fn nothing_is_lost(app: App) {
        let seed = flag("RIG_SEED", 1);
        assert_clean(&run(&[&app], seed, load()).await, seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_between_two_nodes() {
    let Some(app) = App::on_postgres().await else { return };
    let other = app.another_node().await;
    let seed = flag("RIG_SEED", 1);
    assert_clean(&run(&[&app, &other], seed, load()).await, seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_two_seats_in_the_same_instant() {
    let Some(app) = App::on_postgres().await else { return };
    let other = app.another_node().await;
    let seed = flag("RIG_SEED", 1);
    assert_clean(&run(&[&app, &other], seed, PAIRS).await, seed);
}
