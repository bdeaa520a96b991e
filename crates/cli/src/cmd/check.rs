//! `handfast check`: every schedule of a small world of the production machines.

mod published;
mod world;

use std::path::Path;

use handfast_sim::{
    check,
    explore::{Counterexample, Explored, Options, Progress, Verdict},
    refinement,
    trace::Trace,
    world::{Action, Plan},
};
use serde::Serialize;

use super::ticker::Ticker;
use crate::{
    args::{Check, What},
    exit::{Exit, Failure},
    output::Output,
};

pub fn run(args: Check, output: &Output) -> Result<Exit, Failure> {
    if args.what == What::Published {
        return published::run(&args, output);
    }
    let plan = world::plan(&args)?;
    let options = Options { states_max: args.states, settles: true };
    let covers = world::covers(&plan);
    let mut ticker = Ticker::new(output, args.minutes);
    let watch = |progress: &Progress| ticker.tick(|| how_far(progress));
    let (explored, stand_for, reached) = if args.refines {
        let explored = refinement::run(plan.clone(), options, watch);
        let explored = explored.map_err(|found| Failure::new(Exit::Bug, found.to_string()))?;
        let states = explored.progress.distinct;
        (explored, states, Vec::new())
    } else {
        let report = check::run(plan.clone(), options, watch);
        let reached = report.marks.iter().map(|mark| mark.name()).collect();
        (report.explored, report.unfolded, reached)
    };
    if let (Some(file), Verdict::Violated(found)) = (&args.save, &explored.verdict) {
        save(file, &plan, found, output)?;
    }
    let report = Report { stand_for, ..Report::new(covers, &explored, reached, ticker.finish()) };
    output.data(&report, Report::text);
    Ok(report.verdict.exit())
}

fn save(
    file: &Path,
    plan: &Plan,
    found: &Counterexample<Action>,
    output: &Output,
) -> Result<(), Failure> {
    let Counterexample { violation, actions } = found;
    let text = Trace { plan, violation, actions }.to_string();
    std::fs::write(file, text).map_err(|cause| {
        Failure::new(Exit::No, format!("failed to write to {}: {cause}", file.display()))
    })?;
    output.talk(&format!("the schedule is in {}", file.display()));
    Ok(())
}

fn how_far(progress: &Progress) -> String {
    let Progress { distinct, depth, waiting, .. } = progress;
    format!("{distinct} states, {depth} deep, {waiting} to walk on from")
}

/// What a walk found.
#[derive(Serialize)]
struct Report {
    /// What was walked.
    covers: String,
    verdict: Found,
    states: usize,
    /// How many states those stand for that were folded, with themselves.
    stand_for: usize,
    steps: u64,
    depth: usize,
    seconds: f64,
    /// What does not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<String>,
    /// A shortest way there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    trace: Vec<String>,
    /// What was come by: a proof about what never happens proves nothing.
    reached: Vec<&'static str>,
}

/// The verdict, in a word.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum Found {
    Holds,
    Violated,
    NotFinished,
}

impl Found {
    fn exit(self) -> Exit {
        match self {
            Self::Holds => Exit::Ok,
            Self::Violated => Exit::No,
            Self::NotFinished => Exit::NOT_FINISHED,
        }
    }
}

impl Report {
    fn new(
        covers: String,
        explored: &Explored<Action>,
        reached: Vec<&'static str>,
        seconds: f64,
    ) -> Self {
        let (verdict, violation, trace) = match &explored.verdict {
            Verdict::Holds => (Found::Holds, None, Vec::new()),
            Verdict::NotFinished => (Found::NotFinished, None, Vec::new()),
            Verdict::Violated(found) => {
                let trace = found.actions.iter().map(ToString::to_string).collect();
                (Found::Violated, Some(found.violation.to_string()), trace)
            }
        };
        let Progress { distinct: states, generated: steps, depth, .. } = explored.progress;
        let stand_for = states;
        Self {
            covers,
            verdict,
            states,
            stand_for,
            steps,
            depth,
            seconds,
            violation,
            trace,
            reached,
        }
    }

    fn text(&self) -> String {
        let Self { states, stand_for, steps, depth, seconds, .. } = self;
        let for_all = match stand_for == states {
            true => String::new(),
            false => format!(" (for {stand_for})"),
        };
        let mut lines = vec![
            self.covers.clone(),
            format!("{states} states{for_all}, {steps} steps, {depth} deep, {seconds:.1} s"),
        ];
        if !self.reached.is_empty() {
            lines.push(format!("reached: {}", self.reached.join("; ")));
        }
        if let Some(violation) = &self.violation {
            lines.push(format!("violated: {violation}"));
            lines.extend(self.trace.iter().map(|action| format!("> {action}")));
        }
        lines.push(match self.verdict {
            Found::Holds => "holds in every state".into(),
            Found::Violated => format!("violated after {} steps", self.trace.len()),
            Found::NotFinished => "not finished: holds in every state that was seen".into(),
        });
        lines.join("\n")
    }
}
