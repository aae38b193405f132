//! The command line: `plenary serve`, `plenary migrate`, `plenary backup` and so on.

mod health;
mod keys;
mod programme;

use crate::telemetry::{self, LogFormat};
use anyhow::Context;
use clap::{Args, Parser, Subcommand, error::ErrorKind};
use plenary::{
    app::{App, StartError, open_database},
    config::{Config, ConfigError},
    db::{self, BackupError},
    demo::{self, DemoError},
};
use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    process::ExitCode,
};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Registration for the sessions of a conference: who may sit in which room, at which hour.
#[derive(Parser)]
#[command(name = "plenary", version, arg_required_else_help = true, subcommand_required = true, after_long_help = MANUAL)]
struct Cli {
    #[command(subcommand)]
    command: Command,

    /// How log lines on stderr look.
    #[arg(long, global = true, env = "PLENARY_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text, help_heading = "Log")]
    log_format: LogFormat,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API until SIGTERM or SIGINT.
    #[command(after_long_help = SERVE_MANUAL)]
    Serve(Box<Config>),
    /// Bring the database's schema up to date and exit.
    ///
    /// `serve` does the same when it starts; several nodes that start at once migrate once. This command is for those
    /// who want it to be a step of its own.
    Migrate(DatabaseArgs),
    /// Try it: a server with a conference, people and passwords that everybody knows, on this machine only.
    Demo(demo::Args),
    /// Write the whole programme of an event, drafts too, as one document.
    ///
    /// What is written can be edited and imported again; as it stands it changes nothing. Servers may run.
    #[command(after_long_help = programme::EXPORT_MANUAL)]
    Export(programme::ExportArgs),
    /// Make the programme of an event what a document says: whole, or not at all.
    ///
    /// The same as PUT of the programme over HTTP, without signing in: who may open the database may do it. What is not in
    /// the document is removed; what is there already stays as it is.
    #[command(after_long_help = programme::IMPORT_MANUAL)]
    Import(programme::ImportArgs),
    /// Copy the SQLite database into a new file, while a server serves from it or not.
    ///
    /// The copy is the database as it was at one moment: all that was acknowledged before the command began is in it. It
    /// is checked before it gets its name. It holds password hashes and the signing key: keep it like a password.
    Backup(BackupArgs),
    /// Put a backup in the place of the SQLite database. No server may be running on it.
    ///
    /// The backup is checked first (every page, every reference, the schema's version) and left as it is.
    Restore(RestoreArgs),
    /// Ask a server whether it is ready: the exit status says it, for health checks of containers.
    Health(health::Args),
    /// Manage the keys that sign access tokens.
    #[command(subcommand)]
    Keys(keys::Command),
}

#[derive(Args)]
struct DatabaseArgs {
    /// The database: `sqlite:PATH` or `postgres://user:password@host/name`. Never logged.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: String,
}

#[derive(Args)]
struct BackupArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The new file; one that exists is refused.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

#[derive(Args)]
struct RestoreArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The backup.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// Replace a database that exists; what is in it is lost.
    #[arg(long)]
    force: bool,
}

const MANUAL: &str = "\
Environment:
  Every setting is a flag and a variable, named beside it; the flag wins. Secrets
  (the database's password) belong in the variable: flags can be seen by others.
  RUST_LOG            What is logged, as in `info` (the default), `debug` or
                      `warn,plenary=debug`.

Exit status:
  0  Done, or ended by SIGTERM or SIGINT after all answers were sent.
  1  It failed: the database can't be reached, the port is taken, ...
  2  The command, its settings or the document it is given are wrong; stderr says
     how.

Examples:
  A server to try, with a conference in it:
    plenary demo

  A server on a file, with nothing else:
    plenary serve --database-url sqlite:plenary.db

  The programme of an event, out, edited, looked at and in again:
    plenary export --event forum --to programme.yaml
    plenary import --event forum --from programme.yaml --dry-run
    plenary import --event forum --from programme.yaml

  The manual of a command:
    plenary serve --help";

const SERVE_MANUAL: &str = "\
Database:
  SQLite: one process owns the file; a second one is refused. The file is made if
  it doesn't exist, and `FILE-wal`, `FILE-shm` and `FILE.lock` stand beside it. Every
  answer waits until the disk has the change.
  Postgres 15 or newer: several nodes may serve one database. Leave `fsync` and
  `synchronous_commit` on, or acknowledged bookings can be lost.
  The schema is brought up to date at the start.

Behind a proxy:
  TLS, HTTP/2 and compression belong to the proxy in front. `--public-url` is what
  clients call; tokens are issued for it and good for nothing else, so all nodes
  must have the same. `--trusted-proxies` names the proxy: without it the limits by
  address take all its clients for one.

Limits:
  Each node counts for itself, in memory. Used up, a request is answered with 429
  and `Retry-After`; answers tell of it in `RateLimit-Policy` and `RateLimit`.

Signals:
  SIGTERM, SIGINT     Drain: /readyz says 503; after `--drain-delay-secs` no new
                      connections; every request that was begun gets its answer
                      within `--drain-timeout-secs`; then exit. Set the delay to the
                      time in which the proxy in front notices.
  SIGKILL             Ends at once; nothing that was acknowledged is lost.

Probes:
  GET /livez          The process lives.
  GET /readyz         The database answers and has this program's schema; 503 while
                      it doesn't and while draining. `plenary health` asks it.

Metrics:
  GET /metrics        Only on `--metrics-bind`, in Prometheus' text format.

Documentation:
  GET /docs           The API, in a browser, without the network.
  GET /openapi.yaml   The contract, also as /openapi.json.

Examples:
  DATABASE_URL=sqlite:/var/lib/plenary/plenary.db plenary serve

  DATABASE_URL=postgres://plenary:secret@db/plenary \\
  PLENARY_BIND=0.0.0.0:8080 \\
  PLENARY_PUBLIC_URL=https://api.example.org \\
  PLENARY_ALLOWED_ORIGINS=https://app.example.org,https://admin.example.org \\
  PLENARY_LOG_FORMAT=json plenary serve

  An Ed25519 signing key of your own, instead of the one kept in the database:
    openssl genpkey -algorithm ed25519 -out plenary.pem
    plenary serve --signing-key-file plenary.pem

  The next one: first let every node accept the new key, then sign with it and
  accept the old one, which can go when its last token has expired. Files are
  read again each minute.
    plenary serve --signing-key-file plenary.pem --verifying-key-files next.pem
    plenary serve --signing-key-file next.pem --verifying-key-files plenary.pem";

/// Threads of the runtime beside the HTTP workers: the database's tasks and the booking engine.
const RUNTIME_THREADS: usize = 2;

/// Settings are wrong.
const USAGE: u8 = 2;

/// Parses the command line, runs the command, and says in one sentence why it failed.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::MissingRequiredArgument && error.to_string().contains("--database-url") => {
            eprintln!(
                "plenary: no database is named: set DATABASE_URL or --database-url, to a file as in `sqlite:plenary.db` \
                 or a server as in `postgres://user:password@host/name`"
            );
            return ExitCode::from(USAGE);
        }
        Err(error) => error.exit(),
    };
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure { error, status }) => {
            eprintln!("plenary: {}", sentence(&error));
            ExitCode::from(status)
        }
    }
}

struct Failure {
    error: anyhow::Error,
    status: u8,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let in_settings = error.downcast_ref::<StartError>().is_some_and(StartError::is_in_settings)
            || error.downcast_ref::<DemoError>().is_some_and(DemoError::is_in_settings)
            || error.downcast_ref::<BackupError>().is_some_and(BackupError::is_in_settings)
            || error.downcast_ref::<programme::Refused>().is_some_and(programme::Refused::is_in_document)
            || error.is::<ConfigError>();
        Self { status: if in_settings { USAGE } else { 1 }, error }
    }
}

/// The error and its causes, each said once: some tell their cause themselves.
fn sentence(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |text, cause| match text.is_empty() {
        true => cause,
        false if text.contains(&cause) => text,
        false => format!("{text}: {cause}"),
    })
}

fn execute(cli: Cli) -> Result<(), Failure> {
    telemetry::start(cli.log_format).context("RUST_LOG").map_err(|error| Failure { error, status: USAGE })?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(RUNTIME_THREADS).enable_all().build().context("no runtime")?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(config) => serve(*config).await,
            Command::Migrate(database) => migrate(&database.database_url).await,
            Command::Demo(args) => run_demo(args).await,
            Command::Export(args) => programme::export(args).await,
            Command::Import(args) => programme::import(args).await,
            Command::Backup(args) => back_up(&args).await,
            Command::Restore(args) => restore(&args).await,
            Command::Health(args) => health::check(&args),
            Command::Keys(keys::Command::Rotate(args)) => keys::rotate(args).await,
        }
    })?;
    Ok(())
}

async fn serve(config: Config) -> anyhow::Result<()> {
    config.check()?;
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let address = config.bind;
    let listener = TcpListener::bind(address).with_context(|| format!("can't listen on {address}"))?;
    let app = App::build(config, listener).await?;
    let address = SocketAddr::new(address.ip(), app.port());
    let metrics = app.metrics_address().map(tracing::field::display);
    tracing::info!(%address, metrics, database = ?app.state().db.dialect(), "listening");
    app.run_until(asked_to_end(signals)).await?;
    tracing::info!("ended");
    Ok(())
}

async fn run_demo(args: demo::Args) -> anyhow::Result<()> {
    let signals = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    demo::run(args, asked_to_end(signals)).await?;
    Ok(())
}

/// Ends with the first signal. More of them change nothing: a terminal and a wrapper often send the same one twice.
async fn asked_to_end((mut terminate, mut interrupt): (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

async fn migrate(database_url: &str) -> anyhow::Result<()> {
    let config = Config::for_database(database_url);
    config.check()?;
    let db = open_database(&config).await?;
    let version = db.schema_version().await?;
    db.close().await;
    println!("The schema has version {}.", version.unwrap_or_default());
    Ok(())
}

async fn back_up(args: &BackupArgs) -> anyhow::Result<()> {
    let copied = db::back_up(&args.database.database_url, &args.to).await?;
    println!("{} is whole: {} bytes, schema version {}.", args.to.display(), copied.bytes, copied.schema_version);
    Ok(())
}

async fn restore(args: &RestoreArgs) -> anyhow::Result<()> {
    let copied = db::restore(&args.database.database_url, &args.from, args.force).await?;
    println!("The database is {} again: {} bytes, schema version {}.", args.from.display(), copied.bytes, copied.schema_version);
    Ok(())
}
