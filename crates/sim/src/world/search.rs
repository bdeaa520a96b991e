//! The search for orphans. Its order is what makes it safe: see `handfast-server`'s recovery.

use handfast_core::{id::RunId, transaction::Decision};

use super::{
    Branch, Call, Message, Place, Search, State, Wish, World,
    plan::{self, transaction},
};
use crate::mutants::Mutant;

impl World {
    /// The next step of a search for orphans. Its order is what makes it safe.
    pub(super) fn search(&mut self, number: u8) {
        let coordinator = self.coordinator(number);
        let next = match &coordinator.search {
            Search::None if self.is_wrong(Mutant::ActiveBeforePrepared) => {
                // What is active is looked at before anything is listed: so what begins then, and
                // is found prepared, passes for dead.
                Search::Judged(self.judged(number, self.next_branches(number).into_iter()))
            }
            Search::None => Search::Listed(self.prepared(number).collect()),
            Search::Listed(listed) => Search::Judged(self.judged(number, listed.iter().copied())),
            Search::Judged(judged) => {
                let prepared: Vec<_> = self.prepared(number).collect();
                let orphans = judged.iter().filter(|(branch, _)| prepared.contains(branch));
                for (branch, decided) in orphans.copied().collect::<Vec<_>>() {
                    let committed = decided == Some(true);
                    self.send(Message::Call(branch, Call::Orphan { committed }));
                }
                Search::None
            }
        };
        self.coordinator_mut(number).search = match next {
            // Nothing to look at: the search is over.
            Search::Listed(listed) if listed.is_empty() => Search::None,
            Search::Judged(judged) if judged.is_empty() => Search::None,
            next => next,
        };
    }

    /// The branches of the runs that a coordinator would begin next.
    fn next_branches(&self, number: u8) -> Vec<Branch> {
        let epoch = self.coordinator(number).epoch;
        let own = |(_, wish): &(usize, &Wish)| wish.coordinator == number;
        let wishes = self.plan.transactions.iter().enumerate().filter(own);
        let runs = wishes.map(|(transaction, _)| {
            let attempt = self.ledger.facts[transaction].runs.len();
            RunId { epoch, number: plan::run_number(transaction, attempt) }
        });
        runs.flat_map(|run| self.branches_of(run)).collect()
    }

    fn judged(
        &self,
        number: u8,
        listed: impl Iterator<Item = Branch>,
    ) -> Vec<(Branch, Option<bool>)> {
        let active = &self.coordinator(number).active;
        let judged = listed.filter(|branch| !active.contains(&branch.run));
        // What is decided is read from the log, as a search does.
        judged.map(|branch| (branch, self.decided(branch.run))).collect()
    }

    fn decided(&self, run: RunId) -> Option<bool> {
        let known = self.durably_known(transaction(run)).filter(|known| known.run == run)?;
        Some(*known.decision.as_ref()? == Decision::Commit)
    }

    /// What is prepared of a coordinator's branches at all whom it reaches.
    pub fn prepared(&self, number: u8) -> impl Iterator<Item = Branch> {
        let own = Place::Coordinator(number);
        let prepared = self.states.iter().filter(move |(branch, state)| {
            *state == State::Prepared
                && branch.coordinator == number
                && self.is_reached(own, self.plan.branch(*branch).at)
        });
        prepared.map(|(branch, _)| *branch)
    }
}
