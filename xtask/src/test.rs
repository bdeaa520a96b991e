//! The task `test`: every suite of the workspace, against real servers.
//!
//! Test binaries are built by cargo and run here one by one, so that the summary can say which
//! suite ran, how long, and against what.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    Result,
    process::{Interrupt, Stream, follow},
    repo,
    servers::{self, Servers},
};

/// Most time to build everything from nothing.
const BUILD_WITHIN: Duration = Duration::from_secs(60 * 60);
/// Most time of one suite: a test that hangs must not hang the run.
const SUITE_WITHIN: Duration = Duration::from_secs(20 * 60);
/// What is tested: the whole workspace, with the points at which kill tests stop the node.
const WHAT: [&str; 3] = ["--workspace", "--features", "handfast-cli/kill-points"];

/// Options of the task.
#[derive(clap::Args)]
pub struct Options {
    /// Run only tests whose path contains this.
    #[arg(long)]
    filter: Option<String>,
    /// Leave the servers' directories and logs behind.
    #[arg(long)]
    keep: bool,
}

/// Runs everything, and fails if anything failed or did not run.
pub fn run(options: &Options) -> Result<()> {
    let interrupt = Interrupt::listen()?;
    let suites = build(&interrupt)?;
    let wanted = servers::Options { keep: options.keep, ..servers::Options::default() };
    let servers = Servers::start(&wanted, &interrupt)?;
    for server in servers.each() {
        println!("started {} at {}", server.version, server.url);
    }
    let mut reports = Vec::new();
    for suite in suites {
        println!("\n=== {}", suite.name);
        reports.push(suite.run(options, &servers, &interrupt)?);
    }
    println!("\n=== documentation");
    reports.push(documentation(options).run(options, &servers, &interrupt)?);
    summarize(&reports, &servers)
}

/// Something to run that speaks like a test binary.
struct Suite {
    name: String,
    command: Command,
}

/// Builds all test binaries; in a fixed order, the quick ones of the core first.
fn build(interrupt: &Interrupt) -> Result<Vec<Suite>> {
    let mut suites = Vec::new();
    let mut command = repo::cargo();
    command.args(["test", "--no-run", "--message-format=json-render-diagnostics"]).args(WHAT);
    let status = follow(&mut command, interrupt, BUILD_WITHIN, |stream, line| match stream {
        Stream::Err => eprintln!("{line}"),
        Stream::Out => suites.extend(serde_json::from_str(line).ok().as_ref().and_then(suite)),
    })?;
    if !status.success() {
        return Err("the tests do not build".into());
    }
    let order = ["handfast-core", "handfast-log", "xtask", "handfast-client"];
    let place = |name: &str| order.iter().position(|start| name.starts_with(start));
    suites.sort_by_key(|suite: &Suite| {
        (place(&suite.name).unwrap_or(order.len()), suite.name.clone())
    });
    Ok(suites)
}

/// The suite that one of cargo's messages announces, if it does.
fn suite(message: &Value) -> Option<Suite> {
    let executable = message["executable"].as_str()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let home = manifest.parent()?;
    let package = home.file_name()?.to_str()?;
    let package = if package == "xtask" { package.into() } else { format!("handfast-{package}") };
    let kind = match message["target"]["kind"][0].as_str()? {
        "test" => message["target"]["name"].as_str()?,
        "bin" => "unit tests of the binary",
        _ => "unit tests",
    };
    let mut command = Command::new(executable);
    // As under `cargo test`: a suite runs in its package's directory.
    command.current_dir(home).env("CARGO_MANIFEST_DIR", home);
    Some(Suite { name: format!("{package} {kind}"), command })
}

/// The examples in the documentation are tests too.
fn documentation(options: &Options) -> Suite {
    let mut command = repo::cargo();
    command.args(["test", "--doc", "--no-fail-fast"]).args(WHAT);
    if options.filter.is_some() {
        command.arg("--");
    }
    Suite { name: "documentation".into(), command }
}

/// What a suite did.
struct Report {
    name: String,
    tally: Tally,
    took: Duration,
}

impl Suite {
    fn run(
        mut self,
        options: &Options,
        servers: &Servers,
        interrupt: &Interrupt,
    ) -> Result<Report> {
        self.command.args(&options.filter).envs(servers.variables());
        let started = Instant::now();
        let mut tally = Tally::default();
        let ended = follow(&mut self.command, interrupt, SUITE_WITHIN, |stream, line| {
            tally.read(line);
            match stream {
                Stream::Out => println!("{line}"),
                Stream::Err => eprintln!("{line}"),
            }
        });
        interrupt.check()?;
        // A crash or a hang leaves no result line; it is a failure all the same.
        let broke = match ended {
            Ok(status) if status.success() => None,
            Ok(status) => Some(status.to_string()),
            Err(error) => Some(error.to_string()),
        };
        if let Some(why) = broke.filter(|_| tally.failed == 0) {
            eprintln!("{}: {why}", self.name);
            tally.failed += 1;
        }
        Ok(Report { name: self.name, tally, took: started.elapsed() })
    }
}

/// Counts of a suite, read from what it writes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: u64,
    failed: u64,
    ignored: u64,
    /// Tests that passed, by the first word of their path.
    areas: BTreeMap<String, u64>,
    /// Lines in which a suite says that it did not run, or that a test failed.
    loud: Vec<String>,
    not_run: u64,
}

impl Tally {
    fn read(&mut self, line: &str) {
        let not_run = line.contains("NOT RUN");
        if not_run || line.strip_prefix("test ").is_some_and(|test| test.ends_with("... FAILED")) {
            self.loud.push(line.trim().into());
            self.not_run += u64::from(not_run);
        }
        if let Some(counts) = line.strip_prefix("test result: ") {
            self.add(counts);
        }
        let passed = line.strip_prefix("test ").and_then(|test| test.strip_suffix(" ... ok"));
        if let Some((area, _)) = passed.and_then(|path| path.split_once("::")) {
            *self.areas.entry(area.into()).or_default() += 1;
        }
    }

    /// Adds `ok. 3 passed; 0 failed; 0 ignored; …`.
    fn add(&mut self, counts: &str) {
        for count in counts.split([';', '.']) {
            let mut words = count.split_whitespace();
            let number = words.next().and_then(|word| word.parse::<u64>().ok());
            match (number, words.next()) {
                (Some(number), Some("passed")) => self.passed += number,
                (Some(number), Some("failed")) => self.failed += number,
                (Some(number), Some("ignored")) => self.ignored += number,
                _ => {}
            }
        }
    }
}

fn summarize(reports: &[Report], servers: &Servers) -> Result<()> {
    println!("\n================ summary ================");
    for server in servers.each() {
        println!("ran against {} ({})", server.version, server.url);
    }
    println!("\n{:<44} {:>6} {:>6} {:>8}", "suite", "passed", "failed", "seconds");
    for Report { name, tally, took } in reports {
        let Tally { passed, failed, areas, .. } = tally;
        if passed + failed == 0 {
            continue;
        }
        println!("{name:<44} {passed:>6} {failed:>6} {:>8.1}", took.as_secs_f64());
        let areas: Vec<_> = areas.iter().map(|(area, count)| format!("{area} {count}")).collect();
        if !areas.is_empty() {
            println!("    {}", areas.join(", "));
        }
    }
    let total = |of: fn(&Tally) -> u64| reports.iter().map(|report| of(&report.tally)).sum::<u64>();
    let (passed, failed) = (total(|tally| tally.passed), total(|tally| tally.failed));
    for Report { name, tally, .. } in reports {
        tally.loud.iter().for_each(|line| println!("!!!! {name}: {line}"));
    }
    println!("\n{passed} passed, {failed} failed");
    match (failed, total(|tally| tally.not_run), total(|tally| tally.ignored), passed) {
        (0, 0, 0, 0) => Err("no test matches the filter".into()),
        (0, 0, 0, _) => Ok(()),
        (0, 0, ignored, _) => Err(format!("{ignored} tests are ignored").into()),
        (0, suites, ..) => Err(format!("{suites} suites did not run").into()),
        (failed, ..) => Err(format!("{failed} tests failed").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_summed_and_silence_is_heard() {
        let mut tally = Tally::default();
        for line in [
            "test postgres::prepares ... ok",
            "test postgres::refuses ... FAILED",
            "test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 2 filtered out; \
             finished in 0.10s",
            "test result: ok. 4 passed; 0 failed; 3 ignored; 0 measured; 0 filtered out",
            "postgres: NOT RUN, no server",
        ] {
            tally.read(line);
        }
        assert_eq!((tally.passed, tally.failed, tally.ignored), (5, 1, 3));
        assert_eq!(tally.areas, BTreeMap::from([("postgres".into(), 1)]));
        assert_eq!(tally.not_run, 1);
        assert_eq!(
            tally.loud,
            ["test postgres::refuses ... FAILED", "postgres: NOT RUN, no server"]
        );
    }
}
