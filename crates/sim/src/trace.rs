//! A way to what does not hold, as text: written when a walk fails, and walked again.

use std::{fmt, sync::Arc};

use crate::{
    explore::Violation,
    machines,
    mutants::Mutant,
    walk,
    world::{Action, Person, Place, Plan, Step, World},
};

/// What a walk of either kind found. As text it names its world in full, so it can be walked again
/// whatever a later version draws from a seed.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// What the world is made of.
    pub plan: &'a Plan,
    /// What does not hold in it.
    pub violation: &'a Violation,
    /// After these steps, and calm if it is about the end.
    pub actions: &'a [Action],
}

/// What the line of the world begins with, and those of its steps.
const WORLD: &str = "world ";
const STEP: &str = "> ";

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.violation)?;
        for (number, wish) in self.plan.transactions.iter().enumerate() {
            writeln!(f, "t{number}: {wish}")?;
        }
        writeln!(f, "{WORLD}{}", self.plan.to_json())?;
        self.actions.iter().try_for_each(|action| writeln!(f, "{STEP}{action}"))
    }
}

/// Why a trace cannot be walked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadTrace {
    /// No line says what the world is made of.
    NoWorld,
    /// There can be no such world.
    BadWorld(String),
    /// What this line says cannot happen there.
    Impossible(String),
}

impl fmt::Display for BadTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoWorld => f.write_str("it has no line `world ...`"),
            Self::BadWorld(why) => write!(f, "there can be no such world: {why}"),
            Self::Impossible(line) => write!(f, "this cannot happen there: {line}"),
        }
    }
}

/// Walks the steps of a written [`Trace`] again, in the world that it names, and then in calm.
/// Tells what does not hold, if anything, and after how many steps.
///
/// # Errors
/// It is no such trace, or one of another version.
pub fn replay(trace: &str, mutant: Option<Mutant>) -> Result<(usize, Option<Violation>), BadTrace> {
    machines::wrong(mutant);
    let json = trace.lines().find_map(|line| line.strip_prefix(WORLD)).ok_or(BadTrace::NoWorld)?;
    let plan = Plan::of_json(json).map_err(BadTrace::BadWorld)?;
    let plan = Arc::new(Plan { mutant, ..plan });
    let mut world = World::new(Arc::clone(&plan));
    let mut actions = Vec::new();
    for line in trace.lines().filter_map(|line| line.strip_prefix(STEP)) {
        let action = read(&world, line).ok_or_else(|| BadTrace::Impossible(line.into()))?;
        world.act(&action);
        actions.push(action);
    }
    Ok(match walk::replay(&plan, &actions) {
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
        steps.extend(world.armed(place).map(|timer| Step::Fire(place, timer)));
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
        let said = [Person::Begins, Person::CommitsLocally, Person::Commits, Person::Aborts];
        steps.extend(said.map(|person| Step::Ask(transaction, person)));
    }
    let deaths = world.plan.deaths();
    let of_step = |step: Step| {
        let torn = deaths.clone().into_iter().map({
            let step = step.clone();
            move |death| Action::Torn(step.clone(), death)
        });
        [Action::Delayed(step.clone()), Action::Step(step)].into_iter().chain(torn)
    };
    let all = others.into_iter().chain(steps.into_iter().flat_map(of_step));
    all.filter(|action| action.to_string() == line).find(|action| world.still_can(action))
}
