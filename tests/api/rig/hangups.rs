//! Clients that hang up at random moments: in the head, in the body, before the answer and in the middle of it. No
//! transaction stays open, no seat and no key is leaked.

use super::{
    checker::judge,
    conference::assert_clean,
    flag,
    history::{Ask, What},
    ledger::Ledger,
    venue::{Size, Venue},
    workload::{Doors, Load, Time, Workload},
};
use crate::support::*;
use plenary::db::Dialect;
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

/// What is asked afterwards, by as many as hang up before.
const LOAD: Load = Load { clients: 16, people: 60, wishes: 4, pairs: 8, lost: 0 };
/// Longer than anything under way takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends some of a request, waits for some of the answer, and is gone.
async fn hang_up(call: &Call, authority: &str, random: &mut StdRng) -> std::io::Result<()> {
    let bytes = call.bytes();
    let mut stream = TcpStream::connect(authority).await?;
    if random.random_range(0..4) == 0 {
        return stream.write_all(&bytes[..random.random_range(0..bytes.len())]).await;
    }
    stream.write_all(&bytes).await?;
    let mut some = vec![0; random.random_range(1..600)];
    let patience = Duration::from_micros(random.random_range(0..4_000));
    // It may come or not; the client does not look at it.
    let _ = tokio::time::timeout(patience, stream.read(&mut some)).await;
    Ok(())
}

/// What somebody asks for who will not wait for the answer: a booking, or the end of a registration that is there.
fn ask(workload: &Workload, there: &[(Uuid, usize)], random: &mut StdRng) -> Ask {
    let venue = &workload.venue;
    match there.choose(random).filter(|_| random.random_range(0..3) == 0) {
        Some((registration, person)) => Ask::On { registration: *registration, person: *person, what: What::Cancel },
        None => {
            let session = venue.sessions.choose(random).expect("a session").id;
            Ask::Book { session, person: random.random_range(0..venue.people.len()), if_full: None, priority: None, over: false }
        }
    }
}

/// Registrations that are there now, with the places of their people.
async fn there(app: &App, venue: &Venue) -> Vec<(Uuid, usize)> {
    let rows: Vec<(Uuid, Uuid)> =
        app.db().query("SELECT id, attendee_id FROM registrations WHERE status <> 'cancelled'").all().await.expect("registrations");
    let place = |attendee: Uuid| venue.people.iter().position(|person| person.id == attendee);
    rows.into_iter().filter_map(|(id, attendee)| Some((id, place(attendee)?))).collect()
}

async fn client(app: &App, workload: &Workload, left: &AtomicU64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let authority = app.address.trim_start_matches("http://");
    let mut known = Vec::new();
    while left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
        if random.random_range(0..20) == 0 {
            known = there(app, &workload.venue).await;
        }
        let ask = ask(workload, &known, &mut random);
        let wish = workload.history.wish();
        let mut call = ask.call(app, &workload.venue);
        if ask.takes_a_key() {
            call = call.header("idempotency-key", &format!("hung-up-{wish}"));
        }
        workload.history.ask(wish, ask, false);
        hang_up(&call, authority, &mut random).await.expect("a server that listens");
    }
}

/// What is under way: commands that wait, connections that work, and transactions that nobody goes on with.
#[derive(Debug, PartialEq, Eq)]
struct UnderWay {
    queued: usize,
    used: u64,
    left_open: i64,
}

const NOTHING: UnderWay = UnderWay { queued: 0, used: 0, left_open: 0 };

async fn under_way(app: &App) -> UnderWay {
    const LEFT_OPEN: &str =
        "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
    let left_open = match app.db().dialect() {
        Dialect::Sqlite => 0,
        Dialect::Postgres => app.db().query(LEFT_OPEN).scalar().await.expect("a count"),
    };
    UnderWay { queued: app.state().bookings.queue().0, used: app.db().pools().iter().map(|pool| pool.used).sum(), left_open }
}

/// Waits until nothing is under way any more, and fails if something stays.
async fn quiet(app: &App) {
    let began = Instant::now();
    loop {
        let under_way = under_way(app).await;
        if under_way == NOTHING {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "{under_way:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

on_both! {
    async fn who_hangs_up_leaves_nothing_open(app: App) {
        let (seed, many) = (flag("RIG_SEED", 1), flag("RIG_HANGUPS", 400));
        let anna = app.user("Anna").await;
        let venue = Venue::open(&app, &anna, app.clock.now(), seed, Size { people: LOAD.people, users: 1 }).await;
        let doors = Doors::of(vec![Front::clone(&app)]);
        let workload = Arc::new(Workload::new(doors, venue, LOAD, Time::Moved { clock: app.clock.clone(), secs: 0, wishes: 1 }, seed));
        let left = AtomicU64::new(many);
        join_all((0..LOAD.clients).map(|number| client(&app, &workload, &left, seed * 1_000 + number as u64))).await;
        quiet(&app).await;
        // Everybody else is served as ever.
        workload.run().await;
        app.state().watch.settle().await.expect("what is due is done");
        quiet(&app).await;
        // A transaction that is left open would be seen, and would not let others write.
        let tx = app.db().begin().await.expect("a transaction that nobody keeps from beginning");
        let open = under_way(&app).await;
        assert!(open.used > 0 && (app.db().dialect() == Dialect::Sqlite || open.left_open == 1), "{open:?}");
        tx.rollback().await.expect("a rollback");
        let ledger = Ledger::read(&app, app.db(), &workload.venue, app.clock.now()).await;
        println!("{many} hung up, {} registrations, {} changes", ledger.rows.len(), ledger.journal.len());
        assert!(!ledger.rows.is_empty());
        assert_clean(&judge(&workload.venue, &workload.history.attempts(), &ledger), seed);
    }
}
