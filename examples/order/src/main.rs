//! The order example, in one command: `cargo run -p handfast-example-order`.

use std::process::ExitCode;

use clap::Parser;
use handfast_example_kit::{Part, WORDS, end};
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

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { part, play } = Cli::parse();
    end(match part {
        Some(part) => part.run(&ROLES).await.map(|()| true),
        None => run(&play, &WORDS).await.map(|report: Report| {
            println!("{}", report.text());
            report.holds()
        }),
    })
}
