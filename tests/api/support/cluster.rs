//! A Postgres cluster that lives as long as this process.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{ChildStdin, Command, Stdio},
};

/// The oldest Postgres that is supported.
const AT_LEAST: u32 = 15;
/// What to say where [`find_binaries`] finds none.
pub const ABSENT: &str =
    "no Postgres 15 or newer is installed (no initdb on PATH or in /usr/lib/postgresql), and TEST_DATABASE_URL is not set";

/// The running cluster. It listens on a socket in its own folder and nowhere else. It does not depend on drops:
/// a shell waits for the other end of a pipe to close, which also happens when the test process is killed, then stops
/// the server and removes the folder.
pub struct Cluster {
    folder: PathBuf,
    _while_open: ChildStdin,
}

/// `$1` the folder of the binaries, `$2` the cluster's.
const KEEP: &str = r#"
    "$1/postgres" -D "$2/data" -k "$2" -c listen_addresses= -c max_connections=300 -c timezone=Asia/Kathmandu >"$2/log" 2>&1 &
    read -r _
    kill -QUIT $!
    wait $!
    rm -rf "$2"
"#;

impl Cluster {
    /// Makes a cluster and starts it; it may take a moment until it answers.
    pub fn start(binaries: &Path) -> Result<Self, String> {
        // Sockets need a short path.
        let parent = Path::new("/tmp");
        let folder =
            tempfile::Builder::new().prefix("plenary-postgres-").tempdir_in(parent).map_err(|error| format!("{parent:?}: {error}"))?;
        let somebody = unprivileged(folder.path())?;
        initdb(binaries, folder.path(), somebody)?;
        let mut keeper = command("sh", somebody);
        keeper.args(["-c", KEEP, "keep-postgres"]).arg(binaries).arg(folder.path());
        // A group of its own: an interrupt from the terminal ends the tests, and they end it.
        keeper.process_group(0).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = keeper.spawn().map_err(|error| format!("sh: {error}"))?;
        Ok(Self { folder: folder.keep(), _while_open: child.stdin.take().expect("a pipe") })
    }

    /// The superuser's URL.
    pub fn url(&self) -> String {
        format!("postgres://postgres@localhost/postgres?host={}", self.folder.display())
    }

    /// What the server has written.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Postgres refuses to run as root, so root lends it somebody else's ids.
type Ids = Option<(u32, u32)>;

fn unprivileged(folder: &Path) -> Result<Ids, String> {
    let owner = fs::metadata(folder).map_err(|error| error.to_string())?.uid();
    if owner != 0 {
        return Ok(None);
    }
    let ids = ["postgres", "nobody"].iter().find_map(|name| Some((id("-u", name)?, id("-g", name)?)));
    let (uid, gid) = ids.ok_or("root can't run Postgres, and there is neither a user postgres nor a user nobody")?;
    chown(folder, Some(uid), Some(gid)).map_err(|error| error.to_string())?;
    Ok(Some((uid, gid)))
}

fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn command(program: impl AsRef<std::ffi::OsStr>, somebody: Ids) -> Command {
    let mut command = Command::new(program);
    command.current_dir("/").env("LC_ALL", "C");
    if let Some((uid, gid)) = somebody {
        command.uid(uid).gid(gid);
    }
    command
}

/// The locale sorts unlike SQLite does, so that a statement that leans on the database's own order shows.
fn initdb(binaries: &Path, folder: &Path, somebody: Ids) -> Result<(), String> {
    let data = folder.join("data");
    let mut why = String::new();
    for locale in [&["--locale-provider=icu", "--icu-locale=en"][..], &[]] {
        let mut initdb = command(binaries.join("initdb"), somebody);
        initdb
            .args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"])
            .args(locale)
            .arg("-D")
            .arg(&data);
        let output = initdb.stdin(Stdio::null()).output().map_err(|error| format!("initdb: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        why = String::from_utf8_lossy(&output.stderr).into_owned();
        let _ = fs::remove_dir_all(&data);
    }
    Err(format!("initdb: {why}"))
}

/// The folder of the first Postgres that is new enough.
pub fn find_binaries() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let mut debian: Vec<PathBuf> =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin")).collect();
    debian.sort();
    folders.extend(debian.into_iter().rev());
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        folders.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    // Through links: the programs look for their files beside themselves.
    let real = folders.iter().filter_map(|folder| folder.join("initdb").canonicalize().ok()?.parent().map(Path::to_owned));
    real.into_iter().find(|folder| major_version(&folder.join("postgres")).is_some_and(|major| major >= AT_LEAST))
}

/// Of `postgres (PostgreSQL) 15.12 (Debian …)`.
fn major_version(postgres: &Path) -> Option<u32> {
    let output = Command::new(postgres).arg("--version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().find_map(|word| word.split(['.', 'b', 'r']).next()?.parse().ok())
}
