//! The command lines of what proves and shows how Handfast behaves.

use std::path::PathBuf;

use clap::{Args, FromArgMatches as _, ValueEnum};

#[derive(Args)]
pub struct Sim {
    /// What the first world is drawn from; the next one is drawn from the next number. By chance if
    /// absent.
    #[arg(long)]
    pub seed: Option<u64>,
    /// End after so many steps. Without --minutes, a million.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub steps: Option<u64>,
    /// End after so many minutes.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    pub minutes: Option<u64>,
    /// How many nodes of Handfast each world has: one or two that coordinate, and for the rest
    /// shards. Databases are not counted. By chance, up to 7, if absent.
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=7))]
    pub nodes: Option<u8>,
    /// Walk the trace in this file again, which is what a walk that failed has printed, or what
    /// `check --save` has written, and tell what it violates.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seed", "steps", "minutes", "nodes"])]
    pub replay: Option<PathBuf>,
}

#[derive(Args)]
pub struct Check {
    /// What to walk through.
    pub what: What,
    /// How many branches.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=5))]
    pub branches: u8,
    /// Paxos commit: how many acceptors may be lost, 1 if absent; there are twice as many beside
    /// the node.
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub faults: Option<u8>,
    /// How often the transaction is begun: once, doubled, again after a crash.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=4))]
    pub begins: u8,
    /// How often a caller wants it aborted.
    #[arg(long, default_value_t = 0)]
    pub aborts: u8,
    /// How often a node dies.
    #[arg(long, default_value_t = 1)]
    pub crashes: u16,
    /// How many messages are lost.
    #[arg(long, default_value_t = 0)]
    pub drops: u16,
    /// How many messages are doubled.
    #[arg(long, default_value_t = 0)]
    pub duplicates: u16,
    /// How often somebody gives up waiting while an answer may still come.
    #[arg(long, default_value_t = 0)]
    pub delays: u16,
    /// How often a node is cut off from all others.
    #[arg(long, default_value_t = 0)]
    pub cuts: u16,
    /// How often somebody who waits for others in order to decide stops waiting: 6 for three-phase
    /// commit if absent, else never.
    #[arg(long)]
    pub ballots: Option<u16>,
    /// Paxos commit: with 2 or more, how many lead, at once or after each other. The first is the
    /// coordinator; the others are members that take it for dead, even while it lives.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=6))]
    pub leaders: u16,
    /// Three-phase and Paxos commit: the dead start again. Without it, those who live must end
    /// without them.
    #[arg(long)]
    pub restarts: bool,
    /// Also check that the branches do nothing that transaction commit does not allow.
    #[arg(long, conflicts_with = "begins")]
    pub refines: bool,
    /// If something is violated, write the schedule to this file; `sim --replay` walks it again.
    #[arg(long, value_name = "FILE", conflicts_with = "refines")]
    pub save: Option<PathBuf>,
    /// Give up when so many states differ.
    #[arg(long, default_value_t = 20_000_000)]
    pub states: usize,
    /// Give up after so many minutes.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_080))]
    pub minutes: Option<u64>,
    /// With `published`: the largest model too, of 1.3 million states.
    #[arg(long)]
    pub all: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Two-phase commit over databases.
    TwoPhase,
    /// Two-phase commit over Handfast's shards, which ask when they are in doubt.
    Shards,
    /// Three-phase commit. Where those who live are taken for dead it is split, as it must be.
    ThreePhase,
    /// Paxos commit.
    Paxos,
    /// Models of others, whose numbers of states are known: is the checker right?
    Published,
}

impl Check {
    /// If nothing is said but what to walk through.
    pub fn absent(what: What) -> Self {
        let command = Self::augment_args(clap::Command::new("check"));
        let said = command.get_matches_from(["check".to_owned(), what.to_string()]);
        Self::from_arg_matches(&said).expect("all else has a default")
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.to_possible_value().expect("none is hidden").get_name())
    }
}

#[derive(Args)]
pub struct Lab {
    /// Only these experiments; all if none is named.
    pub experiments: Vec<String>,
    /// Where the report is written: a page, and a picture for each experiment.
    #[arg(long, value_name = "DIR", default_value = "./handfast-lab")]
    pub out: PathBuf,
    /// What all chance is drawn from; the same seed gives the same numbers.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How often each random trial is made.
    #[arg(long, default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub trials: u32,
    /// A message's way to another place and back, on average.
    #[arg(long, value_name = "MS", default_value_t = 5.0)]
    pub round_trip_ms: f64,
    /// A sync, on average.
    #[arg(long, value_name = "MS", default_value_t = 1.0)]
    pub sync_ms: f64,
}
