//! A faulty server in a process of its own, to be killed or traced: this binary, started once more.

use super::transactions;
use crate::{rig::crash::unlimited, support::*};
use plenary::{
    app::{App, Surroundings},
    config::Config,
    registrations::engine::{Real, Steps},
};
use std::{net::TcpListener, process::Command, sync::Arc};

const FAULT: &str = "RIG_FAULT";
const TEST: &str = "rig::planted::process::a_faulty_server";

/// The command that starts it.
pub fn command(fault: &str, database_url: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this binary"));
    command.args(["--exact", TEST, "--ignored", "--nocapture"]);
    command.env(FAULT, fault).env("DATABASE_URL", database_url).stdout(std::process::Stdio::null());
    unlimited(&mut command);
    command
}

fn fault(name: &str) -> Arc<dyn Steps> {
    match name {
        "answers before the commit" => Arc::new(transactions::AnswersBeforeCommit),
        "relaxed" => Arc::new(transactions::Relaxed::default()),
        "none" => Arc::new(Real),
        _ => panic!("no such fault: {name}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "no test: a server that the tests start"]
async fn a_faulty_server() {
    let Ok(name) = std::env::var(FAULT) else { return };
    let mut config = Config::for_database(&std::env::var("DATABASE_URL").expect("a database"));
    config.set_limits(0);
    config.access_token_secs = 86_400;
    config.worker_threads = 1;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let surroundings = Surroundings { steps: fault(&name), ..Surroundings::default() };
    let app = App::build_in(surroundings, config, listener).await.expect("a server");
    eprintln!("{}", json!({ "message": "listening", "address": format!("127.0.0.1:{}", app.port()) }));
    app.run_until(std::future::pending()).await.expect("it serves");
}
