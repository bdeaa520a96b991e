//! The command line of `check`: a world's, or a service's.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Check;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Checks {
    #[command(subcommand)]
    pub other: Option<CheckCommand>,
    #[command(flatten)]
    pub world: Option<Check>,
}

#[derive(Subcommand)]
pub enum CheckCommand {
    /// Call a service's do and undo twice, too late, in the wrong order and at the same time, and
    /// tell what breaks. It really calls them: use a service that may be changed.
    Service(CheckService),
}

#[derive(Args)]
pub struct CheckService {
    /// Its address: http://host:port/base.
    pub url: String,
    /// What does a step, such as "POST /bookings".
    #[arg(long = "do", value_name = "METHOD /PATH", requires = "undo")]
    #[arg(required_unless_present = "attempt")]
    pub act: Option<String>,
    /// What undoes it, such as "DELETE /bookings". One that names the output of do, {{do.id}},
    /// breaks when there is none.
    #[arg(long, value_name = "METHOD /PATH", requires = "act")]
    pub undo: Option<String>,
    /// What makes a reservation, instead of a step.
    #[arg(long = "try", value_name = "METHOD /PATH", requires_all = ["confirm", "cancel"])]
    #[arg(conflicts_with = "act")]
    pub attempt: Option<String>,
    /// What makes the reservation final.
    #[arg(long, value_name = "METHOD /PATH", requires = "attempt")]
    pub confirm: Option<String>,
    /// What gives the reservation back; may name its output, {{try.id}}.
    #[arg(long, value_name = "METHOD /PATH", requires = "attempt")]
    pub cancel: Option<String>,
    /// What is sent with do or try: JSON.
    #[arg(long, value_name = "JSON")]
    pub body: Option<String>,
    /// What is sent with undo or cancel: JSON.
    #[arg(long, value_name = "JSON")]
    pub undo_body: Option<String>,
    /// What tells the state that do and undo change, such as "GET /rooms/7". Its answer must be the
    /// same before do and after undo.
    #[arg(long, value_name = "GET /PATH")]
    pub state: Option<String>,
    /// 404 or 410 to undo or cancel means that there is nothing to undo.
    #[arg(long)]
    pub absent_is_undone: bool,
    /// A file that holds the bearer token that the service wants.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Most time for one call.
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=600_000))]
    pub call_ms: u64,
}
