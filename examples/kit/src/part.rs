//! What an example's program is: the play, or a process that the play has started.

use std::{path::PathBuf, process::ExitCode};

use clap::Subcommand;

use crate::{Role, ServiceArgs, Words, node};

/// How an example's program starts itself.
pub const WORDS: Words = Words { node: &["node"], service: &["service"] };

/// What an example's program is when it starts itself.
#[derive(Subcommand)]
pub enum Part {
    /// A node, with the settings of that file.
    #[command(hide = true)]
    Node {
        /// The file.
        config: PathBuf,
    },
    /// A service, which is one of the roles.
    #[command(hide = true)]
    Service(ServiceArgs),
}

impl Part {
    /// Is that until the process is to end.
    ///
    /// # Errors
    /// In words: it did not start, or broke.
    pub async fn run(self, roles: &[Role]) -> Result<(), String> {
        match self {
            Self::Node { config } => node(&config).await,
            Self::Service(args) => args.serve(roles).await,
        }
    }
}

/// Ends an example's program: well if all holds.
pub fn end(ended: Result<bool, String>) -> ExitCode {
    match ended {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
