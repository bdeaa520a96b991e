//! The seeded walk: long random schedules of larger worlds.
//!
//! One seed draws everything: how many nodes there are, what callers want, what goes wrong and how
//! often, and then every step. First faults, then calm: nothing goes wrong any more, and everything
//! must end within a bounded number of rounds. What fails is told as its seed and a schedule, from
//! which everything was left out that is not needed to fail.

pub(crate) mod calm;
mod draw;
mod shrink;

use std::{ops::ControlFlow, sync::Arc};

pub use self::draw::Habits;
pub(crate) use self::shrink::replay;
use crate::{
    explore::Violation,
    invariants, machines,
    marks::Marks,
    mutants::Mutant,
    random::Random,
    trace::Trace,
    world::{Action, Plan, World},
};

/// How far to walk.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What everything is drawn from.
    pub seed: u64,
    /// The walk ends after the world in which it has taken so many steps.
    pub steps: u64,
    /// How many nodes of ours each world has: those that coordinate, and shards. Drawn if absent.
    pub nodes: Option<u8>,
    /// What is wrong on purpose.
    pub mutant: Option<Mutant>,
}

impl Default for Options {
    fn default() -> Self {
        Self { seed: 0, steps: 1_000_000, nodes: None, mutant: None }
    }
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Worlds walked to their end.
    pub worlds: u64,
    /// Steps taken in them.
    pub steps: u64,
    /// What was come by.
    pub marks: Marks,
}

/// What a walk found.
#[derive(Clone, Debug)]
pub struct Walked {
    /// How far it came.
    pub progress: Progress,
    /// What failed, if anything.
    pub failure: Option<Failure>,
}

/// A world in which something failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What does not hold.
    pub violation: Violation,
    /// With this seed, the first world of a walk is this one.
    pub seed: u64,
    /// What the world was made of.
    pub plan: Arc<Plan>,
    /// What happened.
    pub actions: Vec<Action>,
    /// What suffices of it.
    pub shortened: Vec<Action>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { violation, plan, shortened: actions, .. } = self;
        write!(f, "{}", Trace { plan, violation, actions })?;
        writeln!(f, "seed {}, {} steps:", self.seed, self.actions.len())?;
        self.actions.iter().try_for_each(|action| writeln!(f, "| {action}"))
    }
}

/// Worlds between two calls of the progress callback.
const REPORT_WORLDS: u64 = 64;

/// Walks from `options.seed` on. `watch` is told how far it has come, and can end it.
pub fn run(options: Options, mut watch: impl FnMut(&Progress) -> ControlFlow<()>) -> Walked {
    machines::wrong(options.mutant);
    let mut progress = Progress::default();
    while progress.steps < options.steps {
        let seed = options.seed.wrapping_add(progress.worlds);
        let mut walk = Walk::new(seed, options);
        let found = walk.finish();
        progress.worlds += 1;
        progress.steps += walk.steps;
        progress.marks.extend(walk.marks);
        if let Err(violation) = found {
            let failure = Some(shrink::failure(violation, seed, walk.world.plan, walk.actions));
            return Walked { progress, failure };
        }
        if progress.worlds.is_multiple_of(REPORT_WORLDS) && watch(&progress).is_break() {
            break;
        }
    }
    Walked { progress, failure: None }
}

/// One world on its way.
struct Walk {
    world: World,
    habits: Habits,
    random: Random,
    /// What is looked at now and then is looked at when these many more steps would be a multiple.
    phase: u64,
    steps: u64,
    actions: Vec<Action>,
    marks: Marks,
}

/// Steps between two looks at what was come by.
const MARKS_EVERY: u64 = 16;
/// Steps between two looks at what costs more: each node alone, and what is read back from its log.
/// The first comes after so many as the seed says, so that seeds share the moments of a world.
const NODES_EVERY: u64 = 32;

impl Walk {
    fn new(seed: u64, options: Options) -> Self {
        let mut random = Random::new(seed);
        let plan = draw::plan(&mut random, options);
        let habits = Habits::draw(&mut random);
        let world = World::new(Arc::new(plan));
        let (steps, actions, marks) = (0, Vec::new(), Marks::default());
        Self { world, habits, random, phase: seed % NODES_EVERY, steps, actions, marks }
    }

    fn finish(&mut self) -> Result<(), Violation> {
        for _ in 0..self.habits.steps {
            let Some(action) = self.habits.next(&self.world, &mut self.random) else { break };
            self.actions.push(action);
            self.world.act(self.actions.last().expect("just put there"));
            self.steps += 1;
            let touched = self.world.take_touched();
            invariants::check_touched(&self.world, touched)?;
            if self.steps.is_multiple_of(MARKS_EVERY) {
                self.marks.extend(self.world.reached());
            }
            if (self.phase + self.steps).is_multiple_of(NODES_EVERY) {
                check_nodes(&self.world)?;
            }
        }
        self.marks.extend(self.world.reached());
        self.steps += calm::settle(&mut self.world)?;
        self.marks.extend(self.world.reached());
        check_nodes(&self.world)
    }
}

fn check_nodes(world: &World) -> Result<(), Violation> {
    for coordinator in &world.coordinators {
        invariants::check_coordinator(&world.plan, coordinator)?;
    }
    for (number, shard) in (0..).zip(&world.shards) {
        invariants::check_shard(&world.plan, number, shard)?;
    }
    Ok(())
}
