//! `handfast check`: every schedule of a small world of the production machines.

mod published;
mod world;

use std::{fs::File, io::Write as _, path::Path};

use handfast_sim::{
    check,
    explore::{Counterexample, Explored, Options, Progress, Verdict},
    marks::{Mark, Marks},
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
    world::all_flags_matter(&args)?;
    if args.what == What::Published {
        return published::run(&args, output);
    }
    let plan = world::plan(&args)?;
    let options = Options { states_max: args.states, settles: true };
    let covers = world::covers(&plan);
    let saved = args.save.as_deref().map(Saved::open).transpose()?;
    let mut ticker = Ticker::of_walk(output, args.minutes)?;
    output.talk(&format!("walking: {covers}"));
    let watch = |progress: &Progress| ticker.tick(|| how_far(progress));
    let (explored, stand_for, marks) = if args.refines {
        let explored = refinement::run(plan.clone(), options, watch);
        let explored = explored.map_err(|found| Failure::new(Exit::Bug, found.to_string()))?;
        let states = explored.progress.distinct;
        (explored, states, None)
    } else {
        let report = check::run(plan.clone(), options, watch);
        (report.explored, report.unfolded, Some(report.marks))
    };
    let (reached, never_reached) = marks.map_or_else(Default::default, |marks| names(&plan, marks));
    let report = Report {
        stand_for,
        reached,
        never_reached,
        ..Report::new(covers, &explored, ticker.finish())
    };
    // What was found is told first, whatever becomes of the file.
    output.data(&report, Report::text);
    if let (Some(saved), Verdict::Violated(found)) = (saved, &explored.verdict) {
        saved.write(&plan, found, output)?;
    }
    Ok(report.verdict.exit())
}

/// Where a schedule is to be written: opened before the walk, which may take long. A file that was
/// not there goes again if nothing is written to it, however the walk ends.
struct Saved<'a> {
    path: &'a Path,
    file: File,
    is_needless: bool,
}

impl<'a> Saved<'a> {
    fn open(path: &'a Path) -> Result<Self, Failure> {
        let is_needless = !path.exists();
        // What is there already stays there until there is something better.
        let file = File::options().write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|cause| unwritten(path, &cause, Exit::Usage))?;
        Ok(Self { path, file, is_needless })
    }

    fn write(
        mut self,
        plan: &Plan,
        found: &Counterexample<Action>,
        output: &Output,
    ) -> Result<(), Failure> {
        let Counterexample { violation, actions } = found;
        let text = Trace { plan, violation, actions }.to_string();
        let written = self.file.set_len(0).and_then(|()| self.file.write_all(text.as_bytes()));
        written.map_err(|cause| unwritten(self.path, &cause, Exit::No))?;
        self.is_needless = false;
        output.talk(&format!("the schedule is in {}", self.path.display()));
        Ok(())
    }
}

impl Drop for Saved<'_> {
    fn drop(&mut self) {
        if self.is_needless {
            let _ = std::fs::remove_file(self.path);
        }
    }
}

/// What was come by, and what a walk of this world may come by besides.
fn names(plan: &Plan, marks: Marks) -> (Vec<&'static str>, Vec<&'static str>) {
    let others = Mark::ALL.iter().filter(|mark| !marks.has(**mark) && plan.may_reach(**mark));
    (marks.iter().map(Mark::name).collect(), others.map(|mark| mark.name()).collect())
}

fn unwritten(path: &Path, cause: &std::io::Error, exit: Exit) -> Failure {
    Failure::new(exit, format!("failed to write to {}: {cause}", path.display()))
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
    /// What else a walk of this world may come by, and this one did not.
    never_reached: Vec<&'static str>,
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
    fn new(covers: String, explored: &Explored<Action>, seconds: f64) -> Self {
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
            reached: Vec::new(),
            never_reached: Vec::new(),
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
        if !self.never_reached.is_empty() && self.violation.is_none() {
            lines.push(format!("never reached: {}", self.never_reached.join("; ")));
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
