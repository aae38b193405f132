//! A running server with a database of its own.

use super::{client::Call, postgres};
use plenary::{
    app::{App as Server, Surroundings},
    clock::Clock,
    config::Config,
    db::Db,
    state::State,
};
use reqwest::Method;
use std::{
    net::{SocketAddr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
};
use tokio::sync::oneshot;

/// When every test begins: nine days before the conference of the fixtures.
pub const BEGINNING: &str = "2026-03-02T08:00:00Z";

/// The running server. It and its database end when this is dropped.
pub struct App {
    /// The time that registration goes by. Moving it leaves tokens valid.
    pub clock: Clock,
    /// The time that tokens go by.
    pub token_clock: Clock,
    /// Where it listens, as in `http://127.0.0.1:4711`.
    pub address: String,
    /// Where it tells its metrics, if it was told to.
    pub metrics: Option<SocketAddr>,
    state: State,
    http: reqwest::Client,
    counter: AtomicU32,
    config: Config,
    running: Running,
    database: Arc<Database>,
}

/// The database lives as long as the last server on it.
enum Database {
    Sqlite(tempfile::TempDir),
    Postgres(postgres::Database),
}

/// The database of a server that has ended.
pub struct Stopped {
    url: String,
    _database: Arc<Database>,
}

impl Stopped {
    /// What `DATABASE_URL` would be.
    pub fn url(&self) -> &str {
        &self.url
    }
}

fn small(url: &str) -> Config {
    let mut config = Config::for_database(url);
    config.database_connections = 4;
    config.worker_threads = 1;
    // The clock stands still, so nothing trickles back: as good as no limits, but answers tell of them.
    config.set_limits(1_000_000);
    config
}

impl App {
    /// A server on an empty SQLite file.
    pub async fn on_sqlite() -> Self {
        Self::on_sqlite_with(|_| ()).await
    }

    /// The same with other settings.
    pub async fn on_sqlite_with(set: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary directory");
        let url = format!("sqlite:{}", folder.path().join("plenary.db").display());
        Self::start(url, Database::Sqlite(folder), set).await
    }

    /// A server on an empty Postgres database; `None`, loudly, where there is no Postgres and none is required.
    pub async fn on_postgres() -> Option<Self> {
        Self::on_postgres_with(|_| ()).await
    }

    /// The same with other settings.
    pub async fn on_postgres_with(set: impl FnOnce(&mut Config)) -> Option<Self> {
        let database = postgres::migrated_database().await?;
        Some(Self::start(database.url.clone(), Database::Postgres(database), set).await)
    }

    /// Several servers that start at once on a Postgres database with nothing in it.
    pub async fn nodes_on_empty_postgres(nodes: usize) -> Option<Vec<Self>> {
        let database = postgres::empty_database().await?;
        let config = small(&database.url);
        let database = Arc::new(Database::Postgres(database));
        let beginning = super::at(BEGINNING);
        let start = || Self::run(config.clone(), (Clock::manual(beginning), Clock::manual(beginning)), Arc::clone(&database));
        Some(futures_util::future::join_all((0..nodes).map(|_| start())).await)
    }

    async fn start(url: String, database: Database, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = small(&url);
        set(&mut config);
        let beginning = super::at(BEGINNING);
        let clocks = (Clock::manual(beginning), Clock::manual(beginning));
        Self::run(config, clocks, Arc::new(database)).await
    }

    /// One more server on the same database (Postgres only), with the same clocks.
    pub async fn another_node(&self) -> Self {
        let clocks = (self.clock.clone(), self.token_clock.clone());
        Self::run(self.config.clone(), clocks, Arc::clone(&self.database)).await
    }

    async fn run(config: Config, clocks: (Clock, Clock), database: Arc<Database>) -> Self {
        let (clock, token_clock) = clocks;
        let surroundings = Surroundings { clock: clock.clone(), token_clock: token_clock.clone(), ..Surroundings::default() };
        let (running, state, (port, metrics)) = Running::start(surroundings, config.clone()).await;
        Self {
            clock,
            token_clock,
            address: format!("http://127.0.0.1:{port}"),
            metrics,
            state,
            http: reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().expect("an HTTP client"),
            counter: AtomicU32::new(0),
            config,
            running,
            database,
        }
    }

    /// Ends the server and keeps its database.
    pub async fn stop(self) -> Stopped {
        Stopped { url: self.database_url().to_owned(), _database: self.database }
    }

    /// Ends the server and starts another one on its database, with the same settings and clocks.
    pub async fn restart(self) -> Self {
        let Self { clock, token_clock, state, config, running, database, .. } = self;
        drop((running, state));
        Self::run(config, (clock, token_clock), database).await
    }

    /// The database, to look at what HTTP doesn't show or to arrange what it can't.
    pub fn db(&self) -> &Db {
        &self.state.db
    }

    /// The running server's parts.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What `DATABASE_URL` would be.
    pub fn database_url(&self) -> &str {
        &self.config.database_url.0
    }

    /// Moves both clocks.
    pub fn advance_secs(&self, secs: i64) {
        for clock in [&self.clock, &self.token_clock] {
            clock.set(clock.now().plus_secs(secs));
        }
    }

    /// A number that this server's tests haven't used yet.
    pub fn number(&self) -> u32 {
        self.counter.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How many rows a table has: what a refused request must leave as it was.
    pub async fn count(&self, table: &str) -> i64 {
        let statement = format!("SELECT COUNT(*) FROM {table}");
        self.db().query(&*statement.leak()).scalar().await.expect("a table to count")
    }

    /// A GET request.
    pub fn get(&self, path: impl AsRef<str>) -> Call {
        self.call(Method::GET, path)
    }

    /// A POST request.
    pub fn post(&self, path: impl AsRef<str>) -> Call {
        self.call(Method::POST, path)
    }

    /// A PATCH request.
    pub fn patch(&self, path: impl AsRef<str>) -> Call {
        self.call(Method::PATCH, path)
    }

    /// A PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> Call {
        self.call(Method::PUT, path)
    }

    /// A DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> Call {
        self.call(Method::DELETE, path)
    }

    /// Any request.
    pub fn call(&self, method: Method, path: impl AsRef<str>) -> Call {
        Call::new(&self.http, method, &self.address, path.as_ref())
    }
}

/// The server on a runtime of its own, so that a test that hangs or panics takes nothing of it along.
struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    async fn start(surroundings: Surroundings, config: Config) -> (Self, State, (u16, Option<SocketAddr>)) {
        let (stop, stopped) = oneshot::channel::<()>();
        let (started, start) = oneshot::channel();
        let thread = std::thread::Builder::new().name("server".into()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
                let server = match Server::build_in(surroundings, config, listener).await {
                    Ok(server) => server,
                    Err(error) => return drop(started.send(Err(error))),
                };
                let state = server.state().clone();
                let _ = started.send(Ok((state.clone(), (server.port(), server.metrics_address()))));
                tokio::select! {
                    ended = server.run_until(std::future::pending()) => ended.expect("the server runs"),
                    _ = stopped => {}
                }
                state.db.close().await;
            });
        });
        let running = Self { stop: Some(stop), thread: Some(thread.expect("a thread")) };
        let (state, addresses) =
            start.await.expect("the server's thread lives").unwrap_or_else(|error| panic!("the server can't start: {error}"));
        (running, state, addresses)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server's thread panicked");
        }
    }
}
