//! What an answer waits for: the writer's settings, and the system calls between a request and its answer.

use super::{
    crash::unlimited,
    planted::{process, transactions::Relaxed},
};
use crate::support::*;
use std::{
    collections::HashMap,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const BOOKINGS: usize = 8;
const PATIENCE: Duration = Duration::from_secs(30);

/// The settings that the writer of a SQLite file works with.
async fn writer(app: &App) -> (String, i64, i64) {
    let mut tx = app.db().begin().await.expect("a transaction");
    let mode = tx.query("PRAGMA journal_mode").scalar().await.expect("a mode");
    let synchronous = tx.query("PRAGMA synchronous").scalar().await.expect("a number");
    let foreign_keys = tx.query("PRAGMA foreign_keys").scalar().await.expect("a number");
    tx.rollback().await.expect("a rollback");
    (mode, synchronous, foreign_keys)
}

/// A conference with a session that everybody fits in, booked by one after the other: nobody asks before the booking of
/// the one before is there to be seen.
async fn booked(front: &Front) {
    let anna = front.user("Anna").await;
    let event = front.event(&anna, json!({ "startsOn": "2099-03-11", "endsOn": "2099-03-13" })).await;
    let hours = json!({ "startsAt": "2099-03-11T12:00:00Z", "endsAt": "2099-03-11T13:00:00Z", "capacity": null });
    let session = front.session(&anna, &event, hours).await;
    let path = format!("/v1/sessions/{}", session.as_id());
    for (before, attendee) in front.attendees(&anna, &event, BOOKINGS).await.into_iter().enumerate() {
        while front.get(format!("{path}/availability")).send().await.expect(200).json["taken"] != before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let body = json!({ "attendeeId": attendee });
        front.post(format!("{path}/registrations")).token(&anna.token).json(&body).send().await.expect(201);
    }
}

const FULL: (&str, i64, i64) = ("wal", 2, 1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_writer_waits_for_the_disk() {
    let app = App::on_sqlite().await;
    booked(&app).await;
    let (mode, synchronous, foreign_keys) = writer(&app).await;
    assert_eq!((mode.as_str(), synchronous, foreign_keys), FULL);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_that_does_not_wait_is_noticed() {
    let app = App::on_sqlite_stepping(Arc::new(Relaxed::default())).await;
    booked(&app).await;
    let (mode, synchronous, foreign_keys) = writer(&app).await;
    assert_ne!((mode.as_str(), synchronous, foreign_keys), FULL);
}

/// A system call, when it has returned.
#[derive(Debug)]
struct SystemCall {
    thread: String,
    name: String,
    text: String,
}

impl SystemCall {
    fn is_of(&self, names: &[&str], part: &str) -> bool {
        names.contains(&self.name.as_str()) && self.text.contains(part)
    }
}

/// Reads what `strace -f` wrote. A call that another thread interrupted in the file counts from its return.
fn system_calls(trace: &str) -> Vec<SystemCall> {
    let mut unfinished: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ').map(|(thread, call)| (thread, call.trim_start())) else { continue };
        let text = if let Some(begun) = call.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, begun.to_owned());
            continue;
        } else if call.starts_with("<... ") {
            let end = call.split_once("resumed>").map_or("", |(_, end)| end);
            unfinished.remove(thread).unwrap_or_default() + end
        } else {
            call.to_owned()
        };
        if let Some((name, _)) = text.split_once('(') {
            calls.push(SystemCall { thread: thread.to_owned(), name: name.to_owned(), text });
        }
    }
    calls
}

const SENDS: &[&str] = &["write", "writev", "sendto", "sendmsg"];
const RECEIVES: &[&str] = &["read", "readv", "recvfrom", "recvmsg"];

/// How many bookings were answered, and for which of them the log had not been written and synced before, by who wrote it:
/// what carries the log into the file syncs it too, now and then.
fn unsynced(calls: &[SystemCall]) -> (usize, Vec<usize>) {
    answers(calls, |before| {
        let Some(written) = before.iter().rposition(|call| call.is_of(&["pwrite64"], "-wal>")) else { return false };
        let synced = |call: &SystemCall| call.is_of(&["fdatasync", "fsync"], "-wal>") && call.text.ends_with("= 0");
        before[written..].iter().any(|call| call.thread == before[written].thread && synced(call))
    })
}

/// The same on Postgres: COMMIT was sent, and its completion received.
fn uncommitted(calls: &[SystemCall]) -> (usize, Vec<usize>) {
    answers(calls, |before| {
        let sent = before.iter().rposition(|call| call.is_of(SENDS, "COMMIT"));
        let received = before.iter().rposition(|call| call.is_of(RECEIVES, "COMMIT"));
        sent.is_some() && received > sent
    })
}

fn answers(calls: &[SystemCall], waited: impl Fn(&[SystemCall]) -> bool) -> (usize, Vec<usize>) {
    let (mut asked, mut answered, mut wrong) = (0, 0, Vec::new());
    for (index, call) in calls.iter().enumerate() {
        if call.is_of(RECEIVES, "/registrations HTTP/1.1") {
            asked = index;
        }
        // Of the requests only bookings are answered so right after they were asked.
        if call.is_of(SENDS, "HTTP/1.1 201 ") && asked > 0 {
            answered += 1;
            if !waited(&calls[asked..index]) {
                wrong.push(index);
            }
            asked = 0;
        }
    }
    (answered, wrong)
}

/// Runs a server under `strace`, books, and gives back the calls; `None`, loudly, where that can't be and need not.
async fn traced(server: &Command) -> Option<Vec<SystemCall>> {
    let strace = Command::new("strace").args(["-e", "trace=write", "true"]).stdin(Stdio::null()).output();
    if !strace.as_ref().is_ok_and(|output| output.status.success()) {
        assert!(std::env::var("PLENARY_REQUIRE_STRACE").is_err(), "strace is required by PLENARY_REQUIRE_STRACE: {strace:?}");
        let thread = std::thread::current();
        let _ = writeln!(std::io::stderr(), "SKIPPED, NOT TRACED: {}: no strace", thread.name().unwrap_or("a test"));
        return None;
    }
    let folder = tempfile::tempdir().expect("a temporary directory");
    let file = folder.path().join("trace");
    // The server stays the child: the tracer is its grandchild, and ends with it.
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-y", "-s", "4096", "-o"]).arg(&file);
    let calls = [SENDS, RECEIVES, &["pwrite64", "fsync", "fdatasync"]].concat().join(",");
    command.arg("-e").arg(format!("trace={calls}")).arg(server.get_program()).args(server.get_args()).stdin(Stdio::null());
    for (name, value) in server.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let server = Served::spawn(command);
    booked(&server).await;
    server.signal("KILL");
    server.ended();
    Some(system_calls(&whole(&file)))
}

/// The trace, when its writer has seen the end of the process.
fn whole(file: &Path) -> String {
    let began = Instant::now();
    loop {
        let trace = std::fs::read_to_string(file).unwrap_or_default();
        if trace.lines().next_back().is_some_and(|line| line.contains("+++ killed by SIGKILL +++")) || began.elapsed() > PATIENCE {
            return trace;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn serve(database_url: &str) -> Command {
    let mut command = plenary(&["serve", "--bind", "127.0.0.1:0", "--log-format", "json"]);
    command.env("DATABASE_URL", database_url);
    unlimited(&mut command);
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sqlite_is_synced_before_the_answer() {
    let database = App::on_sqlite().await.stop().await;
    let Some(calls) = traced(&serve(database.url())).await else { return };
    assert_eq!(unsynced(&calls), (BOOKINGS, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sync_that_is_missing_is_noticed() {
    for fault in ["relaxed", "answers before the commit"] {
        let database = App::on_sqlite().await.stop().await;
        let Some(calls) = traced(&process::command(fault, database.url())).await else { return };
        let (answered, wrong) = unsynced(&calls);
        assert_eq!((answered, wrong.len()), (BOOKINGS, BOOKINGS), "{fault}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_has_committed_before_the_answer() {
    let Some(app) = App::on_postgres().await else { return };
    for setting in ["fsync", "synchronous_commit", "full_page_writes"] {
        let show: &'static str = format!("SHOW {setting}").leak();
        assert_eq!(app.db().query(show).scalar::<String>().await.expect("a setting"), "on", "{setting}");
    }
    let database = app.stop().await;
    let Some(calls) = traced(&serve(database.url())).await else { return };
    assert_eq!(uncommitted(&calls), (BOOKINGS, vec![]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_comes_late_is_noticed() {
    let Some(app) = App::on_postgres().await else { return };
    let database = app.stop().await;
    let Some(calls) = traced(&process::command("answers before the commit", database.url())).await else { return };
    let (answered, wrong) = uncommitted(&calls);
    assert_eq!((answered, wrong.len()), (BOOKINGS, BOOKINGS));
}
