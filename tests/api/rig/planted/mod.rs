//! Faults that were put in on purpose: a rig that misses one is not finished.

pub mod decisions;
pub mod process;
pub mod transactions;

use super::{
    conference::{PAIRS, assert_clean, run},
    crash::Mortals,
    model::Breach,
    simulator::simulate,
    workload::Load,
};
use crate::support::*;
use decisions::*;
use plenary::registrations::engine::Steps;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use transactions::*;

/// Enough to trip over every one of them.
const LOAD: Load = Load { clients: 24, people: 48, wishes: 14, pairs: 8, lost: 12 };
/// For how long runs are made before a fault counts as missed.
const MINUTE: Duration = Duration::from_secs(60);

/// Runs the workload through faulty servers until the checker finds a breach of what the fault breaks.
async fn caught(apps: &[&App], load: Load, invariants: &[&str]) {
    let mut others: Vec<Breach> = Vec::new();
    let began = Instant::now();
    for seed in (1..).take_while(|_| began.elapsed() < MINUTE) {
        let (found, rest): (Vec<_>, Vec<_>) =
            run(apps, seed, load).await.into_iter().partition(|breach| invariants.contains(&breach.invariant));
        if let Some(first) = found.first() {
            println!("caught with seed {seed}, {} breaches, the first of {}: {}", found.len(), first.invariant, first.what);
            return;
        }
        others.extend(rest);
    }
    panic!("missed; what was found is {others:?}");
}

/// On a server of its own, on one database or the other.
async fn caught_on_sqlite(fault: impl Steps + 'static, invariants: &[&str]) {
    let app = App::on_sqlite_stepping(Arc::new(fault)).await;
    caught(&[&app], LOAD, invariants).await;
}

async fn caught_on_postgres(fault: impl Steps + 'static, invariants: &[&str]) {
    if let Some(app) = App::on_postgres_stepping(Arc::new(fault)).await {
        caught(&[&app], LOAD, invariants).await;
    }
}

/// Through two nodes on one database.
async fn caught_on_two_nodes(fault: Arc<impl Steps + 'static>, load: Load, invariants: &[&str], ready: impl FnOnce(&App)) {
    let Some(app) = App::on_postgres_stepping(fault).await else { return };
    ready(&app);
    let other = app.another_node().await;
    caught(&[&app, &other], load, invariants).await;
}

macro_rules! faults {
    ($(async fn $name:ident() $body:block)+) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() $body
    )+};
}

faults! {
    async fn capacity_read_outside_the_transaction() {
        let fault = Arc::new(CapacityOutside::default());
        let outside = Arc::clone(&fault);
        caught_on_two_nodes(fault, LOAD, &["I1", "I6"], |app| drop(outside.0.set(app.db().clone()))).await;
    }

    async fn overlap_read_outside_the_transaction() {
        caught_on_two_nodes(Arc::new(OverlapOutside), PAIRS, &["I4"], |_| ()).await;
    }

    async fn answers_before_the_commit() {
        caught_on_sqlite(AnswersBeforeCommit, &["I8"]).await;
        caught_on_postgres(AnswersBeforeCommit, &["I8"]).await;
    }

    async fn a_waitlist_by_the_clock() {
        caught_on_sqlite(WaitlistByClock, &["I5"]).await;
    }

    async fn a_promotion_after_the_start() {
        caught_on_postgres(PromotesAfterTheStart, &["I4", "I5"]).await;
    }

    async fn a_journal_outside_the_transaction() {
        let fault = Arc::new(JournalApart::default());
        let app = App::on_sqlite_stepping(fault.clone()).await;
        drop(fault.outside.set(app.db().clone()));
        caught(&[&app], LOAD, &["I6"]).await;
    }

    async fn a_freed_seat_for_its_leaver() {
        caught_on_postgres(BackToTheLeaver, &["I2", "I5"]).await;
    }

    async fn a_retry_that_books_twice() {
        let app = App::on_sqlite_stepping(Arc::new(BooksTwice)).await;
        let mut tx = app.db().begin().await.expect("a transaction");
        tx.query("DROP INDEX registrations_attendee").execute().await.expect("without the second wall");
        tx.commit().await.expect("a commit");
        caught(&[&app], LOAD, &["I3"]).await;
    }

    async fn a_pool_that_leaks() {
        caught_on_postgres(LeakingPool, &["I1"]).await;
    }

    async fn half_a_batch() {
        caught_on_sqlite(HalfABatch, &["I2", "I3", "I6"]).await;
    }

    async fn a_freed_seat_that_stays_taken() {
        caught_on_sqlite(KeepsFreedSeats, &["I1", "I6"]).await;
    }

    async fn an_offer_without_end() {
        caught_on_postgres(OffersWithoutEnd, &["I1", "I6"]).await;
    }
}

/// What was decided on top of a batch that failed, or of which nobody knows, is decided again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_leaves_nothing_behind() {
    let sqlite = App::on_sqlite_stepping(Arc::new(Hiccups::default())).await;
    for app in [Some(sqlite), App::on_postgres_stepping(Arc::new(Hiccups::default())).await].into_iter().flatten() {
        for seed in 1..=3 {
            assert_clean(&run(&[&app], seed, LOAD).await, seed);
        }
    }
}

/// A server that answers before it has committed is killed until something acknowledged is missing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loss_is_seen_after_a_kill() {
    let database = App::on_sqlite().await.stop().await;
    let start = |url: &str| Served::spawn(process::command("answers before the commit", url));
    let mut mortals = Mortals::start(database.url(), 1, &start).await;
    let began = Instant::now();
    for seed in (1..).take_while(|_| began.elapsed() < MINUTE) {
        if mortals.round(seed).await.iter().any(|breach| breach.invariant == "I2") {
            return;
        }
    }
    panic!("missed");
}

/// What is decided wrongly is found without a server.
#[test]
fn the_simulator_notices() {
    let faults: [(&str, &dyn Steps); 7] = [
        ("promotes after the start", &PromotesAfterTheStart),
        ("a pool that leaks", &LeakingPool),
        ("a freed seat for its leaver", &BackToTheLeaver),
        ("a freed seat that stays taken", &KeepsFreedSeats),
        ("who waits elsewhere is forgotten", &ForgetsWhoWaitsElsewhere),
        ("an offer without end", &OffersWithoutEnd),
        ("a retry that books twice", &BooksTwice),
    ];
    for (name, fault) in faults {
        let failure = simulate(fault, 1, 20_000).err().unwrap_or_else(|| panic!("{name}: missed"));
        println!("{name}: seed {}: {}", failure.seed, failure.why);
    }
}

/// A failure tells its seed and a history that can be read.
#[test]
fn the_simulator_finds_a_short_history() {
    let failure = simulate(&BackToTheLeaver, 1, 20_000).expect_err("a fault");
    let (steps, told) = failure.shortest();
    println!("{told}");
    assert!(steps <= 4 && told.contains(&format!("RIG_SEED={}", failure.seed)), "{told}");
}
