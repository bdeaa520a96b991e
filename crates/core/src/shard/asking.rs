//! A branch in doubt that nobody is left to decide asks the other members how the run ended. See
//! [`pact::asking`](crate::pact::asking) for why it concludes nothing from any answer but an end.

use super::{
    End, Lead, Step,
    peers::{Member, process},
};
use crate::{
    pact::{
        Pact, Process, Way, Word,
        asking::Asking,
        three_phase::{Stage, Termination},
    },
    transaction::Index,
};

/// Asking.
impl Step<'_> {
    /// Those who decide have forgotten the run: this branch leads no more, and only asks.
    pub(super) fn ask_for_end(&mut self, member: &Member<'_>) {
        let asking = Asking::by_member(member.branch.index);
        self.inquiry(&member.branch).lead = Some(Lead::Asking(asking));
        self.ask_others(member, false);
        self.wait_whole_period(member);
    }

    /// Nobody knew in a whole period. One that is away now may know, once it is back.
    pub(super) fn ask_again(&mut self, member: &Member<'_>) {
        if let Some(Lead::Asking(asking)) = &mut self.inquiry(&member.branch).lead {
            asking.period_over(member.pact);
        }
        self.ask_others(member, false);
        self.wait_whole_period(member);
    }

    pub(super) fn ask_others(&mut self, member: &Member<'_>, leads: bool) {
        let by = member.process();
        for other in member.pact.indices().filter(|other| *other != member.branch.index) {
            self.send(member.pact, Word::Asked { by, member: other, leads });
        }
    }

    /// Another member says how far it is. If it knows the end, that is the end, whoever asked.
    pub(super) fn told(&mut self, pact: &Pact, by: Process, word: Word) {
        let (Some(member), Word::Told { member: other, stage, recovering, .. }) =
            (self.member_of(pact, by), word)
        else {
            return;
        };
        if usize::from(other) >= pact.members.len() || other == member.branch.index {
            return;
        }
        if let Some(commit) = stage.decided() {
            return self.conclude(&member, commit);
        }
        match &mut self.inquiry(&member.branch).lead {
            Some(Lead::ThreePhase(Termination::Asking(answers))) => {
                answers.insert(other, (stage, recovering));
                self.terminate(&member, false);
            }
            Some(Lead::Asking(asking)) => asking.hear(word, pact),
            _ => {}
        }
    }

    /// Another member has ended its branch, it seems, and does not know how. The termination of
    /// three-phase commit would not see that end: so none is led any more.
    pub(super) fn told_forgotten(&mut self, pact: &Pact, by: Process, word: Word) {
        let Some(member) = self.member_of(pact, by) else { return };
        let leads = !matches!(self.inquiry(&member.branch).lead, Some(Lead::Asking(_)));
        if leads && pact.way == Way::ThreePhase {
            self.ask_for_end(&member);
        }
        if let Some(Lead::Asking(asking)) = &mut self.inquiry(&member.branch).lead {
            asking.hear(word, pact);
        }
    }
}

/// Being asked.
impl Step<'_> {
    /// With Paxos commit: only the end is of use, but who asks wants to know who is silent.
    pub(super) fn asked_for_end(&mut self, pact: &Pact, by: Process, index: Index) {
        match self.member_of(pact, process(index)) {
            Some(member) => {
                let (stage, recovering) = (member.prepared.stage(), false);
                self.send(pact, Word::Told { by, member: index, stage, recovering });
            }
            None => self.asked_unprepared(pact, by, index),
        }
    }

    /// A branch that has not voted is aborted for good, so that "aborted" is the truth (BHG 7.5: it
    /// may still abort alone; with Paxos its yes will always be missing).
    pub(super) fn asked_unprepared(&mut self, pact: &Pact, by: Process, index: Index) {
        let branch = pact.branch(index);
        if !pact.covers(&branch) || !self.is_unseen(&branch) {
            return self.tell_end(pact, by, index);
        }
        self.fence(&branch);
        let (stage, recovering) = (Stage::Aborted, false);
        self.send(pact, Word::Told { by, member: index, stage, recovering });
    }

    pub(super) fn tell_end(&mut self, pact: &Pact, by: Process, index: Index) {
        let branch = pact.branch(index);
        let stage = match self.saved.finished.end(&branch) {
            Some(End::Committed) => Stage::Committed,
            Some(End::Aborted) => Stage::Aborted,
            None if pact.covers(&branch) && self.is_forgotten(&branch) => {
                return self.send(pact, Word::Forgotten { by, member: index });
            }
            None => return,
        };
        self.send(pact, Word::Told { by, member: index, stage, recovering: false });
    }
}
