//! The task `bench`: release builds, private servers, and `handfast-bench` over them.

use std::{fs, time::Duration};

use crate::{
    Result,
    process::{Interrupt, Stream, follow, output},
    repo,
    servers::{Options as ServerOptions, Servers},
};

const BUILD_WITHIN: Duration = Duration::from_secs(60 * 60);
const RUN_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Options of the task.
#[derive(clap::Args)]
pub struct Options {
    /// Which to run: databases, shards, decisions, recovery; all if none is named.
    only: Vec<String>,
    /// Rounds of each measurement; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of one round, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Write the report to docs/benchmarks.md and the chart to docs/benchmarks.svg.
    #[arg(long)]
    record: bool,
}

/// Builds, starts, measures, prints.
pub fn run(options: &Options) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut build = repo::cargo();
    build.args(["build", "--release", "-p", "handfast-cli", "-p", "handfast-bench"]);
    let built = follow(&mut build, &interrupt, BUILD_WITHIN, |_, line| eprintln!("{line}"))?;
    if !built.success() {
        return Err("the benchmarks do not build".into());
    }
    let wanted = ServerOptions { mariadb: 0, ..ServerOptions::default() };
    let servers = Servers::start(&wanted, &interrupt)?;
    let programs = target_directory()?.join("release");
    let mut bench = std::process::Command::new(programs.join("handfast-bench"));
    bench.args(&options.only).envs(servers.variables());
    bench.args(["--rounds", &options.rounds.to_string()]);
    bench.args(["--seconds", &options.seconds.to_string()]);
    bench.arg("--binary").arg(programs.join("handfast"));
    if options.record {
        bench.arg("--svg").arg(repo::root().join("docs/benchmarks.svg"));
    }
    let mut report = String::new();
    let status = follow(&mut bench, &interrupt, RUN_WITHIN, |stream, line| match stream {
        Stream::Err => eprintln!("{line}"),
        Stream::Out => {
            println!("{line}");
            report.push_str(line);
            report.push('\n');
        }
    })?;
    if !status.success() {
        return Err("the benchmarks failed".into());
    }
    let machine = machine(&servers)?;
    println!("{machine}");
    if options.record {
        record(options, &machine, report.trim_end())?;
    }
    Ok(())
}

/// Replaces the recorded run between its marks; what is written around it stays.
fn record(options: &Options, machine: &str, report: &str) -> Result<()> {
    const BEGIN: &str = "<!-- run -->\n";
    const END: &str = "<!-- /run -->\n";
    let file = repo::root().join("docs/benchmarks.md");
    let page = fs::read_to_string(&file)?;
    let (before, rest) = page.split_once(BEGIN).ok_or("docs/benchmarks.md has no run mark")?;
    let (_, after) = rest.split_once(END).ok_or("docs/benchmarks.md has no end mark")?;
    let how = format!("{} rounds of {} s each, medians.", options.rounds, options.seconds);
    fs::write(&file, format!("{before}{BEGIN}\n{machine}\n{how}\n\n{report}\n\n{END}{after}"))?;
    Ok(())
}

fn machine(servers: &Servers) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([':', ' ', '\t']));
    let kernel = output(std::process::Command::new("uname").args(["-sr"]))?;
    let compiler = output(std::process::Command::new("rustc").arg("--version"))?;
    let databases: Vec<_> = servers.each().map(|server| server.version.as_str()).collect();
    Ok(format!(
        "Machine: {cores} cores ({model}), {}; {}; {}; every promise synced \
         (PostgreSQL `fsync = on`, SQLite `synchronous = FULL`, yardsticks `fdatasync`), \
         callers and servers on the same machine.",
        kernel.trim(),
        compiler.trim(),
        databases.join(", ")
    ))
}

fn target_directory() -> Result<std::path::PathBuf> {
    let metadata = output(repo::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let directory =
        metadata["target_directory"].as_str().ok_or("cargo names no target directory")?;
    Ok(directory.into())
}
