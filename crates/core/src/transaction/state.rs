//! What a transaction knows: the saved half and the live half.

use alloc::{collections::BTreeSet, format, string::String, vec::Vec};

use super::words::{AckWhen, Begin, Case, CaseBranch, Decision, Index, Reason, Record, Voted};
use crate::{
    id::{RequestId, RunId},
    machine::Summary,
    pact::{
        Pact, Way,
        paxos::{Acceptor, Ballot, Change, Leader},
    },
    vote::{Proof, Vote},
};

/// What the log knows of a transaction; `None` until something is recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Saved {
    /// Everything, once there is anything.
    pub known: Option<Known>,
}

/// What the log knows once it knows anything.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Known {
    /// The run it is about.
    pub run: RunId,
    /// What the request was.
    pub fingerprint: String,
    /// The decision; `None` while it is delegated to the only writing branch, or while those of the
    /// pact decide.
    pub decision: Option<Decision>,
    /// All branches, in the caller's order.
    pub branches: Vec<KnownBranch>,
    /// Nothing is left to do.
    pub finished: bool,
    /// What the members were told.
    pub pact: Option<Pact>,
    /// Paxos: what this node promised as acceptor 0.
    pub acceptor: Acceptor,
    /// Paxos: the highest ballot that this node used as leader.
    pub claimed: Ballot,
}

/// A branch as the log knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KnownBranch {
    /// Its name.
    pub name: String,
    /// Where it runs.
    pub resource: String,
    /// How it voted.
    pub vote: Voted,
    /// What the participant wants to be told again.
    pub proof: Proof,
    /// What is known of its end.
    pub fate: Fate,
}

/// What the log knows of a branch's end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Nothing (which includes success: that is recorded for all branches at once).
    Open,
    /// Only an operator can mend what its participant answers.
    Stuck(String),
    /// Finished against the decision.
    Heuristic(String),
    /// Declared finished by an operator, who saw it committed (or rolled back).
    Resolved {
        /// What the operator saw.
        committed: bool,
        /// Why, and by whom.
        reason: String,
    },
}

impl KnownBranch {
    /// Whether the participant must still be told: not after it was found or declared finished.
    pub fn is_pending(&self) -> bool {
        self.vote.is_in_doubt() && matches!(self.fate, Fate::Open | Fate::Stuck(_))
    }
}

impl From<&CaseBranch> for KnownBranch {
    fn from(branch: &CaseBranch) -> Self {
        Self {
            name: branch.name.clone(),
            resource: branch.resource.clone(),
            vote: branch.vote,
            proof: branch.proof.clone(),
            fate: Fate::Open,
        }
    }
}

impl Known {
    pub(super) fn new(case: &Case, decision: Option<Decision>) -> Self {
        Self {
            run: case.run,
            fingerprint: case.fingerprint.clone(),
            decision,
            branches: case.branches.iter().map(KnownBranch::from).collect(),
            finished: false,
            pact: None,
            acceptor: Acceptor::default(),
            claimed: Ballot::default(),
        }
    }

    fn begun(case: &Case, pact: &Pact) -> Self {
        Self { pact: Some(pact.clone()), ..Self::new(case, None) }
    }

    /// Not this node alone decides: its branches must not be told anything yet.
    pub fn is_left_to_pact(&self) -> bool {
        self.decision.is_none() && self.pact.is_some()
    }

    /// A branch is known to have ended otherwise than was decided.
    pub fn is_mixed(&self) -> bool {
        let commit = self.decision == Some(Decision::Commit);
        self.branches.iter().any(|branch| match branch.fate {
            Fate::Heuristic(_) => true,
            Fate::Resolved { committed, .. } => committed != commit,
            Fate::Open | Fate::Stuck(_) => false,
        })
    }

    /// A branch waits for an operator.
    pub fn is_stuck(&self) -> bool {
        let needs = |fate: &Fate| matches!(fate, Fate::Stuck(_) | Fate::Heuristic(_));
        !self.finished && self.branches.iter().any(|branch| needs(&branch.fate))
    }

    /// The state's name: what it waits for, or how it ended.
    pub fn state(&self) -> &'static str {
        match &self.decision {
            None => "deciding",
            Some(_) if self.is_mixed() => "mixed",
            Some(Decision::Commit) if self.finished => "committed",
            Some(Decision::Commit) => "committing",
            Some(Decision::Abort(_)) if self.finished => "aborted",
            Some(Decision::Abort(_)) => "aborting",
        }
    }
}

impl Saved {
    /// See [`crate::machine::Machine::apply`]. Records that make no sense here (a damaged or
    /// foreign log) change nothing.
    pub fn apply(&mut self, record: &Record) {
        match (&mut self.known, record) {
            (known @ None, Record::Delegated(case)) => *known = Some(Known::new(case, None)),
            (known @ None, Record::Decided { decision, case: Some(case) }) => {
                *known = Some(Known::new(case, Some(decision.clone())));
            }
            (known @ None, Record::Begun { case, pact } | Record::PreCommitted { case, pact }) => {
                *known = Some(Known::begun(case, pact))
            }
            (Some(known), record) => known.apply(record),
            (None, _) => {}
        }
    }

    /// The words that lists filter by: `!` and its run, its resources, and `!stuck` if it waits for
    /// an operator. No resource's name starts with `!`.
    pub fn summary(&self) -> Summary {
        let Some(known) = &self.known else { return Summary::default() };
        let mut label = format!("!{}", known.run);
        for branch in &known.branches {
            let there = label.split(' ').any(|word| word == branch.resource);
            if !there {
                label.push(' ');
                label.push_str(&branch.resource);
            }
        }
        if known.is_stuck() {
            label.push_str(" !stuck");
        }
        Summary { state: known.state(), label }
    }
}

impl Known {
    fn apply(&mut self, record: &Record) {
        match record {
            Record::Decided { decision, case } if self.decision.is_none() => {
                self.decision = Some(decision.clone());
                // What was begun did not know the votes.
                if let Some(case) = case.as_ref().filter(|case| case.run == self.run) {
                    self.branches = case.branches.iter().map(KnownBranch::from).collect();
                }
            }
            Record::Heuristic { branch, detail } => {
                self.set_fate(*branch, Fate::Heuristic(detail.clone()));
            }
            Record::Stuck { branch, detail } => self.set_fate(*branch, Fate::Stuck(detail.clone())),
            Record::Resolved { branch, committed, reason } => {
                let fate = Fate::Resolved { committed: *committed, reason: reason.clone() };
                self.set_fate(*branch, fate);
            }
            Record::Finished => self.finished = true,
            Record::Claimed { ballot } => self.claimed = self.claimed.max(*ballot),
            Record::Promised { ballot } => self.acceptor.apply(Change::Promised(*ballot)),
            Record::Accepted { proposal } => self.acceptor.apply(Change::Accepted(*proposal)),
            Record::Begun { .. }
            | Record::PreCommitted { .. }
            | Record::Decided { .. }
            | Record::Delegated(_) => {}
        }
    }

    fn set_fate(&mut self, branch: Index, fate: Fate) {
        if let Some(branch) = self.branches.get_mut(usize::from(branch)) {
            branch.fate = fate;
        }
    }
}

/// What a crash forgets.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Live {
    /// The run that waits for votes, until it is decided.
    pub voting: Option<Voting>,
    /// How deciding goes with those of the pact.
    pub lead: Option<Lead>,
    /// Callers who wait for an answer.
    pub waiters: Vec<(RequestId, AckWhen)>,
    /// By branch: how telling the decision goes. Empty until there is one.
    pub telling: Vec<Telling>,
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
    /// Three-phase, after a restart: the members decide, and are asked.
    Asking,
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
    /// The branches, and their votes so far.
    pub branches: Vec<(String, String, Option<Vote>)>,
}

impl Voting {
    pub(super) fn new(begin: &Begin) -> Self {
        let specs = &begin.branches;
        let pact = begin.pact.clone().filter(Pact::outlives_coordinator);
        let one_phase = specs.len() == 1 && specs[0].one_phase && !begin.hold && pact.is_none();
        Self {
            run: begin.run,
            fingerprint: begin.fingerprint.clone(),
            // Members that take over do not wait for the caller's word.
            hold: begin.hold && pact.is_none(),
            one_phase,
            pact,
            branches: specs.iter().map(|s| (s.name.clone(), s.resource.clone(), None)).collect(),
        }
    }

    /// Whether acceptors decide.
    pub fn is_paxos(&self) -> bool {
        self.pact.as_ref().is_some_and(|pact| pact.way == Way::Paxos)
    }

    /// All branches voted, and none voted no.
    pub fn is_unanimous(&self) -> bool {
        self.branches.iter().all(|(.., vote)| matches!(vote, Some(Vote::Yes(_) | Vote::ReadOnly)))
    }

    /// All branches voted, none no, and it waits for the caller's word.
    pub fn is_held(&self) -> bool {
        self.hold && self.is_unanimous()
    }

    /// What a decision taken now is about. A branch that has not voted may yet prepare.
    pub(super) fn case(&self) -> Case {
        let branches = self.branches.iter().map(|(name, resource, vote)| {
            let (vote, proof) = match vote {
                Some(Vote::Yes(proof)) => (Voted::Yes, proof.clone()),
                Some(Vote::ReadOnly) => (Voted::ReadOnly, Proof::default()),
                Some(Vote::No(_)) => (Voted::No, Proof::default()),
                Some(Vote::Lost(_)) | None => (Voted::Unknown, Proof::default()),
            };
            CaseBranch { name: name.clone(), resource: resource.clone(), vote, proof }
        });
        Case { run: self.run, fingerprint: self.fingerprint.clone(), branches: branches.collect() }
    }
}

/// How telling one branch the decision goes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Telling {
    /// It was told, and has not answered yet.
    pub is_asked: bool,
    /// It answered that it is finished.
    pub is_finished: bool,
    /// Tries that did not succeed, since the node started.
    pub tries: u32,
    /// Its last answer that was not success.
    pub last_answer: Option<String>,
}
