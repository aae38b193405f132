//! Postgres for the tests: the server that `TEST_DATABASE_URL` names, or a throw-away cluster of this process, made
//! with the binaries that are installed. Each test gets a copy of one migrated database.

use super::cluster::Cluster;
use plenary::{app::open_database, config::Config};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{io::Write, time::Duration};
use tokio::sync::{OnceCell, mpsc, oneshot};

/// A database of one test; dropped with this.
pub struct Database {
    /// What `DATABASE_URL` would be.
    pub url: String,
    name: String,
    keeper: Keeper,
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = self.keeper.0.send(Order::Drop(std::mem::take(&mut self.name)));
    }
}

/// A database with the schema in it; `None`, after saying so, where there is no Postgres.
pub async fn migrated_database() -> Option<Database> {
    database(true).await
}

/// A database with nothing in it.
pub async fn empty_database() -> Option<Database> {
    database(false).await
}

async fn database(migrated: bool) -> Option<Database> {
    static KEEPER: OnceCell<Result<Keeper, String>> = OnceCell::const_new();
    let keeper = match KEEPER.get_or_init(Keeper::start).await {
        Ok(keeper) => keeper.clone(),
        Err(why) if std::env::var("PLENARY_REQUIRE_POSTGRES").is_ok_and(|value| value == "1") => {
            panic!("Postgres is required by PLENARY_REQUIRE_POSTGRES=1: {why}")
        }
        Err(why) => {
            let thread = std::thread::current();
            // Past the harness, which hides what passing tests print.
            let _ = writeln!(std::io::stderr(), "SKIPPED ON POSTGRES, NOT TESTED: {}: {why}", thread.name().unwrap_or("a test"));
            return None;
        }
    };
    let (reply, made) = oneshot::channel();
    assert!(keeper.0.send(Order::Create { migrated, reply }).is_ok(), "the keeper lives");
    let (name, url) = made.await.expect("the keeper answers");
    Some(Database { url, name, keeper })
}

enum Order {
    Create { migrated: bool, reply: oneshot::Sender<(String, String)> },
    Drop(String),
}

/// The thread that keeps the server and makes databases on it. It belongs to no test's runtime.
#[derive(Clone)]
struct Keeper(mpsc::UnboundedSender<Order>);

impl Keeper {
    async fn start() -> Result<Self, String> {
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new().name("postgres keeper".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(keep(received, ready));
        });
        thread.expect("a thread");
        started.await.unwrap_or_else(|_| Err("its keeper panicked".to_owned())).map(|()| Self(orders))
    }
}

async fn keep(mut orders: mpsc::UnboundedReceiver<Order>, ready: oneshot::Sender<Result<(), String>>) {
    let mut server = match Server::find().await {
        Ok(server) => server,
        Err(why) => return drop(ready.send(Err(why))),
    };
    let _ = ready.send(Ok(()));
    let mut made = 0;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Create { migrated, reply } => {
                made += 1;
                let name = format!("{}_{made}", server.prefix);
                let template = if migrated { server.template() } else { "template0".to_owned() };
                server.run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
                let _ = reply.send((name.clone(), with_database(&server.url, &name)));
            }
            Order::Drop(name) => server.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await,
        }
    }
}

struct Server {
    url: String,
    admin: PgConnection,
    /// What the names of this process's databases begin with, and the name of its admin connection.
    prefix: String,
    /// Kept, because it ends when this is dropped.
    _cluster: Option<Cluster>,
}

impl Server {
    async fn find() -> Result<Self, String> {
        let (cluster, url) = match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => (None, url),
            Err(_) => {
                let cluster = Cluster::start()?;
                let url = cluster.url();
                (Some(cluster), url)
            }
        };
        let prefix =
            format!("plenary_test_{:012x}", plenary::random::Random::system().id(super::at("2026-01-01T00:00:00Z")).as_u128() as u64 >> 16);
        let mut admin = connect(&url, cluster.as_ref()).await?;
        sqlx::query(AssertSqlSafe(format!("SET application_name = '{prefix}'")))
            .execute(&mut admin)
            .await
            .map_err(|error| error.to_string())?;
        let mut server = Self { url, admin, prefix, _cluster: cluster };
        server.drop_leftovers().await;
        let template = server.template();
        server.run(&format!("CREATE DATABASE {template} TEMPLATE template0")).await;
        let config = Config::for_database(&with_database(&server.url, &template));
        open_database(&config).await.map_err(|error| error.to_string())?.close().await;
        Ok(server)
    }

    fn template(&self) -> String {
        format!("{}_template", self.prefix)
    }

    /// Databases of earlier processes that ended before they could drop them: those whose process has no admin
    /// connection any more.
    async fn drop_leftovers(&mut self) {
        const LEFT: &str = "SELECT datname::text FROM pg_database WHERE datname ~ '^plenary_test_[0-9a-f]{12}_' AND NOT EXISTS (
            SELECT 1 FROM pg_stat_activity WHERE application_name = substring(datname FROM '^plenary_test_[0-9a-f]{12}'))";
        let left: Vec<String> = sqlx::query_scalar(LEFT).fetch_all(&mut self.admin).await.expect("the list of databases");
        for name in left {
            self.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }

    async fn run(&mut self, statement: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&mut self.admin).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
}

async fn connect(url: &str, cluster: Option<&Cluster>) -> Result<PgConnection, String> {
    let Some(cluster) = cluster else {
        return PgConnection::connect(url).await.map_err(|error| format!("TEST_DATABASE_URL can't be used: {error}"));
    };
    let mut last = String::new();
    for _ in 0..300 {
        match PgConnection::connect(url).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(format!("the throw-away cluster does not answer: {last}\n{}", cluster.log()))
}

/// The same server's URL for another database.
fn with_database(url: &str, name: &str) -> String {
    let (front, parameters) = url.split_once('?').map_or((url, String::new()), |(front, rest)| (front, format!("?{rest}")));
    let authority_at = front.find("://").map_or(0, |at| at + 3);
    let end = front[authority_at..].find('/').map_or(front.len(), |at| authority_at + at);
    format!("{}/{name}{parameters}", &front[..end])
}
