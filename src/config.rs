//! Everything the operator can choose: by flag or environment, each limit named with its unit.

use crate::limits::Network;
use actix_web::http::Uri;
use clap::{Args, FromArgMatches};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

const DATABASE: &str = "Database";
const HTTP: &str = "HTTP";
const SIGNING_IN: &str = "Signing in";
const BOOKING: &str = "Booking";
const LIMITS: &str = "Limits";
const WATCHING: &str = "Watching";
const EXPORTS: &str = "Exports";

/// Settings that the server doesn't start with; each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum ConfigError {
    #[error(transparent)]
    Database(#[from] crate::db::ConnectError),
    #[error("the public URL {0:?} must be http:// or https:// with a host, without user, query or fragment")]
    PublicUrl(String),
    #[error(
        "the allowed origin {0:?} must be bare: a scheme http or https, a host in lower case and perhaps a port, as in https://app.example.org"
    )]
    Origin(String),
    #[error("the trusted proxy {0}")]
    TrustedProxy(String),
    #[error("the signing key file {0:?} can't be read: {1}")]
    SigningKeyFile(PathBuf, #[source] std::io::Error),
    #[error("the verifying key file {0:?} can't be read: {1}")]
    VerifyingKeyFile(PathBuf, #[source] std::io::Error),
    #[error("refresh tokens ({refresh} s) must live longer than access tokens ({access} s)")]
    Lifetimes { refresh: u32, access: u32 },
}

/// The settings of a server. `plenary serve --help` shows these comments.
#[derive(Args, Clone, Debug)]
pub struct Config {
    /// The database: `sqlite:PATH` or `postgres://user:password@host/name`. Never logged.
    #[arg(long, help_heading = DATABASE, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    pub database_url: DatabaseUrl,

    /// Connections to the database (SQLite: for reading, one more writes; Postgres: for all but bookings, which have two more).
    #[arg(long, value_name = "COUNT", help_heading = DATABASE, env = "PLENARY_DATABASE_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=500))]
    pub database_connections: u32,

    /// Address and port to listen on. TLS belongs to the proxy in front.
    #[arg(long, help_heading = HTTP, env = "PLENARY_BIND", default_value = "127.0.0.1:8080", value_name = "ADDRESS:PORT")]
    pub bind: SocketAddr,

    /// Where clients reach the server; the issuer and audience of its tokens.
    #[arg(long, help_heading = HTTP, env = "PLENARY_PUBLIC_URL", default_value = "http://localhost:8080", value_name = "URL")]
    pub public_url: String,

    /// A PEM file (PKCS #8) with the Ed25519 key that signs access tokens. Without it the server makes one and keeps
    /// it in the database, where all nodes find it.
    #[arg(long, help_heading = SIGNING_IN, env = "PLENARY_SIGNING_KEY_FILE", value_name = "FILE")]
    pub signing_key_file: Option<PathBuf>,

    /// PEM files with further Ed25519 keys, public or private, whose tokens are accepted but that sign nothing: comma
    /// separated. While a key file is being replaced the old key belongs here, on all nodes, for as long as a token lives.
    #[arg(long, help_heading = SIGNING_IN, env = "PLENARY_VERIFYING_KEY_FILES", value_delimiter = ',', value_name = "FILE")]
    pub verifying_key_files: Vec<PathBuf>,

    /// Origins whose pages may call the API, comma separated, as in `https://app.example.org`. None by default.
    #[arg(long, help_heading = HTTP, env = "PLENARY_ALLOWED_ORIGINS", value_delimiter = ',', value_name = "ORIGIN")]
    pub allowed_origins: Vec<String>,

    /// How long an access token is good for, in seconds.
    #[arg(long, value_name = "SECONDS", help_heading = SIGNING_IN, env = "PLENARY_ACCESS_TOKEN_SECS", default_value_t = 600, value_parser = clap::value_parser!(u32).range(60..=86_400))]
    pub access_token_secs: u32,

    /// How long a refresh token is good for, in seconds.
    #[arg(long, value_name = "SECONDS", help_heading = SIGNING_IN, env = "PLENARY_REFRESH_TOKEN_SECS", default_value_t = 2_592_000, value_parser = clap::value_parser!(u32).range(3_600..=31_536_000))]
    pub refresh_token_secs: u32,

    /// Threads that hash passwords when nobody else needs the processor; each needs 19 MiB while it works, and so do as
    /// many more for logins that have waited for two seconds.
    #[arg(long, value_name = "COUNT", help_heading = SIGNING_IN, env = "PLENARY_PASSWORD_THREADS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    pub password_threads: u32,

    /// Logins that may wait for such a thread before more are refused with 503.
    #[arg(long, value_name = "COUNT", help_heading = SIGNING_IN, env = "PLENARY_PASSWORD_QUEUE", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub password_queue: u32,

    /// Bookings that may wait for the engine before more are refused with 503.
    #[arg(long, value_name = "COUNT", help_heading = BOOKING, env = "PLENARY_BOOKING_QUEUE", default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub booking_queue: u32,

    /// Bookings that one transaction takes at the most.
    #[arg(long, value_name = "COUNT", help_heading = BOOKING, env = "PLENARY_BOOKING_BATCH", default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=8_192))]
    pub booking_batch: u32,

    /// Lists that may be given out as files at once, each with a connection to the database; always one fewer than there
    /// are connections. More are refused with 503.
    #[arg(long, value_name = "COUNT", help_heading = EXPORTS, env = "PLENARY_CONCURRENT_EXPORTS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub concurrent_exports: u32,

    /// How long a client may leave the next part of a file untaken before it breaks off, in seconds.
    #[arg(long, value_name = "SECONDS", help_heading = EXPORTS, env = "PLENARY_EXPORT_PATIENCE_SECS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub export_patience_secs: u32,

    /// Threads that serve HTTP; 0 means one per core.
    #[arg(long, value_name = "COUNT", help_heading = HTTP, env = "PLENARY_WORKER_THREADS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=256))]
    pub worker_threads: u32,

    /// What copies of the programme, as they are sent, may take of the memory, in MiB; 0 keeps none.
    #[arg(long, value_name = "MIB", help_heading = HTTP, env = "PLENARY_PROGRAMME_CACHE_MIB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    pub programme_cache_mib: u32,

    /// How long a request's head may take to arrive, in seconds.
    #[arg(long, value_name = "SECONDS", help_heading = HTTP, env = "PLENARY_HEAD_TIMEOUT_SECS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=300))]
    pub head_timeout_secs: u32,

    /// How long a request's body may take to arrive, in seconds.
    #[arg(long, value_name = "SECONDS", help_heading = HTTP, env = "PLENARY_BODY_TIMEOUT_SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub body_timeout_secs: u32,

    /// How long requests under way may take to end after SIGTERM, in seconds.
    #[arg(long, value_name = "SECONDS", help_heading = HTTP, env = "PLENARY_DRAIN_TIMEOUT_SECS", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub drain_timeout_secs: u32,

    /// How long after SIGTERM everything is still accepted and answered, while `/readyz` says 503, in seconds. Give the
    /// proxy in front the time to notice, and no request is lost.
    #[arg(long, value_name = "SECONDS", help_heading = HTTP, env = "PLENARY_DRAIN_DELAY_SECS", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=300))]
    pub drain_delay_secs: u32,

    /// Address and port where Prometheus reads `/metrics`, as in `127.0.0.1:9464`. Nowhere by default, and never on the
    /// API's own port: it is not for the public.
    #[arg(long, help_heading = WATCHING, env = "PLENARY_METRICS_BIND", value_name = "ADDRESS:PORT")]
    pub metrics_bind: Option<SocketAddr>,

    /// Log a line for every request: its id, operation, status and how long it took.
    #[arg(long, help_heading = WATCHING, env = "PLENARY_LOG_REQUESTS", value_parser = clap::builder::FalseyValueParser::new())]
    pub log_requests: bool,

    /// Proxies in front, comma separated, as in `10.0.0.7` or `10.0.0.0/8`: only they are believed what
    /// `X-Forwarded-For` says. Without it all requests through a proxy come from the proxy's address.
    #[arg(long, help_heading = LIMITS, env = "PLENARY_TRUSTED_PROXIES", value_delimiter = ',', value_name = "ADDRESS")]
    pub trusted_proxies: Vec<String>,

    /// Requests of a signed-in user in a minute, bookings apart; 0 is no limit, here and below.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_REQUESTS_PER_USER_MINUTE", default_value_t = 6_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_requests_per_user_minute: u32,

    /// Requests without signing in from one address in a minute: a whole venue may be one address.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_REQUESTS_PER_ADDRESS_MINUTE", default_value_t = 60_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_requests_per_address_minute: u32,

    /// Bookings and cancellations of a user in a minute.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_BOOKINGS_PER_USER_MINUTE", default_value_t = 300, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_bookings_per_user_minute: u32,

    /// Sign-ins from one address in a minute.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_LOGINS_PER_ADDRESS_MINUTE", default_value_t = 600, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_logins_per_address_minute: u32,

    /// Failed sign-ins to an account from one address in an hour; a success starts anew.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_LOGIN_FAILURES_PER_HOUR", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_login_failures_per_hour: u32,

    /// Sign-ins to an account in an hour, from all addresses together but those its owner has signed in from.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_LOGINS_PER_ACCOUNT_HOUR", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_logins_per_account_hour: u32,

    /// New accounts from one address in an hour.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_SIGNUPS_PER_ADDRESS_HOUR", default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_signups_per_address_hour: u32,

    /// Tries to make an account for one email address in an hour.
    #[arg(long, value_name = "COUNT", help_heading = LIMITS, env = "PLENARY_LIMIT_SIGNUPS_PER_ACCOUNT_HOUR", default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub limit_signups_per_account_hour: u32,
}

/// A database URL whose `Debug` hides the password.
#[derive(Clone)]
pub struct DatabaseUrl(pub String);

impl std::str::FromStr for DatabaseUrl {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.0.split(':').next().unwrap_or_default();
        write!(f, "{scheme}:…")
    }
}

impl Config {
    /// The defaults on that database, whatever the environment says: for the demo and for tests.
    ///
    /// # Panics
    ///
    /// Never: all settings but the database have a default.
    pub fn for_database(url: &str) -> Self {
        let command = Self::augment_args(clap::Command::new("plenary")).mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
        let matches = command.get_matches_from(["plenary".to_owned(), format!("--database-url={url}")]);
        Self::from_arg_matches(&matches).expect("every setting but the database has a default")
    }

    /// Refuses what can't work, or what says two things at once, before anything is touched. Ranges are checked
    /// when the settings are read; whether the key file holds a key, when it is loaded.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.database_settings().check()?;
        if !is_public_url(&self.public_url) {
            return Err(ConfigError::PublicUrl(self.public_url.clone()));
        }
        if let Some(origin) = self.origins().find(|origin| !is_origin(origin)) {
            return Err(ConfigError::Origin(origin.to_owned()));
        }
        for proxy in self.trusted_proxy_texts() {
            proxy.parse::<Network>().map_err(ConfigError::TrustedProxy)?;
        }
        if let Some(path) = &self.signing_key_file {
            std::fs::read(path).map_err(|error| ConfigError::SigningKeyFile(path.clone(), error))?;
        }
        for path in &self.verifying_key_files {
            std::fs::read(path).map_err(|error| ConfigError::VerifyingKeyFile(path.clone(), error))?;
        }
        if self.refresh_token_secs <= self.access_token_secs {
            return Err(ConfigError::Lifetimes { refresh: self.refresh_token_secs, access: self.access_token_secs });
        }
        Ok(())
    }

    /// How to connect to the database.
    pub fn database_settings(&self) -> crate::db::Settings {
        crate::db::Settings { url: self.database_url.0.clone(), max_connections: self.database_connections }
    }

    /// The allowed origins; a variable that is set to nothing allows none.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.allowed_origins.iter().map(String::as_str).filter(|origin| !origin.is_empty())
    }

    /// Sets all rate limits to the same: tests and measurements come from one address, and the first have a clock that
    /// stands still.
    pub fn set_limits(&mut self, count: u32) {
        for limit in [
            &mut self.limit_requests_per_user_minute,
            &mut self.limit_requests_per_address_minute,
            &mut self.limit_bookings_per_user_minute,
            &mut self.limit_logins_per_address_minute,
            &mut self.limit_login_failures_per_hour,
            &mut self.limit_logins_per_account_hour,
            &mut self.limit_signups_per_address_hour,
            &mut self.limit_signups_per_account_hour,
        ] {
            *limit = count;
        }
    }

    /// The proxies that are believed; a variable that is set to nothing names none. What is no address was refused by
    /// [`Config::check`].
    pub fn trusted_proxies(&self) -> impl Iterator<Item = Network> {
        self.trusted_proxy_texts().filter_map(|text| text.parse().ok())
    }

    fn trusted_proxy_texts(&self) -> impl Iterator<Item = &str> {
        self.trusted_proxies.iter().map(|text| text.trim()).filter(|text| !text.is_empty())
    }

    /// What copies of the programme may take of the memory, in bytes.
    pub fn programme_cache_bytes(&self) -> u64 {
        u64::from(self.programme_cache_mib) << 20
    }

    /// How long a body may take to arrive.
    pub fn body_timeout(&self) -> Duration {
        Duration::from_secs(self.body_timeout_secs.into())
    }

    /// How long a head may take to arrive.
    pub fn head_timeout(&self) -> Duration {
        Duration::from_secs(self.head_timeout_secs.into())
    }

    /// How long everything is still accepted after the signal to end.
    pub fn drain_delay(&self) -> Duration {
        Duration::from_secs(self.drain_delay_secs.into())
    }

    /// How long a client may leave the next part of a file untaken.
    pub fn export_patience(&self) -> Duration {
        Duration::from_secs(self.export_patience_secs.into())
    }

    /// How many threads serve HTTP.
    pub fn workers(&self) -> usize {
        match self.worker_threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            threads => threads as usize,
        }
    }
}

/// The scheme and what follows it, of a URL that browsers could open.
fn web_url(text: &str) -> Option<(Uri, &str)> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let uri: Uri = text.parse().ok()?;
    let authority = uri.authority()?;
    let sound = !authority.host().is_empty() && !authority.as_str().contains(['@', '*']) && !rest.contains(['?', '#']);
    sound.then_some((uri, rest))
}

fn is_public_url(text: &str) -> bool {
    web_url(text).is_some()
}

/// An origin as browsers send it (RFC 6454): compared byte by byte, so nothing more and nothing in upper case.
fn is_origin(text: &str) -> bool {
    web_url(text).is_some_and(|(uri, rest)| {
        let default_port = if text.starts_with("https") { 443 } else { 80 };
        uri.authority().is_some_and(|authority| authority.as_str() == rest)
            && rest.bytes().all(|byte| !byte.is_ascii_uppercase())
            && !rest.ends_with(':')
            && uri.port_u16() != Some(default_port)
    })
}
