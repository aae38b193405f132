//! Postgres for the tests: the server that `TEST_DATABASE_URL` names, or a throw-away cluster of this process, made
//! with the binaries that are installed. Each test gets a copy of one migrated database.

use super::cluster::{self, Cluster};
use plenary::{app::open_database, config::Config};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::{collections::VecDeque, io::Write, time::Duration};
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
    static KEEPER: OnceCell<Result<Keeper, Trouble>> = OnceCell::const_new();
    let keeper = match KEEPER.get_or_init(Keeper::start).await {
        Ok(keeper) => keeper.clone(),
        Err(Trouble::Broken(why)) => panic!("Postgres is there but can't be used: {why}"),
        Err(Trouble::Absent(why)) if std::env::var("PLENARY_REQUIRE_POSTGRES").is_ok_and(|value| value == "1") => {
            panic!("Postgres is required by PLENARY_REQUIRE_POSTGRES=1: {why}")
        }
        Err(Trouble::Absent(why)) => {
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

/// Why there is no Postgres for the tests.
#[derive(Debug)]
pub enum Trouble {
    /// None is installed and none is named.
    Absent(String),
    /// One is, and it doesn't work.
    Broken(String),
}

enum Order {
    Create { migrated: bool, reply: oneshot::Sender<(String, String)> },
    Drop(String),
}

/// The thread that keeps the server and makes databases on it. It belongs to no test's runtime.
#[derive(Clone)]
struct Keeper(mpsc::UnboundedSender<Order>);

impl Keeper {
    async fn start() -> Result<Self, Trouble> {
        let (orders, received) = mpsc::unbounded_channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::Builder::new().name("postgres keeper".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(keep(received, ready));
        });
        thread.expect("a thread");
        started.await.unwrap_or_else(|_| Err(Trouble::Broken("its keeper panicked".to_owned()))).map(|()| Self(orders))
    }
}

const COPIES_AHEAD: usize = 3;

async fn keep(mut orders: mpsc::UnboundedReceiver<Order>, ready: oneshot::Sender<Result<(), Trouble>>) {
    let mut server = match Server::find().await {
        Ok(server) => server,
        Err(why) => return drop(ready.send(Err(why))),
    };
    let _ = ready.send(Ok(()));
    let (mut copies, mut dropped) = (VecDeque::new(), VecDeque::new());
    // A copy takes as long as a test: some are made ahead, and dropping waits until nobody else does.
    loop {
        let order = match orders.try_recv() {
            Ok(order) => order,
            Err(_) if copies.len() < COPIES_AHEAD => {
                copies.push_back(server.create(true).await);
                continue;
            }
            Err(_) => match dropped.pop_front() {
                Some(name) => {
                    server.run(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
                    continue;
                }
                None => match orders.recv().await {
                    Some(order) => order,
                    None => return,
                },
            },
        };
        match order {
            Order::Create { migrated, reply } => {
                let ahead = if migrated { copies.pop_front() } else { None };
                let name = match ahead {
                    Some(name) => name,
                    None => server.create(migrated).await,
                };
                let url = with_database(&server.url, &name);
                let _ = reply.send((name, url));
            }
            Order::Drop(name) => dropped.push_back(name),
        }
    }
}

struct Server {
    url: String,
    admin: PgConnection,
    /// What the names of this process's databases begin with, and the name of its admin connection.
    prefix: String,
    made: u32,
    /// Kept, because it ends when this is dropped.
    _cluster: Option<Cluster>,
}

impl Server {
    async fn find() -> Result<Self, Trouble> {
        let (cluster, url) = match std::env::var("TEST_DATABASE_URL") {
            Ok(url) => (None, url),
            Err(_) => {
                let binaries = cluster::find_binaries().ok_or_else(|| Trouble::Absent(cluster::ABSENT.to_owned()))?;
                let cluster = Cluster::start(&binaries).map_err(Trouble::Broken)?;
                let url = cluster.url();
                (Some(cluster), url)
            }
        };
        let mut bytes = [0; 6];
        plenary::random::Random::system().fill(&mut bytes);
        let prefix = format!("plenary_test_{}", bytes.map(|byte| format!("{byte:02x}")).concat());
        let mut admin = connect(&url, cluster.as_ref()).await?;
        sqlx::query(AssertSqlSafe(format!("SET application_name = '{prefix}'"))).execute(&mut admin).await.map_err(broken)?;
        let mut server = Self { url, admin, prefix, made: 0, _cluster: cluster };
        server.drop_leftovers().await;
        let template = server.template();
        server.run(&format!("CREATE DATABASE {template} TEMPLATE template0")).await;
        let config = Config::for_database(&with_database(&server.url, &template));
        open_database(&config).await.map_err(broken)?.close().await;
        Ok(server)
    }

    async fn create(&mut self, migrated: bool) -> String {
        self.made += 1;
        let name = format!("{}_{}", self.prefix, self.made);
        let template = if migrated { self.template() } else { "template0".to_owned() };
        self.run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        name
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

fn broken(error: impl std::fmt::Display) -> Trouble {
    Trouble::Broken(error.to_string())
}

async fn connect(url: &str, cluster: Option<&Cluster>) -> Result<PgConnection, Trouble> {
    let Some(cluster) = cluster else {
        return PgConnection::connect(url).await.map_err(|error| broken(format!("TEST_DATABASE_URL: {error}")));
    };
    let mut last = String::new();
    for _ in 0..300 {
        match PgConnection::connect(url).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Err(broken(format!("the throw-away cluster does not answer: {last}\n{}", cluster.log())))
}

/// The same server's URL for another database.
fn with_database(url: &str, name: &str) -> String {
    let (front, parameters) = url.split_once('?').map_or((url, String::new()), |(front, rest)| (front, format!("?{rest}")));
    let authority_at = front.find("://").map_or(0, |at| at + 3);
    let end = front[authority_at..].find('/').map_or(front.len(), |at| authority_at + at);
    format!("{}/{name}{parameters}", &front[..end])
}
