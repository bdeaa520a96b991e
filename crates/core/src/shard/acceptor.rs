//! Paxos commit at a shard: acceptor.

use super::{End, Record, Step};
use crate::{
    id::{BranchId, RunId},
    pact::{
        Pact, Word,
        paxos::{Acceptor, Ballot, Change, Proposal},
    },
    transaction::Index,
};

/// Most runs of which some votes have come and others not; one more displaces the oldest of its
/// cluster.
pub const BUNDLES_MAX: usize = 4_096;

impl Step<'_> {
    /// A member voted yes. Nothing is promised before all have: then one record and one message
    /// serve all instances (Gray and Lamport 2006, section 5).
    pub(super) fn voted(&mut self, pact: &Pact, member: Index, acceptor: u8) {
        if usize::from(member) >= pact.members.len() || self.end_of(pact).is_some() {
            return;
        }
        let first = pact.branch(0);
        let Some(state) = self.saved.acceptors.of(&first) else { return };
        if state == Acceptor::default() && !self.bundle(&first, pact, member) {
            return;
        }
        let (change, answer) = state.proposed(Proposal::OWN, acceptor);
        self.promise(first, change);
        self.send(pact, answer);
    }

    /// Puts a vote to the others; true if that makes all.
    fn bundle(&mut self, first: &BranchId, pact: &Pact, member: Index) -> bool {
        let bundles = &mut self.live.bundles;
        if bundles.len() >= BUNDLES_MAX && !bundles.contains_key(first) {
            let lowest = BranchId { run: RunId { epoch: 0, number: 0 }, ..first.clone() };
            let oldest = bundles.range(lowest..).next().map(|(oldest, _)| oldest.clone());
            match oldest.filter(|oldest| oldest.cluster == first.cluster) {
                Some(oldest) => bundles.remove(&oldest).is_some(),
                None => bundles.pop_first().is_some(),
            };
        }
        let votes = bundles.entry(first.clone()).or_default();
        votes.insert(member);
        votes.len() == pact.members.len()
    }

    /// A leader claims or proposes. If a branch of the run has ended here, it is told how: that is
    /// what it would find.
    pub(super) fn answer_leader(
        &mut self,
        pact: &Pact,
        ballot: Ballot,
        acceptor: u8,
        answer: impl FnOnce(&Acceptor) -> (Option<Change>, Word),
    ) {
        if let Some(end) = self.end_of(pact) {
            let commit = end == End::Committed;
            return self.send(pact, Word::Decided { to: ballot.leader(pact), commit });
        }
        let first = pact.branch(0);
        let Some(state) = self.saved.acceptors.of(&first) else {
            return self.send(pact, Word::Retired { ballot, acceptor });
        };
        let (change, answer) = answer(&state);
        self.promise(first, change);
        self.send(pact, answer);
    }

    fn promise(&mut self, first: BranchId, change: Option<Change>) {
        let Some(change) = change else { return };
        self.live.bundles.remove(&first);
        self.out.force(match change {
            Change::Promised(ballot) => Record::Promised { first, ballot },
            Change::Accepted(proposal) => Record::Accepted { first, proposal },
        });
    }
}
