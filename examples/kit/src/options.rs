//! What can be said on the command line of every example.

use clap::Args;

/// How it is played.
#[derive(Args, Clone, Debug, Default)]
pub struct Options {
    /// How many callers at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub callers: u32,
    /// How many times something is killed: the node, a service, or everything at once.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub kills: u32,
    /// The share that is refused by some service, such as 0.1; all if only --fail is given.
    #[arg(long, value_name = "SHARE", value_parser = share)]
    pub fail_rate: Option<f64>,
    /// The share of calls that services answer with 500, half of them when the work is done.
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub flaky: f64,
    /// Calls take up to so many milliseconds longer.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    #[arg(value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pub slow: u64,
    /// What all choices are made from; the same seed makes the same choices.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The node and all services in this one process, instead of a process for each.
    #[arg(long, conflicts_with = "kills")]
    pub together: bool,
    /// Keep the directory, with the databases and the logs of all processes.
    #[arg(long)]
    pub keep: bool,
}

impl Options {
    /// The share that is to be refused, where those are named who refuse.
    pub fn refused(&self, named: bool) -> f64 {
        self.fail_rate.unwrap_or(if named { 1.0 } else { 0.0 })
    }
}

/// 0 to 1.
///
/// # Errors
/// It is something else.
pub fn share(text: &str) -> Result<f64, String> {
    let share = text.parse().ok().filter(|share| (0.0..=1.0).contains(share));
    share.ok_or_else(|| "a share is a number from 0 to 1".into())
}
