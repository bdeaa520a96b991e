//! Before the decision, with a plan: steps are done, reservations tried, and all other branches
//! prepare, each in its turn.
//!
//! * The plan is durable before the first call leaves: nobody could list what services were asked.
//! * A step's "done" is its vote. It is durable before anything leaves that rests on it: the
//!   decision, the caller's answer, a call that uses what was put out, a prepare. The call of a
//!   step that only comes after it, and can be undone by one who does not know whether it was ever
//!   called, may leave while it is synced: after a crash that it did not survive, that step counts
//!   among those that may be done.
//! * A reservation is tried as a step is done, but its "done" is recorded with the decision, as
//!   votes are. What holds of a do and its undo holds of a try and its cancel.
//! * After a restart it goes on forward: a step that is not recorded as done is asked again, with
//!   the same key. But once a branch may have been asked to prepare, it is aborted: votes are not
//!   recorded, and a branch is not prepared twice.
//! * What was begun, and is not certainly refused, is undone if it aborts (Garcia-Molina and Salem
//!   1987, section 2: the compensating transactions of all that ran). What never arrived is not.
//! * It is not undone before the call under way has been answered or given up. But giving up takes
//!   nothing back: the network, a proxy or the service's own queue may hold the call, for nobody
//!   knows how long. So a service that finds nothing to undo is believed only if no call can come
//!   any more that would do it: one is known to be done, or all were answered for good. A node
//!   that restarts does not know what it had sent, so it believes none that is not known to be
//!   done.

use alloc::{format, string::String, sync::Arc, vec::Vec};

use super::{
    AckWhen, Answer, Decision, Effect, Fate, Index, Known, Reason, Record, Saved, Step, Telling,
    Timer, Transaction, Tried, Voted, Voting,
    tell::{Failed, How},
};
use crate::{
    id::{RequestId, RunId},
    machine::Machine,
    plan::{Given, Kind, Patience, Plan, Verb},
    vote::{Cause, Later, Proof, Refusal, Reply, Vote},
};

impl Step<'_> {
    pub(super) fn begin_plan(&mut self, voting: Voting, request: RequestId, ack: AckWhen) {
        let case = voting.case(&[]);
        let begun = Record::Begun { case, pact: None, plan: voting.plan.clone() };
        self.live.waiters.push((request, ack));
        self.live.voting = Some(voting);
        self.promise(begun, |step| {
            step.arm_deadline();
            step.go_on();
        });
    }

    /// After a restart: a run that is not decided goes on, or is given up.
    pub(super) fn resume(&mut self) {
        let Some(known) = self.known.filter(|known| !known.finished) else { return };
        let Some(plan) = &known.plan else { return };
        self.live.telling.resize(known.branches.len(), Telling::default());
        for (telling, told) in self.live.telling.iter_mut().zip(&known.branches) {
            telling.may_be_late = known.decision.is_some() && told.vote == Voted::Unknown;
        }
        if known.decision.is_some() {
            return;
        }
        let voting = Voting::resumed(known, plan);
        let mut prepares = false;
        for (branch, planned) in (0..).zip(&plan.branches) {
            if voting.may_have_begun(branch, planned) {
                self.live.telling[usize::from(branch)].may_arrive();
                prepares |= planned.part.kind == Kind::Prepare;
            }
        }
        self.live.voting = Some(voting);
        if prepares {
            let message = String::from("the node restarted while branches prepared");
            let reason = Reason::own(None, "node_restarted", message, Cause::Passing);
            return self.decide(Decision::Abort(reason));
        }
        self.arm_deadline();
        self.go_on();
    }

    fn arm_deadline(&mut self) {
        let Some((run, plan)) = self.plan() else { return };
        if let Some(at_ms) = plan.terms.deadline_ms {
            self.out.effect(Effect::ArmAt { timer: Timer::Deadline(run), at_ms });
        }
    }

    /// The run that is not decided yet, and its plan.
    fn plan(&self) -> Option<(RunId, Arc<Plan>)> {
        let voting = self.live.voting.as_ref()?;
        Some((voting.run, voting.plan.clone()?))
    }

    /// Asks every branch whose turn has come.
    pub(super) fn take_turns(&mut self) {
        let Some((run, plan)) = self.plan() else { return };
        self.live.telling.resize(plan.branches.len(), Telling::default());
        for (branch, planned) in (0..).zip(&plan.branches) {
            let is_begun = self.live.telling[usize::from(branch)].is_begun;
            let voting = self.live.voting.as_ref().expect("nothing here decides");
            if is_begun || !voting.is_turn_of(branch, planned) {
                continue;
            }
            let kind = planned.part.kind;
            let is_first = kind == Kind::Prepare && !self.has_begun_to_prepare(&plan);
            match kind {
                Kind::Step => self.ask_to_do(branch),
                Kind::Prepare if plan.reserves(branch) => self.ask_to_do(branch),
                Kind::Prepare => self.ask_to_prepare(run, &plan, branch),
                Kind::Deliver => {}
            }
            if is_first {
                self.arm(Timer::Votes(run), plan.terms.timeout_ms);
            }
        }
    }

    fn has_begun_to_prepare(&self, plan: &Plan) -> bool {
        let mut branches = (0..).zip(&self.live.telling);
        branches.any(|(at, telling)| plan.kind(at) == Kind::Prepare && telling.is_begun)
    }

    /// Calls a service to do its step, or to make its reservation.
    fn ask_to_do(&mut self, branch: Index) {
        let Some(voting) = &self.live.voting else { return };
        let Some(plan) = voting.plan.clone() else { return };
        let telling = &mut self.live.telling[usize::from(branch)];
        (telling.is_begun, telling.is_asked, telling.is_doing) = (true, true, true);
        telling.waits = false;
        let within_ms = plan.patience(branch).call_within_ms(telling.spent_ms);
        self.out.effect(Effect::Call {
            run: voting.run,
            branch,
            resource: voting.branches[usize::from(branch)].1.clone(),
            verb: if plan.reserves(branch) { Verb::Try } else { Verb::Do },
            within_ms,
            given: voting.given(&plan, branch, telling.calls().saturating_add(1)),
        });
    }

    fn ask_to_prepare(&mut self, run: RunId, plan: &Arc<Plan>, branch: Index) {
        let telling = &mut self.live.telling[usize::from(branch)];
        (telling.is_begun, telling.may_be_done) = (true, true);
        let voting = self.live.voting.as_ref().expect("its turn came");
        self.out.effect(Effect::Prepare {
            run,
            branch,
            resource: voting.branches[usize::from(branch)].1.clone(),
            work: plan.branches[usize::from(branch)].work.clone(),
            one_phase: false,
            within_ms: plan.terms.timeout_ms,
            pact: None,
            given: Some(voting.given(plan, branch, 1)),
        });
    }

    /// A branch answered the prepare.
    pub(super) fn prepared(&mut self, run: RunId, branch: Index, vote: Vote, tried: Option<Tried>) {
        let voting = self.live.voting.as_ref().filter(|voting| voting.run == run);
        let is_first = voting.is_some_and(|voting| voting.vote(branch).is_none());
        let telling = self.live.telling.get_mut(usize::from(branch));
        if let Some(telling) = telling.filter(|_| is_first) {
            telling.tried = tried;
        }
        self.voted(run, branch, vote);
    }

    /// A service answered the do of a step, or the try of a reservation.
    pub(super) fn answered(&mut self, run: RunId, branch: Index, reply: Reply, took_ms: u64) {
        let Some(telling) = self.live.telling.get_mut(usize::from(branch)) else { return };
        if !telling.is_doing {
            return;
        }
        let known = self.known.filter(|known| known.run == run && !known.finished);
        let known = known.filter(|known| known.decision.is_some());
        let is_voting = self.live.voting.as_ref().is_some_and(|voting| voting.run == run);
        if !is_voting && known.is_none() {
            return;
        }
        (telling.is_asked, telling.is_doing) = (false, false);
        telling.heard(&reply);
        if !matches!(reply, Reply::InProgress(_)) {
            telling.tried = Some(Tried::again(telling.tried, took_ms));
        }
        match known.filter(|_| !is_voting) {
            Some(known) => self.late_do_answered(known, branch, reply),
            None => {
                telling.spent_ms = telling.spent_ms.saturating_add(took_ms);
                self.do_answered(run, branch, reply);
            }
        }
    }

    fn do_answered(&mut self, run: RunId, branch: Index, reply: Reply) {
        let reserves = self.plan().is_some_and(|(_, plan)| plan.reserves(branch));
        match reply {
            Reply::Done(output) if reserves => self.voted(run, branch, Vote::Yes(output)),
            Reply::Done(output) => self.done(run, branch, output, None),
            Reply::Refused(refusal) => self.refused(run, branch, refusal),
            Reply::InProgress(after_ms) => {
                self.do_later(run, branch, (after_ms, after_ms), "in progress".into());
            }
            Reply::Unsent(detail) => self.do_again(run, branch, Failed::unsent(detail)),
            Reply::Later(later) => self.do_again(run, branch, later.into()),
            Reply::Unknown(detail) => self.do_again(run, branch, Failed::unknown(detail)),
            // Others hold locks while it prepares: an operator is not waited for.
            Reply::Broken(message) if reserves => {
                let (code, cause) = ("service_broken".into(), Cause::Request);
                self.voted(run, branch, Vote::Lost(Refusal { code, message, cause }));
            }
            Reply::Broken(detail) => self.do_again(run, branch, Failed::broken(detail)),
        }
    }

    /// It will not be done. But what was asked before, and not answered, may be: a service that
    /// refuses a key that it knows has perhaps done what came with it.
    fn refused(&mut self, run: RunId, branch: Index, refusal: Refusal) {
        match self.live.telling[usize::from(branch)].may_be_done {
            true => self.voted(run, branch, Vote::Lost(refusal)),
            false => self.voted(run, branch, Vote::No(refusal)),
        }
    }

    /// The step is done: recorded before anything that rests on it leaves.
    pub(super) fn done(
        &mut self,
        run: RunId,
        branch: Index,
        output: Proof,
        declared: Option<String>,
    ) {
        let told = self.live.telling.get(usize::from(branch)).filter(|_| declared.is_none());
        let tried = told.and_then(|telling| telling.tried);
        let record = Record::Done { branch, output: output.clone(), declared, tried };
        self.promise(record, |step| {
            let adders = core::mem::take(&mut step.live.adders);
            let (mine, others): (Vec<_>, Vec<_>) =
                adders.into_iter().partition(|(_, added)| *added == branch);
            step.live.adders = others;
            for (request, _) in mine {
                step.reply(request, Answer::Done(output.clone()));
            }
            step.voted(run, branch, Vote::Yes(output));
        });
    }

    fn do_again(&mut self, run: RunId, branch: Index, failed: Failed) {
        let Some((_, plan)) = self.plan() else { return };
        let Failed { detail, how, after_ms } = failed;
        let telling = &mut self.live.telling[usize::from(branch)];
        telling.count(how);
        let patience = plan.patience(branch);
        if how == How::Broken {
            let wait_ms = patience.cap_ms;
            return self.do_stuck(run, branch, wait_ms, detail);
        }
        if patience.is_over(telling.tries, telling.spent_ms) {
            return self.lose_patience(run, branch, &detail);
        }
        let wait_ms = patience.wait_ms(telling.calls());
        self.do_later(run, branch, (wait_ms, after_ms), detail);
    }

    /// It waits for an operator, or for the deadline of the whole.
    fn do_stuck(&mut self, run: RunId, branch: Index, wait_ms: u64, detail: String) {
        self.live.telling[usize::from(branch)].last_answer = Some(detail.clone());
        let is_new = self
            .known
            .is_some_and(|known| matches!(known.branches[usize::from(branch)].fate, Fate::Open));
        if is_new {
            self.out.note(Record::Stuck { branch, detail });
        }
        self.wait(run, branch, wait_ms);
    }

    /// After so long, and not sooner than the service allows, if patience lasts so long.
    fn do_later(
        &mut self,
        run: RunId,
        branch: Index,
        (wait_ms, least_ms): (u64, u64),
        detail: String,
    ) {
        let Some((_, plan)) = self.plan() else { return };
        let telling = &mut self.live.telling[usize::from(branch)];
        telling.last_answer = Some(detail.clone());
        let patience = plan.patience(branch);
        let Some(wait_ms) = patience.wait_within_ms(telling.spent_ms, wait_ms, least_ms) else {
            return self.lose_patience(run, branch, &detail);
        };
        telling.spent_ms = telling.spent_ms.saturating_add(wait_ms);
        self.wait(run, branch, wait_ms);
    }

    fn lose_patience(&mut self, run: RunId, branch: Index, detail: &str) {
        let message = format!("it was tried for long enough; its last answer: {detail}");
        let reserves = self.plan().is_some_and(|(_, plan)| plan.reserves(branch));
        let code = if reserves { "vote_timeout" } else { "step_timeout" };
        let refusal = Refusal { code: code.into(), message, cause: Cause::Passing };
        self.refused(run, branch, refusal);
    }

    /// It was aborted meanwhile: what the call under way came to says what there is to undo.
    fn late_do_answered(&mut self, known: &Known, branch: Index, reply: Reply) {
        let telling = &mut self.live.telling[usize::from(branch)];
        // Undoing is counted anew.
        let tried = telling.tried.take();
        let may_be_done = telling.may_be_done;
        if let Reply::Done(output) = reply {
            let done = Record::Done { branch, output, declared: None, tried };
            // Its undo may name what it put out.
            self.out.force(done.clone());
            let mut after = known.clone();
            after.apply(&done);
            return Step { known: Some(&after), live: self.live, out: self.out }.tell_all();
        }
        if !may_be_done && known.is_pending(branch) {
            return self.applied(known, branch, None);
        }
        self.tell_all();
        self.finish_if_all_told(known);
    }

    /// The decision is there: tries begin anew, and who added a step hears how it ended.
    pub(super) fn end_steps(&mut self, decided: &Known) {
        if decided.plan.is_none() {
            return;
        }
        for telling in &mut self.live.telling {
            telling.begin_anew();
            telling.last_answer = None;
            telling.waits = false;
            telling.is_asked &= telling.is_doing;
            telling.tried = telling.tried.filter(|_| telling.is_doing);
        }
        if let Some(Decision::Abort(reason)) = &decided.decision {
            if self.live.telling.iter().any(|telling| telling.is_doing) {
                self.out.effect(Effect::Recall { run: decided.run });
            }
            for (request, _) in core::mem::take(&mut self.live.adders) {
                self.reply(request, Answer::Aborted(reason.clone()));
            }
        }
    }

    /// Tries a step again whose wait is over; none if it is not waiting.
    pub(super) fn do_now(&mut self, run: RunId, branch: Index) -> bool {
        let Some(voting) = self.live.voting.as_ref().filter(|voting| voting.run == run) else {
            return false;
        };
        let telling = self.live.telling.get(usize::from(branch));
        let is_open = voting.vote(branch).is_none();
        let waits = is_open && telling.is_some_and(|telling| telling.waits);
        if waits {
            self.ask_to_do(branch);
        }
        waits
    }

    /// No branch is added any more: those that prepare have their turn.
    pub(super) fn seal(&mut self) {
        let Some(voting) = &mut self.live.voting else { return };
        let prepares = |plan: &Arc<Plan>| {
            plan.branches.iter().any(|planned| planned.part.kind == Kind::Prepare)
        };
        let was_open = core::mem::take(&mut voting.open);
        if was_open && voting.plan.as_ref().is_some_and(prepares) {
            self.promise(Record::Sealed, |step| step.go_on());
        } else {
            self.go_on();
        }
    }

    pub(super) fn deadline_over(&mut self, run: RunId) {
        let Some(voting) = self.live.voting.as_ref().filter(|voting| voting.run == run) else {
            return;
        };
        let Some(plan) = voting.plan.clone() else { return };
        if plan.terms.ask.is_some() && !voting.open {
            // Its caller has committed: what is left goes on until it succeeds.
            return;
        }
        let Some(ask) = &plan.terms.ask else {
            let late: Vec<_> = voting.late(&self.live.telling).collect();
            let waited = match late.is_empty() {
                true => String::from("it waited for its caller's word"),
                false => voting.waited_for(&late, &self.live.telling),
            };
            let message = format!("it was not decided in time; {waited}");
            let reason = Reason::own(None, "deadline", message, Cause::Passing);
            return self.give_up(reason);
        };
        self.live.asks = self.live.asks.saturating_add(1);
        let (resource, attempt) = (ask.resource.clone(), self.live.asks);
        let within_ms = Patience::UNTIL_DONE.call_ms;
        let given = Given { plan, outputs: Vec::new(), attempt, is_early: false };
        self.out.effect(Effect::Ask { run, resource, within_ms, given });
    }

    /// An operator wants it asked now.
    pub(super) fn ask_now(&mut self, run: RunId) {
        if self.live.asks > 0 {
            self.live.asks = 0;
            self.deadline_over(run);
        }
    }

    /// The caller's word did not come, but its local transaction tells.
    pub(super) fn asked_back(&mut self, run: RunId, reply: Reply) {
        let is_open = |voting: &&Voting| voting.run == run && voting.open;
        if self.live.voting.as_ref().filter(is_open).is_none() {
            return;
        }
        if let Reply::Broken(detail) = &reply
            && self.known.is_some_and(|known| known.ask_stuck.is_none())
        {
            self.out.note(Record::AskStuck { detail: detail.clone() });
        }
        let wait_ms = match reply {
            Reply::Done(_) => {
                if let Some(voting) = &mut self.live.voting {
                    voting.hold = false;
                }
                self.out.note(Record::AskedBack);
                return self.seal();
            }
            Reply::Refused(refusal) => {
                let message = refusal.message;
                let reason = Reason::own(None, "not_submitted", message, Cause::Business);
                return self.give_up(reason);
            }
            Reply::InProgress(after_ms) => after_ms,
            Reply::Later(Later { detail, after_ms, .. }) => {
                self.live.ask_answer = Some(detail);
                Patience::UNTIL_DONE.wait_ms(self.live.asks).max(after_ms)
            }
            Reply::Unsent(detail) | Reply::Unknown(detail) | Reply::Broken(detail) => {
                self.live.ask_answer = Some(detail);
                Patience::UNTIL_DONE.wait_ms(self.live.asks)
            }
        };
        self.arm(Timer::Deadline(run), wait_ms);
    }

    /// Forces a record, and goes on with what is known then.
    pub(super) fn promise(&mut self, record: Record, then: impl FnOnce(&mut Step<'_>)) {
        self.out.force(record.clone());
        let mut after = Saved { known: self.known.cloned() };
        Transaction::apply(&mut after, &record);
        then(&mut Step { known: after.known.as_ref(), live: self.live, out: self.out });
    }
}
