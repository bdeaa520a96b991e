//! What must hold of hosts, whatever happened.

use std::collections::BTreeSet;

use handfast_core::{
    shard::End,
    transaction::{Answer, Decision, Fate, KnownBranch},
};

use super::Hosts;

impl Hosts {
    /// The ends of all branches that have one.
    pub fn ends(&self) -> BTreeSet<bool> {
        let shards = self.shards[..self.members].iter();
        let ends = shards.flat_map(|node| node.saved.finished.iter());
        ends.map(|(_, end)| *end == End::Committed).collect()
    }

    pub fn decision(&self) -> Option<bool> {
        let known = self.coordinator.saved.known.as_ref()?;
        known.decision.as_ref().map(|decision| *decision == Decision::Commit)
    }

    /// Nobody differs; a caller's answer is the truth.
    pub fn assert_agreed(&self, story: &str) {
        let mut all = self.ends();
        all.extend(self.decision());
        all.extend(self.answer.as_ref().map(|answer| *answer == Answer::Committed));
        assert!(all.len() <= 1, "split: {story}");
    }

    /// No branch is in doubt; nor is a coordinator that is up.
    pub fn assert_finished(&self, story: &str) {
        for (at, node) in self.shards.iter().enumerate() {
            assert!(!node.is_up || node.saved.prepared.is_empty(), "m{at} is in doubt: {story}");
        }
        if let Some(known) = &self.coordinator.saved.known {
            assert!(!self.coordinator.is_up || known.finished, "not finished: {story}");
        }
    }

    /// Those that are up and in doubt say why, or are told to wait by a coordinator that does. How
    /// many there are.
    pub fn assert_stuck(&self, story: &str) -> usize {
        let known = self.coordinator.saved.known.as_ref().filter(|_| self.coordinator.is_up);
        if let Some(known) = known.filter(|known| !known.finished) {
            let is_stuck = |branch: &KnownBranch| matches!(branch.fate, Fate::Stuck(_));
            assert!(known.branches.iter().all(is_stuck), "{:?}: {story}", known.branches);
        }
        let up = self.shards[..self.members].iter().filter(|node| node.is_up);
        let in_doubt = up.flat_map(|node| node.saved.prepared.iter().map(move |one| (node, one)));
        let stuck = in_doubt.map(|(node, (branch, prepared))| {
            let why = node.live.inquiries[branch].stuck(prepared.pact.as_ref().unwrap());
            assert!(why.is_some() || known.is_some(), "{branch} does not say why: {story}");
        });
        stuck.count()
    }

    /// How many rounds of ballots the members claimed that are in doubt.
    pub fn rounds(&self) -> u64 {
        let in_doubt = self.shards.iter().flat_map(|node| node.saved.prepared.values());
        let rounds = in_doubt.map(|prepared| prepared.claimed.0 / (self.members as u64 + 1));
        rounds.max().unwrap_or(0)
    }
}
