//! `handfast saga`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Node;

#[derive(Args)]
pub struct Saga {
    #[command(flatten)]
    pub node: Node,
    #[command(subcommand)]
    pub command: SagaCommand,
}

#[derive(Subcommand)]
pub enum SagaCommand {
    /// Have the node keep a definition. A version that is kept never changes.
    Apply {
        /// YAML or JSON; `-` for stdin.
        file: PathBuf,
    },
    /// List the sagas that the node keeps.
    Ls,
    /// Show one saga: its branches, what comes before what, and what lint says.
    Show {
        /// Its name.
        name: String,
        /// Which version; the last if absent.
        #[arg(long)]
        version: Option<u32>,
    },
    /// Check a definition without a node: what is wrong, and what had better be otherwise.
    Lint {
        /// YAML or JSON; `-` for stdin.
        file: PathBuf,
        /// Warnings count as errors.
        #[arg(long)]
        strict: bool,
    },
    /// Run a saga.
    Run {
        /// Its name.
        name: String,
        /// What it is given: a JSON object, or `@` and a file that holds one.
        #[arg(long, value_name = "JSON|@FILE")]
        input: Option<String>,
        /// The transaction's name: run again with the same name and input, it is the same.
        #[arg(long)]
        gid: Option<String>,
        /// Which version; the last if absent.
        #[arg(long)]
        version: Option<u32>,
        /// Wait for the outcome, so many seconds at most; 60 if not said.
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, require_equals = true)]
        #[arg(default_missing_value = "60")]
        #[arg(value_parser = clap::value_parser!(u64).range(1..=86_400))]
        wait: Option<u64>,
    },
    /// Draw a definition, or one transaction, as SVG.
    Graph {
        /// A file with a definition, or the name of a saga that the node keeps.
        #[arg(value_name = "FILE|NAME", required_unless_present = "tx")]
        what: Option<String>,
        /// Which version of the saga; the last if absent.
        #[arg(long, conflicts_with = "tx")]
        version: Option<u32>,
        /// A transaction instead, as it is now.
        #[arg(long, value_name = "GID", conflicts_with = "what")]
        tx: Option<String>,
        /// Where to; stdout if absent.
        #[arg(long, short, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}
