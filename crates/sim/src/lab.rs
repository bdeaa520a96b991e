//! The lab: what protocols do and cost, tried with the production machines in virtual time.
//!
//! Each experiment is drawn from a seed and from nothing else: run again, it gives the same.

mod blocking;
mod chart;
mod cluster;
mod latency;
mod naive;
mod page;
mod sequence;
mod site;
mod split;
mod timeouts;
mod wiring;

use serde::Serialize;

pub use cluster::{Cluster, Delay, Hop, NODE, Place, Setup, Stay, Way};
pub use naive::expected_partial;
pub use page::page;

/// What can be chosen about the experiments.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What all chance is drawn from.
    pub seed: u64,
    /// How often each random trial is made.
    pub trials: usize,
    /// A message's way to another place and back, on average, in µs: 100 to 200,000.
    pub round_trip_us: u64,
    /// A sync, on average, in µs: at most 100,000.
    pub sync_us: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 1, trials: 10_000, round_trip_us: 5_000, sync_us: 1_000 }
    }
}

impl Options {
    /// A message's way and a sync, each up to a fifth shorter or longer.
    fn delays(&self) -> (Delay, Delay) {
        let spread = |mean_us| Delay { mean_us, spread_percent: 20 };
        (spread(self.round_trip_us / 2), spread(self.sync_us))
    }
}

/// What an experiment found.
#[derive(Clone, Debug, Serialize)]
pub struct Experiment {
    /// Its short name, of which files are named.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What was done, and what came of it.
    pub text: String,
    /// The numbers.
    pub table: Table,
    /// A picture, as SVG.
    #[serde(skip)]
    pub picture: String,
}

/// Numbers, as they are shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Table {
    /// What the columns are.
    pub head: Vec<&'static str>,
    /// A line for each case.
    pub rows: Vec<Vec<String>>,
}

/// An experiment, by name.
pub type Run = fn(&Options) -> Experiment;

/// All experiments, in the order in which they tell their story.
pub const EXPERIMENTS: &[(&str, Run)] = &[
    ("naive", naive::run),
    ("blocking", blocking::run),
    ("latency", latency::run),
    ("split", split::run),
    ("timeouts", timeouts::run),
];

/// Milliseconds, as shown.
fn ms(us: f64) -> String {
    format!("{:.1}", us / 1_000.0)
}

fn percent(part: usize, of: usize) -> String {
    format!("{:.2} %", 100.0 * part as f64 / of as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
