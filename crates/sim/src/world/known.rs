//! What is known in a world, and how things are in it.

use std::{cell::RefCell, rc::Rc, sync::Arc};

use handfast_core::{
    id::{BranchId, RunId},
    pact::Way,
    shard,
    transaction::{self, Known, Telling},
};

use super::{
    Branch, Budget, Coordinator, Database, Ledger, Memo, Packet, Place, Plan, SHARD, ShardNode,
    State, Touched, World, index_of, plan::transaction,
};
use crate::marks::Marks;

/// A run that was begun.
#[derive(Clone)]
pub(super) struct Watched {
    pub run: RunId,
    /// Whether acceptors choose its end.
    pub has_acceptors: bool,
    /// Where its branches begin among the states of all.
    first: usize,
    /// The names of its branches at their participants.
    ids: Arc<[BranchId]>,
}

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
        self.live(branch.transaction()).is_some_and(|live| awaits_vote(live, branch))
    }

    /// Whether the do of a step is under way, as its coordinator sees it.
    pub fn is_doing(&self, branch: Branch) -> bool {
        let is_of = |live: &&transaction::Live| {
            live.voting.as_ref().is_none_or(|voting| voting.run == branch.run)
        };
        let live = self.live(branch.transaction()).filter(is_of);
        let telling = live.and_then(|live| live.telling.get(usize::from(branch.index)));
        telling.is_some_and(|telling| telling.is_doing)
    }

    /// What a coordinator has promised about a transaction that it has in memory, and would forget.
    pub fn machine(&self, transaction: usize) -> Option<(&transaction::Saved, &transaction::Live)> {
        let node = &self.coordinator(self.plan.transactions[transaction].coordinator).node;
        node.machine(&self.plan.gids[transaction])
    }

    /// How telling a branch the decision goes, if it has begun.
    pub fn telling(&self, branch: Branch) -> Option<&Telling> {
        let (saved, live) = self.machine(branch.transaction())?;
        saved.known.as_ref().filter(|known| known.run == branch.run)?;
        live.telling.get(usize::from(branch.index))
    }

    /// How a branch is at its participant.
    pub fn state(&self, branch: Branch) -> State {
        let states = self.states_of(branch.run);
        states.get(usize::from(branch.index)).map_or(State::Fresh, |(_, state)| *state)
    }

    /// How all branches of a run are; none if it was not begun.
    pub fn states_of(&self, run: RunId) -> &[(Branch, State)] {
        match self.runs.iter().find(|watched| watched.run == run) {
            Some(Watched { first, ids, .. }) => &self.states[*first..first + ids.len()],
            None => &[],
        }
    }

    /// How all branches of each run that was begun are.
    pub(super) fn states_by_run(&self) -> impl Iterator<Item = (RunId, &[(Branch, State)])> {
        let states = |Watched { run, first, ids, .. }: &Watched| (*run, *first..first + ids.len());
        self.runs.iter().map(states).map(|(run, at)| (run, &self.states[at]))
    }

    /// A branch's name at its participant, if its run was begun.
    pub fn id(&self, branch: Branch) -> Option<&BranchId> {
        let watched = self.runs.iter().find(|watched| watched.run == branch.run)?;
        watched.ids.get(usize::from(branch.index))
    }

    fn ask_state(&self, branch: Branch) -> State {
        match self.plan.branch(branch).at {
            Place::Database(number) => self.databases[usize::from(number)].state(branch),
            Place::Shard(number) => {
                let Some(saved) = self.shard(number).node.saved(SHARD) else {
                    return State::Fresh;
                };
                let Some(id) = self.id(branch) else { return State::Fresh };
                match saved.finished.end(id) {
                    Some(shard::End::Committed) => State::Committed,
                    Some(shard::End::Aborted) => State::Aborted,
                    None if saved.prepared.contains_key(id) => State::Prepared,
                    None => State::Fresh,
                }
            }
            Place::Coordinator(_) => unreachable!("branches are at shards and databases"),
        }
    }

    /// Asks the shards that may say otherwise than before how their branches are.
    pub(super) fn look_again(&mut self) {
        let promised = std::mem::take(&mut self.touched.promised);
        if promised == 0 {
            return;
        }
        for at in 0..self.states.len() {
            let (branch, before) = self.states[at];
            let Place::Shard(number) = self.plan.branch(branch).at else { continue };
            if promised & 1 << number != 0 && !before.is_ended() {
                self.set_state(at, self.ask_state(branch));
            }
        }
    }

    /// A shard dies, and may forget an end that waited for a sync: all its branches are to be asked
    /// again.
    pub(super) fn doubt_states_at(&mut self, shard: u8) {
        self.touched.promised |= 1 << shard;
        for at in 0..self.states.len() {
            if self.plan.branch(self.states[at].0).at == Place::Shard(shard) {
                self.set_state(at, State::Fresh);
            }
        }
    }

    fn set_state(&mut self, at: usize, state: State) {
        let (branch, before) = &mut self.states[at];
        if *before != state {
            *before = state;
            self.touched.transactions |= 1 << branch.transaction();
        }
    }

    /// A database does something about a branch.
    pub(super) fn at_database<T>(
        &mut self,
        number: u8,
        branch: Branch,
        something: impl FnOnce(&mut Database) -> T,
    ) -> T {
        let database = Arc::make_mut(&mut self.databases[usize::from(number)]);
        let answer = something(database);
        let state = database.state(branch);
        if let Some(at) = self.states.iter().position(|(other, _)| *other == branch) {
            self.set_state(at, state);
        }
        answer
    }

    /// Begins to watch the branches of a run.
    pub(super) fn watch(&mut self, run: RunId) {
        if self.runs.iter().any(|watched| watched.run == run) {
            return;
        }
        let ids = self.branches_of(run).map(|branch| self.plan.id(branch)).collect();
        let wish = self.plan.wish(run);
        let has_acceptors = wish.decide == Some(Way::Paxos) && !wish.acceptors.is_empty();
        let first = self.states.len();
        self.runs.push(Watched { run, has_acceptors, first, ids });
        for branch in self.branches_of(run) {
            self.states.push((branch, self.ask_state(branch)));
        }
    }

    /// How each branch of every run that was begun is.
    pub fn states(&self) -> &[(Branch, State)] {
        &self.states
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
        let (runs, states) = (Vec::new(), Vec::new());
        let (touched, marks) = (Touched::default(), Marks::default());
        let mut world = Self {
            plan,
            coordinators,
            shards,
            databases,
            network,
            cut_off,
            left,
            runs,
            states,
            touched,
            ledger,
            memo: Some(memo),
            marks,
        };
        let ledger = Arc::clone(&world.ledger);
        let runs = ledger.facts.iter().flat_map(|facts| &facts.runs);
        runs.for_each(|run| world.watch(*run));
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

/// The same, by what its coordinator would forget.
pub(super) fn awaits_vote(live: &transaction::Live, branch: Branch) -> bool {
    let voting = live.voting.as_ref().filter(|voting| voting.run == branch.run);
    let Some(voting) = voting else { return false };
    // With a plan, only those whose turn has come are asked.
    let is_asked = || {
        let telling = live.telling.get(usize::from(branch.index));
        telling.is_some_and(|telling| telling.is_begun)
    };
    voting.vote(branch.index).is_none() && (voting.plan.is_none() || is_asked())
}
