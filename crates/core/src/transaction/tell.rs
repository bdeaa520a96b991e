//! After the decision: telling the branches until each is proved finished.

use alloc::{string::String, sync::Arc};

use super::{
    Answer, Decision, Effect, Fate, Index, Known, Reason, Record, Step, Telling, Timer, Tried,
    Voted, indices,
};
use crate::{
    id::RunId,
    plan::{Given, Kind, Plan, Verb},
    retry,
    vote::{Ack, Cause, Later, Reply},
};

impl<'a> Step<'a> {
    /// Tells every branch that is pending, whose turn it is, and that neither is being told at this
    /// moment nor waits to be told again.
    pub(super) fn tell_all(&mut self) {
        let open = |known: &&Known| !known.finished && !known.is_undecided();
        if let Some(known) = self.known.filter(open) {
            self.tell_all_of(known);
        }
    }

    fn tell_all_of(&mut self, known: &Known) {
        for branch in indices(known) {
            self.tell(known, branch);
        }
    }

    fn tell(&mut self, known: &Known, branch: Index) {
        let is_turn = known.is_pending(branch) && self.is_turn_to_tell(known, branch);
        let telling = self.telling(known, branch);
        if !is_turn || telling.is_asked || telling.waits || telling.is_finished {
            return;
        }
        telling.is_asked = true;
        let attempt = telling.calls().saturating_add(1);
        let told = &known.branches[usize::from(branch)];
        let (run, resource, proof) = (known.run, told.resource.clone(), told.proof.clone());
        let may_come = told.vote != Voted::Yes && (telling.may_be_late || telling.is_worked_on);
        let called = known.plan.as_ref().zip(verb(known, branch));
        self.out.effect(match (called, &known.decision) {
            (Some((plan, verb)), _) => {
                let within_ms = plan.branches[usize::from(branch)].part.persistence.call_ms;
                let is_early = may_come && matches!(verb, Verb::Undo | Verb::Cancel);
                let given = Given { is_early, ..given(known, plan, branch, attempt) };
                Effect::Call { run, branch, resource, verb, within_ms, given }
            }
            (None, Some(Decision::Abort(_))) => Effect::Abort { run, branch, resource, proof },
            (None, Some(Decision::Commit) | None) => {
                let one_phase = known.decision.is_none();
                Effect::Commit { run, branch, resource, proof, one_phase }
            }
        });
    }

    /// A step is undone after all that came after it, and no sooner than its do has been answered;
    /// a delivery goes after those before it.
    fn is_turn_to_tell(&self, known: &Known, branch: Index) -> bool {
        let Some(plan) = &known.plan else { return true };
        let telling = |other: Index| self.live.telling.get(usize::from(other));
        let is_over = |other: Index| {
            let finished = telling(other).is_some_and(|telling| telling.is_finished);
            finished || !known.is_pending(other)
        };
        match plan.kind(branch) {
            Kind::Prepare => true,
            Kind::Step => plan.followers(branch).all(|other| {
                let is_doing = telling(other).is_some_and(|telling| telling.is_doing);
                plan.kind(other) != Kind::Step || (is_over(other) && !is_doing)
            }),
            Kind::Deliver => {
                plan.branches[usize::from(branch)].part.after.iter().all(|other| is_over(*other))
            }
        }
    }

    pub(super) fn acked(&mut self, run: RunId, branch: Index, ack: Ack, took_ms: u64) {
        let Some(known) = self.told(run) else { return };
        let Some(told) = known.branches.get(usize::from(branch)) else { return };
        let telling = self.telling(known, branch);
        if !known.is_pending(branch) || telling.is_doing {
            return;
        }
        (telling.is_asked, telling.waits) = (false, false);
        if telling.is_finished {
            return;
        }
        if !matches!(ack, Ack::InProgress(_)) {
            telling.tried = Some(Tried::again(telling.tried, took_ms));
        }
        let tried = telling.tried;
        match ack {
            Ack::Finished if known.decision.is_none() => {
                telling.is_finished = true;
                self.delegate_answered(known, Decision::Commit);
            }
            Ack::Finished => self.applied(known, branch, tried),
            Ack::Heuristic(detail) if known.decision.is_none() => {
                telling.is_finished = true;
                let name = Some(told.name.clone());
                let reason = Reason::own(name, "participant_lost", detail, Cause::Passing);
                self.delegate_answered(known, Decision::Abort(reason));
            }
            Ack::Heuristic(detail) => self.heuristic(known, branch, detail),
            Ack::Unknown(detail) => self.try_later(known, branch, Failed::unknown(detail)),
            Ack::Unsent(detail) => self.try_later(known, branch, Failed::unsent(detail)),
            Ack::Broken(detail) => self.try_later(known, branch, Failed::broken(detail)),
            // Whether it took the call or not: who says so for ever needs an operator.
            Ack::Later(later) => {
                let failed = Failed { how: How::Unknown, ..later.into() };
                self.try_later(known, branch, failed);
            }
            Ack::InProgress(after_ms) => {
                telling.last_answer = Some("in progress".into());
                self.wait(run, branch, after_ms);
            }
        }
    }

    /// The branch has applied the decision. Without a plan nothing is noted of it: to tell it again
    /// costs little. Services are spared it, their order of undoing is kept, and a timeline has all
    /// that a plan has called.
    pub(super) fn applied(&mut self, known: &Known, branch: Index, tried: Option<Tried>) {
        self.telling(known, branch).is_finished = true;
        if known.plan.is_some() {
            self.out.note(Record::Applied { branch, tried });
        }
        if self.is_all_told(known) {
            return self.finish_if_all_told(known);
        }
        self.tell_all_of(known);
    }

    /// The only branch told what became of it: that is the decision.
    pub(super) fn delegate_answered(&mut self, known: &Known, decision: Decision) {
        self.out.force(Record::Decided { decision: decision.clone(), case: None });
        let decided = Known { decision: Some(decision), ..known.clone() };
        self.announce(&decided);
    }

    /// Someone else finished the branch against the decision. Nothing can mend that but a person:
    /// it is kept, and says so, until one acknowledges it.
    fn heuristic(&mut self, known: &Known, branch: Index, detail: String) {
        self.out.force(Record::Heuristic { branch, detail: detail.clone() });
        self.out.effect(Effect::Alarm { branch, detail });
        let mut mixed = known.clone();
        mixed.branches[usize::from(branch)].fate = Fate::Heuristic(String::new());
        self.announce(&mixed);
    }

    fn try_later(&mut self, known: &Known, branch: Index, failed: Failed) {
        let persistence = known.plan.as_ref().and_then(|plan| {
            plan.branches.get(usize::from(branch)).map(|planned| &planned.part.persistence)
        });
        let telling = self.telling(known, branch);
        let Failed { detail, how, after_ms } = failed;
        telling.count(how);
        telling.last_answer = Some(detail.clone());
        let calls = telling.calls();
        let (wait_ms, is_over) = match persistence {
            _ if how == How::Broken => {
                (persistence.map_or(retry::CAP_MS, |persistence| persistence.cap_ms), true)
            }
            Some(persistence) => {
                let wait_ms = persistence.wait_ms(calls).max(after_ms);
                telling.spent_ms = telling.spent_ms.saturating_add(wait_ms);
                (wait_ms, persistence.is_over(telling.tries, telling.spent_ms))
            }
            None => (retry::backoff_ms(calls).max(after_ms), false),
        };
        self.wait(known.run, branch, wait_ms);
        let is_new = known.branches[usize::from(branch)].fate == Fate::Open;
        if is_over && is_new {
            self.out.note(Record::Stuck { branch, detail });
        }
    }

    /// Does not call a branch again so soon. Its telling must be there.
    pub(super) fn wait(&mut self, run: RunId, branch: Index, wait_ms: u64) {
        self.live.telling[usize::from(branch)].waits = true;
        self.arm(Timer::Retry(run, branch), wait_ms);
    }

    /// Its wait is over, or an operator ends it.
    pub(super) fn retry(&mut self, run: RunId, branch: Index) {
        if self.do_now(run, branch) {
            return;
        }
        let known = self.told(run).filter(|known| usize::from(branch) < known.branches.len());
        if let Some(known) = known {
            self.telling(known, branch).waits = false;
            self.tell(known, branch);
        }
    }

    /// The run, if its branches are being told.
    fn told(&self, run: RunId) -> Option<&'a Known> {
        let known = self.known.filter(|known| known.run == run && !known.finished);
        known.filter(|known| !known.is_undecided())
    }

    /// Records the end once every branch is proved or declared finished. Lazy: lost in a crash, the
    /// branches are only told once more.
    pub(super) fn finish_if_all_told(&mut self, known: &Known) {
        if known.finished || !self.is_all_told(known) {
            return;
        }
        self.out.note(Record::Finished);
        self.out.effect(Effect::Close { run: known.run });
        let mixed = known.is_mixed();
        for (request, _) in core::mem::take(&mut self.live.waiters) {
            self.reply(request, if mixed { Answer::Mixed } else { Answer::Committed });
        }
        self.live.telling.clear();
    }

    fn is_all_told(&self, known: &Known) -> bool {
        indices(known).all(|branch| {
            let telling = self.live.telling.get(usize::from(branch));
            let fate = &known.branches[usize::from(branch)].fate;
            telling.is_some_and(|telling| telling.is_finished)
                || !known.concerns(branch)
                || matches!(fate, Fate::Applied | Fate::Resolved { .. })
        })
    }

    /// `branch` must be one of `known`'s.
    pub(super) fn telling(&mut self, known: &Known, branch: Index) -> &mut Telling {
        self.live.telling.resize(known.branches.len(), Telling::default());
        &mut self.live.telling[usize::from(branch)]
    }
}

/// A call that did not succeed, and must be made again.
pub(super) struct Failed {
    /// What was answered.
    pub(super) detail: String,
    pub(super) how: How,
    /// Not sooner, in ms.
    pub(super) after_ms: u64,
}

/// How a call did not succeed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// Nobody knows whether it did.
    Unknown,
    /// It certainly did not: that costs no tries.
    Unsent,
    /// What is answered makes no sense.
    Broken,
}

impl Failed {
    pub(super) fn unknown(detail: String) -> Self {
        Self { detail, how: How::Unknown, after_ms: 0 }
    }

    pub(super) fn unsent(detail: String) -> Self {
        Self { detail, how: How::Unsent, after_ms: 0 }
    }

    pub(super) fn broken(detail: String) -> Self {
        Self { detail, how: How::Broken, after_ms: 0 }
    }
}

impl From<Later> for Failed {
    fn from(later: Later) -> Self {
        let how = if later.may_be_done { How::Unknown } else { How::Unsent };
        Self { detail: later.detail, how, after_ms: later.after_ms }
    }
}

impl Telling {
    /// A do or try was answered: what may have come of it, and whether it may come later. What a
    /// service says in the end is about all that it was at.
    pub(super) fn heard(&mut self, reply: &Reply) {
        match reply {
            Reply::Done(_) | Reply::Refused(_) => self.is_worked_on = false,
            Reply::Broken(_) => (self.may_be_done, self.is_worked_on) = (true, false),
            Reply::InProgress(_) => (self.may_be_done, self.is_worked_on) = (true, true),
            Reply::Later(Later { may_be_done: true, .. }) | Reply::Unknown(_) => self.may_arrive(),
            Reply::Later(_) | Reply::Unsent(_) => {}
        }
    }

    /// A do or try may have been sent, and nobody knows what became of it.
    pub(super) fn may_arrive(&mut self) {
        (self.may_be_done, self.may_be_late) = (true, true);
    }

    /// One try more that did not succeed.
    pub(super) fn count(&mut self, how: How) {
        let tries = match how {
            How::Unsent => &mut self.unsent,
            How::Unknown | How::Broken => &mut self.tries,
        };
        *tries = tries.saturating_add(1);
    }
}

/// What a service is called for once it is decided; none if the branch is no service's.
fn verb(known: &Known, branch: Index) -> Option<Verb> {
    let reserves = known.plan.as_ref().is_some_and(|plan| plan.reserves(branch));
    match (known.kind(branch), &known.decision) {
        (Kind::Prepare, _) if !reserves => None,
        (Kind::Prepare, Some(Decision::Abort(_))) => Some(Verb::Cancel),
        (Kind::Prepare, _) => Some(Verb::Confirm),
        (Kind::Step, _) => Some(Verb::Undo),
        (Kind::Deliver, _) => Some(Verb::Deliver),
    }
}

/// What a branch's call may use once it is decided.
fn given(known: &Known, plan: &Arc<Plan>, branch: Index, attempt: u32) -> Given {
    let output = |used: &Index| {
        let told = known.branches.get(usize::from(*used))?;
        (!told.proof.0.is_empty()).then(|| (*used, told.proof.clone()))
    };
    let outputs = plan.branches[usize::from(branch)].part.uses.iter().filter_map(output).collect();
    Given { plan: Arc::clone(plan), outputs, attempt, is_early: false }
}
