//! Which marks a state shows, and which a world can come by.

use handfast_core::{
    plan::Kind,
    transaction::{Answer, Decision, Fate, Known, Voted},
};

use super::{BranchWish, Budget, Cast, Place, Plan, SHARD, Searches, State, Wish, World};
use crate::marks::{Mark, Marks};

impl Plan {
    /// Whether its world may come by a mark: where it cannot, a walk that does not says nothing.
    pub fn may_reach(&self, mark: Mark) -> bool {
        let any = |is_so: fn(&Wish) -> bool| self.transactions.iter().any(is_so);
        let has = |kind| self.transactions.iter().any(|wish| wish.has(kind));
        let Budget { drops, delays, cuts, meddles, revivals, .. } = self.budget;
        let crashes = self.budget.crashes > 0;
        let mut coordinators = (0..self.coordinators).map(Place::Coordinator);
        let dies = crashes && coordinators.any(|place| self.may_die(place));
        let breaks = self.budget.breaks > 0;
        match mark {
            Mark::ToldCommitted | Mark::ToldAborted => true,
            Mark::ToldMixed | Mark::Mixed | Mark::MixedFinished => breaks || meddles > 0,
            Mark::Held => any(|wish| wish.hold || wish.asks),
            Mark::Crash => crashes,
            Mark::Torn => crashes && self.torn_max.is_some(),
            Mark::LeftAhead => {
                let leaves_ahead = |wish: &Wish| wish.branches.iter().any(BranchWish::leaves_ahead);
                dies && self.torn_max.is_some() && any(leaves_ahead)
            }
            Mark::CommittedReadOnly => {
                has(Kind::Deliver) || self.casts.contains(&Cast::ReadOnly) && self.databases > 0
            }
            Mark::Delegated | Mark::DelegatedCommitted | Mark::DelegatedAborted => {
                any(|wish| wish.one_phase)
            }
            Mark::InDoubtToCommit => dies && has(Kind::Prepare),
            Mark::InDoubtUnknown => dies && any(|wish| wish.begins_unrecorded()),
            Mark::OrphanFinished => {
                let forgets = crashes || revivals > 0 || !self.fences;
                forgets && self.searches != Searches::Never && has(Kind::Prepare)
            }
            Mark::InquiryCommit | Mark::InquiryAbort | Mark::InquiryPending => self.shards > 0,
            Mark::LaterRunCommitted => dies && any(|wish| wish.begins > 1),
            Mark::Stuck | Mark::StuckFinished => breaks || has(Kind::Step) || has(Kind::Deliver),
            Mark::Waits => {
                self.shards > 0 && (self.transactions.len() > 1 || any(|w| w.begins > 1))
            }
            Mark::BothCommitted => self.transactions.len() > 1,
            Mark::Blocked | Mark::Unblocked => dies && any(|wish| wish.decide.is_some()),
            Mark::TakenOver => {
                let is_silent = dies || [drops, delays, cuts] != [0; 3];
                is_silent && any(|wish| wish.decide.is_some())
            }
            Mark::StepsDone | Mark::Undone | Mark::Barred => has(Kind::Step),
            Mark::Delivered => has(Kind::Deliver),
            Mark::Resumed => dies && any(|wish| wish.terms().is_some()),
            Mark::AskedBack => any(|wish| wish.asks),
            Mark::StepStuck => has(Kind::Step) || has(Kind::Deliver),
        }
    }
}

impl World {
    pub(super) fn mark_answer(&mut self, answer: &Answer) {
        let mark = match answer {
            Answer::Committed => Mark::ToldCommitted,
            Answer::Aborted(_) => Mark::ToldAborted,
            Answer::Mixed => Mark::ToldMixed,
            Answer::Held => Mark::Held,
            Answer::InquiryCommit => Mark::InquiryCommit,
            Answer::InquiryAbort => Mark::InquiryAbort,
            Answer::InquiryPending => Mark::InquiryPending,
            _ => return,
        };
        self.marks.reach(mark);
    }

    /// What was come by since the last time, and what the state shows.
    pub fn reached(&mut self) -> Marks {
        let mut marks = std::mem::take(&mut self.marks);
        let mut committed = 0;
        for transaction in 0..self.plan.transactions.len() {
            if let Some(known) = self.known(transaction) {
                self.mark_known(transaction, known, &mut marks);
                committed += usize::from(known.decision == Some(Decision::Commit));
            }
        }
        marks.reach_if(committed > 1, Mark::BothCommitted);
        self.mark_doubt(&mut marks);
        let waits = |shard: &std::sync::Arc<super::ShardNode>| {
            shard.node.live(SHARD).is_some_and(|live| !live.waiting.is_empty())
        };
        marks.reach_if(self.shards.iter().any(waits), Mark::Waits);
        marks
    }

    fn mark_known(&self, transaction: usize, known: &Known, marks: &mut Marks) {
        let commit = known.decision == Some(Decision::Commit);
        let has = |vote| known.branches.iter().any(|branch| branch.vote == vote);
        let was_stuck = || known.branches.iter().any(|b| matches!(b.fate, Fate::Stuck(_)));
        let delegated = self.plan.transactions[transaction].one_phase && has(Voted::Yes);
        self.mark_plan(known, marks);
        let (mixed, finished) = (known.is_mixed(), known.finished);
        marks.reach_if(commit && has(Voted::ReadOnly), Mark::CommittedReadOnly);
        marks.reach_if(known.decision.is_none() && delegated, Mark::Delegated);
        marks.reach_if(commit && delegated, Mark::DelegatedCommitted);
        let aborted = known.decision.is_some() && !commit;
        marks.reach_if(aborted && delegated, Mark::DelegatedAborted);
        let first = self.ledger.facts[transaction].runs.first();
        marks.reach_if(commit && first != Some(&known.run), Mark::LaterRunCommitted);
        marks.reach_if(mixed, Mark::Mixed);
        marks.reach_if(mixed && finished, Mark::MixedFinished);
        marks.reach_if(known.is_stuck() && was_stuck(), Mark::Stuck);
        marks.reach_if(finished && was_stuck(), Mark::StuckFinished);
    }

    fn mark_plan(&self, known: &Known, marks: &mut Marks) {
        if known.plan.is_none() {
            return;
        }
        let commit = known.decision == Some(Decision::Commit);
        for (branch, state) in self.states_of(known.run) {
            let fate = &known.branches[usize::from(branch.index)].fate;
            match known.kind(branch.index) {
                Kind::Prepare => continue,
                Kind::Step => {
                    marks.reach_if(commit && *state == State::Done, Mark::StepsDone);
                    marks.reach_if(*state == State::RolledBack, Mark::Undone);
                    let is_told = matches!(known.decision, Some(Decision::Abort(_)));
                    let may_be = known.branches[usize::from(branch.index)].vote == Voted::Unknown;
                    let is_barred = is_told && may_be && *state == State::Aborted;
                    marks.reach_if(is_barred, Mark::Barred);
                }
                Kind::Deliver => marks.reach_if(*state == State::Done, Mark::Delivered),
            }
            marks.reach_if(matches!(fate, Fate::Stuck(_)), Mark::StepStuck);
        }
        let coordinator = self.plan.wish(known.run).coordinator;
        let is_later = self.coordinator(coordinator).epoch > known.run.epoch;
        marks.reach_if(is_later && commit, Mark::Resumed);
    }

    /// Branches that are prepared, while their coordinator is down.
    fn mark_doubt(&self, marks: &mut Marks) {
        if self.coordinators.iter().all(|coordinator| coordinator.node.is_up()) {
            return;
        }
        for branch in self.branches() {
            if self.is_up(Place::Coordinator(branch.coordinator)) {
                continue;
            }
            let known = self.known(branch.transaction()).filter(|known| known.run == branch.run);
            let commits = known.is_some_and(|k| k.decision == Some(Decision::Commit));
            let has_pact = self.plan.wish(branch.run).decide.is_some();
            let undecided = known.is_none_or(|known| known.decision.is_none());
            match self.state(branch) {
                State::Prepared => {
                    marks.reach_if(commits, Mark::InDoubtToCommit);
                    marks.reach_if(known.is_none(), Mark::InDoubtUnknown);
                    marks.reach_if(has_pact, Mark::Blocked);
                }
                State::Committed => marks.reach_if(has_pact && undecided, Mark::Unblocked),
                _ => {}
            }
        }
    }
}
