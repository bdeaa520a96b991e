//! Paxos commit at a shard: member, and leader when the coordinator is silent.

use super::{Inquiry, Lead, Record, Step, peers::Member};
use crate::{
    id::BranchId,
    pact::{
        Pact, Way, Word,
        paxos::{Heard, Leader, Value},
    },
};

impl Step<'_> {
    /// Says yes to F acceptors besides the coordinator, which has the vote: together a majority.
    /// The other F join only in a takeover (Gray and Lamport 2006, section 5).
    pub(super) fn vote_to_acceptors(&mut self, branch: &BranchId, pact: Option<&Pact>) {
        let Some(pact) = pact.filter(|pact| pact.way == Way::Paxos) else { return };
        for acceptor in pact.acceptor_numbers().skip(1).take(pact.faults()) {
            self.send(pact, Word::Voted { member: branch.index, acceptor });
        }
    }

    /// Claims the branch's next ballot. If an acceptor has forgotten the run, that is so old that
    /// another member may have ended it long ago: it is asked, too.
    pub(super) fn claim(&mut self, member: &Member<'_>) {
        let Inquiry { lead, .. } = self.inquiry(&member.branch);
        let Lead::Paxos(leader) = lead.get_or_insert_with(|| Lead::Paxos(Leader::default())) else {
            return;
        };
        let used = member.prepared.claimed;
        // None only when a peer has made up absurd ballots: then others must decide.
        let Some(ballot) = leader.claim(member.process(), used, member.pact) else { return };
        let is_old = !leader.retired.is_empty();
        self.out.force(Record::Claimed { branch: member.branch.clone(), ballot });
        for acceptor in member.pact.acceptor_numbers() {
            self.send(member.pact, Word::Claim { ballot, acceptor });
        }
        if is_old {
            self.ask_others(member, false);
        }
        self.wait_whole_period(member);
    }

    /// An acceptor answers a branch of this shard that leads.
    pub(super) fn leader_word(&mut self, pact: &Pact, word: Word) {
        let Some(ballot) = word.ballot_answered() else { return };
        let Some(member) = self.member_of(pact, ballot.leader(pact)) else { return };
        let Some(Lead::Paxos(leader)) = &mut self.inquiry(&member.branch).lead else { return };
        match leader.hear(word, pact) {
            // Its timer runs since it claimed.
            Heard::Nothing | Heard::Outbid => {}
            Heard::Forgotten => self.ask_for_end(&member),
            Heard::Propose(proposal) => {
                for acceptor in pact.acceptor_numbers() {
                    self.send(pact, Word::Accept { proposal, acceptor });
                }
            }
            Heard::Chosen(value) => self.conclude(&member, value == Value::Prepared),
        }
    }
}
