//! What the acceptors of Paxos commit have chosen, seen from outside: nobody in the world sees it.

use handfast_core::{
    id::RunId,
    pact::{
        Pact, Way,
        paxos::{Acceptor, Proposal},
    },
};

use super::{Place, SHARD, World, transaction};

impl World {
    /// What an acceptor of a run has promised, as a crash now would leave it.
    fn acceptor(&self, pact: &Pact, run: RunId, number: usize) -> Option<Acceptor> {
        let Some(shard) = number.checked_sub(1) else {
            let known = self.durably_known(transaction(run));
            return known.filter(|known| known.run == run).map(|known| known.acceptor);
        };
        let Place::Shard(shard) = self.plan.wish(run).acceptors[shard] else { return None };
        let saved = self.shard(shard).node.durable(SHARD)?;
        saved.acceptors.get(&pact.branch(0)).copied()
    }

    /// Looks whether a majority has accepted something in one ballot.
    pub(super) fn note_choices(&mut self) {
        for number in 0..self.plan.transactions.len() {
            if self.plan.transactions[number].decide != Some(Way::Paxos) {
                continue;
            }
            for at in 0..self.ledger.facts[number].runs.len() {
                self.note_choice(number, self.ledger.facts[number].runs[at]);
            }
        }
    }

    fn note_choice(&mut self, number: usize, run: RunId) {
        let wish = &self.plan.transactions[number];
        let count = wish.acceptors.len() + 1;
        let Some(pact) = self.plan.pact(wish.coordinator, run).filter(|_| count > 1) else {
            return;
        };
        let accepted: Vec<Proposal> =
            (0..count).filter_map(|at| self.acceptor(&pact, run, at)?.accepted).collect();
        for proposal in &accepted {
            let alike = accepted.iter().filter(|other| *other == proposal).count();
            let chosen = (run, proposal.value);
            if alike > count / 2 && !self.ledger.facts[number].chosen.contains(&chosen) {
                self.ledger_mut(number).chosen.insert(chosen);
            }
        }
    }
}
