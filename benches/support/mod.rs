//! What the benchmarks share. A benchmark starts itself a second time as the server, so that server and load client
//! are separate processes; the server is the product plus the routes of [`server`], which are in no product.

#![allow(dead_code, reason = "each benchmark uses its part")]

pub mod check;
pub mod client;
pub mod database;
pub mod lists;
pub mod naive;
pub mod report;
pub mod seed;
pub mod server;
pub mod transfer;

use clap::{CommandFactory, FromArgMatches, Parser};

/// The flags of every benchmark: `cargo bench --bench booking -- --connections 1024`.
#[derive(Clone, Debug, Parser)]
pub struct Flags {
    /// Connections that send at once, each its next request when it has the answer to the last.
    #[arg(long, default_value_t = 256, value_name = "COUNT")]
    pub connections: usize,

    /// Alternations: each measures everything once, on fresh sessions.
    #[arg(long, value_name = "COUNT")]
    pub rounds: Option<usize>,

    /// Requests of one measurement.
    #[arg(long, value_name = "COUNT")]
    pub requests: Option<usize>,

    /// Only these measurements (and what they are compared with), comma separated.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub only: Vec<String>,

    /// Registrations that are in the database before the first measurement.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub filled: usize,

    /// Rows of the longest list.
    #[arg(long, value_name = "COUNT")]
    pub rows: Option<usize>,

    /// On a throw-away cluster of the Postgres that is installed, instead of `DATABASE_URL`.
    #[arg(long)]
    pub postgres: bool,

    /// Threads that serve HTTP; 0 means one per core.
    #[arg(long, default_value_t = 0, value_name = "COUNT")]
    pub worker_threads: u32,

    /// Given by `cargo bench`. Without it everything is small: a test that the benchmark works.
    #[arg(long, hide = true)]
    bench: bool,

    /// Be the server, on `DATABASE_URL`.
    #[arg(long, hide = true)]
    pub serve: bool,
}

impl Flags {
    /// How many alternations.
    pub fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.bench { 5 } else { 1 })
    }

    /// How many requests a measurement.
    pub fn requests(&self) -> usize {
        self.requests.unwrap_or(if self.bench { 20_000 } else { 400 })
    }

    /// The same with so many requests, and so many registrations before them.
    pub fn with(&self, requests: usize, filled: usize) -> Self {
        Self { requests: Some(requests), filled, ..self.clone() }
    }

    /// How many rows the longest list has.
    pub fn rows(&self) -> usize {
        self.rows.unwrap_or(if self.bench { 1_000_000 } else { 2_000 })
    }

    /// Whether this is measured.
    pub fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

/// The flags. Where they say that this process is the server, it is that until its parent ends, and then exits.
pub fn start() -> Flags {
    start_with("")
}

/// The same with something to say after the flags.
pub fn start_with(manual: &'static str) -> Flags {
    let matches = Flags::command().after_help(manual).get_matches();
    let flags = Flags::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    if flags.serve {
        server::run(&flags);
        std::process::exit(0);
    }
    flags
}
