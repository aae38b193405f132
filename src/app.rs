//! The server: wires state, routes and workers; the same for production, the demo and every test.

mod frame;
mod routes;

pub use routes::Registrar;

use crate::{
    auth::{Known, Passwords, SetupError, Tokens},
    cache::Cache,
    clock::Clock,
    config::{Config, ConfigError},
    contract::{Contract, ContractError, docs, door::PathOperations},
    db::{Access, ConnectError, Db, MigrateError},
    exports::Slots,
    idempotency::{self, InFlight, Sweeper},
    limits::{self, Limits},
    metrics::{self, Metrics, MetricsServer},
    page::Cursors,
    random::Random,
    registrations::engine,
    state::{Parts, State},
};
use actix_cors::Cors;
use actix_web::{
    App as ActixApp, HttpServer,
    dev::ServerHandle,
    http::header,
    middleware::{Condition, from_fn},
    web,
};
use std::{
    cmp::Ordering,
    collections::BTreeMap,
    net::{SocketAddr, TcpListener},
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

/// Why the server can't start; each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Contract(#[from] ContractError),
    #[error("openapi.yaml and the handlers disagree: {0}")]
    Routes(String),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the database can't be migrated: {0}")]
    Migrate(#[from] MigrateError),
    #[error("the database has schema version {found}, this program knows up to {known}: run a newer Plenary")]
    NewerSchema { found: i64, known: i64 },
    #[error("the database has schema version {found}, this program needs {known}: run `plenary migrate`")]
    OlderSchema { found: i64, known: i64 },
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("the database failed while starting: {0}")]
    Storage(#[from] crate::db::Error),
    #[error("the server can't listen: {0}")]
    Listen(#[from] std::io::Error),
}

impl StartError {
    /// Whether other settings would help, rather than another try.
    pub fn is_in_settings(&self) -> bool {
        matches!(self, Self::Config(_) | Self::Setup(SetupError::KeyFile(_) | SetupError::VerifyingKeyFile(_)))
    }
}

/// A server that listens but does not run yet.
pub struct App {
    server: actix_web::dev::Server,
    state: State,
    engine: engine::Engine,
    sweeper: Sweeper,
    metrics: Option<MetricsServer>,
    port: u16,
}

/// What a test or the demo puts in place of the system's clock and random source.
#[derive(Clone)]
pub struct Surroundings {
    /// The time that registration goes by.
    pub clock: Clock,
    /// The time that tokens and rate limits go by: in the demo the real one, though its conference is long over.
    pub token_clock: Clock,
    /// Ids and secrets.
    pub random: Random,
    /// The steps of a booking.
    pub steps: Arc<dyn engine::Steps>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self { clock: Clock::system(), token_clock: Clock::system(), random: Random::system(), steps: Arc::new(engine::Real) }
    }
}

impl App {
    /// Connects, migrates and binds, with the system's clock and random source.
    pub async fn build(config: Config, listener: TcpListener) -> Result<Self, StartError> {
        Self::build_in(Surroundings::default(), config, listener).await
    }

    /// The same in other surroundings.
    pub async fn build_in(surroundings: Surroundings, config: Config, listener: TcpListener) -> Result<Self, StartError> {
        Self::build_with(surroundings, config, listener, |_| ()).await
    }

    /// The same with routes beside those of the contract, which go through the same outer layers: benchmarks measure
    /// what they compare with in the same process.
    pub async fn build_with(
        surroundings: Surroundings,
        config: Config,
        listener: TcpListener,
        extra: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
    ) -> Result<Self, StartError> {
        config.check()?;
        let contract = Contract::load()?;
        routes::check(&contract).map_err(StartError::Routes)?;
        let db = open_database(&config).await?;
        let (state, engine) = assemble(surroundings, config, contract, db).await?;
        let sweeper = Sweeper::start(state.db.clone(), state.clock.clone());
        let port = listener.local_addr()?.port();
        let metrics = state.config.metrics_bind.map(|address| metrics::serve(&state, address)).transpose()?;
        let server = serve(&state, listener, extra)?;
        Ok(Self { server, state, engine, sweeper, metrics, port })
    }

    /// The port it listens on, for listeners that were bound to port 0.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where its metrics are read, if they are.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.metrics.as_ref().map(|metrics| metrics.address)
    }

    /// The server's parts, for the demo's loader and the command line.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Serves until `shutdown` ends, then drains: `/readyz` says so at once; after the delay of the settings nothing new
    /// is accepted, requests under way get their answers, the engine finishes its queue, and the database is closed last.
    pub async fn run_until(self, shutdown: impl Future<Output = ()>) -> std::io::Result<()> {
        let handle: ServerHandle = self.server.handle();
        let mut server = std::pin::pin!(self.server);
        tokio::select! {
            ended = &mut server => ended?,
            () = shutdown => {
                tracing::info!("draining");
                self.state.drain();
                match tokio::time::timeout(self.state.config.drain_delay(), &mut server).await {
                    Ok(ended) => ended?,
                    Err(_) => {
                        let (_, ended) = tokio::join!(handle.stop(true), server);
                        ended?;
                    }
                }
            }
        }
        self.engine.finish().await;
        self.sweeper.finish().await;
        if let Some(metrics) = self.metrics {
            metrics.stop().await;
        }
        self.state.db.close().await;
        Ok(())
    }
}

/// Opens and migrates the database.
pub async fn open_database(config: &Config) -> Result<Db, StartError> {
    let db = Db::connect(&config.database_settings()).await?;
    let known = crate::db::latest_version();
    if let Some(found) = db.schema_version().await?.filter(|found| *found > known) {
        return Err(StartError::NewerSchema { found, known });
    }
    db.migrate().await?;
    Ok(db)
}

/// Opens a database that servers have used, with the schema of this program: for commands, which leave migrating to
/// servers and to who asks for it.
pub async fn open_existing(config: &Config, access: Access) -> Result<Db, StartError> {
    let db = Db::connect_as(&config.database_settings(), access).await?;
    let (found, known) = (db.schema_version().await?.unwrap_or_default(), crate::db::latest_version());
    match found.cmp(&known) {
        Ordering::Equal => Ok(db),
        Ordering::Less => Err(StartError::OlderSchema { found, known }),
        Ordering::Greater => Err(StartError::NewerSchema { found, known }),
    }
}

/// Puts the server's parts together on an open database. The engine runs from here on.
pub async fn assemble(
    surroundings: Surroundings,
    config: Config,
    contract: Arc<Contract>,
    db: Db,
) -> Result<(State, engine::Engine), StartError> {
    let Surroundings { clock, token_clock, random, steps } = surroundings;
    let limits = Limits::new(&config, &token_clock);
    let tokens = Tokens::load(&db, &config, token_clock, random.clone()).await?;
    tokens.keep_looking_for_keys();
    let cursors = Cursors::new(&crate::auth::installation_secret(&db, "cursors", &random, &clock).await?);
    let passwords = Passwords::start(&config, random.clone());
    let (bookings, watch, engine) = engine::start(db.clone(), clock.clone(), engine::Settings::from(&config), steps);
    let (metrics, draining) = (Metrics::new(&contract), AtomicBool::new(false));
    let exports = Slots::new(&config);
    let in_flight = InFlight::default();
    let (known, cache) = (Known::new(&db), Cache::new(config.programme_cache_bytes()));
    let state = State::new(Parts {
        config,
        db,
        clock,
        random,
        contract,
        known,
        cache,
        tokens,
        passwords,
        cursors,
        bookings,
        watch,
        in_flight,
        limits,
        metrics,
        draining,
        exports,
    });
    Ok((state, engine))
}

fn serve(
    state: &State,
    listener: TcpListener,
    extra: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) -> Result<actix_web::dev::Server, StartError> {
    let config = &state.config;
    let (workers, head_timeout) = (config.workers(), config.head_timeout());
    let app_state = state.clone();
    let paths = Arc::new(group_by_path(&state.contract));
    let server = HttpServer::new(move || {
        let state = app_state.clone();
        let (cors, anybody) = (cors(&state.config), state.config.origins().next().is_some());
        let paths = Arc::clone(&paths);
        ActixApp::new()
            .app_data(web::Data::new(state))
            .configure(extra.clone())
            .configure(move |app| routes::configure(app, &paths))
            .configure(docs::configure)
            .default_service(web::to(frame::nothing_here))
            .wrap(from_fn(frame::frame))
            // Where no page of another origin may call there is nothing to say to it.
            .wrap(Condition::new(anybody, cors))
    })
    .workers(workers)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(head_timeout)
    .shutdown_timeout(config.drain_timeout_secs.into())
    .disable_signals()
    .listen(listener)?;
    Ok(server.run())
}

fn group_by_path(contract: &Contract) -> BTreeMap<String, PathOperations> {
    let mut paths: BTreeMap<String, Vec<_>> = BTreeMap::new();
    for operation in contract.operations() {
        paths.entry(operation.path.clone()).or_default().push(Arc::clone(operation));
    }
    paths.into_iter().map(|(path, operations)| (path, Arc::new(operations))).collect()
}

/// Browsers of the configured origins may call; none by default, and an origin is never just reflected.
fn cors(config: &Config) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "POST", "PUT", "PATCH", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::IF_MATCH, header::IF_NONE_MATCH, header::CONTENT_TYPE, header::ACCEPT])
        .allowed_header(idempotency::HEADER)
        .expose_headers([
            header::ETAG,
            header::LOCATION,
            header::LINK,
            header::RETRY_AFTER,
            header::CONTENT_DISPOSITION,
            header::HeaderName::from_static(frame::REQUEST_ID),
            header::HeaderName::from_static(idempotency::REPLAYED),
            header::HeaderName::from_static(limits::POLICIES),
            header::HeaderName::from_static(limits::STANDING),
        ])
        .max_age(3600);
    config.origins().fold(cors, Cors::allowed_origin)
}

/// How long idle connections are kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
