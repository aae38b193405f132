//! The command `plenary`.

mod cli;
mod telemetry;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
