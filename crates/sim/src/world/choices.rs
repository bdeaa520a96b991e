//! What the acceptors of Paxos commit have chosen, seen from outside: nobody in the world sees it.

use handfast_core::{id::RunId, pact::paxos::Acceptor};

use super::{Branch, Place, SHARD, World, transaction};

impl World {
    /// What an acceptor of a run has promised, as a crash now would leave it; `None` if it was not
    /// touched.
    fn acceptor(&self, run: RunId, number: usize) -> Option<Acceptor> {
        let wish = self.plan.wish(run);
        let Some(shard) = number.checked_sub(1) else {
            if self.touched.coordinators & 1 << wish.coordinator == 0 {
                return None;
            }
            let known = self.durably_known(transaction(run));
            return known.filter(|known| known.run == run).map(|known| known.acceptor);
        };
        let Place::Shard(shard) = wish.acceptors[shard] else { return None };
        if self.touched.shards & 1 << shard == 0 {
            return None;
        }
        let saved = self.shard(shard).node.durable(SHARD)?;
        let first = Branch { coordinator: wish.coordinator, run, index: 0 };
        saved.acceptors.get(self.id(first)?).copied()
    }

    /// Looks whether a majority has accepted something in one ballot.
    pub(super) fn note_choices(&mut self) {
        for at in 0..self.runs.len() {
            if self.runs[at].has_acceptors {
                self.note_choice(self.runs[at].run);
            }
        }
    }

    fn note_choice(&mut self, run: RunId) {
        let wish = self.plan.wish(run);
        let (number, count) = (transaction(run), wish.acceptors.len() + 1);
        for at in 0..count {
            let accepted = self.acceptor(run, at).and_then(|acceptor| acceptor.accepted);
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
