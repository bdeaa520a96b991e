//! Three-phase commit at the coordinator.

use alloc::collections::BTreeSet;

use super::{Decision, Fate, Index, Lead, Record, Step, Timer};
use crate::pact::{Pact, TERMINATION_MS, Word, asking::Asking};

impl Step<'_> {
    /// All votes have come. Forced before any member can be precommitted: a coordinator that comes
    /// back without this record knows that nobody can have committed.
    pub(super) fn precommit(&mut self, pact: Pact) {
        let Some(voting) = self.live.voting.take() else { return };
        let case = voting.case(&self.live.telling);
        self.out.force(Record::PreCommitted { case, pact: pact.clone() });
        self.live.lead = Some(Lead::PreCommit(BTreeSet::new()));
        self.order_members(&pact, &BTreeSet::new());
    }

    fn order_members(&mut self, pact: &Pact, done: &BTreeSet<u8>) {
        for member in pact.indices().filter(|member| !done.contains(member)) {
            self.send(pact, Word::PreCommit { by: 0, member });
        }
        self.arm(Timer::Lead(pact.run), TERMINATION_MS);
    }

    /// After a restart with `PreCommitted`: the members may have decided either way meanwhile, so
    /// this node only asks. Being asked by it, they know that it cannot decide. With Paxos, after a
    /// majority of acceptors has forgotten the run: a member may know its end all the same.
    pub(super) fn ask_members(&mut self, pact: &Pact) {
        self.live.lead = Some(Lead::Asking(Asking::default()));
        self.ask_each(pact);
        self.arm(Timer::Lead(pact.run), TERMINATION_MS);
    }

    pub(super) fn ask_each(&mut self, pact: &Pact) {
        for member in pact.indices() {
            self.send(pact, Word::Asked { by: 0, member, leads: false });
        }
    }

    /// They had a whole period to answer. What those have forgotten who decide, nobody can decide
    /// any more: to guess would split the transaction. An operator, who sees in the data of the
    /// members what became of it, says so (`Resolved`); and a member that is away now may know.
    fn asked_in_vain(&mut self, pact: &Pact) {
        let (Some(known), Some(Lead::Asking(asking))) = (self.known, &mut self.live.lead) else {
            return;
        };
        asking.period_over(pact);
        let again_ms = asking.wait_ms();
        if let Some(detail) = asking.stuck(pact) {
            let said = Fate::Stuck(detail.clone());
            let is_news =
                |at: &Index| known.is_pending(*at) && known.branches[usize::from(*at)].fate != said;
            for branch in super::indices(known).filter(is_news) {
                self.out.note(Record::Stuck { branch, detail: detail.clone() });
            }
        }
        self.ask_each(pact);
        self.arm(Timer::Lead(pact.run), again_ms);
    }

    /// Who has not said that it is precommitted is dead by now, and will ask when it comes back.
    /// But one at least must be: with none, the members, all of them back after a crash and all
    /// uncertain, would abort what only this node knows.
    pub(super) fn members_over(&mut self, pact: &Pact) {
        match &self.live.lead {
            Some(Lead::PreCommit(done)) if done.is_empty() => {
                self.order_members(pact, &BTreeSet::new());
            }
            Some(Lead::PreCommit(_)) => self.decide(Decision::Commit),
            Some(Lead::Asking(_)) => self.asked_in_vain(pact),
            Some(Lead::Paxos { .. }) | None => {}
        }
    }

    /// A member of three-phase answers; or one of Paxos, when asked how it ended.
    pub(super) fn member_word(&mut self, pact: &Pact, word: Word) {
        match (word, &mut self.live.lead) {
            (Word::PreCommitted { by: 0, member }, Some(Lead::PreCommit(done))) => {
                done.extend(pact.indices().filter(|known| *known == member));
                if done.len() == pact.members.len() {
                    self.decide(Decision::Commit);
                }
            }
            (Word::Told { by: 0, stage, .. }, lead) => match (stage.decided(), lead) {
                (Some(commit), _) => self.told_decision(commit),
                (None, Some(Lead::Asking(asking))) => asking.hear(word, pact),
                (None, _) => {}
            },
            (Word::Forgotten { by: 0, .. }, Some(Lead::Asking(asking))) => asking.hear(word, pact),
            _ => {}
        }
    }
}
