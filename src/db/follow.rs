//! Following what other nodes change: each notifies the others in the transaction that changes something, so that
//! they hear of it when it is committed (Postgres' LISTEN and NOTIFY).
//!
//! Notifications get lost with the connection. So a node asks along it several times a second whether it is still there,
//! takes everything for changed when it isn't, and while it is deaf takes everything for changed again and again: a
//! change is followed within a second all the same, only with more reading.

use super::{Changes, Error, Result, Tx};
use sqlx::{
    Executor, PgPool,
    postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions},
};
use std::{pin::pin, time::Duration};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use uuid::Uuid;

const CHANNEL: &str = "plenary_changes";
/// What listens calls itself, for whoever looks at the server's connections.
const APPLICATION: &str = "plenary changes";

/// How often a node asks whether the connection is there, and how long it waits for the answer: together less than the
/// second within which all nodes follow.
const BEAT: Duration = Duration::from_millis(300);
const BEAT_TIMEOUT: Duration = Duration::from_millis(400);
/// How long what was read is kept while a node is deaf.
const DEAF_FOR: Duration = Duration::from_millis(400);
/// How long it takes at the most until a node hears itself.
const ECHO_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two tries to listen.
const RETRY: Duration = Duration::from_millis(500);

/// Stands for everything where it would be too much to name.
const ANYTHING: &str = "*";
/// Postgres takes less than 8,000 bytes; an id has 36.
const MOST_NAMED: usize = 200;

/// Tells the other nodes of a change, when the transaction commits.
pub(super) async fn notify(tx: &mut Tx, ids: &[Uuid]) -> Result<()> {
    let payload = match ids.len() {
        0..=MOST_NAMED => ids.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" "),
        _ => ANYTHING.to_owned(),
    };
    tx.query(NOTIFY).bind(CHANNEL).bind(payload).execute().await.map(|_| ())
}

const NOTIFY: &str = "SELECT pg_notify($1, $2)";

/// Follows for ever. `pool` is the one that the node works with.
pub(super) async fn follow(options: PgConnectOptions, pool: PgPool, changes: Changes) {
    let options = options.application_name(APPLICATION);
    loop {
        let mut listener = deaf(&changes, connect(&options, &pool)).await;
        // It has listened for a moment; this is for what happened before.
        changes.anything_happened();
        let Err(error) = hear(&mut listener, &changes).await;
        changes.anything_happened();
        tracing::warn!(%error, "the changes of other nodes can't be heard, the programme is read anew several times a second");
    }
}

/// Waits for `work` and meanwhile keeps nothing for long.
async fn deaf<T>(changes: &Changes, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = sleep(DEAF_FOR) => changes.anything_happened(),
        }
    }
}

/// Tries until it hears something.
async fn connect(options: &PgConnectOptions, pool: &PgPool) -> PgListener {
    let mut first = true;
    loop {
        match listen(options, pool).await {
            Ok(listener) => return listener,
            // A database that is gone is in the log already, many times.
            Err(error) if first => tracing::warn!(%error, "can't listen for the changes of other nodes yet"),
            Err(_) => {}
        }
        first = false;
        sleep(RETRY).await;
    }
}

/// Listens on a connection of its own, and proves it: a pooler between here and the server may say yes and hear nothing.
async fn listen(options: &PgConnectOptions, pool: &PgPool) -> Result<PgListener> {
    let own = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None).acquire_timeout(ECHO_TIMEOUT);
    let mut listener = PgListener::connect_with(&own.connect_with(options.clone()).await?).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    sqlx::query(NOTIFY).bind(CHANNEL).bind("").execute(pool).await?;
    timeout(ECHO_TIMEOUT, receive(&mut listener)).await.map_err(|_| gone("nothing is heard"))??;
    Ok(listener)
}

/// Hears what changes until the connection is lost.
async fn hear(listener: &mut PgListener, changes: &Changes) -> Result<std::convert::Infallible> {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            heard = receive(listener) => note(heard?.payload(), changes),
            _ = beat.tick() => {
                timeout(BEAT_TIMEOUT, listener.execute("SELECT 1")).await.map_err(|_| gone("no answer"))??;
            }
        }
    }
}

/// The next notification. Nothing is lost when this is dropped before its end.
async fn receive(listener: &mut PgListener) -> Result<PgNotification> {
    listener.try_recv().await?.ok_or_else(|| gone("the connection was closed"))
}

fn note(payload: &str, changes: &Changes) {
    let ids: std::result::Result<Vec<Uuid>, _> = payload.split_whitespace().map(Uuid::try_parse).collect();
    match ids {
        Ok(ids) => changes.happened(&ids),
        Err(_) => changes.anything_happened(),
    }
}

fn gone(why: &'static str) -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::ConnectionAborted, why))
}
