//! `kill -9` in the middle of the workload, again and again: another server starts on the database, the clients ask again
//! for what they got no answer to, and the same checker judges it all. Nothing that was acknowledged may be missing.

use super::{
    checker::judge,
    conference::{assert_clean, summary},
    flag,
    ledger::Ledger,
    model::Breach,
    venue::{Size, Venue},
    workload::{Doors, Load, Time, Workload},
};
use crate::support::*;
use plenary::{
    clock::Clock,
    config::Config,
    db::{Access, Db},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

const LOAD: Load = Load { clients: 16, people: 24, wishes: 12, pairs: 8, lost: 8 };
/// Longer than it takes to do what is due on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings of servers that are asked a lot, for longer than a token lives.
pub fn unlimited(command: &mut Command) {
    command.env("PLENARY_ACCESS_TOKEN_SECS", "86400").env("PLENARY_LIMIT_BOOKINGS_PER_USER_MINUTE", "0");
    command.env("PLENARY_LIMIT_REQUESTS_PER_USER_MINUTE", "0").env("PLENARY_LIMIT_REQUESTS_PER_ADDRESS_MINUTE", "0");
    command.env("PLENARY_WORKER_THREADS", "1").env("PLENARY_DATABASE_CONNECTIONS", "4");
}

/// Servers that are killed.
pub struct Mortals<'s> {
    url: &'s str,
    start: &'s dyn Fn(&str) -> Served,
    servers: Vec<Served>,
    anna: User,
}

impl<'s> Mortals<'s> {
    /// So many on a database.
    pub async fn start(url: &'s str, many: usize, start: &'s dyn Fn(&str) -> Served) -> Self {
        let servers: Vec<Served> = (0..many).map(|_| start(url)).collect();
        let anna = servers[0].user("Anna").await;
        Self { url, start, servers, anna }
    }

    fn fronts(&self) -> Vec<Front> {
        self.servers.iter().map(|server| Front::clone(server)).collect()
    }

    /// One conference, in the middle of which one of them is killed; all that is wrong in the end.
    pub async fn round(&mut self, seed: u64) -> Vec<Breach> {
        let mut random = StdRng::seed_from_u64(seed);
        let clock = Clock::system();
        let size = Size { people: LOAD.people, users: 0 };
        let venue = Venue::open(&self.servers[0], &self.anna, clock.now(), seed, size).await;
        let workload = Arc::new(Workload::new(Doors::of(self.fronts()), venue, LOAD, Time::Real, seed));
        let clients = tokio::spawn({
            let workload = Arc::clone(&workload);
            async move { workload.run().await }
        });
        workload.history.answers(random.random_range(10..(LOAD.clients * LOAD.wishes / 2) as u64)).await;
        let victim = self.servers.swap_remove(random.random_range(0..self.servers.len()));
        victim.signal("KILL");
        workload.doors.set(self.fronts());
        let (status, log) = victim.ended();
        assert_eq!(status.code(), None, "it ended by itself: {log}");
        self.servers.push((self.start)(self.url));
        workload.doors.set(self.fronts());
        clients.await.expect("clients that do not panic");
        let db = Db::connect_as(&Config::for_database(self.url).database_settings(), Access::Beside).await.expect("the database");
        nothing_due(&db, &clock).await;
        let ledger = Ledger::read(&self.servers[0], &db, &workload.venue, clock.now()).await;
        // Nobody else may have it open when the next one is killed: SQLite would find its log in order.
        db.close().await;
        let attempts = workload.history.attempts();
        println!("seed {seed}: {}", summary(&attempts, &ledger));
        judge(&workload.venue, &attempts, &ledger)
    }
}

/// Waits until the watch has done all that is due.
async fn nothing_due(db: &Db, clock: &Clock) {
    const DUE: &str = "SELECT (SELECT COUNT(*) FROM due_sessions) + (SELECT COUNT(*) FROM session_seats WHERE due_at <= $1)";
    let began = Instant::now();
    while db.query(DUE).bind(clock.now()).scalar::<i64>().await.expect("a count") > 0 {
        assert!(began.elapsed() < PATIENCE, "what is due is not done");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn survives(app: App, servers: usize) {
    let database = app.stop().await;
    let start = |url: &str| Served::start(url, unlimited);
    let mut mortals = Mortals::start(database.url(), servers, &start).await;
    let seed = flag("RIG_SEED", 1);
    for seed in seed..seed + flag("RIG_KILLS", 3) {
        assert_clean(&mortals.round(seed).await, seed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_on_sqlite() {
    survives(App::on_sqlite().await, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_missing_from_two_processes() {
    if let Some(app) = App::on_postgres().await {
        survives(app, 2).await;
    }
}
