//! The service that kill tests kill, as a process of its own.

use std::process::ExitCode;

use clap::Parser as _;
use handfast_example_kit::victim::Victim;

#[tokio::main]
async fn main() -> ExitCode {
    match Victim::parse().serve().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
