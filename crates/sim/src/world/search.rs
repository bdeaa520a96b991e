//! The search for orphans, of the production kind ([`handfast_core::orphans`]).

use std::collections::BTreeMap;

use handfast_core::{
    id::RunId,
    orphans::{Judged, Listed},
    transaction::Decision,
};

use super::{
    Branch, Call, Coordinator, Message, Place, Search, State, Wish, World,
    plan::{self, transaction},
};
use crate::mutants::Mutant;

impl World {
    /// The next step of a search.
    pub(super) fn search(&mut self, number: u8) {
        let search = std::mem::take(&mut self.coordinator_mut(number).search);
        let next = match search {
            Search::None if self.is_wrong(Mutant::ActiveBeforePrepared) => {
                // What is active is looked at before anything is listed: so what begins then, and
                // is found prepared, passes for dead.
                Search::Judged(self.judged(number, listed(self.next_branches(number))))
            }
            Search::None => Search::Listed(listed(self.prepared(number))),
            Search::Listed(listed) => Search::Judged(self.judged(number, listed)),
            Search::Judged(judged) => {
                for (branch, decided) in judged.orphans(&self.prepared(number).collect()) {
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

    fn judged(&self, number: u8, listed: Listed<Branch>) -> Judged<Branch, bool> {
        let Coordinator { active, epoch, .. } = self.coordinator(number);
        let suspects = listed.suspects(*epoch, |run| active.contains(&run));
        // What is decided is read from the log, as a search does.
        let recorded = |run| {
            let known = self.durably_known(transaction(run)).filter(|known| known.run == run)?;
            Some((run, known.decision.as_ref().map(|decision| *decision == Decision::Commit)))
        };
        let recorded: BTreeMap<RunId, Option<bool>> =
            suspects.runs().into_iter().filter_map(recorded).collect();
        suspects.judge(&recorded)
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

fn listed(branches: impl IntoIterator<Item = Branch>) -> Listed<Branch> {
    Listed::new(branches.into_iter().map(|branch| (branch, branch.run)))
}
