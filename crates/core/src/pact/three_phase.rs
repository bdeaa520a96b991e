//! Three-phase commit (Skeen 1981; Bernstein, Hadzilacos, Goodman 1987, "BHG", section 7.5): how
//! members terminate without their coordinator.
//!
//! ```text
//! coordinator  all yes ─▶ PreCommitted ─▶ PreCommit ─▶ acknowledged, or dead ─▶ Decided(commit)
//! member       prepared (w) ─▶ precommitted (p) ─▶ committed; from both: ─▶ aborted
//! ```
//!
//! No member is uncertain (w) when another has committed: between the two is a round that makes
//! everyone committable (p). So members that have lost their coordinator can decide by what they
//! see in each other: any end is the end; all uncertain, abort; else make all committable, and
//! commit.
//!
//! It rests on two assumptions, and splits without them: an answer comes within
//! [`TERMINATION_MS`](super::TERMINATION_MS), so that who is silent is dead; and the network does
//! not part. If it parts, one side may see only w and abort, the other p and commit.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use serde::{Deserialize, Serialize};

use super::Pact;
use crate::transaction::Index;

/// How far a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Voted yes, and knows no more (w, uncertain).
    Prepared,
    /// Knows that all voted yes (p, committable).
    PreCommitted,
    /// Committed (c).
    Committed,
    /// Aborted, and never to be prepared (a).
    Aborted,
}

impl Stage {
    /// The decision, if it knows it: whether to commit.
    pub fn decided(self) -> Option<bool> {
        match self {
            Self::Committed => Some(true),
            Self::Aborted => Some(false),
            Self::Prepared | Self::PreCommitted => None,
        }
    }
}

/// A member that leads the termination, or has come back and asks how it went; live.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Termination {
    /// It has asked all others; these have answered. The flag: recovering.
    Asking(BTreeMap<Index, (Stage, bool)>),
    /// These have yet to say that they are precommitted.
    Ordering(BTreeSet<Index>),
}

/// What the leading member is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait.
    Wait,
    /// It may not decide, and asks again later.
    StandDown,
    /// Make these precommitted first.
    Order(Vec<Index>),
    /// Decide; true is commit.
    Decide(bool),
}

impl Default for Termination {
    fn default() -> Self {
        Self::Asking(BTreeMap::new())
    }
}

impl Termination {
    /// What follows, for member `me`; `over` means that who has not answered is dead.
    pub fn next(&self, me: Index, own: (Stage, bool), over: bool, pact: &Pact) -> Next {
        match self {
            Self::Ordering(missing) if over || missing.is_empty() => Next::Decide(true),
            Self::Asking(told) if over || told.len() + 1 >= pact.members.len() => {
                let mut stages = told.clone();
                stages.insert(me, own);
                decide(me, &stages, pact)
            }
            Self::Asking(_) | Self::Ordering(_) => Next::Wait,
        }
    }
}

/// The termination rule (BHG 7.5) over the members that answered, member `me` included.
///
/// Members that were down in between do not count: meanwhile the others may have decided without
/// them. Only if all were down, and all are back, is nobody left who can have, and then the first
/// of them decides over all. A member that is back can therefore never lead while one that never
/// was down is alive: the two would see different sets, and could decide differently.
fn decide(me: Index, told: &BTreeMap<Index, (Stage, bool)>, pact: &Pact) -> Next {
    if let Some(commit) = told.values().find_map(|(stage, _)| stage.decided()) {
        return Next::Decide(commit);
    }
    let all_failed =
        told.len() == pact.members.len() && told.values().all(|(_, recovering)| *recovering);
    let leads = !told[&me].1 || (all_failed && me == 0);
    if !leads {
        return Next::StandDown;
    }
    let counted = || told.iter().filter(|(_, (_, recovering))| all_failed || !recovering);
    if counted().all(|(_, (stage, _))| *stage == Stage::Prepared) {
        return Next::Decide(false);
    }
    let uncertain = counted().filter(|(at, (stage, _))| **at != me && *stage == Stage::Prepared);
    let uncertain: Vec<_> = uncertain.map(|(at, _)| *at).collect();
    if uncertain.is_empty() { Next::Decide(true) } else { Next::Order(uncertain) }
}
