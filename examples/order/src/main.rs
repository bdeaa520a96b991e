//! The order example, in one command: `cargo run -p handfast-example-order`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use handfast_example_kit::{ServiceArgs, Words};
use handfast_example_order::{Play, ROLES, Report, run};

/// Orders over four services: order, payment, inventory, shipping. Starts them and a node, lets
/// customers order while things go wrong, and checks the books. Exits with 1 if they are wrong.
#[derive(Parser)]
#[command(max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    play: Play,
}

/// What this program is when it starts itself.
#[derive(Subcommand)]
enum Part {
    #[command(hide = true)]
    Node { config: PathBuf },
    #[command(hide = true)]
    Service(ServiceArgs),
}

const WORDS: Words = Words { node: &["node"], service: &["service"] };

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { part, play } = Cli::parse();
    let ended = match part {
        Some(Part::Node { config }) => handfast_example_kit::node(&config).await.map(|()| true),
        Some(Part::Service(args)) => args.serve(&ROLES).await.map(|()| true),
        None => run(&play, &WORDS).await.map(|report: Report| {
            println!("{}", report.text());
            report.holds()
        }),
    };
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
