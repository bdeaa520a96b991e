//! A database, as small as it can be: what becomes of a branch that is asked to prepare.

use std::collections::BTreeMap;

use super::{Branch, Cast};

/// A database: its branches, those it never saw left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Database {
    pub(super) branches: BTreeMap<Branch, State>,
}

/// How a branch is at its participant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is not there, or waits for locks.
    Fresh,
    /// Its work is done and kept open, for a commit in one phase. A death of either side ends it.
    Held,
    /// It waits for the decision, whatever dies.
    Prepared,
    /// It wrote nothing.
    ReadOnly,
    /// Committed as told.
    Committed,
    /// Never prepared, and never will be.
    Aborted,
    /// Prepared, then rolled back as told.
    RolledBack,
    /// A step that is done, or a delivery that has arrived.
    Done,
    /// Finished by someone else while it was prepared.
    Meddled {
        /// How.
        committed: bool,
    },
}

impl State {
    /// Waits for the decision, and holds locks until it comes.
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Held | Self::Prepared)
    }

    /// Over, one way or the other.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Fresh | Self::Held | Self::Prepared | Self::Done)
    }

    /// Nothing of it remains.
    pub fn is_aborted(self) -> bool {
        matches!(self, Self::Aborted | Self::RolledBack)
    }
}

impl Database {
    /// How a branch is.
    pub fn state(&self, branch: Branch) -> State {
        self.branches.get(&branch).copied().unwrap_or(State::Fresh)
    }

    /// The branches that are prepared.
    pub fn prepared(&self) -> impl Iterator<Item = Branch> {
        let prepared = |(_, state): &(&Branch, &State)| **state == State::Prepared;
        self.branches.iter().filter(prepared).map(|(branch, _)| *branch)
    }

    /// The branches that are held open.
    pub fn held(&self) -> impl Iterator<Item = Branch> {
        let held = |(_, state): &(&Branch, &State)| **state == State::Held;
        self.branches.iter().filter(held).map(|(branch, _)| *branch)
    }

    /// The branches that a crash could bring back.
    pub fn rolled_back(&self) -> impl Iterator<Item = Branch> {
        let rolled_back = |(_, state): &(&Branch, &State)| **state == State::RolledBack;
        self.branches.iter().filter(rolled_back).map(|(branch, _)| *branch)
    }

    /// Is asked to prepare, or to hold. What it says the second time is what it said before.
    pub fn prepare(&mut self, branch: Branch, cast: Cast, holds: bool) -> State {
        *self.branches.entry(branch).or_insert(match cast {
            Cast::Yes if holds => State::Held,
            Cast::Yes => State::Prepared,
            Cast::No => State::Aborted,
            Cast::ReadOnly => State::ReadOnly,
        })
    }

    /// Does a step or takes a delivery, as a service behind a barrier: what it says the second time
    /// is what it said before, and what was undone before it came it never does.
    pub fn act(&mut self, branch: Branch, cast: Cast) -> State {
        *self.branches.entry(branch).or_insert(match cast {
            Cast::Yes | Cast::ReadOnly => State::Done,
            Cast::No => State::Aborted,
        })
    }

    /// Undoes a step; one that never came is refused from now on if it is to be fenced.
    pub fn undo(&mut self, branch: Branch, fences: bool) -> State {
        let before = self.state(branch);
        let after = match before {
            State::Done => State::RolledBack,
            State::Fresh if fences => State::Aborted,
            _ => before,
        };
        if after != before {
            self.branches.insert(branch, after);
        }
        after
    }

    /// Ends a branch that waits; one that ended stays as it is. One that never came is refused from
    /// now on if it is to be fenced.
    pub fn end(&mut self, branch: Branch, as_told: State, fences: bool) -> State {
        let before = self.state(branch);
        let after = match before {
            State::Held if as_told == State::RolledBack => State::Aborted,
            State::Held | State::Prepared => as_told,
            State::Fresh if fences => State::Aborted,
            _ => before,
        };
        if after != before {
            self.branches.insert(branch, after);
        }
        after
    }

    /// A crash forgot the rollback.
    pub fn revive(&mut self, branch: Branch) {
        self.branches.insert(branch, State::Prepared);
    }
}
