//! Tasks of Handfast's developers, run as `cargo xtask <task>`.
//!
//! `test` runs every suite against real servers that [`servers`] starts and [`install`] brings
//! in; [`bench`] measures; [`tidy`] and [`audit`] keep the house rules. `.ci/run` calls them all.

mod audit;
mod bench;
mod repo;
mod spdx;
mod test;
mod tidy;
mod yardsticks;

use clap::Parser;
use xtask::{Result, install, process, servers};

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
    /// Measure against yardsticks in the same minutes; print a table, record it on demand.
    Bench(bench::Options),
    /// Check the rules of the house that no compiler checks.
    Tidy,
    /// Check licences, banned crates and known advisories of every dependency.
    Audit,
}

fn main() -> std::process::ExitCode {
    let done = match Task::parse() {
        Task::Test(options) => test::run(&options),
        Task::Servers { keep } => servers::run(keep),
        Task::Bench(options) => bench::run(&options),
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
