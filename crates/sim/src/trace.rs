//! A trace read back: what a failure printed happens again.

use std::{fmt, sync::Arc};

use super::{Options, Walk, shrink};
use crate::{
    explore::Violation,
    machines,
    mutants::Mutant,
    world::{Action, Death, Person, Place, Step, World},
};

/// Why a trace cannot be walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTrace {
    /// No line names the seed of its world.
    NoSeed,
    /// What this line says cannot happen there.
    Impossible(String),
}

impl fmt::Display for BadTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSeed => f.write_str("it has no line `seed N`"),
            Self::Impossible(line) => write!(f, "this cannot happen there: {line}"),
        }
    }
}

/// Walks the steps of a printed failure again, those of its lines that begin with `> `, in the
/// world of its line `seed N`. Tells what does not hold, if anything, and after how many steps.
///
/// # Errors
/// It is no such trace, or one of another version.
pub fn replay(trace: &str, mutant: Option<Mutant>) -> Result<(usize, Option<Violation>), BadTrace> {
    machines::wrong(mutant);
    let seed = trace.lines().find_map(|line| {
        let number = line.strip_prefix("seed ")?;
        number.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    });
    let options = Options { seed: seed.ok_or(BadTrace::NoSeed)?, mutant, ..Options::default() };
    let plan = Walk::new(options.seed, options).world.plan;
    let mut world = World::new(Arc::clone(&plan));
    let mut actions = Vec::new();
    for line in trace.lines().filter_map(|line| line.strip_prefix("> ")) {
        let action = read(&world, line).ok_or_else(|| BadTrace::Impossible(line.into()))?;
        world.act(&action);
        actions.push(action);
    }
    Ok(match shrink::replay(&plan, &actions) {
        Some((violation, done)) => (done.len(), Some(violation)),
        None => (actions.len(), None),
    })
}

/// What can happen in a world and is written like that.
fn read(world: &World, line: &str) -> Option<Action> {
    let mut steps = Vec::new();
    let mut others = vec![Action::Heal];
    for place in world.nodes() {
        others.extend([Action::Crash(place), Action::CutOff(place)]);
        steps.extend([Step::Flush(place), Step::Restart(place)]);
        steps.extend(world.armed(place).into_iter().map(|timer| Step::Fire(place, timer)));
        if let Place::Coordinator(number) = place {
            steps.push(Step::Search(number));
        }
    }
    for packet in &world.network {
        let casts = world.casts(packet).iter();
        steps.extend(casts.map(|cast| Step::Deliver(Arc::clone(packet), *cast)));
        others.extend([Action::Lose, Action::Drop, Action::Duplicate].map(|of| of(packet.clone())));
    }
    for branch in world.branches() {
        steps.extend([Step::GiveUp(branch), Step::Silence(branch)]);
        others.extend([true, false].map(|committed| Action::Meddle(branch, committed)));
        let of = [Action::SessionDies, Action::Revive, Action::Break];
        others.extend(of.map(|of| of(branch)));
        let seen = [true, false].map(|committed| Person::Resolves(branch, committed));
        steps.extend(seen.map(|person| Step::Ask(branch.transaction(), person)));
    }
    for transaction in 0..world.plan.transactions.len() {
        let said = [Person::Begins, Person::Commits, Person::Aborts];
        steps.extend(said.map(|person| Step::Ask(transaction, person)));
    }
    let deaths = [0, 1, 2].map(Death::After).into_iter().chain([Death::Unsynced]);
    let of_step = |step: Step| {
        let torn = deaths.clone().map({
            let step = step.clone();
            move |death| Action::Torn(step.clone(), death)
        });
        [Action::Delayed(step.clone()), Action::Step(step)].into_iter().chain(torn)
    };
    let all = others.into_iter().chain(steps.into_iter().flat_map(of_step));
    all.filter(|action| action.to_string() == line).find(|action| world.still_can(action))
}
