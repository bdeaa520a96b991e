//! Three-phase commit at a shard: member, and leader of the termination. See
//! [`pact::three_phase`](crate::pact::three_phase) for the rule.
//!
//! The living member of the lowest index leads: one that follows a leader refuses those above it,
//! and a leader that is asked by a lower one stands down. So no two decide by different views.

use super::{
    Lead, Record, Step,
    peers::{Member, process},
};
use crate::{
    id::BranchId,
    pact::{
        Pact, Process, Word,
        three_phase::{Next, Termination},
    },
    transaction::Index,
};

impl Step<'_> {
    pub(super) fn three_phase_word(&mut self, pact: &Pact, word: Word) {
        match word {
            Word::PreCommit { by, member } => self.ordered(pact, by, member),
            Word::Asked { by, member, leads } => self.asked(pact, by, member, leads),
            Word::PreCommitted { by, member } => self.obeyed(pact, by, member),
            Word::Led { by, member, leader } => self.stand_down(pact, by, member, leader),
            _ => {}
        }
    }

    /// All voted yes, says the coordinator or who leads the termination.
    fn ordered(&mut self, pact: &Pact, by: Process, index: Index) {
        let Some(member) = self.member_of(pact, process(index)) else {
            return self.tell_end(pact, by, index);
        };
        if !self.follows(&member, by) {
            return;
        }
        if !member.prepared.precommitted {
            self.out.force(Record::PreCommitted { branch: member.branch.clone() });
        }
        self.send(pact, Word::PreCommitted { by, member: index });
    }

    /// Whether it takes orders from this process. Once members terminate without the coordinator,
    /// its orders are late ones.
    fn follows(&mut self, member: &Member<'_>, by: Process) -> bool {
        let inquiry = self.inquiry(&member.branch);
        let leads = inquiry.leads();
        match by.checked_sub(1) {
            None => !leads && inquiry.led_by.is_none(),
            Some(leader) => {
                !(leads && member.branch.index < leader)
                    && inquiry.led_by.is_none_or(|led_by| leader <= led_by)
            }
        }
    }

    /// Somebody asks how far a member is: to decide, or because it lost its own knowledge.
    fn asked(&mut self, pact: &Pact, by: Process, index: Index, leads: bool) {
        let Some(member) = self.member_of(pact, process(index)) else {
            return self.asked_unprepared(pact, by, index);
        };
        let inquiry = self.inquiry(&member.branch);
        let recovering = inquiry.is_recovering;
        if let (true, Some(leader)) = (leads, by.checked_sub(1)) {
            let own = inquiry.leads().then_some(index);
            if let Some(lower) = own.or(inquiry.led_by).filter(|lower| *lower < leader) {
                return self.send(pact, Word::Led { by, member: index, leader: lower });
            }
            self.follow(&member.branch, leader);
        }
        let stage = member.prepared.stage();
        self.send(pact, Word::Told { by, member: index, stage, recovering });
        if by == 0 {
            self.coordinator_lost(&member);
        }
    }

    fn follow(&mut self, branch: &BranchId, leader: Index) {
        let inquiry = self.inquiry(branch);
        inquiry.led_by = Some(leader);
        inquiry.silent = 0;
        inquiry.lead = None;
    }

    /// A coordinator that asks is one that came back and cannot decide: the members must, or each
    /// would wait for the other. A leader that this member follows has the time until the next
    /// asking.
    fn coordinator_lost(&mut self, member: &Member<'_>) {
        match self.inquiry(&member.branch).led_by.take() {
            Some(_) => {}
            None => self.take_over(member),
        }
    }
}

/// Leading.
impl Step<'_> {
    /// Asks all others how far they are.
    pub(super) fn ask_members(&mut self, member: &Member<'_>) {
        let inquiry = self.inquiry(&member.branch);
        inquiry.lead = Some(Lead::ThreePhase(Termination::default()));
        inquiry.led_by = None;
        let leads = !inquiry.is_recovering;
        self.ask_others(member, leads);
        self.wait_whole_period(member);
        self.terminate(member, false);
    }

    /// Goes on, if enough is known; `over` means that the silent are dead.
    pub(super) fn terminate(&mut self, member: &Member<'_>, over: bool) {
        let me = member.branch.index;
        let inquiry = self.inquiry(&member.branch);
        let Some(Lead::ThreePhase(termination)) = &inquiry.lead else { return };
        let own = (member.prepared.stage(), inquiry.is_recovering);
        match termination.next(me, own, over, member.pact) {
            Next::Wait => {}
            Next::StandDown => inquiry.lead = None,
            Next::Decide(commit) => self.conclude(member, commit),
            Next::Order(uncertain) => {
                let missing = uncertain.iter().copied().collect();
                inquiry.lead = Some(Lead::ThreePhase(Termination::Ordering(missing)));
                for other in uncertain {
                    let order = Word::PreCommit { by: member.process(), member: other };
                    self.send(member.pact, order);
                }
                self.wait_whole_period(member);
            }
        }
    }

    fn obeyed(&mut self, pact: &Pact, by: Process, other: Index) {
        let Some(member) = self.member_of(pact, by) else { return };
        let inquiry = self.inquiry(&member.branch);
        if let Some(Lead::ThreePhase(Termination::Ordering(missing))) = &mut inquiry.lead {
            missing.remove(&other);
            self.terminate(&member, false);
        }
    }

    /// A lower one leads. If that one says so itself, it is alive and is followed. By hearsay it
    /// may be dead: then this member only stands down, and asks again later. To follow it would
    /// let two members send each other to a dead leader for ever.
    fn stand_down(&mut self, pact: &Pact, by: Process, says: Index, leader: Index) {
        let Some(member) = self.member_of(pact, by) else { return };
        if leader >= member.branch.index {
            return;
        }
        if says == leader {
            self.follow(&member.branch, leader);
        } else {
            self.inquiry(&member.branch).lead = None;
        }
    }
}
