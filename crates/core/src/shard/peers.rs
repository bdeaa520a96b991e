//! A branch in doubt: it asks its coordinator and, with a pact, does without it.

use alloc::string::String;

use super::{Effect, End, Inquired, Inquiry, Lead, Prepared, Step, Timer, refusal};
use crate::{
    id::BranchId,
    pact::{
        IN_DOUBT_MS, Message, Pact, Process, SILENT_MAX, SILENT_PAUSE_MS, TERMINATION_MS, Way, Word,
    },
    retry,
    transaction::Index,
    vote::{Cause, Refusal},
};

/// A branch of this shard that is prepared under a pact.
pub(super) struct Member<'a> {
    pub branch: BranchId,
    pub prepared: &'a Prepared,
    pub pact: &'a Pact,
}

impl Member<'_> {
    /// Its number among the processes.
    pub fn process(&self) -> Process {
        process(self.branch.index)
    }
}

pub(super) fn process(member: Index) -> Process {
    member.saturating_add(1)
}

/// Why a branch cannot be prepared under this pact, if it cannot.
pub(super) fn unfit(pact: &Pact, branch: &BranchId) -> Option<Refusal> {
    let fits = pact.is_sound() && pact.covers(branch);
    let message = || String::from("the pact makes no sense, or is not about this branch");
    (!fits).then(|| refusal("bad_pact", message(), Cause::Request))
}

/// Asking the coordinator.
impl Step<'_> {
    /// The branch is prepared now: from here on it cares for itself.
    pub(super) fn doubt(&mut self, branch: &BranchId, pact: &Pact) {
        self.live.inquiries.insert(branch.clone(), Inquiry::default());
        self.arm(Timer::Inquire(branch.clone()), IN_DOUBT_MS);
        self.vote_to_acceptors(branch, Some(pact));
    }

    pub(super) fn inquire(&mut self, branch: BranchId) {
        if self.live.inquiries.contains_key(&branch) {
            self.out.effect(Effect::Inquire { branch });
        }
    }

    /// The coordinator answered an inquiry, or was silent. If it is silent again and again, the
    /// members go on without it; if it says that it is pending, it is alive and will decide.
    pub(super) fn answered(&mut self, branch: BranchId, answer: Inquired) {
        let Some(inquiry) = self.live.inquiries.get_mut(&branch) else { return };
        match answer {
            Inquired::Commit => {
                self.commit(&branch);
            }
            Inquired::Abort => {
                self.abort(&branch);
            }
            Inquired::Pending | Inquired::Silent => {
                inquiry.tries = inquiry.tries.saturating_add(1);
                inquiry.silent = match answer {
                    Inquired::Silent => (inquiry.silent + 1).min(SILENT_MAX),
                    _ => 0,
                };
                let is_dead = inquiry.silent >= SILENT_MAX;
                let is_silent = inquiry.silent > 0;
                let mut after_ms = retry::backoff_ms(inquiry.tries);
                let member = self.member(branch.clone());
                if is_silent && member.is_some() {
                    after_ms = after_ms.max(SILENT_PAUSE_MS);
                }
                self.arm(Timer::Inquire(branch), after_ms);
                if let Some(member) = member.filter(|_| is_dead) {
                    self.take_over(&member);
                }
            }
        }
    }

    /// Sets out to end the transaction, unless it has already.
    pub(super) fn take_over(&mut self, member: &Member<'_>) {
        let inquiry = self.inquiry(&member.branch);
        if inquiry.lead.is_some() {
            return;
        }
        match member.pact.way {
            Way::Paxos => self.claim(member),
            Way::ThreePhase => self.ask_members(member),
        }
    }

    /// The timer `Lead` is over: if the lead has waited a whole period, it goes on without those
    /// who are silent. A timer set in an earlier phase does not count for a later one.
    pub(super) fn lead_timed_out(&mut self, branch: &BranchId) {
        let Some(inquiry) = self.live.inquiries.get_mut(branch) else { return };
        inquiry.is_timed = false;
        inquiry.firings = inquiry.firings.saturating_sub(1);
        let again = inquiry.firings > 0;
        let Some(member) = self.member(branch.clone()) else { return };
        match &self.inquiry(branch).lead {
            None => {}
            Some(_) if again => self.wait_whole_period(&member),
            Some(Lead::Paxos(_)) => self.claim(&member),
            Some(Lead::ThreePhase(_)) => self.terminate(&member, true),
            Some(Lead::Asking(_)) => self.ask_again(&member),
        }
    }

    pub(super) fn wait_whole_period(&mut self, member: &Member<'_>) {
        let inquiry = self.inquiry(&member.branch);
        let after_ms = match &inquiry.lead {
            Some(Lead::Paxos(leader)) => leader.wait_ms(member.process()),
            Some(Lead::Asking(asking)) => asking.wait_ms(),
            Some(Lead::ThreePhase(_)) | None => TERMINATION_MS,
        };
        inquiry.firings = if inquiry.is_timed { 2 } else { 1 };
        if !core::mem::replace(&mut inquiry.is_timed, true) {
            self.arm(Timer::Lead(member.branch.clone()), after_ms);
        }
    }

    /// The live half of a prepared branch with a pact.
    pub(super) fn inquiry(&mut self, branch: &BranchId) -> &mut Inquiry {
        self.live.inquiries.entry(branch.clone()).or_default()
    }
}

/// Hearing peers.
impl<'a> Step<'a> {
    /// A peer speaks. What names a role that nobody here has is for nobody, and does nothing.
    pub(super) fn received(&mut self, message: &Message) {
        let Message { pact, word } = message;
        if !pact.is_sound() {
            return;
        }
        match (*word, pact.way) {
            (Word::Decided { to, commit }, _) => self.told_decision(pact, to, commit),
            (Word::Voted { member, acceptor }, Way::Paxos) => self.voted(pact, member, acceptor),
            (Word::Claim { ballot, acceptor }, Way::Paxos) => {
                self.answer_leader(pact, ballot, acceptor, |state| state.claimed(ballot, acceptor));
            }
            (Word::Accept { proposal, acceptor }, Way::Paxos) => {
                let ballot = proposal.ballot;
                self.answer_leader(pact, ballot, acceptor, |state| {
                    state.proposed(proposal, acceptor)
                });
            }
            (Word::Asked { by, member, .. }, Way::Paxos) => self.asked_for_end(pact, by, member),
            (Word::Told { by, .. }, _) => self.told(pact, by, *word),
            (Word::Forgotten { by, .. }, _) => self.told_forgotten(pact, by, *word),
            (word, Way::Paxos) => self.leader_word(pact, word),
            (word, Way::ThreePhase) => self.three_phase_word(pact, word),
        }
    }

    /// The member of this pact with this number, if it is prepared here.
    pub(super) fn member_of(&self, pact: &Pact, process: Process) -> Option<Member<'a>> {
        let branch = pact.branch(process.checked_sub(1)?);
        self.member(branch).filter(|member| member.pact == pact)
    }

    fn member(&self, branch: BranchId) -> Option<Member<'a>> {
        let prepared = self.saved.prepared.get(&branch)?;
        let pact = prepared.pact.as_ref()?;
        Some(Member { branch, prepared, pact })
    }

    /// Somebody has decided. An abort also fences a branch whose prepare has not come yet.
    fn told_decision(&mut self, pact: &Pact, to: Process, commit: bool) {
        if let Some(member) = self.member_of(pact, to) {
            return self.end(&member.branch, commit);
        }
        let Some(index) = to.checked_sub(1) else { return };
        let branch = pact.branch(index);
        if !commit && pact.covers(&branch) && self.is_unseen(&branch) {
            self.fence(&branch);
        }
    }

    /// Neither prepared nor finished here, and not forgotten either.
    pub(super) fn is_unseen(&self, branch: &BranchId) -> bool {
        !self.saved.prepared.contains_key(branch)
            && self.saved.finished.end(branch).is_none()
            && !self.saved.finished.may_be_forgotten(branch)
    }

    /// It may have ended here, and is not known any more.
    pub(super) fn is_forgotten(&self, branch: &BranchId) -> bool {
        !self.saved.prepared.contains_key(branch) && self.saved.finished.may_be_forgotten(branch)
    }

    /// How the run of this pact ended, if a branch of it ended here: no branch aborts while another
    /// can commit.
    pub(super) fn end_of(&self, pact: &Pact) -> Option<End> {
        pact.indices().find_map(|index| self.saved.finished.end(&pact.branch(index)))
    }

    /// Decides, as leader: tells all others, and ends the own branch.
    pub(super) fn conclude(&mut self, member: &Member<'_>, commit: bool) {
        let others = member.pact.processes().filter(|to| *to != member.process());
        for to in others {
            self.send(member.pact, Word::Decided { to, commit });
        }
        self.end(&member.branch, commit);
    }

    pub(super) fn end(&mut self, branch: &BranchId, commit: bool) {
        if commit {
            self.commit(branch);
        } else {
            self.abort(branch);
        }
    }

    pub(super) fn send(&mut self, pact: &Pact, word: Word) {
        if let Some(to) = word.to(pact) {
            self.out.effect(Effect::Send { to, message: Message { pact: pact.clone(), word } });
        }
    }
}
