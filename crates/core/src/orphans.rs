//! The search for orphans: what is prepared at a participant under our name though nobody is going
//! to finish it. Such a branch ends as the log says, or, if the log says nothing, is rolled back:
//! presumed abort.
//!
//! Four looks, and their order is what makes it safe (after Citus' transaction recovery): first
//! what is prepared (P), then which runs are active (A) and what is decided (T), then what is
//! prepared still (Q). With A before P, a branch that was prepared in between would pass for an
//! orphan; without Q, one that was finished in between would. Each look needs what the one before
//! it gave, so that there is no other order.
//!
//! ```text
//! Listed::new(P) ── suspects(A) ──▶ Suspects ── judge(T) ──▶ Judged ── orphans(Q) ──▶ to finish
//! ```

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use crate::id::RunId;

/// P: what was prepared, each branch with its run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listed<B: Ord>(BTreeMap<B, RunId>);

/// Of P, what is of no active run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Suspects<B: Ord> {
    branches: BTreeMap<B, RunId>,
    later: usize,
}

/// Of these, what the log does not forbid to end, each with the decision over its run, if there is
/// one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Judged<B: Ord, T>(BTreeMap<B, Option<T>>);

impl<B: Ord> Listed<B> {
    /// Only branches of our own cluster: others' are never touched.
    pub fn new(prepared: impl IntoIterator<Item = (B, RunId)>) -> Self {
        Self(prepared.into_iter().collect())
    }

    /// Whether nothing is prepared.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The branches and their runs.
    pub fn iter(&self) -> impl Iterator<Item = (&B, RunId)> {
        self.0.iter().map(|(branch, run)| (branch, *run))
    }

    /// A: leaves what somebody still votes on, or is told, by a run of this process. `epoch` is
    /// that of this start of the node: what a later start began may be decided in a log that is
    /// not here, so it is nobody's orphan.
    pub fn suspects(self, epoch: u32, is_active: impl Fn(RunId) -> bool) -> Suspects<B> {
        let mut branches = self.0;
        branches.retain(|_, run| !is_active(*run));
        let all = branches.len();
        branches.retain(|_, run| run.epoch <= epoch);
        Suspects { later: all - branches.len(), branches }
    }
}

impl<B: Ord> Suspects<B> {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.branches.is_empty()
    }

    /// How many branches were left alone because a later start of this node began them: its data
    /// is an old copy.
    pub fn later(&self) -> usize {
        self.later
    }

    /// Whose decisions must be looked up.
    pub fn runs(&self) -> BTreeSet<RunId> {
        self.branches.values().copied().collect()
    }

    /// T: what the log says about [`Suspects::runs`]. A run that is not in `recorded` was never
    /// recorded. None for one that was, but tells no decision: it is open after all, was pruned in
    /// between, or cannot be read and may be a commit. Its branches are left for the next search.
    pub fn judge<T: Clone>(self, recorded: &BTreeMap<RunId, Option<T>>) -> Judged<B, T> {
        let judged = self.branches.into_iter().filter_map(|(branch, run)| {
            let decided = match recorded.get(&run) {
                None => None,
                Some(told) => Some(told.clone()?),
            };
            Some((branch, decided))
        });
        Judged(judged.collect())
    }
}

impl<B: Ord, T> Judged<B, T> {
    /// Whether nothing is left to finish.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The branches and the decisions over them.
    pub fn iter(&self) -> impl Iterator<Item = (&B, Option<&T>)> {
        self.0.iter().map(|(branch, decided)| (branch, decided.as_ref()))
    }

    /// Q: what is prepared still. Each is to be ended by the decision beside it, or, without one,
    /// rolled back.
    pub fn orphans(self, still: &BTreeSet<B>) -> Vec<(B, Option<T>)> {
        self.0.into_iter().filter(|(branch, _)| still.contains(branch)).collect()
    }
}

impl<B: Ord, T> FromIterator<(B, Option<T>)> for Judged<B, T> {
    fn from_iter<I: IntoIterator<Item = (B, Option<T>)>>(judged: I) -> Self {
        Self(judged.into_iter().collect())
    }
}
