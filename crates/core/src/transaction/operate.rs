//! What callers of open transactions and operators say while it runs.

use alloc::{string::String, vec, vec::Vec};

use super::{Answer, BranchSpec, Decision, Fate, Index, Known, Reason, Record, Step, WAITERS_MAX};
use crate::{
    id::RequestId,
    limits::BRANCHES_MAX,
    plan::{Kind, Planned},
    vote::{Cause, Proof, Refusal, Vote},
    work::Work,
};

impl Step<'_> {
    /// Adds a branch to an open run. The same branch again is answered with what it came to.
    pub(super) fn add(&mut self, request: RequestId, spec: BranchSpec) {
        let Some(voting) = &self.live.voting else {
            return match self.known {
                None => self.reply(request, Answer::NoSuchTransaction),
                Some(known) => match &known.decision {
                    Some(Decision::Abort(reason)) => {
                        self.reply(request, Answer::Aborted(reason.clone()));
                    }
                    _ => self.reply(request, Answer::WrongState(known.state())),
                },
            };
        };
        let planned = Planned::from(&spec);
        let at = voting.branches.iter().position(|(name, ..)| *name == spec.name);
        let is_same = |at: usize| {
            let plan = voting.plan.as_ref();
            let there = plan.and_then(|plan| plan.branches.get(at));
            voting.branches[at].1 == spec.resource && there == Some(&planned)
        };
        match at {
            Some(at) if is_same(at) => self.attend_added(request, super::index(at)),
            Some(_) => self.reply(request, Answer::OtherContent),
            None if !voting.open => self.reply(request, Answer::WrongState("it is not open")),
            None if voting.branches.len() >= BRANCHES_MAX => {
                self.reply(request, Answer::WrongState("it is full of branches"));
            }
            None if self.live.adders.len() >= WAITERS_MAX => self.reply(request, Answer::Busy),
            None => self.added(request, spec, planned),
        }
    }

    fn added(&mut self, request: RequestId, spec: BranchSpec, planned: Planned) {
        let BranchSpec { name, resource, .. } = spec;
        let kind = planned.part.kind;
        let record = Record::Added { name: name.clone(), resource: resource.clone(), planned };
        self.promise(record, |step| {
            let Some(voting) = &mut step.live.voting else { return };
            voting.plan = step.known.and_then(|known| known.plan.clone());
            let vote = (kind == Kind::Deliver).then_some(Vote::ReadOnly);
            voting.branches.push((name, resource, vote));
            let at = super::index(voting.branches.len() - 1);
            step.attend_added(request, at);
            step.take_turns();
        });
    }

    fn attend_added(&mut self, request: RequestId, branch: Index) {
        let Some(voting) = &self.live.voting else { return };
        let answer = match (voting.kind(branch), voting.vote(branch)) {
            (Kind::Prepare | Kind::Deliver, _) => Answer::Added,
            (Kind::Step, Some(Vote::Yes(output))) => Answer::Done(output.clone()),
            (Kind::Step, _) if voting.waits_for_word(branch) => Answer::Added,
            (Kind::Step, _) if self.live.adders.len() >= WAITERS_MAX => Answer::Busy,
            (Kind::Step, _) => return self.live.adders.push((request, branch)),
        };
        self.reply(request, answer);
    }

    /// Tries what waits again, now and as if for the first time.
    pub(super) fn retry_asked(&mut self, request: RequestId, only: Option<Index>) {
        let Some(known) = self.known else {
            return self.reply(
                request,
                match self.live.voting {
                    Some(_) => Answer::WrongState("preparing"),
                    None => Answer::NoSuchTransaction,
                },
            );
        };
        if known.finished {
            return self.reply(request, Answer::WrongState(known.state()));
        }
        let branches = match only {
            Some(branch) if usize::from(branch) < known.branches.len() => vec![branch],
            Some(_) => return self.reply(request, Answer::WrongState("it has no such branch")),
            None => super::indices(known).collect(),
        };
        for branch in branches {
            self.try_anew(known, branch);
        }
        self.ask_now(known.run);
        self.reply(request, Answer::Taken);
    }

    fn try_anew(&mut self, known: &Known, branch: Index) {
        let telling = self.telling(known, branch);
        if !telling.is_asked {
            telling.begin_anew();
            telling.last_answer = None;
        }
        self.retry(known.run, branch);
    }

    /// Gives a branch other calls, and says whose outputs they use.
    pub(super) fn edit(
        &mut self,
        request: RequestId,
        branch: Index,
        (work, uses): (Work, Vec<Index>),
        reason: String,
    ) {
        let Some(known) = self.known else {
            return self.reply(request, Answer::NoSuchTransaction);
        };
        let is_step = known.kind(branch) == Kind::Step;
        let can_be = match &self.live.voting {
            Some(voting) => is_step && voting.vote(branch).is_none(),
            None => !known.finished && known.is_pending(branch),
        };
        let has_calls = matches!(&work, Work::Calls(calls) if known.keeps_undo(branch, calls));
        if !can_be || !has_calls || usize::from(branch) >= known.branches.len() {
            return self.reply(request, Answer::WrongState("nothing is left to edit"));
        }
        if !uses.iter().all(|used| known.may_use(branch, *used)) {
            let state = "its calls would use what does not come before it";
            return self.reply(request, Answer::WrongState(state));
        }
        let is_voting = self.live.voting.is_some();
        let telling = self.telling(known, branch);
        if telling.is_asked {
            return self.reply(request, Answer::CallUnderWay);
        }
        // It left ahead before a restart. With other calls, the next restart might take it for one
        // that cannot have been asked.
        if is_voting && telling.may_be_done && !telling.is_begun {
            let state = "it may be done as it was; it can be edited when its turn comes again";
            return self.reply(request, Answer::WrongState(state));
        }
        let uses = Some(uses).filter(|uses| known.uses(branch) != Some(uses));
        self.promise(Record::Edited { branch, work, uses, reason }, |step| {
            let Some(edited) = step.known else { return };
            if let Some(voting) = &mut step.live.voting {
                voting.plan = edited.plan.clone();
            }
            step.reply(request, Answer::Taken);
            step.try_anew(edited, branch);
        });
    }

    /// An operator says what became of a branch.
    pub(super) fn resolved(
        &mut self,
        request: RequestId,
        branch: Index,
        committed: bool,
        reason: String,
    ) {
        let Some(known) = self.known else {
            return self.reply(request, Answer::NoSuchTransaction);
        };
        if self.live.voting.is_some() && known.kind(branch) == Kind::Step {
            return self.declare_step(known, request, branch, committed, reason);
        }
        // What a pact decides is resolved only once the votes are in: it may have been forgotten by
        // all who could tell, and the operator saw how it ended.
        let is_voting = self.live.voting.is_some();
        let open = known.branches.get(usize::from(branch)).filter(|_| known.concerns(branch));
        let Some(told) = open.filter(|_| !known.finished && !is_voting) else {
            return self.reply(request, Answer::WrongState(known.state()));
        };
        if self.telling(known, branch).is_doing {
            return self.reply(request, Answer::CallUnderWay);
        }
        if self.telling(known, branch).is_finished || told.fate == Fate::Applied {
            let state = "the branch is finished at its participant";
            return self.reply(request, Answer::WrongState(state));
        }
        if matches!(told.fate, Fate::Resolved { .. }) {
            return self.reply(request, Answer::WrongState("the branch is resolved already"));
        }
        self.out.force(Record::Resolved { branch, committed, reason: reason.clone() });
        self.reply(request, Answer::Taken);
        let mut resolved = known.clone();
        resolved.branches[usize::from(branch)].fate =
            Fate::Resolved { committed, reason: reason.clone() };
        if known.decision.is_some() {
            return self.announce(&resolved);
        }
        let decision = if committed {
            Decision::Commit
        } else {
            let name = Some(told.name.clone());
            Decision::Abort(Reason::own(name, "resolved", reason, Cause::Business))
        };
        self.live.lead = None;
        self.delegate_answered(&resolved, decision);
    }

    /// Before the decision: a step that is done goes on, one that is not done ends in an abort.
    fn declare_step(
        &mut self,
        known: &Known,
        request: RequestId,
        branch: Index,
        is_done: bool,
        reason: String,
    ) {
        let Some(voting) = &self.live.voting else { return };
        if usize::from(branch) >= voting.branches.len() || voting.vote(branch).is_some() {
            return self.reply(request, Answer::WrongState("the step has its answer"));
        }
        let telling = self.telling(known, branch);
        if telling.is_asked {
            return self.reply(request, Answer::CallUnderWay);
        }
        if !telling.is_begun {
            return self.reply(request, Answer::WrongState("the step's turn has not come"));
        }
        self.reply(request, Answer::Taken);
        if is_done {
            return self.done(known.run, branch, Proof::default(), Some(reason));
        }
        let refusal =
            Refusal { code: "declared_undone".into(), message: reason, cause: Cause::Business };
        self.voted(known.run, branch, Vote::No(refusal));
    }
}
