//! A transaction as the invariants look at it: found once for all of them.

use handfast_core::{
    id::RunId,
    transaction::{Decision, Known, Live},
};

use crate::world::{Branch, Facts, State, Wish, World};

/// A transaction, wherever it is.
pub struct Seen<'a> {
    /// Which.
    pub transaction: usize,
    /// What its callers want.
    pub wish: &'a Wish,
    /// What was said about it.
    pub facts: &'a Facts,
    /// What its coordinator has promised.
    pub known: Option<&'a Known>,
    /// What a crash now would leave of that.
    pub durable: Option<&'a Known>,
    /// What a crash would not leave.
    pub live: Option<&'a Live>,
    /// Whether a branch of any of its runs was committed as told.
    has_committed: bool,
    world: &'a World,
}

impl<'a> Seen<'a> {
    pub(super) fn of(world: &'a World, transaction: usize) -> Self {
        let facts = &world.ledger.facts[transaction];
        let durable = world.durably_known(transaction);
        let machine = world.machine(transaction);
        let known = machine.map_or(durable, |(saved, _)| saved.known.as_ref());
        let committed = |run: &RunId| is_committed(world.states_of(*run));
        Self {
            transaction,
            wish: &world.plan.transactions[transaction],
            facts,
            known,
            durable,
            live: machine.map(|(_, live)| live),
            has_committed: facts.runs.iter().any(committed),
            world,
        }
    }

    /// Its runs, in the order they were begun, with how their branches are.
    pub fn runs(&self) -> impl Iterator<Item = (RunId, &'a [(Branch, State)])> {
        self.facts.runs.iter().map(|run| (*run, self.world.states_of(*run)))
    }

    /// Those of which a branch was committed as told.
    pub fn committed(&self) -> impl Iterator<Item = (RunId, &'a [(Branch, State)])> {
        let runs = self.has_committed.then(|| self.runs()).into_iter().flatten();
        runs.filter(|(_, states)| is_committed(states))
    }

    /// Whether it is decided, durably or not, to commit that run.
    pub fn commits(&self, run: RunId) -> bool {
        let known = self.known.filter(|known| known.run == run);
        known.is_some_and(|known| known.decision == Some(Decision::Commit))
    }
}

fn is_committed(states: &[(Branch, State)]) -> bool {
    states.iter().any(|(_, state)| *state == State::Committed)
}
