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
use std::{collections::BTreeMap, sync::Arc};

/// How much is asked: hundreds of clients by hand, fewer in the tests.
fn load() -> Load {
    Load { clients: flag("RIG_CLIENTS", 40) as usize, wishes: flag("RIG_WISHES", 20) as usize, lost: 12 }
}

/// Runs the workload through servers of this process, whose clock moves on with it, and judges it.
pub async fn run(apps: &[&App], seed: u64, load: Load) -> Vec<Breach> {
    tell_failures();
    let app = apps[0];
    let size = Size { people: load.clients * 2, users: 3 };
    let anna = app.user(&format!("Anna {seed}")).await;
    let venue = Venue::open(app, &anna, app.clock.now(), seed, size).await;
    let doors = Doors::of(apps.iter().map(|app| Front::clone(app)).collect());
    let steps = (load.clients * load.wishes / 80).max(1) as u64;
    let time = Time::Moved { clock: app.clock.clone(), secs: 6 * 60, wishes: steps };
    let workload = Arc::new(Workload::new(doors, venue, load, time, seed));
    workload.run().await;
    let settled = app.state().watch.settle().await.map_err(|problem| Breach::of("I1", format!("what is due can't be done: {problem}")));
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
