//! `plenary export` and `plenary import`: the programme of an event as a file.

use super::DatabaseArgs;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use plenary::{
    app::{StartError, open_existing},
    auth::guard::{self, OfEvent},
    clock::Clock,
    config::Config,
    contract::{Contract, Syntax, door::Principal},
    db::{Access, ConnectError, Db},
    error::Problem,
    programme::{
        document::Document,
        file,
        plan::{ChangeSet, ProgrammeChanges},
        replace::{Put, put_through},
        store,
    },
    random::Random,
    registrations::{
        edits::{EffectsView, SeatsView},
        engine::{self, Real, Settings},
        model::{Actor, IfOverfull},
    },
};
use std::{
    fmt,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};
use uuid::Uuid;

pub const EXPORT_MANUAL: &str = "\
Examples:
  To look at, or to keep beside other documents:
    plenary export --event forum

  For a program:
    plenary export --event forum --format json | jq '.sessions[].code'";

pub const IMPORT_MANUAL: &str = "\
Document:
  The format is that of `plenary export` and of the API (`plenary-programme/1`, as
  YAML or JSON). Streams, rooms and speakers are matched by their keys, sessions by
  their codes, so the same document again changes nothing. The event must be there:
  it is made with POST /v1/events. A document never renames its slug.

Refusals:
  Nothing is written when anything is wrong. Each mistake in the document is told
  with its place, as in /sessions/3/startsAt (sessions are counted from 0). For those
  who are registered the rules are those of the API: a session they have seats in is
  not removed, and its capacity not lowered below them without --if-overfull. What
  happens to them is told, and written to the journal under the id of no user
  (ffffffff-ffff-ffff-ffff-ffffffffffff).

Servers:
  Postgres: nodes may run, and show the new programme within a second.
  SQLite: while a server owns the file an import is refused, with the line that has
  the server do it. `plenary export` works beside it, and so does `--dry-run`, though
  bookings wait while it looks.

Examples:
  What would change:
    plenary import --event forum --from programme.yaml --dry-run

  From another installation:
    curl -s https://api.example.org/v1/events/forum/programme \\
      -H \"Authorization: Bearer $TOKEN\" -H 'Accept: application/yaml' |
      plenary import --event forum --from -";

/// Text that programs and people can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Yaml,
    Json,
}

impl From<Format> for Syntax {
    fn from(format: Format) -> Self {
        match format {
            Format::Yaml => Self::Yaml,
            Format::Json => Self::Json,
        }
    }
}

/// As `ifOverfull` of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Overfull {
    /// Nothing is imported.
    Refuse,
    /// They are kept until they are given back.
    Keep,
    /// The newest wait again, in their old places.
    WaitlistNewest,
}

impl From<Overfull> for IfOverfull {
    fn from(overfull: Overfull) -> Self {
        match overfull {
            Overfull::Refuse => Self::Refuse,
            Overfull::Keep => Self::Keep,
            Overfull::WaitlistNewest => Self::WaitlistNewest,
        }
    }
}

#[derive(Args)]
pub struct ExportArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The event: its slug or its id.
    #[arg(long, value_name = "SLUG")]
    event: String,
    /// The new file; one that exists is refused. Without it, or with `-`, the document goes to standard output.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    /// How it is written. By default as the file is called, and YAML where that says nothing.
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Args)]
pub struct ImportArgs {
    #[command(flatten)]
    database: DatabaseArgs,
    /// The event: its slug or its id.
    #[arg(long, value_name = "SLUG")]
    event: String,
    /// The document; `-` is standard input.
    #[arg(long, value_name = "FILE")]
    from: PathBuf,
    /// How it is written. By default JSON if it begins with `{`, else YAML.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// What becomes of seats that are taken beyond a lower capacity.
    #[arg(long, value_enum, value_name = "WHAT", default_value_t = Overfull::Refuse)]
    if_overfull: Overfull,
    /// Say what would be added, changed and removed, and write nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Why the document was not taken: a line, and one for each place in it that is wrong.
#[derive(Debug)]
pub struct Refused {
    source: String,
    problem: Problem,
}

impl Refused {
    /// Whether another document is needed, rather than another try.
    pub fn is_in_document(&self) -> bool {
        matches!(self.problem.code().status(), 400 | 413 | 422)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, problem } = self;
        let said =
            if self.is_in_document() { format!("{source} is not a programme that can be imported") } else { problem.detail().to_owned() };
        match problem.cause() {
            Some(cause) => write!(f, "nothing was imported: {cause}")?,
            None => write!(f, "nothing was imported: {said} ({})", problem.code().as_str())?,
        }
        problem.details().iter().try_for_each(|detail| {
            let at = detail.pointer.as_deref().filter(|pointer| !pointer.is_empty()).unwrap_or("/");
            write!(f, "\n  {at}: {} ({})", detail.detail, detail.code)
        })
    }
}

impl std::error::Error for Refused {}

/// Writes the programme of an event.
pub async fn export(args: ExportArgs) -> anyhow::Result<()> {
    let ExportArgs { database, event, to, format } = args;
    let to = to.filter(|path| path.as_os_str() != "-");
    let named = to.as_deref().and_then(Path::extension).is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let format = format.unwrap_or(if named { Format::Json } else { Format::Yaml });
    let config = Config::for_database(&database.database_url);
    config.check()?;
    let db = open_existing(&config, Access::Beside).await?;
    let id = find(&db, &event).await?;
    let current = store::snapshot(&db, id).await?.with_context(|| format!("the event {event} has just been deleted"))?;
    db.close().await;
    let text = file::write(&Document::of(current, true), format.into())?;
    match to {
        None => io::stdout().write_all(text.as_bytes()).context("standard output"),
        Some(path) => write_new(&path, &text).with_context(|| path.display().to_string()),
    }
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    let mut file = match File::create_new(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => bail!("it exists already and is left as it is"),
        created => created?,
    };
    file.write_all(text.as_bytes())?;
    Ok(file.sync_all()?)
}

/// Makes the programme of an event what the document says.
pub async fn import(args: ImportArgs) -> anyhow::Result<()> {
    let config = Config::for_database(&args.database.database_url);
    config.check()?;
    let contract = Contract::load().map_err(StartError::from)?;
    let source = if args.from.as_os_str() == "-" { "the document".to_owned() } else { args.from.display().to_string() };
    let bytes = read(&args.from).with_context(|| source.clone())?;
    let refused = |problem| Refused { source: source.clone(), problem };
    let syntax = args.format.map_or_else(|| file::syntax_of(&bytes), Syntax::from);
    let document = file::read(&contract, &bytes, syntax).map_err(refused)?;
    let access = if args.dry_run { Access::Beside } else { Access::Own };
    let db = open_existing(&config, access).await.map_err(|error| through_its_server(error, &args, syntax))?;
    let event_id = find(&db, &args.event).await?;
    let actor = Actor { user_id: Uuid::max(), organiser: true };
    let put = Put { event_id, dry_run: args.dry_run, if_overfull: args.if_overfull.into(), actor };
    let done = put_into(&db, &config, put, document).await;
    db.close().await;
    let (changes, version) = done.map_err(refused)?;
    print!("{}", told(&changes, &args.event, version));
    Ok(())
}

/// Through an engine that does nothing else: a dry run must not touch what is due, and an import settles what it made
/// due before it ends.
async fn put_into(db: &Db, config: &Config, put: Put, document: Document) -> Result<(ProgrammeChanges, i64), Problem> {
    let (clock, random) = (Clock::system(), Random::system());
    let (bookings, watch, engine) = engine::start_unwatched(db.clone(), clock.clone(), Settings::from(config), Arc::new(Real));
    let done = put_through(&bookings, (&clock, &random), put, document, |_| Ok(())).await;
    if done.is_ok()
        && !put.dry_run
        && let Err(problem) = watch.settle().await
    {
        tracing::warn!(%problem, "the import is done; what follows from it on waitlists is left to the servers");
    }
    engine.finish().await;
    done
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        return io::stdin().read_to_end(&mut bytes).map(|_| bytes);
    }
    fs::read(path)
}

async fn find(db: &Db, event: &str) -> anyhow::Result<Uuid> {
    let found = guard::find::<OfEvent>(db, event, Principal::Anonymous).await?;
    Ok(found.with_context(|| format!("there is no event {event}"))?.id)
}

/// Where a server owns the file, the line that asks that server.
fn through_its_server(error: StartError, args: &ImportArgs, syntax: Syntax) -> anyhow::Error {
    if !matches!(error, StartError::Connect(ConnectError::InUse(_))) {
        return error.into();
    }
    let ImportArgs { event, from, if_overfull, .. } = args;
    let query = match IfOverfull::from(*if_overfull) {
        IfOverfull::Refuse => String::new(),
        other => format!("?ifOverfull={}", other.as_str()),
    };
    let media = match syntax {
        Syntax::Json => "application/json",
        Syntax::Yaml => "application/yaml",
    };
    anyhow::anyhow!(
        "{error}. Stop that server first, or let it do the import, with an access token or API key of an organiser:\n  \
         curl -X PUT 'http://127.0.0.1:8080/v1/events/{event}/programme{query}' -H \"Authorization: Bearer $TOKEN\" \\\n    \
         -H 'If-Match: *' -H 'Content-Type: {media}' --data-binary '@{}'",
        from.display()
    )
}

/// What was done, or would be, in lines.
fn told(changes: &ProgrammeChanges, event: &str, version: i64) -> String {
    let ProgrammeChanges { dry_run, event_changed, added, changed, removed, unchanged, effects } = changes;
    let mut lines = tell("added", added);
    if *event_changed {
        lines.push("changed    the event's own fields".to_owned());
    }
    lines.extend(tell("changed", changed));
    lines.extend(tell("removed", removed));
    let last = match (lines.is_empty(), dry_run) {
        (true, _) => format!("The programme of {event} is what the document says already: nothing to change, version {version}."),
        (false, true) => format!("This was a dry run: nothing was written. The programme of {event} still has version {version}."),
        (false, false) => format!("The programme of {event} has version {version} now."),
    };
    lines.push(format!("unchanged  {unchanged}"));
    lines.extend(tell_effects(effects));
    lines.push(last);
    lines.join("\n") + "\n"
}

/// What it means for those who are registered.
fn tell_effects(effects: &EffectsView) -> Vec<String> {
    let seats = |seats: &SeatsView| {
        let SeatsView { code, capacity, taken, waitlisted, .. } = seats;
        let of = capacity.map_or_else(String::new, |capacity| format!(" of {capacity}"));
        format!("seats      {code}: {taken}{of} taken, {waitlisted} waiting")
    };
    let mut lines: Vec<String> = effects.sessions.iter().map(seats).collect();
    if effects.change_count > 0 {
        lines.push(format!("journal    {} changes of registrations", effects.change_count));
    }
    if effects.clash_count > 0 {
        lines.push(format!("clashes    {} times somebody has two seats at the same hours", effects.clash_count));
    }
    lines
}

/// A line a kind, as in `added      2 speakers: ann, bob`.
fn tell(what: &str, set: &ChangeSet) -> Vec<String> {
    let ChangeSet { streams, rooms, speakers, sessions } = set;
    let kinds = [("stream", streams), ("room", rooms), ("speaker", speakers), ("session", sessions)];
    let line = |(noun, names): &(&str, &Vec<String>)| {
        let plural = if names.len() == 1 { "" } else { "s" };
        format!("{what:<10} {} {noun}{plural}: {}", names.len(), names.join(", "))
    };
    kinds.iter().filter(|(_, names)| !names.is_empty()).map(line).collect()
}
