//! The database of a run: made for it and gone after it.

#[path = "../../tests/api/support/cluster.rs"]
mod cluster;

use cluster::{Cluster, find_binaries};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

/// A database with nothing in it. It ends when this is dropped.
pub struct Database {
    /// What `DATABASE_URL` is for the server.
    pub url: String,
    kind: Kind,
}

enum Kind {
    Sqlite(tempfile::TempDir),
    Postgres { admin: String, name: String, _cluster: Option<Cluster> },
}

impl Database {
    /// A SQLite file below cargo's target directory, which lies on a disk where `/tmp` may not; a database of its own
    /// in the Postgres server that `DATABASE_URL` names; or one in a throw-away cluster.
    pub fn make(throw_away_postgres: bool) -> Self {
        let given = std::env::var("DATABASE_URL").unwrap_or_default();
        if throw_away_postgres {
            let binaries = find_binaries().expect("an installed Postgres");
            let cluster = Cluster::start(&binaries).unwrap_or_else(|why| panic!("{why}"));
            make_log_files(&cluster.url());
            return Self::on_postgres(cluster.url(), Some(cluster));
        }
        if given.starts_with("postgres") {
            return Self::on_postgres(given, None);
        }
        assert!(given.is_empty() || given.starts_with("sqlite:"), "DATABASE_URL is neither SQLite nor Postgres");
        let below = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(below).expect("a temporary directory");
        Self { url: format!("sqlite:{}", folder.path().join("plenary.db").display()), kind: Kind::Sqlite(folder) }
    }

    fn on_postgres(admin: String, cluster: Option<Cluster>) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("plenary_bench_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        run(async {
            let mut connection = connect(&admin).await;
            for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
                let statement = AssertSqlSafe(format!("SELECT current_setting('{setting}')"));
                let value: String = sqlx::query_scalar(statement).fetch_one(&mut connection).await.expect("a setting");
                assert_eq!(value, "on", "{setting} is {value}: that measures another program");
            }
            sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await.expect("a new database");
        });
        Self { url: with_database(&admin, &name), kind: Kind::Postgres { admin, name, _cluster: cluster } }
    }

    /// What it is, for the headline.
    pub fn describe(&self) -> &'static str {
        match self.kind {
            Kind::Sqlite(_) => "SQLite, synchronous=FULL",
            Kind::Postgres { .. } => "Postgres, fsync on",
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Kind::Postgres { admin, name, .. } = &self.kind {
            run(async {
                let mut connection = connect(admin).await;
                let statement = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
                sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut connection).await.expect("the database goes");
            });
        }
    }
}

/// Makes the files of a cluster's write-ahead log that one in use has: they are used again and again, and making one holds
/// up whoever commits for as long as writing 16 MiB takes.
fn make_log_files(url: &str) {
    const FILES: usize = 60;
    run(async {
        let mut connection = connect(url).await;
        let mut statements = vec!["ALTER SYSTEM SET min_wal_size = '1GB'", "SELECT pg_reload_conf()"];
        statements.extend(std::iter::repeat_n(["SELECT pg_current_xact_id()", "SELECT pg_switch_wal()"], FILES).flatten());
        statements.push("CHECKPOINT");
        for statement in statements {
            sqlx::raw_sql(statement).execute(&mut connection).await.expect(statement);
        }
    });
}

/// Waits for a cluster that is just starting.
async fn connect(url: &str) -> PgConnection {
    let mut tries = 0;
    loop {
        match PgConnection::connect(url).await {
            Ok(connection) => return connection,
            Err(error) if tries > 100 => panic!("Postgres can't be reached: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        tries += 1;
    }
}

fn with_database(url: &str, name: &str) -> String {
    let (front, parameters) = url.split_once('?').map_or((url, String::new()), |(front, rest)| (front, format!("?{rest}")));
    let host = front.find("://").map_or(0, |at| at + 3);
    let front = front[host..].find('/').map_or(front, |at| &front[..host + at]);
    format!("{front}/{name}{parameters}")
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
