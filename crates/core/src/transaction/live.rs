//! What a crash forgets of a transaction.

use alloc::{collections::BTreeSet, format, string::String, sync::Arc, vec::Vec};

use super::{
    state::Known,
    words::{AckWhen, Begin, BranchSpec, Case, CaseBranch, Decision, Index, Reason, Tried, Voted},
};
use crate::{
    id::{RequestId, RunId},
    limits::REASON_BYTES_MAX,
    pact::{Pact, Way, asking::Asking, paxos::Leader},
    plan::{Given, Kind, Plan, Planned},
    vote::{Proof, Vote},
};

/// Most that is said of whom it waited for when its time was over.
const WAITED_BYTES_MAX: usize = REASON_BYTES_MAX - 64;

/// What a crash forgets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Live {
    /// The run that waits for votes, until it is decided.
    pub voting: Option<Voting>,
    /// How deciding goes with those of the pact.
    pub lead: Option<Lead>,
    /// Callers who wait for an answer.
    pub waiters: Vec<(RequestId, AckWhen)>,
    /// Callers who added a step, and wait for what it puts out.
    pub adders: Vec<(RequestId, Index)>,
    /// By branch: how its steps go, and then how telling the decision goes. Empty until there is
    /// one or the other.
    pub telling: Vec<Telling>,
    /// How often was asked whether the caller's local transaction committed.
    pub asks: u32,
    /// The last answer to that which told nothing.
    pub ask_answer: Option<String>,
}

/// How a run with a pact is being decided.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lead {
    /// As a leader of Paxos commit; in ballot 0 that is also the collector of votes.
    Paxos {
        /// Ballot and answers.
        leader: Leader,
        /// Whether its timer runs.
        is_timed: bool,
        /// Why it wants to abort, if it does; what is chosen may be commit all the same.
        reason: Option<Reason>,
    },
    /// Three-phase: all voted yes; these members are precommitted.
    PreCommit(BTreeSet<Index>),
    /// The members are asked how it ended: with three-phase after a restart, for they decide; with
    /// Paxos when most acceptors have forgotten the run.
    Asking(Asking),
}

/// A run that waits for votes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Voting {
    /// Its id.
    pub run: RunId,
    /// What the request was.
    pub fingerprint: String,
    /// Whether it waits for the caller's word after the votes.
    pub hold: bool,
    /// Whether its only branch keeps its work open instead of preparing.
    pub one_phase: bool,
    /// How it is decided, if not by this node's log alone.
    pub pact: Option<Pact>,
    /// What is to be done, if not all branches are plain ones that prepare.
    pub plan: Option<Arc<Plan>>,
    /// Branches may be added, and none prepares yet.
    pub open: bool,
    /// The branches, and their votes so far. A delivery has nothing to say before the decision.
    pub branches: Vec<(String, String, Option<Vote>)>,
}

impl Voting {
    pub(super) fn new(begin: &Begin) -> Self {
        let specs = &begin.branches;
        let pact = begin.pact.clone().filter(Pact::outlives_coordinator);
        let plan = begin.terms.as_ref().map(|terms| {
            let planned = |spec: &BranchSpec| Planned::from(spec);
            Arc::new(Plan { terms: terms.clone(), branches: specs.iter().map(planned).collect() })
        });
        let alone = specs.len() == 1 && specs[0].one_phase && !begin.hold;
        let vote = |spec: &BranchSpec| (spec.part.kind == Kind::Deliver).then_some(Vote::ReadOnly);
        Self {
            run: begin.run,
            fingerprint: begin.fingerprint.clone(),
            // Members that take over do not wait for the caller's word.
            hold: begin.hold && pact.is_none(),
            one_phase: alone && pact.is_none() && plan.is_none(),
            pact,
            open: plan.as_ref().is_some_and(|plan| plan.terms.open),
            plan,
            branches: specs
                .iter()
                .map(|spec| (spec.name.clone(), spec.resource.clone(), vote(spec)))
                .collect(),
        }
    }

    /// A run with a plan after a restart: what is recorded as done is done.
    pub(super) fn resumed(known: &Known, plan: &Arc<Plan>) -> Self {
        let vote = |branch: Index, vote: Voted, proof: &Proof| match (plan.kind(branch), vote) {
            (Kind::Deliver, _) => Some(Vote::ReadOnly),
            (Kind::Step, Voted::Yes) => Some(Vote::Yes(proof.clone())),
            _ => None,
        };
        let branches = (0..).zip(&known.branches).map(|(at, branch)| {
            let vote = vote(at, branch.vote, &branch.proof);
            (branch.name.clone(), branch.resource.clone(), vote)
        });
        Self {
            run: known.run,
            fingerprint: known.fingerprint.clone(),
            hold: plan.terms.hold,
            one_phase: false,
            pact: None,
            open: plan.terms.open && !known.sealed,
            plan: Some(Arc::clone(plan)),
            branches: branches.collect(),
        }
    }

    /// Whether acceptors decide.
    pub fn is_paxos(&self) -> bool {
        self.pact.as_ref().is_some_and(|pact| pact.way == Way::Paxos)
    }

    /// All branches voted, and none voted no.
    pub fn is_unanimous(&self) -> bool {
        self.branches.iter().all(|(.., vote)| is_yes(vote))
    }

    /// All that can be done before the caller's word is done, and it waits for that word.
    pub fn is_held(&self) -> bool {
        let is_done = |(at, (.., vote)): (Index, &(String, String, Option<Vote>))| {
            is_yes(vote) || self.kind(at) == Kind::Prepare
        };
        match self.open {
            true => (0..).zip(&self.branches).all(is_done),
            false => self.hold && self.is_unanimous(),
        }
    }

    /// Branches could be added, whether or not they can be now.
    pub(super) fn was_open(&self) -> bool {
        self.plan.as_ref().is_some_and(|plan| plan.terms.open)
    }

    /// What a branch does before and after the decision.
    pub fn kind(&self, branch: Index) -> Kind {
        self.plan.as_ref().map_or(Kind::Prepare, |plan| plan.kind(branch))
    }

    /// A branch's vote so far; none, too, if there is no such branch.
    pub fn vote(&self, branch: Index) -> Option<&Vote> {
        self.branches.get(usize::from(branch)).and_then(|(.., vote)| vote.as_ref())
    }

    /// Whether all branches before this one are done, or prepared.
    pub(super) fn is_turn_of(&self, branch: Index, planned: &Planned) -> bool {
        let is_due = match planned.part.kind {
            Kind::Prepare => !self.open,
            Kind::Step => true,
            Kind::Deliver => false,
        };
        let is_before_done =
            |before: &Index| matches!(self.vote(*before), Some(Vote::Yes(_) | Vote::ReadOnly));
        is_due && self.vote(branch).is_none() && planned.part.after.iter().all(is_before_done)
    }

    /// Whether a step's turn comes only after the caller's word: it comes after one that prepares.
    pub(super) fn waits_for_word(&self, branch: Index) -> bool {
        let plan = self.plan.as_ref().filter(|_| self.open);
        let planned = plan.and_then(|plan| plan.branches.get(usize::from(branch)));
        let prepares = |before: &Index| self.kind(*before) == Kind::Prepare;
        planned.is_some_and(|planned| planned.part.after.iter().any(prepares))
    }

    /// After a restart: whether a branch's turn may have come before it. That one that prepares
    /// had voted is not recorded, so it may have been anybody's turn who comes after it. And that
    /// one step is done may not have been durable yet when what comes after it was asked.
    pub(super) fn may_have_begun(&self, branch: Index, planned: &Planned) -> bool {
        let prepares = |at: Index| self.kind(at) == Kind::Prepare;
        let before = &planned.part.after;
        let waits = self.open && (prepares(branch) || before.iter().any(|at| prepares(*at)));
        let is_over = |at: &Index| prepares(*at) || self.vote(*at).is_some();
        let mut missing = before.iter().filter(|at| !is_over(at));
        let is_due = match (missing.next(), missing.next()) {
            (None, _) => true,
            (Some(one), None) => self.may_have_left_ahead(branch, planned, *one),
            _ => false,
        };
        !waits && self.vote(branch).is_none() && is_due
    }

    /// Whether a branch may have been asked while that this one before it is done was synced.
    fn may_have_left_ahead(&self, branch: Index, planned: &Planned, before: Index) -> bool {
        let Some(plan) = &self.plan else { return false };
        // What prepares is not asked ahead, so that nothing comes between the two.
        let is_between = |at: &Index| {
            plan.kind(*at) == Kind::Prepare
                && plan.branches[usize::from(*at)].part.after.contains(&before)
        };
        plan.may_leave_ahead(branch) && !planned.part.after.iter().any(is_between)
    }

    /// Branches that have not answered, though it is their turn.
    pub(super) fn late(&self, telling: &[Telling]) -> impl Iterator<Item = Index> {
        let is_asked =
            |at: usize| self.plan.is_none() || telling.get(at).is_some_and(|t| t.is_begun);
        (0..)
            .zip(&self.branches)
            .filter(move |(at, (.., vote))| vote.is_none() && is_asked(usize::from(*at)))
            .map(|(at, _)| at)
    }

    /// Where those branches are, and what they answered last.
    pub(super) fn waited_for(&self, late: &[Index], telling: &[Telling]) -> String {
        let each_max = WAITED_BYTES_MAX / late.len().max(1);
        let one = |at: &Index| {
            let (name, resource, _) = &self.branches[usize::from(*at)];
            let answer =
                telling.get(usize::from(*at)).and_then(|telling| telling.last_answer.as_deref());
            let answer = answer.unwrap_or("no answer yet");
            format!("{name} at {resource}: {}", &answer[..answer.floor_char_boundary(each_max)])
        };
        let each: Vec<_> = late.iter().map(one).collect();
        let mut text = format!("it waited for {}", each.join(", and for "));
        text.truncate(text.floor_char_boundary(WAITED_BYTES_MAX));
        text
    }

    /// What a branch's call may use now.
    pub(super) fn given(&self, plan: &Arc<Plan>, branch: Index, attempt: u32) -> Given {
        let uses = &plan.branches[usize::from(branch)].part.uses;
        let output = |used: &Index| match self.vote(*used) {
            Some(Vote::Yes(output)) => Some((*used, output.clone())),
            _ => None,
        };
        let outputs = uses.iter().filter_map(output).collect();
        Given { plan: Arc::clone(plan), outputs, attempt, is_early: false }
    }

    /// What a decision taken now is about. A branch that has not voted may yet prepare, or may be
    /// done, unless its turn never came.
    pub(super) fn case(&self, telling: &[Telling]) -> Case {
        let may_be = |at: usize| {
            self.plan.is_none() || telling.get(at).is_some_and(|t| t.is_asked || t.may_be_done)
        };
        let branches = self.branches.iter().enumerate().map(|(at, (name, resource, vote))| {
            let is_step = self.plan.is_some() && self.kind(at as Index) == Kind::Step;
            let (vote, proof) = match vote {
                // What a step put out is recorded already.
                Some(Vote::Yes(_)) if is_step => (Voted::Yes, Proof::default()),
                Some(Vote::Yes(proof)) => (Voted::Yes, proof.clone()),
                Some(Vote::ReadOnly) => (Voted::ReadOnly, Proof::default()),
                Some(Vote::No(_)) => (Voted::No, Proof::default()),
                Some(Vote::Lost(_)) => (Voted::Unknown, Proof::default()),
                None if may_be(at) => (Voted::Unknown, Proof::default()),
                None => (Voted::No, Proof::default()),
            };
            let is_told = is_step && vote == Voted::Yes;
            let tried = telling.get(at).filter(|_| !is_told).and_then(|telling| telling.tried);
            CaseBranch { name: name.clone(), resource: resource.clone(), vote, proof, tried }
        });
        Case { run: self.run, fingerprint: self.fingerprint.clone(), branches: branches.collect() }
    }

    /// What the record of a decision taken now must say: nothing if the records of the steps have
    /// said it all.
    pub(super) fn case_of(&self, decision: &Decision, telling: &[Telling]) -> Option<Case> {
        let Some(plan) = &self.plan else { return Some(self.case(telling)) };
        let prepares = plan.branches.iter().any(|planned| planned.part.kind == Kind::Prepare);
        (prepares || *decision != Decision::Commit).then(|| self.case(telling))
    }
}

impl From<&BranchSpec> for Planned {
    fn from(spec: &BranchSpec) -> Self {
        Self { part: spec.part.clone(), work: spec.work.clone() }
    }
}

fn is_yes(vote: &Option<Vote>) -> bool {
    matches!(vote, Some(Vote::Yes(_) | Vote::ReadOnly))
}

/// How doing one step, or telling one branch the decision, goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Telling {
    /// Its turn came.
    pub is_begun: bool,
    /// It was asked or told, and has not answered yet.
    pub is_asked: bool,
    /// What it was asked is to do its step, or to reserve.
    pub is_doing: bool,
    /// It is not called before its wait is over, whatever becomes of the others: a timer ends that
    /// (the runtime's earlier, when its resource answers again), or an operator.
    pub waits: bool,
    /// It may be done, whatever it answers from now on.
    pub may_be_done: bool,
    /// A do or try of it was, or may have been, sent and not answered for good: unless one is known
    /// to be done, it may arrive at any time.
    pub may_be_late: bool,
    /// The service said that it is at the do or try, and has not said since how that ended.
    pub is_worked_on: bool,
    /// It answered that it is finished.
    pub is_finished: bool,
    /// Tries that did not succeed, since the node started.
    pub tries: u32,
    /// Tries that never arrived, since then: they cost time only.
    pub unsent: u32,
    /// Time of calls and waits, in ms, since the node started.
    pub spent_ms: u64,
    /// Its last answer that was not success.
    pub last_answer: Option<String>,
    /// How the tries went that were answered, whatever patience has begun anew.
    pub tried: Option<Tried>,
}

impl Telling {
    /// Tries in all.
    pub(super) fn calls(&self) -> u32 {
        self.tries.saturating_add(self.unsent)
    }

    /// Patience begins anew.
    pub(super) fn begin_anew(&mut self) {
        (self.tries, self.unsent, self.spent_ms) = (0, 0, 0);
    }
}
