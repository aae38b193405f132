//! The program itself, as an operator runs it.

use super::client::Front;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The program with these arguments and nothing of ours in its environment.
pub fn plenary(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plenary"));
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in
        ours.filter(|name| name.to_str().is_some_and(|name| name.starts_with("PLENARY_") || name == "DATABASE_URL" || name == "RUST_LOG"))
    {
        command.env_remove(name);
    }
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub fn run(command: &mut Command) -> Output {
    command.output().expect("the program")
}

/// A server in a process of its own; killed when dropped.
pub struct Served {
    child: Child,
    /// As in `127.0.0.1:4711`.
    pub authority: String,
    front: Front,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts `plenary serve` on this database and waits until it listens.
    pub fn start(database_url: &str, set: impl FnOnce(&mut Command)) -> Self {
        let mut command = plenary(&["serve", "--bind", "127.0.0.1:0", "--log-format", "json"]);
        command.env("DATABASE_URL", database_url);
        set(&mut command);
        Self::spawn(command)
    }

    /// Starts a server that tells where it listens as `plenary serve` does.
    pub fn spawn(mut command: Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr")).lines();
        let log = Arc::new(Mutex::new(String::new()));
        let mut address = None;
        for line in lines.by_ref().map_while(Result::ok) {
            let entry: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            log.lock().expect("a log").push_str(&(line + "\n"));
            if entry["message"] == "listening" {
                address = entry["address"].as_str().map(str::to_owned);
                break;
            }
        }
        let shared = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                shared.lock().expect("a log").push_str(&(line + "\n"));
            }
        });
        let Some(address) = address else { panic!("the program did not listen: {}", log.lock().expect("a log")) };
        Self { child, front: Front::at(&address), authority: address, log, reader: Some(reader) }
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().expect("kill");
        assert!(sent.success(), "SIG{name} could not be sent");
    }

    /// Waits for its end; how it ended, and all it has written.
    pub fn ended(mut self) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("its status") {
                Some(status) => break status,
                None if began.elapsed() > PATIENCE => panic!("the program does not end: {}", self.log.lock().expect("a log")),
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        self.reader.take().expect("a reader").join().expect("its log");
        (status, self.log.lock().expect("a log").clone())
    }
}

impl std::ops::Deref for Served {
    type Target = Front;
    fn deref(&self) -> &Front {
        &self.front
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
