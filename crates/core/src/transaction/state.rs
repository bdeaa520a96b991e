//! What a transaction knows: the saved half and the live half.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use super::words::{Case, CaseBranch, Decision, Index, Record, Voted};
use crate::{
    id::RunId,
    machine::Summary,
    pact::{
        Pact,
        paxos::{Acceptor, Ballot, Change},
    },
    plan::{Calls, Kind, Plan, Planned},
    vote::Proof,
    work::Work,
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
    /// The decision; `None` while it is delegated to the only writing branch, while those of the
    /// pact decide, or while a plan is carried out.
    pub decision: Option<Decision>,
    /// All branches, in the caller's order.
    pub branches: Vec<KnownBranch>,
    /// Nothing is left to do.
    pub finished: bool,
    /// What the members were told.
    pub pact: Option<Pact>,
    /// What is to be done; `None` if all branches are plain ones that prepare.
    pub plan: Option<Arc<Plan>>,
    /// Asking whether the caller's local transaction committed waits for an operator, because of
    /// this answer.
    pub ask_stuck: Option<String>,
    /// No branch is added any more, and those that prepare may have begun to.
    pub sealed: bool,
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
    /// How it voted; of a step, whether it is done.
    pub vote: Voted,
    /// What the participant wants to be told again; of a step or reservation, what it put out.
    pub proof: Proof,
    /// It is not done, and a call of it was tried, whether it arrived or not. It is for those who
    /// look at it: no machine reads it.
    pub is_tried: bool,
    /// What is known of its end.
    pub fate: Fate,
}

/// What the log knows of a branch's end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Nothing (which includes success of a branch that prepares: that is recorded for all of them
    /// at once).
    Open,
    /// A step is undone, or a delivery has arrived.
    Applied,
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
    fn new(name: String, resource: String, vote: Voted, proof: Proof) -> Self {
        Self { name, resource, vote, proof, is_tried: false, fate: Fate::Open }
    }
}

impl From<&CaseBranch> for KnownBranch {
    fn from(branch: &CaseBranch) -> Self {
        let (name, resource) = (branch.name.clone(), branch.resource.clone());
        Self::new(name, resource, branch.vote, branch.proof.clone())
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
            plan: None,
            ask_stuck: None,
            sealed: false,
            acceptor: Acceptor::default(),
            claimed: Ballot::default(),
        }
    }

    fn begun(case: &Case, pact: Option<&Pact>, plan: Option<&Arc<Plan>>) -> Self {
        Self { pact: pact.cloned(), plan: plan.cloned(), ..Self::new(case, None) }
    }

    /// The first word of the label, by which a run is found; see
    /// [`Summary::mark`](crate::machine::Summary::mark).
    pub fn mark(run: RunId) -> String {
        format!("!{run}")
    }

    /// Not this node alone decides.
    pub fn is_left_to_pact(&self) -> bool {
        self.decision.is_none() && self.pact.is_some()
    }

    /// It began, and is not decided: its branches must not be told anything yet.
    pub fn is_undecided(&self) -> bool {
        self.decision.is_none() && (self.pact.is_some() || self.plan.is_some())
    }

    /// The saga it is a run of, with its version.
    pub fn saga(&self) -> Option<&str> {
        self.plan.as_ref()?.terms.saga.as_deref()
    }

    /// What a branch does before and after the decision.
    pub fn kind(&self, branch: Index) -> Kind {
        self.plan.as_ref().map_or(Kind::Prepare, |plan| plan.kind(branch))
    }

    /// Whether the decision means anything to a branch.
    pub fn concerns(&self, branch: Index) -> bool {
        let aborts = matches!(self.decision, Some(Decision::Abort(_)));
        let Some(told) = self.branches.get(usize::from(branch)) else { return false };
        match self.kind(branch) {
            Kind::Prepare => told.vote.is_in_doubt(),
            Kind::Step => {
                let has_undo = self.plan.as_ref().is_some_and(|plan| plan.has_undo(branch));
                aborts && has_undo && told.vote.is_in_doubt()
            }
            Kind::Deliver => self.decision == Some(Decision::Commit),
        }
    }

    /// Whether calls that a branch is given can undo what those before could: a step that lost its
    /// undo would stay done for ever.
    pub(super) fn keeps_undo(&self, branch: Index, calls: &Calls) -> bool {
        let Some(plan) = &self.plan else { return false };
        calls.undo.is_some() || !plan.has_undo(branch)
    }

    /// Whose outputs a branch's calls use, in a plan.
    pub(super) fn uses(&self, branch: Index) -> Option<&Vec<Index>> {
        let planned = self.plan.as_ref()?.branches.get(usize::from(branch))?;
        Some(&planned.part.uses)
    }

    /// Whether a branch's calls may use what another has put out: one that comes before it, or
    /// itself, once it is done.
    pub(super) fn may_use(&self, branch: Index, used: Index) -> bool {
        let Some(plan) = &self.plan else { return false };
        let Some(planned) = plan.branches.get(usize::from(branch)) else { return false };
        // That a delivery comes after what is done before the decision goes without saying.
        let is_before = match (planned.part.kind, plan.kind(used)) {
            (Kind::Deliver, Kind::Prepare | Kind::Step) => true,
            _ => planned.part.after.binary_search(&used).is_ok(),
        };
        usize::from(used) < self.branches.len() && (is_before || used == branch)
    }

    /// Whether a branch must still be told: not after it was found or declared finished.
    pub fn is_pending(&self, branch: Index) -> bool {
        let fate = self.branches.get(usize::from(branch)).map(|told| &told.fate);
        matches!(fate, Some(Fate::Open | Fate::Stuck(_))) && self.concerns(branch)
    }

    /// A branch is known to have ended otherwise than was decided.
    pub fn is_mixed(&self) -> bool {
        let commit = self.decision == Some(Decision::Commit);
        self.branches.iter().any(|branch| match branch.fate {
            Fate::Heuristic(_) => true,
            Fate::Resolved { committed, .. } => committed != commit,
            Fate::Open | Fate::Applied | Fate::Stuck(_) => false,
        })
    }

    /// A branch waits for an operator.
    pub fn is_stuck(&self) -> bool {
        self.stuck_at().next().is_some()
    }

    /// Where an operator is waited for: the resources of those branches, and the one that is asked
    /// in vain whether the caller committed.
    pub fn stuck_at(&self) -> impl Iterator<Item = &str> {
        let needs = |fate: &Fate| matches!(fate, Fate::Stuck(_) | Fate::Heuristic(_));
        let branches = self.branches.iter().filter(move |branch| needs(&branch.fate));
        let plan = self.plan.as_ref().filter(|_| self.ask_stuck.is_some());
        let asked = plan.filter(|_| self.decision.is_none()).and_then(|p| p.terms.ask.as_ref());
        let there = branches.map(|branch| branch.resource.as_str());
        let there = there.chain(asked.map(|ask| ask.resource.as_str()));
        there.filter(|_| !self.finished)
    }

    /// The state's name: what it waits for, or how it ended.
    pub fn state(&self) -> &'static str {
        match &self.decision {
            None if self.plan.is_some() => "running",
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
            (known @ None, Record::Begun { case, pact, plan }) => {
                *known = Some(Known::begun(case, pact.as_ref(), plan.as_ref()));
            }
            (known @ None, Record::PreCommitted { case, pact }) => {
                *known = Some(Known::begun(case, Some(pact), None));
            }
            (Some(known), record) => known.apply(record),
            (None, _) => {}
        }
    }

    /// The words that lists filter by: `!` and its run, its resources, `!saga=` and its saga, and
    /// if it waits for an operator `!stuck`, and `!stuck@` and where. No resource's name starts
    /// with `!`.
    pub fn summary(&self) -> Summary {
        let Some(known) = &self.known else { return Summary::default() };
        let mut label = Known::mark(known.run);
        let mut add = |mark: &str, name: &str| {
            let there = |word: &str| word.strip_prefix(mark) == Some(name);
            if !label.split(' ').any(there) {
                label.push(' ');
                label.push_str(mark);
                label.push_str(name);
            }
        };
        for (at, branch) in known.branches.iter().enumerate() {
            let is_same = |before: &KnownBranch| before.resource == branch.resource;
            if !known.branches[..at].iter().any(is_same) {
                add("", &branch.resource);
            }
        }
        known.saga().into_iter().for_each(|saga| add("!saga=", saga));
        for resource in known.stuck_at() {
            add("!stuck", "");
            add("!stuck@", resource);
        }
        Summary { state: known.state(), label }
    }
}

impl Known {
    pub(super) fn apply(&mut self, record: &Record) {
        match record {
            Record::Decided { decision, case } if self.decision.is_none() => {
                self.decision = Some(decision.clone());
                // What was begun did not know the votes.
                if let Some(case) = case.as_ref().filter(|case| case.run == self.run) {
                    self.take_votes(case);
                }
            }
            Record::Added { name, resource, planned } => self.add(name, resource, planned),
            Record::Sealed => self.sealed = true,
            Record::Done { branch, output, .. } => {
                if let Some(told) = self.branches.get_mut(usize::from(*branch)) {
                    (told.vote, told.proof, told.fate) = (Voted::Yes, output.clone(), Fate::Open);
                }
            }
            Record::AskStuck { detail } => self.ask_stuck = Some(detail.clone()),
            Record::Applied { branch, .. } => self.set_fate(*branch, Fate::Applied),
            Record::Edited { branch, work, uses, .. } => self.edit(*branch, work, uses.as_ref()),
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
            | Record::AskedBack
            | Record::Delegated(_) => {}
        }
    }

    /// What a step put out is recorded when it is done, and not again.
    fn take_votes(&mut self, case: &Case) {
        if self.plan.is_none() {
            self.branches = case.branches.iter().map(KnownBranch::from).collect();
            return;
        }
        for (told, voted) in self.branches.iter_mut().zip(&case.branches) {
            (told.vote, told.is_tried) = (voted.vote, voted.tried.is_some());
            told.fate = Fate::Open;
            if !voted.proof.0.is_empty() {
                told.proof = voted.proof.clone();
            }
        }
    }

    fn add(&mut self, name: &str, resource: &str, planned: &Planned) {
        let Some(plan) = &mut self.plan else { return };
        Arc::make_mut(plan).branches.push(planned.clone());
        let (vote, proof) = (Voted::Unknown, Proof::default());
        self.branches.push(KnownBranch::new(name.into(), resource.into(), vote, proof));
    }

    fn edit(&mut self, branch: Index, work: &Work, uses: Option<&Vec<Index>>) {
        let Some(plan) = &mut self.plan else { return };
        if let Some(planned) = Arc::make_mut(plan).branches.get_mut(usize::from(branch)) {
            planned.work = work.clone();
            if let Some(uses) = uses {
                planned.part.uses = uses.clone();
            }
            self.set_fate(branch, Fate::Open);
        }
    }

    fn set_fate(&mut self, branch: Index, fate: Fate) {
        if let Some(branch) = self.branches.get_mut(usize::from(branch)) {
            branch.fate = fate;
        }
    }
}
