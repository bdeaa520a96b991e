//! Paxos commit at the coordinator: registrar, leader of ballot 0, and acceptor 0.

use super::{Decision, Known, Lead, Reason, Record, Step, Timer, Voting, peers::taken_over};
use crate::pact::{
    Pact, Word,
    paxos::{Change, Heard, Leader, Proposal, Value},
};

impl Step<'_> {
    /// Forced before the branches are asked to prepare (the registrar of Gray and Lamport, section
    /// 6): once they are, they may commit without this node, so that its gid must not begin another
    /// run after a crash.
    pub(super) fn begin_ballot_0(&mut self, voting: &Voting) {
        let Some(pact) = voting.pact.clone() else { return };
        let case = voting.case(&self.live.telling);
        self.out.force(Record::Begun { case, pact: Some(pact), plan: None });
        let leader = Leader::default();
        self.live.lead = Some(Lead::Paxos { leader, is_timed: false, reason: None });
    }

    /// All votes have come: as acceptor 0, which lives with the leader, this node accepts them.
    pub(super) fn accept_votes(&mut self, pact: &Pact) {
        let Some(known) = self.known else { return };
        let (change, answer) = known.acceptor.proposed(Proposal::OWN, 0);
        self.force(change);
        self.wait_for_acceptors();
        self.leader_word(pact, answer);
    }

    /// Wants to abort, and may not alone: acceptors may have all votes already.
    pub(super) fn lead_to_abort(&mut self, why: Reason) {
        let (Some(known), Some(Lead::Paxos { is_timed, .. })) = (self.known, &self.live.lead)
        else {
            return;
        };
        // With a timer running it waits for acceptors already.
        if let (false, Some(pact)) = (*is_timed, &known.pact) {
            self.lead_ballot(known, pact, Some(why));
        }
    }

    /// Claims a ballot of its own, above all it knows. If an acceptor has forgotten the run, that
    /// is so old that the members may have ended it long ago: they are asked, too.
    pub(super) fn lead_ballot(&mut self, known: &Known, pact: &Pact, why: Option<Reason>) {
        let fresh = || Lead::Paxos { leader: Leader::default(), is_timed: false, reason: None };
        let lead = self.live.lead.get_or_insert_with(fresh);
        let Lead::Paxos { leader, reason, .. } = lead else { return };
        if reason.is_none() {
            *reason = why;
        }
        let used = known.claimed.max(known.acceptor.promised);
        // None only when a peer has made up absurd ballots: then others must decide.
        let Some(ballot) = leader.claim(0, used, pact) else { return };
        let is_old = !leader.retired.is_empty();
        self.out.force(Record::Claimed { ballot });
        for acceptor in pact.acceptor_numbers() {
            self.send(pact, Word::Claim { ballot, acceptor });
        }
        if is_old {
            self.ask_each(pact);
        }
        self.wait_for_acceptors();
    }

    /// They did not answer in time, or another leader was faster.
    pub(super) fn ballot_over(&mut self, known: &Known, pact: &Pact) {
        if let Some(Lead::Paxos { is_timed, .. }) = &mut self.live.lead {
            *is_timed = false;
            self.lead_ballot(known, pact, None);
        }
    }

    fn wait_for_acceptors(&mut self) {
        let (Some(known), Some(Lead::Paxos { leader, is_timed, .. })) =
            (self.known, &mut self.live.lead)
        else {
            return;
        };
        if !core::mem::replace(is_timed, true) {
            let after_ms = leader.wait_ms(0);
            self.arm(Timer::Lead(known.run), after_ms);
        }
    }

    pub(super) fn paxos_word(&mut self, pact: &Pact, word: Word) {
        let Some(known) = self.known else { return };
        match word {
            Word::Claim { ballot, acceptor: 0 } => {
                let answer = known.acceptor.claimed(ballot, 0);
                self.answer_leader(known, pact, ballot.leader(pact), answer);
            }
            Word::Accept { proposal, acceptor: 0 } => {
                let answer = known.acceptor.proposed(proposal, 0);
                self.answer_leader(known, pact, proposal.ballot.leader(pact), answer);
            }
            word => self.leader_word(pact, word),
        }
    }

    /// As acceptor 0. What is decided is told instead: an abort after a vote no was never put to
    /// the acceptors.
    fn answer_leader(
        &mut self,
        known: &Known,
        pact: &Pact,
        to: u8,
        (change, word): (Option<Change>, Word),
    ) {
        match &known.decision {
            Some(decision) => {
                let commit = *decision == Decision::Commit;
                self.send(pact, Word::Decided { to, commit });
            }
            None => {
                self.force(change);
                self.send(pact, word);
            }
        }
    }

    /// As leader; after the decision it is none any more.
    fn leader_word(&mut self, pact: &Pact, word: Word) {
        let Some(Lead::Paxos { leader, .. }) = &mut self.live.lead else { return };
        match leader.hear(word, pact) {
            Heard::Nothing => {}
            Heard::Propose(proposal) => {
                for acceptor in pact.acceptor_numbers() {
                    self.send(pact, Word::Accept { proposal, acceptor });
                }
            }
            Heard::Chosen(value) => self.chosen(value),
            Heard::Outbid => self.wait_for_acceptors(),
            Heard::Forgotten => self.ask_members(pact),
        }
    }

    /// F + 1 acceptors have it: that is the decision, and its durable form. To commit, the record
    /// here is a note: if it is lost, any leader finds the same. An abort has a reason that only
    /// this node knows, and the answer to its caller must not change.
    fn chosen(&mut self, value: Value) {
        let reason = match &mut self.live.lead {
            Some(Lead::Paxos { reason, .. }) => reason.take(),
            _ => None,
        };
        let decision = match value {
            Value::Prepared => Decision::Commit,
            Value::Aborted => Decision::Abort(reason.unwrap_or_else(taken_over)),
        };
        if let Decision::Abort(_) = decision {
            return self.decide(decision);
        }
        let record = self.decided(decision);
        self.out.note(record.clone());
        self.announce_record(&record);
    }

    fn force(&mut self, change: Option<Change>) {
        match change {
            Some(Change::Promised(ballot)) => self.out.force(Record::Promised { ballot }),
            Some(Change::Accepted(proposal)) => self.out.force(Record::Accepted { proposal }),
            None => {}
        }
    }
}
