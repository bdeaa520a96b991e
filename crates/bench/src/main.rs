//! Benchmarks. Each measures Handfast and a yardstick in the same minutes, checks that the work was
//! really done, and reports medians of several rounds and their ratio.
//!
//! Run by `cargo xtask bench`, which builds the binary for production and starts the databases.

mod chart;
mod databases;
mod decisions;
mod node;
mod recovery;
mod saga;
mod shards;

use std::path::PathBuf;

use clap::Parser;

/// As in the program that is measured: what the callers and their service take is not for it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a benchmark ends with; the error is told to the person who called it.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[derive(Parser)]
struct Args {
    /// Which to run: databases, shards, decisions, recovery, saga; all if none is named. The last
    /// part of saga alone: in-flight.
    only: Vec<String>,
    /// The binary to measure.
    #[arg(long)]
    binary: PathBuf,
    /// Two PostgreSQL servers.
    #[arg(long, env = "HANDFAST_TEST_POSTGRES", value_delimiter = ',')]
    postgres: Vec<String>,
    /// The dtmrs to measure sagas against.
    #[arg(long)]
    dtmrs: Option<PathBuf>,
    /// The Redis server for it.
    #[arg(long)]
    redis: Option<PathBuf>,
    /// Rounds of each measurement; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of one round, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Where to write the chart.
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// One line of the report.
pub struct Line {
    /// What was measured.
    pub what: String,
    /// Handfast's figure.
    pub ours: f64,
    /// The yardstick's figure, in the same unit.
    pub yardstick: f64,
    /// The unit, and what the yardstick is.
    pub unit: &'static str,
    /// What is aimed at, in words.
    pub aim: &'static str,
}

impl Line {
    /// Ours over the yardstick's.
    pub fn ratio(&self) -> f64 {
        self.ours / self.yardstick
    }
}

fn main() -> Result<()> {
    let args = Args::parse();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new()?;
    let wanted = |name: &str| args.only.is_empty() || args.only.iter().any(|only| only == name);
    let mut lines = Vec::new();
    if wanted("decisions") {
        eprintln!("decisions: the log alone …");
        lines.extend(decisions::run(&args)?);
    }
    if wanted("databases") {
        eprintln!("databases: transfers between two PostgreSQL …");
        lines.extend(runtime.block_on(databases::run(&args))?);
    }
    if wanted("shards") {
        eprintln!("shards: transfers between two shards …");
        lines.extend(runtime.block_on(shards::run(&args))?);
    }
    if wanted("recovery") {
        eprintln!("recovery: 2,000 prepared branches, a million finished transactions …");
        lines.extend(runtime.block_on(recovery::run(&args))?);
    }
    if wanted("saga") {
        eprintln!("saga: two steps over a service, against dtmrs …");
        // One thread: callers and service shall take little of what the coordinators run on.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        lines.extend(runtime.block_on(saga::run(&args))?);
    } else if args.only.iter().any(|only| only == "in-flight") {
        eprintln!("saga: in flight …");
        lines.extend(runtime.block_on(saga::in_flight(&args))?);
    }
    println!("{}", table(&lines));
    if let Some(file) = &args.svg {
        std::fs::write(file, chart::svg(&lines))?;
    }
    Ok(())
}

fn table(lines: &[Line]) -> String {
    let mut text = String::from(
        "| what | Handfast | yardstick | unit | ratio | aim |\n|---|---:|---:|---|---:|---|\n",
    );
    for line in lines {
        text.push_str(&format!(
            "| {} | {} | {} | {} | {:.2} | {} |\n",
            line.what,
            figure(line.ours),
            figure(line.yardstick),
            line.unit,
            line.ratio(),
            line.aim
        ));
    }
    text
}

fn figure(number: f64) -> String {
    match number {
        n if n >= 100.0 => format!("{n:.0}"),
        n => format!("{n:.2}"),
    }
}

/// The middle of the figures.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
