//! `plenary demo`: a server to try, with a conference, people and passwords that everybody knows.

mod guide;
mod load;

pub use guide::guide;
pub use load::{Loaded, load};

use crate::{
    app::{App, StartError, Surroundings},
    clock::{Clock, Timestamp},
    config::Config,
    error::Problem,
};
use std::net::{SocketAddr, TcpListener};

/// The password of all accounts of the demo.
pub const PASSWORD: &str = "try-plenary-2026";

/// 2 March 2026, 9 o'clock in Oslo: what the demo's clock shows when it starts, in microseconds since 1970.
const BEGINNING_MICROS: i64 = 1_772_438_400_000_000;

/// The settings of the demo. None of them is read from the environment, so that the demo never finds a real database.
#[derive(clap::Args, Clone, Debug)]
pub struct Args {
    /// The demo's database: `sqlite:PATH` or `postgres://user:password@host/name`. Made if it isn't there; what is in
    /// it stays. Never a real one: the demo's accounts are made in it.
    #[arg(long, value_name = "URL", default_value = "sqlite:plenary-demo.db", hide_env_values = true)]
    pub database_url: String,

    /// Address and port to listen on; loopback only.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,
}

/// Why the demo can't run; each is a sentence for whoever tries it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum DemoError {
    #[error("everybody knows the demo's passwords, so it listens on this machine only: {0} is not a loopback address, 127.0.0.1:8080 is")]
    NotLoopback(SocketAddr),
    #[error("can't listen on {0}: {1}. Another port is chosen as in `--bind 127.0.0.1:8081`")]
    Listen(SocketAddr, #[source] std::io::Error),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("the demo's conference can't be loaded: {0}")]
    Load(Problem),
    #[error("this is not a demo's database, and nothing was written to it: {0}")]
    NotADemo(&'static str),
    #[error("the server failed: {0}")]
    Serve(#[source] std::io::Error),
}

impl From<Problem> for DemoError {
    fn from(problem: Problem) -> Self {
        Self::Load(problem)
    }
}

impl DemoError {
    /// Whether other settings would help, rather than another try.
    pub fn is_in_settings(&self) -> bool {
        match self {
            Self::NotLoopback(_) | Self::NotADemo(_) => true,
            Self::Start(error) => error.is_in_settings(),
            _ => false,
        }
    }
}

/// What the demo's clock shows when it starts: nine days before its conference.
pub fn beginning() -> Timestamp {
    Timestamp::from_micros(BEGINNING_MICROS).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Loads the demo, prints how to use it and serves until `shutdown` ends.
///
/// The conference was in March 2026 and a session that has begun takes no bookings, so registration goes by a clock that
/// starts nine days before it. Tokens go by the real one.
pub async fn run(args: Args, shutdown: impl Future<Output = ()>) -> Result<(), DemoError> {
    if !args.bind.ip().is_loopback() {
        return Err(DemoError::NotLoopback(args.bind));
    }
    let mut config = Config::for_database(&args.database_url);
    config.bind = args.bind;
    config.check().map_err(StartError::from)?;
    let unusable = |error| DemoError::Listen(args.bind, error);
    let listener = TcpListener::bind(args.bind).map_err(unusable)?;
    config.public_url = format!("http://{}", listener.local_addr().map_err(unusable)?);
    let address = config.public_url.clone();
    let surroundings = Surroundings { clock: Clock::starting_at(beginning()), ..Surroundings::default() };
    let app = App::build_in(surroundings, config, listener).await?;
    let loaded = load(app.state()).await?;
    println!("{}", guide(&address, &args.database_url, &loaded));
    app.run_until(shutdown).await.map_err(DemoError::Serve)
}
