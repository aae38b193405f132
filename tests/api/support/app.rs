//! A running server with a database of its own.

use super::{client::Front, postgres};
use plenary::{
    app::{App as Server, Surroundings},
    clock::Clock,
    config::Config,
    db::Db,
    registrations::engine::{Real, Steps},
    state::State,
};
use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
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
    front: Front,
    /// Where it tells its metrics, if it was told to.
    pub metrics: Option<SocketAddr>,
    state: State,
    config: Config,
    steps: Arc<dyn Steps>,
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
    config: Config,
    clocks: (Clock, Clock),
    steps: Arc<dyn Steps>,
    database: Arc<Database>,
}

impl Stopped {
    /// What `DATABASE_URL` would be.
    pub fn url(&self) -> &str {
        &self.config.database_url.0
    }

    /// Starts a server on it again, with the same settings, clocks and steps.
    pub async fn start(self) -> App {
        App::run(self.config, self.clocks, self.steps, self.database).await
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

fn sqlite() -> (String, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    (format!("sqlite:{}", folder.path().join("plenary.db").display()), folder)
}

impl App {
    /// A server on an empty SQLite file.
    pub async fn on_sqlite() -> Self {
        Self::on_sqlite_with(|_| ()).await
    }

    /// The same with other settings.
    pub async fn on_sqlite_with(set: impl FnOnce(&mut Config)) -> Self {
        let (url, folder) = sqlite();
        Self::start(url, Database::Sqlite(folder), Arc::new(Real), set).await
    }

    /// A server on an empty Postgres database; `None`, loudly, where there is no Postgres and none is required.
    pub async fn on_postgres() -> Option<Self> {
        Self::on_postgres_with(|_| ()).await
    }

    /// The same with other settings.
    pub async fn on_postgres_with(set: impl FnOnce(&mut Config)) -> Option<Self> {
        let database = postgres::migrated_database().await?;
        Some(Self::start(database.url.clone(), Database::Postgres(database), Arc::new(Real), set).await)
    }

    /// The same with other steps of a booking: faulty ones, to show that they would be noticed.
    pub async fn on_sqlite_stepping(steps: Arc<dyn Steps>) -> Self {
        let (url, folder) = sqlite();
        Self::start(url, Database::Sqlite(folder), steps, |_| ()).await
    }

    /// The same on Postgres.
    pub async fn on_postgres_stepping(steps: Arc<dyn Steps>) -> Option<Self> {
        let database = postgres::migrated_database().await?;
        Some(Self::start(database.url.clone(), Database::Postgres(database), steps, |_| ()).await)
    }

    /// Several servers that start at once on a Postgres database with nothing in it.
    pub async fn nodes_on_empty_postgres(nodes: usize) -> Option<Vec<Self>> {
        let database = postgres::empty_database().await?;
        let config = small(&database.url);
        let database = Arc::new(Database::Postgres(database));
        let beginning = super::at(BEGINNING);
        let start =
            || Self::run(config.clone(), (Clock::manual(beginning), Clock::manual(beginning)), Arc::new(Real), Arc::clone(&database));
        Some(futures_util::future::join_all((0..nodes).map(|_| start())).await)
    }

    async fn start(url: String, database: Database, steps: Arc<dyn Steps>, set: impl FnOnce(&mut Config)) -> Self {
        let mut config = small(&url);
        set(&mut config);
        let beginning = super::at(BEGINNING);
        let clocks = (Clock::manual(beginning), Clock::manual(beginning));
        Self::run(config, clocks, steps, Arc::new(database)).await
    }

    /// One more server on the same database (Postgres only), with the same clocks and steps.
    pub async fn another_node(&self) -> Self {
        let clocks = (self.clock.clone(), self.token_clock.clone());
        Self::run(self.config.clone(), clocks, Arc::clone(&self.steps), Arc::clone(&self.database)).await
    }

    async fn run(config: Config, clocks: (Clock, Clock), steps: Arc<dyn Steps>, database: Arc<Database>) -> Self {
        let (clock, token_clock) = clocks;
        let stepping = Arc::clone(&steps);
        let surroundings =
            Surroundings { clock: clock.clone(), token_clock: token_clock.clone(), steps: stepping, ..Surroundings::default() };
        let (running, state, (port, metrics)) = Running::start(surroundings, config.clone()).await;
        Self { clock, token_clock, front: Front::at(format_args!("127.0.0.1:{port}")), metrics, state, config, steps, running, database }
    }

    /// Ends the server and keeps its database.
    pub async fn stop(self) -> Stopped {
        let Self { clock, token_clock, state, config, steps, running, database, .. } = self;
        drop((running, state));
        Stopped { config, clocks: (clock, token_clock), steps, database }
    }

    /// Ends the server and starts another one on its database, with the same settings, clocks and steps.
    pub async fn restart(self) -> Self {
        self.stop().await.start().await
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

    /// How many rows a table has: what a refused request must leave as it was.
    pub async fn count(&self, table: &str) -> i64 {
        let statement = format!("SELECT COUNT(*) FROM {table}");
        self.db().query(&*statement.leak()).scalar().await.expect("a table to count")
    }
}

impl std::ops::Deref for App {
    type Target = Front;
    fn deref(&self) -> &Front {
        &self.front
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
