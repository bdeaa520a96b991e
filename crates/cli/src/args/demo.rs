//! `handfast demo`, and `handfast demo saga`.

use clap::{Args, Subcommand};
use handfast_example_kit::{Options, ServiceArgs};
use handfast_example_order::Play;

use super::Demo;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Demos {
    #[command(subcommand)]
    pub part: Option<DemoPart>,
    #[command(flatten)]
    pub bank: Demo,
}

#[derive(Subcommand)]
pub enum DemoPart {
    /// Send orders through four services while all of them are killed, then prove that each is
    /// complete everywhere or undone everywhere.
    Saga(SagaDemo),
    /// One of these services.
    #[command(hide = true)]
    Service(ServiceArgs),
}

#[derive(Args)]
pub struct SagaDemo {
    /// How many orders.
    #[arg(long, default_value_t = 1_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub orders: u32,
    /// How many callers at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub callers: u32,
    /// How many times something is killed: the node, a service, or everything at once.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub kills: u32,
    /// What all choices are made from; the same seed makes the same choices.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Keep the directory, with the databases and the logs of all processes.
    #[arg(long)]
    pub keep: bool,
}

/// Which share of the orders is refused by some service.
const REFUSED: f64 = 0.1;

impl From<SagaDemo> for Play {
    fn from(args: SagaDemo) -> Self {
        let SagaDemo { orders, callers, kills, seed, keep } = args;
        let fail_rate = Some(REFUSED);
        let options = Options { callers, kills, fail_rate, seed, keep, ..Options::default() };
        Self { orders, options, ..Self::default() }
    }
}
