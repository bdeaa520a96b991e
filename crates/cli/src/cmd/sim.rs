//! `handfast sim`: long random schedules of larger worlds of the production machines.

use std::{
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use handfast_sim::{
    trace,
    walk::{self, Options, Progress},
};
use serde::Serialize;

use super::ticker::Ticker;
use crate::{
    args::Sim,
    exit::{Exit, Failure},
    output::Output,
};

/// Steps, if neither these nor minutes are given.
const STEPS: u64 = 1_000_000;

pub fn run(args: Sim, output: &Output) -> Result<Exit, Failure> {
    if let Some(file) = &args.replay {
        return replay(file, output);
    }
    let seed = args.seed.unwrap_or_else(by_chance);
    let steps = match (args.steps, args.minutes) {
        (Some(steps), _) => steps,
        (None, Some(_)) => u64::MAX,
        (None, None) => STEPS,
    };
    let mut ticker = Ticker::of_walk(output, args.minutes)?;
    output.talk(&format!("seed {seed} (the same seed walks the same way)"));
    let options = Options { seed, steps, nodes: args.nodes, ..Options::default() };
    let walked = walk::run(options, |progress| ticker.tick(|| how_far(progress)));
    let Progress { worlds, steps: taken, marks } = walked.progress;
    // With minutes alone it is finished when they are over.
    let wanted = args.steps.or(args.minutes.is_none().then_some(STEPS));
    let is_finished = !ticker.is_stopped() && wanted.is_none_or(|wanted| taken >= wanted);
    let report = Report {
        seed,
        worlds,
        steps: taken,
        seconds: ticker.finish(),
        reached: marks.iter().map(|mark| mark.name()).collect(),
        is_finished,
        failure: walked.failure.map(|failure| failure.to_string()),
    };
    output.data(&report, Report::text);
    Ok(match report.failure {
        Some(_) => Exit::No,
        None if !is_finished => Exit::NOT_FINISHED,
        None => Exit::Ok,
    })
}

fn replay(file: &Path, output: &Output) -> Result<Exit, Failure> {
    let wrong = |what: &dyn std::fmt::Display| {
        let message = format!("failed to replay {}: {what}", file.display());
        Failure::new(Exit::Usage, message)
            .cure("give it what `sim` printed or `check --save` wrote")
    };
    let text = std::fs::read_to_string(file).map_err(|cause| wrong(&cause))?;
    let (steps, violation) = trace::replay(&text, None).map_err(|cause| wrong(&cause))?;
    if steps == 0 && violation.is_none() {
        return Err(wrong(&"it has no steps (`> ...`), and nothing is wrong before the first one"));
    }
    let replayed = Replayed { steps, violation: violation.map(|found| found.to_string()) };
    output.data(&replayed, Replayed::text);
    Ok(if replayed.violation.is_some() { Exit::No } else { Exit::Ok })
}

/// What became of a trace.
#[derive(Serialize)]
struct Replayed {
    steps: usize,
    /// What does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<String>,
}

impl Replayed {
    fn text(&self) -> String {
        match &self.violation {
            Some(violation) => format!("{} steps, violated: {violation}", self.steps),
            None => format!("{} steps, and all holds", self.steps),
        }
    }
}

fn how_far(progress: &Progress) -> String {
    format!("{} worlds, {} steps", progress.worlds, progress.steps)
}

/// Any number will do: it is shown, and makes the walk again.
fn by_chance() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ now.as_secs()
}

/// What a walk found.
#[derive(Serialize)]
struct Report {
    seed: u64,
    worlds: u64,
    steps: u64,
    seconds: f64,
    /// What was come by.
    reached: Vec<&'static str>,
    /// Whether it went as far as it was to go.
    #[serde(rename = "finished")]
    is_finished: bool,
    /// What does not hold, the seed of its world, and the schedule.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
}

impl Report {
    fn text(&self) -> String {
        let Self { worlds, steps, seconds, .. } = self;
        let per_second = *steps as f64 / seconds.max(f64::MIN_POSITIVE);
        let mut lines = vec![
            format!("{worlds} worlds, {steps} steps, {seconds:.1} s, {per_second:.0} steps/s"),
            format!("reached: {}", self.reached.join("; ")),
        ];
        match &self.failure {
            Some(failure) => lines.push(format!("violated: {failure}")),
            None if !self.is_finished => {
                lines.push("not finished: holds in every state that was seen".into());
            }
            None => lines.push("holds in every state that was seen".into()),
        }
        lines.join("\n")
    }
}
