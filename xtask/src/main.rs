//! Tasks of Handfast's developers, run as `cargo xtask <task>`.
//!
//! `test` runs every suite against real servers that [`servers`] starts and [`install`] brings
//! in; [`tidy`] and [`audit`] keep the house rules. `.ci/run` calls them all.

mod audit;
mod install;
mod process;
mod repo;
mod servers;
mod spdx;
mod test;
mod tidy;

use clap::Parser;

/// What a task ends with; the error is told to the person who called it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of Handfast's developers")]
enum Task {
    /// Start private database servers, run every test against them, stop them.
    Test(test::Options),
    /// Start private database servers, print their addresses, wait for Ctrl-C.
    Servers {
        /// Leave their directories and logs behind.
        #[arg(long)]
        keep: bool,
    },
    /// Check the rules of the house that no compiler checks.
    Tidy,
    /// Check licences, banned crates and known advisories of every dependency.
    Audit,
}

fn main() -> std::process::ExitCode {
    let done = match Task::parse() {
        Task::Test(options) => test::run(&options),
        Task::Servers { keep } => servers::run(keep),
        Task::Tidy => tidy::run(),
        Task::Audit => audit::run(),
    };
    match done {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
