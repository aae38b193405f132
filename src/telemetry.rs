//! What the program writes while it runs: lines on stderr, for people or for a collector. No secrets and no personal
//! data: requests are named by id and route.

use tracing_subscriber::{EnvFilter, fmt};

/// How a line looks.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// sqlx tells of every notice of the database, actix of every thread.
const DEFAULT: &str = "info,sqlx=warn,actix_server=warn";

/// Starts logging, for the whole process. Fails if `RUST_LOG` can't be read.
pub fn start(format: LogFormat) -> anyhow::Result<()> {
    let directives = std::env::var("RUST_LOG").ok().filter(|text| !text.is_empty());
    let filter = EnvFilter::builder().parse(directives.as_deref().unwrap_or(DEFAULT))?;
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| anyhow::anyhow!(error))
}
