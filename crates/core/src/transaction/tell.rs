//! After the decision: telling the branches until each is proved finished.

use alloc::string::String;

use super::{
    Answer, Decision, Effect, Fate, Index, Known, Reason, Record, Step, Telling, Timer, indices,
};
use crate::{
    id::{RequestId, RunId},
    retry,
    vote::{Ack, Cause},
};

impl<'a> Step<'a> {
    /// Tells every branch that is pending and not being told at this moment.
    pub(super) fn tell_all(&mut self) {
        let open = |known: &&Known| !known.finished && !known.is_left_to_pact();
        let Some(known) = self.known.filter(open) else { return };
        for branch in indices(known) {
            self.tell(known, branch);
        }
    }

    fn tell(&mut self, known: &Known, branch: Index) {
        let told = &known.branches[usize::from(branch)];
        let telling = self.telling(known, branch);
        if !told.is_pending() || telling.is_asked || telling.is_finished {
            return;
        }
        telling.is_asked = true;
        let (run, resource, proof) = (known.run, told.resource.clone(), told.proof.clone());
        let one_phase = known.decision.is_none();
        self.out.effect(match known.decision {
            Some(Decision::Abort(_)) => Effect::Abort { run, branch, resource, proof },
            Some(Decision::Commit) | None => {
                Effect::Commit { run, branch, resource, proof, one_phase }
            }
        });
    }

    pub(super) fn acked(&mut self, run: RunId, branch: Index, ack: Ack) {
        let Some(known) = self.told(run) else { return };
        let Some(told) = known.branches.get(usize::from(branch)).filter(|b| b.is_pending()) else {
            return;
        };
        let telling = self.telling(known, branch);
        telling.is_asked = false;
        if telling.is_finished {
            return;
        }
        match ack {
            Ack::Finished => {
                telling.is_finished = true;
                match known.decision {
                    Some(_) => self.finish_if_all_told(known),
                    None => self.delegate_answered(known, Decision::Commit),
                }
            }
            Ack::Heuristic(detail) if known.decision.is_none() => {
                telling.is_finished = true;
                let name = Some(told.name.clone());
                let reason = Reason::own(name, "participant_lost", detail, Cause::Passing);
                self.delegate_answered(known, Decision::Abort(reason));
            }
            Ack::Heuristic(detail) => self.heuristic(known, branch, detail),
            Ack::Unknown(detail) => self.try_later(known, branch, detail, false),
            Ack::Broken(detail) => self.try_later(known, branch, detail, true),
        }
    }

    /// The only branch told what became of it: that is the decision.
    fn delegate_answered(&mut self, known: &Known, decision: Decision) {
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

    fn try_later(&mut self, known: &Known, branch: Index, detail: String, broken: bool) {
        let telling = self.telling(known, branch);
        telling.tries = telling.tries.saturating_add(1);
        telling.last_answer = Some(detail.clone());
        let after_ms = if broken { retry::CAP_MS } else { retry::backoff_ms(telling.tries) };
        self.arm(Timer::Retry(known.run, branch), after_ms);
        let is_new = known.branches[usize::from(branch)].fate == Fate::Open;
        if broken && is_new {
            self.out.note(Record::Stuck { branch, detail });
        }
    }

    pub(super) fn retry(&mut self, run: RunId, branch: Index) {
        let Some(known) = self.told(run).filter(|known| usize::from(branch) < known.branches.len())
        else {
            return;
        };
        self.tell(known, branch);
    }

    /// The run, if its branches are being told.
    fn told(&self, run: RunId) -> Option<&'a Known> {
        let known = self.known.filter(|known| known.run == run && !known.finished);
        known.filter(|known| !known.is_left_to_pact())
    }

    pub(super) fn retry_asked(&mut self, request: RequestId) {
        match self.known {
            Some(known) if !known.finished => {
                self.tell_all();
                self.reply(request, Answer::Taken);
            }
            Some(known) => self.reply(request, Answer::WrongState(known.state())),
            None if self.live.voting.is_some() => {
                self.reply(request, Answer::WrongState("preparing"));
            }
            None => self.reply(request, Answer::NoSuchTransaction),
        }
    }

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
        let open = known.branches.get(usize::from(branch)).filter(|b| b.vote.is_in_doubt());
        // What a pact decides is resolved only once the votes are in: it may have been forgotten by
        // all who could tell, and the operator saw how it ended.
        let is_voting = self.live.voting.is_some();
        let Some(told) = open.filter(|_| !known.finished && !is_voting) else {
            return self.reply(request, Answer::WrongState(known.state()));
        };
        if self.telling(known, branch).is_finished {
            return self.reply(request, Answer::WrongState("finished at the participant"));
        }
        if matches!(told.fate, Fate::Resolved { .. }) {
            return self.reply(request, Answer::WrongState("already resolved"));
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

    /// Records the end once every branch is proved or declared finished. Lazy: lost in a crash, the
    /// branches are only told once more.
    pub(super) fn finish_if_all_told(&mut self, known: &Known) {
        let is_done = |branch: Index| {
            let told = &known.branches[usize::from(branch)];
            let finished =
                self.live.telling.get(usize::from(branch)).is_some_and(|t| t.is_finished);
            finished || !told.vote.is_in_doubt() || matches!(told.fate, Fate::Resolved { .. })
        };
        let all = indices(known).all(is_done);
        if !all || known.finished {
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

    /// `branch` must be one of `known`'s.
    fn telling(&mut self, known: &Known, branch: Index) -> &mut Telling {
        self.live.telling.resize(known.branches.len(), Telling::default());
        &mut self.live.telling[usize::from(branch)]
    }
}
