//! A world: nodes with the production machines over memory logs, databases, the network between
//! them, their timers, their callers.
//!
//! A world lists what can happen next ([`World::actions`]) and does it ([`World::act`]). Doing is
//! deterministic: no clock, no thread, no chance. So whatever drives it, a seed or an exhaustive
//! walk, drives the very code that runs in production, through every schedule there can be.
//!
//! Nodes are shared until they are changed, so a copy of a world is cheap, and a step copies only
//! the node that it touches.

mod action;
mod choices;
mod database;
mod driver;
mod enabled;
mod forget;
mod key;
mod known;
mod ledger;
mod memo;
mod network;
mod node;
mod plan;
mod reached;
mod release;
mod rename;
mod request;
mod search;
mod table;
mod text;
mod touched;
mod wish;

use std::{cell::RefCell, rc::Rc, sync::Arc};

use handfast_core::{
    id::RunId,
    pact::SILENT_MAX,
    shard::{self, Inquired},
    transaction::{self, Begin, BranchSpec},
    vote::{Ack, Reply, Vote},
};

pub use self::{
    action::{Action, Person, Step, Timer},
    database::{Database, State},
    driver::{Coordinator, SHARD, Search, ShardNode},
    ledger::{Facts, Ledger, Told},
    network::{Call, Message, Packet},
    node::{Death, Node},
    plan::{Branch, Budget, Cast, Patience, Place, Plan, Searches, transaction},
    touched::Touched,
    wish::{BranchWish, STEP_TRIES_MAX, Wish},
};
use self::{driver::Event, known::Watched};
pub(crate) use self::{
    key::CoordinatorKey,
    memo::{Memo, Remembered},
    rename::{Names, Renamed, ways},
    table::Table,
};
use crate::{
    marks::{Mark, Marks},
    mutants::Mutant,
};

/// Everything that decides what can happen next.
#[derive(Clone)]
pub struct World {
    /// What it is made of.
    pub plan: Arc<Plan>,
    /// The nodes that coordinate.
    pub coordinators: Vec<Arc<Coordinator>>,
    /// Our own shards.
    pub shards: Vec<Arc<ShardNode>>,
    /// The databases.
    pub databases: Vec<Arc<Database>>,
    /// What is under way.
    pub network: Vec<Packet>,
    /// Who is cut off from all others.
    pub cut_off: Option<Place>,
    /// What may still go wrong.
    pub left: Budget,
    /// How each branch that was begun is at its participant: it need not be asked again.
    states: Vec<(Branch, State)>,
    /// The runs that were begun, in the order in which they were.
    runs: Vec<Watched>,
    /// What may have changed since that was last taken.
    touched: Touched,
    /// What was said and seen, which nobody in the world remembers as a whole.
    pub ledger: Arc<Ledger>,
    /// Turns that were taken before, if they are remembered.
    memo: Option<Rc<RefCell<Memo>>>,
    /// What was come by since they were last taken.
    pub marks: Marks,
}

impl World {
    /// A world in which nothing has happened.
    pub fn new(plan: Arc<Plan>) -> Self {
        let coordinator = |number| Arc::new(Coordinator::new(number));
        let shard = |number| Arc::new(ShardNode::new(&plan, number));
        Self {
            coordinators: (0..plan.coordinators).map(coordinator).collect(),
            shards: (0..plan.shards).map(shard).collect(),
            databases: (0..plan.databases).map(|_| Arc::default()).collect(),
            network: Vec::new(),
            cut_off: None,
            left: plan.budget,
            states: Vec::new(),
            runs: Vec::new(),
            touched: Touched::default(),
            ledger: Arc::new(Ledger::new(plan.transactions.len())),
            memo: plan.prunes.then(Rc::default),
            marks: Marks::default(),
            plan,
        }
    }

    /// Whether somebody runs. Databases always do: one that is down is one that no message reaches.
    pub fn is_up(&self, place: Place) -> bool {
        match place {
            Place::Coordinator(number) => self.coordinator(number).node.is_up(),
            Place::Shard(number) => self.shard(number).node.is_up(),
            Place::Database(_) => true,
        }
    }

    /// Whether a message between two can arrive.
    pub fn is_reached(&self, from: Place, to: Place) -> bool {
        let cut = self.cut_off.is_some_and(|place| (place == from) != (place == to));
        self.is_up(to) && !cut
    }

    /// A coordinator.
    pub fn coordinator(&self, number: u8) -> &Coordinator {
        &self.coordinators[usize::from(number)]
    }

    /// A shard.
    pub fn shard(&self, number: u8) -> &ShardNode {
        &self.shards[usize::from(number)]
    }

    /// What may have changed since this was last asked.
    pub fn take_touched(&mut self) -> Touched {
        std::mem::take(&mut self.touched)
    }

    fn touch_all_of(&mut self, coordinator: u8) {
        for (at, wish) in self.plan.transactions.iter().enumerate() {
            self.touched.transactions |= u32::from(wish.coordinator == coordinator) << at;
        }
    }

    fn coordinator_mut(&mut self, number: u8) -> &mut Coordinator {
        self.touched.coordinators |= 1 << number;
        Arc::make_mut(&mut self.coordinators[usize::from(number)])
    }

    fn shard_mut(&mut self, number: u8) -> &mut ShardNode {
        self.touched.shards |= 1 << number;
        Arc::make_mut(&mut self.shards[usize::from(number)])
    }

    fn ledger_mut(&mut self, transaction: usize) -> &mut Facts {
        self.touched.transactions |= 1 << transaction;
        &mut Arc::make_mut(&mut self.ledger).facts[transaction]
    }

    fn is_wrong(&self, mutant: Mutant) -> bool {
        self.plan.mutant == Some(mutant)
    }
}

/// What happens.
impl World {
    /// Does what can happen.
    pub fn act(&mut self, action: &Action) {
        match action {
            Action::Step(step) => self.step(step, None),
            Action::Torn(step, death) => {
                self.left.crashes -= 1;
                self.step(step, Some(*death));
            }
            Action::Crash(place) => {
                self.left.crashes -= 1;
                self.crash(*place);
            }
            Action::Lose(packet) => {
                self.take(packet);
                self.give_up_asking(packet);
            }
            Action::Drop(packet) => {
                self.left.drops -= 1;
                self.take(packet);
                self.give_up_asking(packet);
            }
            Action::Duplicate(packet) => {
                self.left.duplicates -= 1;
                self.network.push(Arc::clone(packet));
            }
            Action::Delayed(step) => {
                self.left.delays -= 1;
                self.step(step, None);
            }
            Action::CutOff(place) => {
                self.left.cuts -= 1;
                self.cut_off = Some(*place);
            }
            Action::Heal => self.cut_off = None,
            Action::Meddle(branch, committed) => {
                self.left.meddles -= 1;
                self.end(*branch, State::Meddled { committed: *committed });
            }
            Action::SessionDies(branch) => self.end(*branch, State::Aborted),
            Action::Revive(branch) => {
                self.left.revivals -= 1;
                if let Place::Database(number) = self.plan.branch(*branch).at {
                    self.at_database(number, *branch, |database| database.revive(*branch));
                }
            }
            Action::Break(branch) => {
                self.left.breaks -= 1;
                self.acked(*branch, Ack::Broken("broken".into()), None);
            }
        }
        self.look_again();
        self.note_choices();
        if self.plan.patience == Patience::All || self.plan.dead_for_good {
            self.lose_what_is_to_the_dead();
        }
        if self.plan.prunes {
            self.forget();
        }
    }

    /// Nothing is under way for as long as a restart takes, or they will never hear of it.
    fn lose_what_is_to_the_dead(&mut self) {
        if self.cut_off.is_none() && self.nodes().all(|place| self.is_up(place)) {
            return;
        }
        let mut network = std::mem::take(&mut self.network);
        network.retain(|packet| self.is_reached(packet.from(&self.plan), packet.to(&self.plan)));
        self.network = network;
    }

    fn step(&mut self, step: &Step, death: Option<Death>) {
        match step {
            Step::Deliver(packet, cast) => {
                if self.take(packet) {
                    self.deliver(packet, *cast, death);
                }
            }
            Step::Fire(place, timer) => self.fire(*place, timer, death),
            Step::Flush(place) => match place {
                Place::Coordinator(number) => {
                    self.coordinator_mut(*number).node.flush();
                    self.touch_all_of(*number);
                }
                Place::Shard(number) => self.shard_mut(*number).node.flush(),
                Place::Database(_) => {}
            },
            Step::Restart(place) => self.restart(*place, death),
            Step::GiveUp(branch) => self.give_up(*branch, death),
            Step::Silence(branch) => {
                if self.plan.patience == Patience::Suspicion {
                    self.left.takeovers = self.left.takeovers.map(|left| left - 1);
                    for _ in 1..SILENT_MAX {
                        self.shard_answered(*branch, Inquired::Silent, None);
                    }
                }
                self.shard_answered(*branch, Inquired::Silent, death);
            }
            Step::Ask(transaction, person) => self.ask(*transaction, *person, death),
            Step::Search(coordinator) => self.search(*coordinator),
        }
    }

    /// Takes a packet off the network; false if it is not there any more.
    fn take(&mut self, packet: &Packet) -> bool {
        // Mostly it is that very one; only then need not all others be looked at.
        let network = &self.network;
        let same = network.iter().position(|other| Arc::ptr_eq(other, packet));
        match same.or_else(|| network.iter().position(|other| other == packet)) {
            Some(at) => {
                self.network.swap_remove(at);
                true
            }
            None => false,
        }
    }

    fn end(&mut self, branch: Branch, state: State) {
        if let Place::Database(number) = self.plan.branch(branch).at {
            self.at_database(number, branch, |database| database.end(branch, state, false));
        }
    }

    /// The driver of a coordinator hears nothing, and says so.
    fn give_up(&mut self, branch: Branch, death: Option<Death>) {
        if self.is_doing(branch) {
            self.answered(branch, Reply::Unknown("no answer".into()), death);
        } else if self.awaits_vote(branch) {
            let vote = match self.is_wrong(Mutant::LostTakenAsNo) {
                true => Vote::No(text::refusal()),
                false => Vote::Lost(text::refusal()),
            };
            self.voted(branch, vote, death);
        } else {
            self.acked(branch, Ack::Unknown("no answer".into()), death);
        }
    }

    /// Whoever asked whether a caller has committed, and hears nothing, says so and asks again.
    fn give_up_asking(&mut self, packet: &Packet) {
        let (Message::Ask(branch) | Message::AskedBack(branch, _)) = **packet else { return };
        if self.is_up(Place::Coordinator(branch.coordinator)) {
            let reply = Reply::Unknown("no answer".into());
            let input = transaction::Input::AskedBack { run: branch.run, reply };
            self.coordinate(branch.coordinator, branch.transaction(), input, None);
        }
    }

    fn voted(&mut self, branch: Branch, vote: Vote, death: Option<Death>) {
        let Branch { mut run, index, .. } = branch;
        if self.is_wrong(Mutant::AnyRun)
            && let Some(voting) = self.live(branch.transaction()).and_then(|l| l.voting.as_ref())
        {
            run = voting.run;
        }
        let count = self.plan.wish(run).branches.len();
        if self.is_wrong(Mutant::OneVoteForAll) {
            for other in (0..count).map(index_of).filter(|other| *other != index) {
                let vote = vote.clone();
                let input = transaction::Input::Voted { run, branch: other, vote, tried: None };
                self.coordinate(branch.coordinator, branch.transaction(), input, None);
            }
        }
        let input = transaction::Input::Voted { run, branch: index, vote, tried: None };
        self.coordinate(branch.coordinator, branch.transaction(), input, death);
    }

    /// A service answered the do of a step.
    fn answered(&mut self, branch: Branch, reply: Reply, death: Option<Death>) {
        let Branch { run, index, .. } = branch;
        let input = transaction::Input::Answered { run, branch: index, reply, took_ms: 0 };
        self.coordinate(branch.coordinator, branch.transaction(), input, death);
    }

    fn acked(&mut self, branch: Branch, ack: Ack, death: Option<Death>) {
        let ack = match ack {
            Ack::Heuristic(_) if self.is_wrong(Mutant::GoneTakenAsFinished) => Ack::Finished,
            ack => ack,
        };
        let Branch { run, index, .. } = branch;
        let input = transaction::Input::Acked { run, branch: index, ack, took_ms: 0 };
        self.coordinate(branch.coordinator, branch.transaction(), input, death);
    }

    fn fire(&mut self, place: Place, timer: &Timer, death: Option<Death>) {
        self.left.ballots -= u16::from(timer.leads());
        match (place, timer) {
            (Place::Coordinator(number), Timer::Transaction(transaction, timer)) => {
                let input = transaction::Input::Fired(*timer);
                self.coordinate(number, *transaction, input, death);
            }
            (Place::Shard(number), Timer::Shard(timer)) => {
                self.shard_turn(number, shard::Input::Fired(timer.clone()), death);
            }
            _ => unreachable!("each place has timers of its own kind"),
        }
    }

    /// A caller or an operator says something about a transaction.
    fn ask(&mut self, transaction: usize, person: Person, death: Option<Death>) {
        let coordinator = self.plan.transactions[transaction].coordinator;
        let request = request::of_a_person(transaction);
        let input = match person {
            Person::Begins => return self.begin(transaction, death),
            Person::CommitsLocally => {
                self.ledger_mut(transaction).local = Some(true);
                return;
            }
            Person::Commits => {
                if let Some(voting) = self.live(transaction).and_then(|live| live.voting.as_ref()) {
                    let run = voting.run;
                    if !self.ledger.facts[transaction].asked.contains(&run) {
                        self.ledger_mut(transaction).asked.push(run);
                    }
                }
                transaction::Input::CommitAsked { request }
            }
            Person::Aborts => {
                self.ledger_mut(transaction).aborts += 1;
                let reason = "changed my mind".into();
                transaction::Input::AbortAsked { request, reason }
            }
            Person::Resolves(branch, committed) => {
                let reason = "looked".into();
                transaction::Input::Resolved { request, branch: branch.index, committed, reason }
            }
        };
        self.coordinate(coordinator, transaction, input, death);
    }

    fn begin(&mut self, transaction: usize, death: Option<Death>) {
        let plan = Arc::clone(&self.plan);
        let wish = &plan.transactions[transaction];
        let attempt = self.ledger.facts[transaction].runs.len();
        let epoch = self.coordinator(wish.coordinator).epoch;
        let run = match self.is_wrong(Mutant::RunUsedAgain) {
            true => RunId { epoch: 1, number: plan::run_number(transaction, 0) },
            false => RunId { epoch, number: plan::run_number(transaction, attempt) },
        };
        let facts = self.ledger_mut(transaction);
        facts.begins += 1;
        if !facts.runs.contains(&run) {
            facts.runs.push(run);
        }
        self.watch(run);
        let spec = |(index, branch): (usize, &BranchWish)| BranchSpec {
            name: text::name(index).into(),
            resource: branch.at.to_string(),
            one_phase: wish.one_phase,
            work: branch.work(),
            part: wish.part(index),
        };
        let begin = Begin {
            request: request::of_a_run(run),
            run,
            fingerprint: String::new(),
            branches: wish.branches.iter().enumerate().map(spec).collect(),
            timeout_ms: 5_000,
            ack: wish.ack,
            hold: wish.hold && !self.is_wrong(Mutant::HoldIgnored),
            pact: self.plan.pact(wish.coordinator, run),
            terms: wish.terms(),
        };
        let input = transaction::Input::Begin(begin);
        self.coordinate(wish.coordinator, transaction, input, death);
    }

    fn crash(&mut self, place: Place) {
        match place {
            Place::Coordinator(number) => {
                self.coordinator_mut(number).crash();
                self.touch_all_of(number);
            }
            Place::Shard(number) => {
                self.shard_mut(number).crash();
                self.doubt_states_at(number);
            }
            Place::Database(_) => {}
        }
        self.marks.reach(Mark::Crash);
    }

    fn restart(&mut self, place: Place, death: Option<Death>) {
        match place {
            Place::Coordinator(number) => self.coordinator_turn(number, Event::Restart, death),
            Place::Shard(number) => self.shard_event(number, Event::Restart, death),
            Place::Database(_) => {}
        }
    }
}

fn index_of(branch: usize) -> transaction::Index {
    transaction::Index::try_from(branch).expect("few branches")
}
