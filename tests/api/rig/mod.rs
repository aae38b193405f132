//! A rig that can see loss. What it is and how it is run large is told in the README.

mod checker;
mod conference;
mod crash;
mod durability;
mod hangups;
mod history;
mod ledger;
mod model;
mod planted;
mod simulator;
mod venue;
mod workload;

/// A number that is set by hand, in the environment.
fn flag(name: &str, usual: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => usual,
    }
}

/// Lets failures of servers in this process tell why, among what a failing test prints.
fn tell_failures() {
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_test_writer();
    // It was done before.
    let _ = lines.try_init();
}
