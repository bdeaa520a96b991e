//! The task `bench`: builds as for production, private servers, and `handfast-bench` over them.

use std::{fs, time::Duration};

use crate::{
    Result,
    process::{Interrupt, Stream, follow, output},
    repo,
    servers::{Options as ServerOptions, Servers},
    yardsticks::Yardsticks,
};

const BUILD_WITHIN: Duration = Duration::from_secs(60 * 60);
const RUN_WITHIN: Duration = Duration::from_secs(60 * 60);

/// Options of the task.
#[derive(clap::Args)]
pub struct Options {
    /// Which to run: databases, shards, decisions, recovery, saga; all if none is named. The last
    /// part of saga alone: in-flight.
    only: Vec<String>,
    /// Rounds of each measurement; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Length of one round, in seconds.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Write the report to docs/benchmarks.md and the chart beside it; `saga`, measured alone, has
    /// a place and a chart of its own.
    #[arg(long)]
    record: bool,
}

/// Builds, starts, measures, prints.
pub fn run(options: &Options) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let mut build = repo::cargo();
    build.args(["build", "--profile", "dist", "-p", "handfast-cli", "-p", "handfast-bench"]);
    let built = follow(&mut build, &interrupt, BUILD_WITHIN, |_, line| eprintln!("{line}"))?;
    if !built.success() {
        return Err("the benchmarks do not build".into());
    }
    let target = target_directory()?;
    let yardsticks = match options.only.is_empty() || options.only.iter().any(|one| one == "saga") {
        true => Yardsticks::find(&target, &interrupt)?,
        false => Yardsticks::default(),
    };
    let wanted = ServerOptions { mariadb: 0, ..ServerOptions::default() };
    let servers = Servers::start(&wanted, &interrupt)?;
    let programs = target.join("dist");
    let mut bench = std::process::Command::new(programs.join("handfast-bench"));
    bench.args(&options.only).envs(servers.variables());
    bench.args(["--rounds", &options.rounds.to_string()]);
    bench.args(["--seconds", &options.seconds.to_string()]);
    bench.arg("--binary").arg(programs.join("handfast")).args(yardsticks.flags());
    let place = if options.only == ["saga"] { &SAGAS } else { &ALL };
    if options.record {
        bench.arg("--svg").arg(repo::root().join(place.chart));
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
    let machine = machine(&servers, &yardsticks)?;
    println!("{machine}");
    if options.record {
        record(options, place, &machine, report.trim_end())?;
    }
    Ok(())
}

/// Where a run is recorded.
struct Place {
    /// The marks around it in docs/benchmarks.md.
    marks: [&'static str; 2],
    chart: &'static str,
}

const ALL: Place =
    Place { marks: ["<!-- run -->\n", "<!-- /run -->\n"], chart: "docs/benchmarks.svg" };
const SAGAS: Place =
    Place { marks: ["<!-- sagas -->\n", "<!-- /sagas -->\n"], chart: "docs/benchmarks-sagas.svg" };

/// Replaces the recorded run between its marks; what is written around it stays.
fn record(options: &Options, place: &Place, machine: &str, report: &str) -> Result<()> {
    let [begin, end] = place.marks;
    let file = repo::root().join("docs/benchmarks.md");
    let page = fs::read_to_string(&file)?;
    let (before, rest) = page.split_once(begin).ok_or("docs/benchmarks.md has no run mark")?;
    let (_, after) = rest.split_once(end).ok_or("docs/benchmarks.md has no end mark")?;
    let how = format!("{} rounds of {} s each, medians.", options.rounds, options.seconds);
    fs::write(&file, format!("{before}{begin}\n{machine}\n{how}\n\n{report}\n\n{end}{after}"))?;
    Ok(())
}

fn machine(servers: &Servers, yardsticks: &Yardsticks) -> Result<String> {
    let cores = std::thread::available_parallelism()?;
    let processor = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processor.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.map_or("unknown", |line| line.trim_start_matches([':', ' ', '\t']));
    let kernel = output(std::process::Command::new("uname").args(["-sr"]))?;
    let compiler = output(std::process::Command::new("rustc").arg("--version"))?;
    let mut programs: Vec<_> = servers.each().map(|server| server.version.clone()).collect();
    programs.extend(yardsticks.versions()?);
    Ok(format!(
        "Machine: {cores} cores ({model}), {}; {}; {}; every promise synced \
         (PostgreSQL `fsync = on`, SQLite `synchronous = FULL`, yardsticks `fdatasync`), \
         callers and servers on the same machine.",
        kernel.trim(),
        compiler.trim(),
        programs.join(", ")
    ))
}

fn target_directory() -> Result<std::path::PathBuf> {
    let metadata = output(repo::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let directory =
        metadata["target_directory"].as_str().ok_or("cargo names no target directory")?;
    Ok(directory.into())
}
