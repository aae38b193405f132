//! Opening the database that `DATABASE_URL` names.

use super::{
    ACQUIRE_TIMEOUT, Background, Changes, Db, Owner, Pools,
    checkpoints::{Checkpoints, LOG_PAGES},
    follow::follow,
};
use sqlx::{
    ConnectOptions, Connection, Executor, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{fs::File, path::Path, str::FromStr, sync::Arc, time::Duration};
use tokio::runtime::Handle;
use tracing::log::LevelFilter;

/// SQLite before this loses data when a checkpoint and a commit meet (the WAL-reset bug, fixed in 3.51.3).
const SQLITE_AT_LEAST: (u32, u32, u32) = (3, 51, 3);
/// Postgres before this lacks features the statements use or is no longer maintained.
const POSTGRES_AT_LEAST: i64 = 15;

/// Connections to Postgres for bookings: one for their batches, one for what is read beside them.
const BOOKING_CONNECTIONS: u32 = 2;

/// What each connection to Postgres is set to. A transaction left open by a lost client would hold its session rows for
/// ever. And a page that is not in order costs hardly more than one that is: with the usual 4 a small table is read whole
/// for each row that refers to it, and a plan that was made while it was small is kept when it has grown.
const SESSION: &str = "SET idle_in_transaction_session_timeout = '60s'; SET timezone = 'UTC'; SET random_page_cost = 1.1";

/// A server that is starting is waited for, ten seconds in all.
const TRIES: u32 = 40;
const BETWEEN_TRIES: Duration = Duration::from_millis(250);

/// How to connect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// Connections for reading on SQLite (one more writes), for all work but bookings on Postgres (two more are for those,
    /// and one follows other nodes).
    pub max_connections: u32,
}

/// Why the database can't be used; each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConnectError {
    #[error("DATABASE_URL must begin with `sqlite:` or `postgres:`")]
    UnknownScheme,
    #[error("DATABASE_URL names no file: SQLite in memory loses everything, give a path as in `sqlite:plenary.db`")]
    InMemory,
    #[error("DATABASE_URL can't be read: {0}")]
    Url(#[source] sqlx::Error),
    #[error("there is no SQLite file {0}")]
    Missing(String),
    #[error("another process already uses the SQLite file {0}: one process owns it (use Postgres for several nodes)")]
    InUse(String),
    #[error("the SQLite file {0} can't be locked: {1}")]
    Lock(String, #[source] std::io::Error),
    #[error("{0} is too old: at least {1} is needed")]
    TooOld(String, String),
    #[error("the database can't be opened: {0}")]
    Open(#[from] sqlx::Error),
}

/// How a process comes to a database. Only on SQLite, where one process owns the file, does it make a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It owns the file, and makes it if it isn't there.
    Create,
    /// It owns the file, which is there.
    Own,
    /// It may work beside the owner: for what only reads, or touches only what a running server looks up again. SQLite
    /// keeps several processes apart; what can't bear them is a server that believes what it remembers.
    Beside,
}

impl Settings {
    /// Refuses what can't work without touching the database.
    pub fn check(&self) -> Result<(), ConnectError> {
        match self.url.split(':').next() {
            Some("sqlite") => {
                let options = SqliteConnectOptions::from_str(&self.url).map_err(ConnectError::Url)?;
                let in_memory = self.url.contains(":memory:") || self.url.contains("mode=memory");
                if in_memory || options.get_filename().as_os_str().is_empty() { Err(ConnectError::InMemory) } else { Ok(()) }
            }
            Some("postgres" | "postgresql") => PgConnectOptions::from_str(&self.url).map(drop).map_err(ConnectError::Url),
            _ => Err(ConnectError::UnknownScheme),
        }
    }
}

impl Db {
    /// Opens the pools and checks the database's version. Must be called inside the runtime that outlives all workers.
    pub async fn connect(settings: &Settings) -> Result<Self, ConnectError> {
        Self::connect_as(settings, Access::Create).await
    }

    /// The same for a process that is not a server.
    pub async fn connect_as(settings: &Settings, access: Access) -> Result<Self, ConnectError> {
        settings.check()?;
        let (runtime, changes) = (Handle::current(), Changes::default());
        if settings.url.starts_with("sqlite:") {
            let pools = sqlite(settings, access, &runtime).await?;
            return Ok(Self { pools, runtime, changes, follower: None });
        }
        let (all, bookings, options) = postgres(settings).await?;
        // Only a server remembers what others change.
        let follower = (access == Access::Create).then(|| {
            let following = runtime.spawn(follow(options, all.clone(), changes.clone()));
            Arc::new(Background(following.abort_handle()))
        });
        Ok(Self { pools: Pools::Postgres { all, bookings }, runtime, changes, follower })
    }
}

async fn sqlite(settings: &Settings, access: Access, runtime: &Handle) -> Result<Pools, ConnectError> {
    let options = SqliteConnectOptions::from_str(&settings.url)
        .map_err(ConnectError::Url)?
        .create_if_missing(access == Access::Create)
        .journal_mode(SqliteJournalMode::Wal)
        // Only FULL keeps an acknowledged commit through a loss of power.
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(ACQUIRE_TIMEOUT)
        .statement_cache_capacity(512)
        .log_statements(LevelFilter::Trace);
    let file = options.get_filename();
    if access != Access::Create && !file.exists() {
        return Err(ConnectError::Missing(file.display().to_string()));
    }
    let file = if access == Access::Beside { None } else { Some(own(file)?) };
    let pool = |connections: u32| {
        SqlitePoolOptions::new()
            // What lies in this process does not go away.
            .test_before_acquire(false)
            .max_connections(connections)
            .idle_timeout(None)
            .max_lifetime(None)
            .acquire_timeout(ACQUIRE_TIMEOUT)
    };
    let write = pool(1).min_connections(1).connect_with(options.clone().pragma("wal_autocheckpoint", LOG_PAGES.to_string())).await?;
    let (version,): (String,) = sqlx::query_as("SELECT sqlite_version()").fetch_one(&write).await?;
    if parse_version(&version) < SQLITE_AT_LEAST {
        let (major, minor, patch) = SQLITE_AT_LEAST;
        return Err(ConnectError::TooOld(format!("SQLite {version}"), format!("{major}.{minor}.{patch}")));
    }
    let existing = options.create_if_missing(false);
    let read = pool(settings.max_connections).min_connections(1).connect_with(existing.clone().read_only(true)).await?;
    let owner = file.map(|file| {
        let checkpoints = Checkpoints::start(pool(1).connect_lazy_with(existing), runtime);
        Arc::new(Owner { file, checkpoints })
    });
    Ok(Pools::Sqlite { read, write, owner })
}

/// Takes the lock beside the database file that says which process owns it; the system frees it when the process ends.
pub(super) fn own(database: &Path) -> Result<File, ConnectError> {
    let shown = database.display().to_string();
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|error| ConnectError::Lock(shown.clone(), error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(ConnectError::InUse(shown)),
        Err(std::fs::TryLockError::Error(error)) => Err(ConnectError::Lock(shown, error)),
    }
}

fn parse_version(text: &str) -> (u32, u32, u32) {
    let mut numbers = text.split('.').map(|n| n.parse().unwrap_or(0));
    let mut next = || numbers.next().unwrap_or(0);
    (next(), next(), next())
}

/// Waits for a server that is just starting, and tells why it can't be reached: the pool would only tell that it
/// took too long.
async fn reach(options: &PgConnectOptions) -> Result<(), ConnectError> {
    const CANNOT_CONNECT_NOW: &str = "57P03";
    let mut tries = 0;
    loop {
        let tried = tokio::time::timeout(ACQUIRE_TIMEOUT, PgConnection::connect_with(options)).await;
        let error = match tried.unwrap_or(Err(sqlx::Error::PoolTimedOut)) {
            Ok(connection) => return Ok(connection.close().await?),
            Err(error) => error,
        };
        let refused = matches!(&error, sqlx::Error::Io(io) if io.kind() == std::io::ErrorKind::ConnectionRefused);
        let starting = error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == CANNOT_CONNECT_NOW);
        tries += 1;
        if !(refused || starting) || tries > TRIES {
            return Err(ConnectError::Open(error));
        }
        tokio::time::sleep(BETWEEN_TRIES).await;
    }
}

async fn postgres(settings: &Settings) -> Result<(PgPool, PgPool, PgConnectOptions), ConnectError> {
    let options = PgConnectOptions::from_str(&settings.url)
        .map_err(ConnectError::Url)?
        .application_name("plenary")
        .statement_cache_capacity(512)
        .log_statements(LevelFilter::Trace);
    reach(&options).await?;
    let pool = |connections: u32| {
        PgPoolOptions::new()
            .max_connections(connections)
            .idle_timeout(Duration::from_secs(600))
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .after_connect(|connection, _| Box::pin(async move { connection.execute(SESSION).await.map(drop) }))
    };
    let all = pool(settings.max_connections).connect_with(options.clone()).await?;
    let bookings = pool(BOOKING_CONNECTIONS).connect_with(options.clone()).await?;
    let (number, name): (i32, String) =
        sqlx::query_as("SELECT current_setting('server_version_num')::int, current_setting('server_version')").fetch_one(&all).await?;
    if i64::from(number) / 10_000 < POSTGRES_AT_LEAST {
        return Err(ConnectError::TooOld(format!("Postgres {name}"), POSTGRES_AT_LEAST.to_string()));
    }
    Ok((all, bookings, options))
}
