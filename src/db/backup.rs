//! Copies of a SQLite file, and putting them back. Postgres has its own tools for that.
//!
//! A backup is a reader like any other: it takes no lock that the server needs, and the copy is the database as it was
//! at one moment. Until it ends the log (`FILE-wal`) grows with what is written meanwhile.

use super::{ACQUIRE_TIMEOUT, ConnectError, Settings, connect, latest_version};
use sqlx::{ConnectOptions, Connection, SqliteConnection, sqlite::SqliteConnectOptions};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    str::FromStr,
};
use tracing::log::LevelFilter;

/// Why nothing was copied; each is a sentence for the operator.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs)]
pub enum BackupError {
    #[error(
        "this copies SQLite files; Postgres has its own tools: \
         pg_dump --format=custom --file=plenary.dump \"$DATABASE_URL\" and pg_restore --clean --if-exists --single-transaction --dbname=\"$DATABASE_URL\" plenary.dump"
    )]
    Postgres,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("there is no file {0}")]
    Missing(PathBuf),
    #[error("{0} exists already and is left as it is")]
    Exists(PathBuf),
    #[error("{0} is a database already: stop its server and add --force to lose it for the backup")]
    WouldReplace(PathBuf),
    #[error("{0} exists: another backup is writing it, or one was interrupted; remove it if none runs")]
    Unfinished(PathBuf),
    #[error("{0} is no database of Plenary")]
    Foreign(PathBuf),
    #[error("{path} has schema version {found}, this program knows up to {known}: use a newer Plenary")]
    Newer { path: PathBuf, found: i64, known: i64 },
    #[error("{0} is damaged: {1}")]
    Damaged(PathBuf, String),
    #[error("{0} is not UTF-8 text")]
    Name(PathBuf),
    #[error("{0}: {1}")]
    File(PathBuf, #[source] io::Error),
    #[error("{0} can't be read: {1}")]
    Sqlite(PathBuf, #[source] sqlx::Error),
}

impl BackupError {
    /// Whether another command is needed, rather than another try.
    pub fn is_in_settings(&self) -> bool {
        matches!(self, Self::Postgres | Self::Connect(ConnectError::UnknownScheme | ConnectError::InMemory | ConnectError::Url(_)))
    }
}

/// A copy that was made and checked.
#[derive(Clone, Copy, Debug)]
pub struct Copied {
    /// The number of the newest migration in it.
    pub schema_version: i64,
    /// Its size.
    pub bytes: u64,
}

/// Copies the database into a new file that only its owner may read. A server may go on serving from it: what it
/// acknowledged before this began is in the copy.
pub async fn back_up(database_url: &str, to: &Path) -> Result<Copied, BackupError> {
    let database = file_of(database_url)?;
    if !database.exists() {
        return Err(BackupError::Missing(database));
    }
    if to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    let unfinished = Unfinished::begin(beside(to, ".unfinished"))?;
    let copied = copy(&database, &unfinished.0).await?;
    unfinished.become_new(to)?;
    Ok(copied)
}

/// Puts a backup in the database's place, after looking whether it is whole and of this program. No server may run on
/// the database. One that exists is replaced only by `force`.
pub async fn restore(database_url: &str, from: &Path, force: bool) -> Result<Copied, BackupError> {
    let database = file_of(database_url)?;
    if !from.exists() {
        return Err(BackupError::Missing(from.to_owned()));
    }
    let _owned = connect::own(&database)?;
    let logs = ["-wal", "-shm", "-journal"].map(|suffix| beside(&database, suffix));
    let existing = [&database, &logs[0], &logs[2]].into_iter().find(|path| path.exists());
    if let Some(existing) = existing.filter(|_| !force) {
        return Err(BackupError::WouldReplace(existing.clone()));
    }
    let path = beside(&database, ".unfinished");
    // Who owns the database owns what an interrupted try has left.
    remove(&path)?;
    let unfinished = Unfinished::begin(path)?;
    let copied = copy(from, &unfinished.0).await?;
    if copied.schema_version > latest_version() {
        return Err(BackupError::Newer { path: from.to_owned(), found: copied.schema_version, known: latest_version() });
    }
    // The log of the old file, played into the new one, would destroy it: it goes first.
    logs.iter().try_for_each(|log| remove(log))?;
    unfinished.replace(&database)?;
    Ok(copied)
}

/// The file that the URL names, with a path that can't be taken for a URL.
fn file_of(database_url: &str) -> Result<PathBuf, BackupError> {
    Settings { url: database_url.to_owned(), max_connections: 1 }.check()?;
    if !database_url.starts_with("sqlite:") {
        return Err(BackupError::Postgres);
    }
    let options = SqliteConnectOptions::from_str(database_url).map_err(ConnectError::Url)?;
    absolute(options.get_filename())
}

fn absolute(path: &Path) -> Result<PathBuf, BackupError> {
    std::path::absolute(path).map_err(|error| BackupError::File(path.to_owned(), error))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn remove(path: &Path) -> Result<(), BackupError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(BackupError::File(path.to_owned(), error)),
        _ => Ok(()),
    }
}

/// Makes sure that the names in a folder survive a loss of power.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Copies one file into another that is empty, and looks at both whether they are whole.
async fn copy(from: &Path, to: &Path) -> Result<Copied, BackupError> {
    let (from, to) = (absolute(from)?, absolute(to)?);
    let mut source = open(&from).await?;
    check(&mut source, &from).await?;
    let name = to.to_str().ok_or_else(|| BackupError::Name(to.clone()))?;
    let copied = sqlx::query("VACUUM INTO $1").bind(name).execute(&mut source).await;
    copied.map_err(|error| BackupError::Sqlite(from.clone(), error))?;
    close(source, &from).await?;
    let mut target = open(&to).await?;
    let schema_version = check(&mut target, &to).await?;
    close(target, &to).await?;
    let bytes = fs::metadata(&to).map_err(|error| BackupError::File(to, error))?.len();
    Ok(Copied { schema_version, bytes })
}

/// For reading only; the journal mode is left as it is.
async fn open(path: &Path) -> Result<SqliteConnection, BackupError> {
    let options = SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(ACQUIRE_TIMEOUT);
    options.log_statements(LevelFilter::Trace).connect().await.map_err(|error| BackupError::Sqlite(path.to_owned(), error))
}

async fn close(connection: SqliteConnection, path: &Path) -> Result<(), BackupError> {
    connection.close().await.map_err(|error| BackupError::Sqlite(path.to_owned(), error))
}

/// Whether every page and index of the file is whole, no row is without the one it belongs to, and the schema is ours;
/// answers the schema's version.
async fn check(connection: &mut SqliteConnection, path: &Path) -> Result<i64, BackupError> {
    let failed = |error| BackupError::Sqlite(path.to_owned(), error);
    let found: Vec<(String,)> = sqlx::query_as("PRAGMA integrity_check(1)").fetch_all(&mut *connection).await.map_err(failed)?;
    if let Some((damage,)) = found.into_iter().find(|(line,)| line != "ok") {
        return Err(BackupError::Damaged(path.to_owned(), damage));
    }
    const ORPHANS: &str = "SELECT \"table\" FROM pragma_foreign_key_check LIMIT 1";
    let orphan: Option<(String,)> = sqlx::query_as(ORPHANS).fetch_optional(&mut *connection).await.map_err(failed)?;
    if let Some((table,)) = orphan {
        return Err(BackupError::Damaged(path.to_owned(), format!("a row of {table} belongs to one that doesn't exist")));
    }
    const OURS: &str = "SELECT COUNT(*) FROM sqlite_schema WHERE name IN ('_sqlx_migrations', 'session_seats')";
    let (ours,): (i64,) = sqlx::query_as(OURS).fetch_one(&mut *connection).await.map_err(failed)?;
    if ours < 2 {
        return Err(BackupError::Foreign(path.to_owned()));
    }
    const VERSION: &str = "SELECT MAX(version) FROM _sqlx_migrations WHERE success";
    let (version,): (Option<i64>,) = sqlx::query_as(VERSION).fetch_one(&mut *connection).await.map_err(failed)?;
    version.ok_or_else(|| BackupError::Foreign(path.to_owned()))
}

/// A file that is being written; removed when dropped before it has got its name.
struct Unfinished(PathBuf);

impl Unfinished {
    /// An empty file for its owner alone: there are password hashes and the signing key in it.
    fn begin(path: PathBuf) -> Result<Self, BackupError> {
        match File::options().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(Self(path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Unfinished(path)),
            Err(error) => Err(BackupError::File(path, error)),
        }
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.0)?.sync_all()
    }

    /// Gives it a name that nothing has, and takes none away.
    fn become_new(self, path: &Path) -> Result<(), BackupError> {
        let named = self.sync().and_then(|()| match fs::hard_link(&self.0, path) {
            // Not every file system can do it; on those a file that appears in this moment is lost.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists && !path.exists() => fs::rename(&self.0, path),
            linked => linked,
        });
        match named.and_then(|()| sync_folder_of(&absolute(path).unwrap_or_else(|_| path.to_owned()))) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(BackupError::Exists(path.to_owned())),
            named => named.map_err(|error| BackupError::File(path.to_owned(), error)),
        }
    }

    /// Puts it in the place of whatever has that name.
    fn replace(self, path: &Path) -> Result<(), BackupError> {
        let replaced = self.sync().and_then(|()| fs::rename(&self.0, path)).and_then(|()| sync_folder_of(path));
        replaced.map_err(|error| BackupError::File(path.to_owned(), error))
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Gone when it has got another name; and SQLite's journal of it, when it was interrupted.
        let _ = fs::remove_file(&self.0);
        let _ = fs::remove_file(beside(&self.0, "-journal"));
    }
}
