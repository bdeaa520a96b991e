//! Three-phase commit at the coordinator.

use alloc::collections::BTreeSet;

use super::{Decision, Lead, Record, Step, Timer};
use crate::pact::{Pact, TERMINATION_MS, Word};

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
    /// this node only asks. Being asked by it, they know that it cannot decide.
    pub(super) fn ask_members(&mut self, pact: &Pact) {
        self.live.lead = Some(Lead::Asking);
        for member in pact.indices() {
            self.send(pact, Word::Asked { by: 0, member, leads: false });
        }
        self.arm(Timer::Lead(pact.run), TERMINATION_MS);
    }

    /// Who has not said that it is precommitted is dead by now, and will ask when it comes back.
    /// But one at least must be: with none, the members, all of them back after a crash and all
    /// uncertain, would abort what only this node knows.
    pub(super) fn three_phase_over(&mut self, pact: &Pact) {
        match &self.live.lead {
            Some(Lead::PreCommit(done)) if done.is_empty() => {
                self.order_members(pact, &BTreeSet::new());
            }
            Some(Lead::PreCommit(_)) => self.decide(Decision::Commit),
            Some(Lead::Asking) => self.ask_members(pact),
            Some(Lead::Paxos { .. }) | None => {}
        }
    }

    pub(super) fn three_phase_word(&mut self, pact: &Pact, word: Word) {
        match (word, &mut self.live.lead) {
            (Word::PreCommitted { by: 0, member }, Some(Lead::PreCommit(done))) => {
                done.extend(pact.indices().filter(|known| *known == member));
                if done.len() == pact.members.len() {
                    self.decide(Decision::Commit);
                }
            }
            (Word::Told { by: 0, stage, .. }, _) => {
                if let Some(commit) = stage.decided() {
                    self.told_decision(commit);
                }
            }
            _ => {}
        }
    }
}
