//! What is known in a world, and how things are in it.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use handfast_core::{
    id::RunId,
    shard,
    transaction::{self, Known, Telling},
};

use super::{
    Branch, Budget, Coordinator, Database, Ledger, Memo, Packet, Place, Plan, SHARD, ShardNode,
    State, World, index_of, plan::transaction,
};
use crate::marks::Marks;

impl World {
    /// What a coordinator has promised about a transaction.
    pub fn known(&self, transaction: usize) -> Option<&Known> {
        let node = &self.coordinator(self.plan.transactions[transaction].coordinator).node;
        node.saved(&self.plan.gids[transaction])?.known.as_ref()
    }

    /// What a crash now would leave of that.
    pub fn durably_known(&self, transaction: usize) -> Option<&Known> {
        let node = &self.coordinator(self.plan.transactions[transaction].coordinator).node;
        node.durable(&self.plan.gids[transaction])?.known.as_ref()
    }

    /// What a coordinator would forget of a transaction.
    pub fn live(&self, transaction: usize) -> Option<&transaction::Live> {
        let node = &self.coordinator(self.plan.transactions[transaction].coordinator).node;
        node.live(&self.plan.gids[transaction])
    }

    /// Whether a run waits for votes.
    pub fn is_voting(&self, run: RunId) -> bool {
        let live = self.live(transaction(run));
        live.and_then(|live| live.voting.as_ref()).is_some_and(|voting| voting.run == run)
    }

    /// Whether a branch's vote is awaited.
    pub fn awaits_vote(&self, branch: Branch) -> bool {
        let voting = self.live(branch.transaction()).and_then(|live| live.voting.as_ref());
        let voting = voting.filter(|voting| voting.run == branch.run);
        voting.is_some_and(|voting| voting.branches[usize::from(branch.index)].2.is_none())
    }

    /// How telling a branch the decision goes, if it has begun.
    pub fn telling(&self, branch: Branch) -> Option<&Telling> {
        self.known(branch.transaction()).filter(|known| known.run == branch.run)?;
        self.live(branch.transaction())?.telling.get(usize::from(branch.index))
    }

    /// How a branch is at its participant.
    pub fn state(&self, branch: Branch) -> State {
        let known = self.states.iter().find(|(other, _)| *other == branch);
        known.map_or(State::Fresh, |(_, state)| *state)
    }

    fn ask_state(&self, branch: Branch) -> State {
        match self.plan.branch(branch).at {
            Place::Database(number) => self.databases[usize::from(number)].state(branch),
            Place::Shard(number) => {
                let Some(saved) = self.shard(number).node.saved(SHARD) else {
                    return State::Fresh;
                };
                let id = self.plan.id(branch);
                match saved.finished.end(&id) {
                    Some(shard::End::Committed) => State::Committed,
                    Some(shard::End::Aborted) => State::Aborted,
                    None if saved.prepared.contains_key(&id) => State::Prepared,
                    None => State::Fresh,
                }
            }
            Place::Coordinator(_) => unreachable!("branches are at shards and databases"),
        }
    }

    /// Asks those whose states may have changed.
    pub(super) fn look_again(&mut self) {
        if self.touched == 0 {
            return;
        }
        for at in 0..self.states.len() {
            let (branch, _) = self.states[at];
            let is_touched = match self.plan.branch(branch).at {
                Place::Shard(number) => self.touched & 1 << number != 0,
                Place::Database(number) => self.touched & 1 << (32 + number) != 0,
                Place::Coordinator(_) => false,
            };
            if is_touched {
                self.states[at].1 = self.ask_state(branch);
            }
        }
        self.touched = 0;
    }

    /// Begins to watch the branches of a run.
    pub(super) fn watch(&mut self, run: RunId) {
        let branches: Vec<_> = self.branches_of(run).collect();
        for branch in branches {
            if !self.states.iter().any(|(other, _)| *other == branch) {
                self.states.push((branch, self.ask_state(branch)));
            }
        }
    }

    /// Every branch of every run that was begun.
    pub fn branches(&self) -> impl Iterator<Item = Branch> {
        self.states.iter().map(|(branch, _)| *branch)
    }

    /// A world put together again from its parts.
    #[expect(clippy::too_many_arguments, reason = "a world has so many parts")]
    pub(crate) fn of_parts(
        plan: Arc<Plan>,
        coordinators: Vec<Arc<Coordinator>>,
        shards: Vec<Arc<ShardNode>>,
        databases: Vec<Arc<Database>>,
        network: Vec<Packet>,
        (left, cut_off): (Budget, Option<Place>),
        ledger: Arc<Ledger>,
        memo: Rc<RefCell<Memo>>,
    ) -> Self {
        let (states, touched, marks) = (Vec::new(), 0, Marks::default());
        let mut world = Self {
            plan,
            coordinators,
            shards,
            databases,
            network,
            cut_off,
            left,
            states,
            touched,
            ledger,
            memo: Some(memo),
            marks,
        };
        let runs: Vec<_> =
            world.ledger.facts.iter().flat_map(|facts| facts.runs.iter().copied()).collect();
        runs.into_iter().for_each(|run| world.watch(run));
        world
    }

    /// The branches of one run.
    pub fn branches_of(&self, run: RunId) -> impl Iterator<Item = Branch> + use<> {
        let wish = self.plan.wish(run);
        let coordinator = wish.coordinator;
        (0..wish.branches.len()).map(move |index| Branch {
            coordinator,
            run,
            index: index_of(index),
        })
    }
}
