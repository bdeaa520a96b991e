//! `handfast tx`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use handfast_client::wire::{ListFilter, Outcome};

use super::Node;

#[derive(Args)]
pub struct Tx {
    #[command(flatten)]
    pub node: Node,
    #[command(subcommand)]
    pub command: TxCommand,
}

#[derive(Subcommand)]
pub enum TxCommand {
    /// List transactions, newest first.
    Ls {
        #[command(flatten)]
        filter: Filter,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// All of them.
        #[arg(long, conflicts_with = "limit")]
        all: bool,
    },
    /// Show one transaction: its branches, what happened, what happens next.
    Show {
        /// Its name.
        gid: String,
        /// Also draw it to this file, as SVG.
        #[arg(long, value_name = "FILE")]
        graph: Option<PathBuf>,
    },
    /// Begin a transaction, and tell what became of it.
    Begin {
        /// What is posted to /v1/transactions, as YAML or JSON; `-` for stdin.
        file: PathBuf,
        /// Its name, instead of the one in the file.
        #[arg(long)]
        gid: Option<String>,
        /// Whether to wait for its outcome.
        #[arg(long)]
        wait: Option<Wait>,
    },
    /// Add a branch to an open transaction. A step is done, and its output shown.
    Add {
        /// The transaction's name.
        gid: String,
        /// The branch, as YAML or JSON; `-` for stdin.
        file: PathBuf,
    },
    /// Commit a transaction that is held or open; or all that a filter names.
    Commit(Told),
    /// Abort a transaction that is not decided; or all that a filter names.
    Abort(Told),
    /// Try what waits again now: one branch, all of a transaction, or all that a filter names.
    Retry {
        #[command(flatten)]
        told: Told,
        /// Only this branch.
        branch: Option<String>,
    },
    /// Give a branch other calls, and try it again under the same idempotency key; or the same
    /// branch of all transactions that a filter names.
    Edit(Edit),
    /// Declare a branch finished, as you saw it at the participant; or what is stuck in all
    /// transactions that a filter names. Cannot be undone.
    Resolve {
        #[command(flatten)]
        whom: Whom,
        /// The branch's name.
        #[arg(required_unless_present_any = MANY, conflicts_with_all = MANY)]
        branch: Option<String>,
        /// Many: only the branch of this name; all that are stuck (with --resource, stuck there)
        /// if absent.
        #[arg(long = "branch", value_name = "NAME", conflicts_with = "gid")]
        in_each: Option<String>,
        #[command(flatten)]
        seen: Seen,
        /// How you know; kept in the log.
        #[arg(long)]
        reason: String,
    },
}

/// Which transactions.
#[derive(Args)]
pub struct Filter {
    /// Only in this state: open, in-doubt, stuck, or a state's own name.
    #[arg(long)]
    pub state: Option<String>,
    /// Only with a branch at this resource; with --state stuck, only if stuck there.
    #[arg(long, value_name = "NAME")]
    pub resource: Option<String>,
    /// Only runs of this saga.
    #[arg(long, value_name = "NAME")]
    pub saga: Option<String>,
    /// Only with a gid that starts so.
    #[arg(long)]
    pub prefix: Option<String>,
}

impl From<Filter> for ListFilter {
    fn from(Filter { state, resource, saga, prefix }: Filter) -> Self {
        Self { state, resource, saga, prefix, ..Self::default() }
    }
}

/// What makes a word one to many.
const MANY: [&str; 4] = ["state", "resource", "saga", "prefix"];

/// Somebody must be meant.
fn one_or_many() -> ArgGroup {
    ArgGroup::new("one_or_many").arg("gid").args(MANY).required(true).multiple(true)
}

/// To whom a word is said: to one transaction, or to many.
#[derive(Args)]
#[command(group = one_or_many())]
pub struct Whom {
    /// The transaction's name; or name many with --state, --resource, --saga, --prefix.
    #[arg(conflicts_with_all = MANY, conflicts_with = "yes")]
    pub gid: Option<String>,
    #[command(flatten)]
    pub filter: Filter,
    /// Only show what would follow.
    #[arg(long)]
    pub dry_run: bool,
    /// Many: do not ask whether they are meant.
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
}

/// A word that needs nothing else, and why it is said.
#[derive(Args)]
pub struct Told {
    #[command(flatten)]
    pub whom: Whom,
    /// Why; kept in the log.
    #[arg(long, default_value = "")]
    pub reason: String,
}

#[derive(Args)]
pub struct Edit {
    #[command(flatten)]
    pub whom: Whom,
    /// The branch's name.
    #[arg(required_unless_present_any = ["in_each", "branch_file"], conflicts_with_all = MANY)]
    pub branch: Option<String>,
    /// Many: the branch's name in each. --resource says where it is; with --undo or --no-undo it
    /// is a step, or else a delivery.
    #[arg(long = "branch", value_name = "NAME", requires = "resource")]
    #[arg(conflicts_with = "gid")]
    pub in_each: Option<String>,
    /// What it calls from now on: method and path. Say --body or --no-body, too.
    #[arg(long = "do", value_name = "CALL", required_unless_present = "branch_file")]
    pub act: Option<String>,
    /// What takes a step back from now on: method and path.
    #[arg(long, value_name = "CALL", requires = "act")]
    pub undo: Option<String>,
    /// From now on nothing takes the step back.
    #[arg(long, requires = "act", conflicts_with = "undo")]
    pub no_undo: bool,
    /// What is sent with do.
    #[arg(long, value_name = "JSON|@FILE", requires = "act")]
    pub body: Option<String>,
    /// From now on nothing is sent with do.
    #[arg(long, requires = "act", conflicts_with = "body")]
    pub no_body: bool,
    /// What is sent with undo.
    #[arg(long, value_name = "JSON|@FILE", requires = "undo")]
    pub undo_body: Option<String>,
    /// From now on 404 or 410 to undo means that there is nothing to undo.
    #[arg(long, requires = "undo")]
    pub absent_is_undone: bool,
    /// The branch as it shall be, as YAML or JSON, instead; `-` for stdin.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["branch", "in_each", "act"])]
    pub branch_file: Option<PathBuf>,
    /// Why; kept in the log.
    #[arg(long)]
    pub reason: String,
}

/// What became of a branch at its participant.
#[derive(Args)]
#[group(required = true, multiple = false)]
pub struct Seen {
    /// What became of the branch there.
    #[arg(long)]
    outcome: Option<Ended>,
    /// The step is done there; the delivery has arrived.
    #[arg(long)]
    done: bool,
    /// The step is not done there, or is undone; the delivery shall not be made.
    #[arg(long)]
    undone: bool,
}

impl Seen {
    /// In the words of the wire.
    pub fn outcome(&self) -> Outcome {
        match self.outcome {
            Some(Ended::Aborted) => Outcome::Aborted,
            Some(Ended::Committed) => Outcome::Committed,
            None if self.done => Outcome::Committed,
            None => Outcome::Aborted,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Ended {
    /// It is committed there.
    Committed,
    /// It is rolled back there.
    Aborted,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Wait {
    /// Until it is known, or the node's patience is over.
    Outcome,
    /// Not at all.
    None,
}
