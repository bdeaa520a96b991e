//! What the acceptors of Paxos commit have chosen, seen from outside: nobody in the world sees it.

use handfast_core::{
    id::RunId,
    pact::{Pact, Way, paxos::Acceptor},
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
        for at in 0..count {
            let accepted = self.acceptor(&pact, run, at).and_then(|acceptor| acceptor.accepted);
            let Some(proposal) = accepted else { continue };
            let entry = (run, proposal, at);
            if self.ledger.facts[number].accepted.contains(&entry) {
                continue;
            }
            let facts = self.ledger_mut(number);
            facts.accepted.insert(entry);
            // Not at one time: an acceptor that has gone on to a higher ballot has accepted too.
            let alike =
                facts.accepted.iter().filter(|(of, other, _)| *of == run && *other == proposal);
            if alike.count() > count / 2 {
                facts.chosen.insert((run, proposal.value));
            }
        }
    }
}
