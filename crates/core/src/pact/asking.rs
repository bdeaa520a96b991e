//! Asking the members how a run ended, when those who would decide it have forgotten it.
//!
//! Acceptors and members remember only so many runs. Who finds that a majority of acceptors has
//! forgotten one (with three-phase commit: that a member has) can lead to no decision any more: an
//! acceptor that is asked anew knows nothing of what it accepted. But a member may know the end.
//!
//! Only an end is the end; from anything else nothing may be concluded. A member that has forgotten
//! the run ended it, either way. Even if all are prepared, so that none has: the coordinator only
//! notes a commit, so that a caller may have been told it before a crash lost the note; and
//! acceptors may have accepted an abort of which their leader has yet to hear. So it stays in doubt
//! until an operator has looked, or a member is back that knows.

use alloc::{collections::BTreeSet, format, string::String};

use super::{FORGOTTEN_MS, Pact, TERMINATION_MS, Way, Word};
use crate::transaction::Index;

/// After so many periods in vain the wait is at its longest.
const VAIN_MAX: u32 = 6;

/// What was heard from members that do not know the end; live.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asking {
    /// These are prepared.
    pub prepared: BTreeSet<Index>,
    /// These may have ended their branch, and do not know any more how.
    pub forgotten: BTreeSet<Index>,
    /// How many whole periods are over since there was nobody left who could decide.
    pub vain: u32,
}

impl Asking {
    /// As asked by a member, which is prepared itself.
    pub fn by_member(member: Index) -> Self {
        Self { prepared: BTreeSet::from([member]), ..Self::default() }
    }

    /// A member answers, and does not know the end.
    pub fn hear(&mut self, word: Word, pact: &Pact) {
        let is_member = |member: Index| usize::from(member) < pact.members.len();
        match word {
            // One that has forgotten may have said that it is prepared before.
            Word::Told { member, .. } if is_member(member) && !self.forgotten.contains(&member) => {
                self.prepared.insert(member);
            }
            Word::Forgotten { member, .. } if is_member(member) => {
                self.prepared.remove(&member);
                self.forgotten.insert(member);
            }
            _ => {}
        }
    }

    /// A whole period is over, and nobody has told the end.
    pub fn period_over(&mut self, pact: &Pact) {
        if self.is_lost(pact) {
            self.vain = (self.vain + 1).min(VAIN_MAX);
        }
    }

    /// How long to wait for the end: longer and longer, once nobody is left who could decide.
    pub fn wait_ms(&self) -> u64 {
        (TERMINATION_MS << self.vain).min(FORGOTTEN_MS)
    }

    /// Why only an operator can end it, once a whole period is over in vain.
    pub fn stuck(&self, pact: &Pact) -> Option<String> {
        if self.vain == 0 {
            return None;
        }
        let who = match pact.way {
            Way::Paxos => "most of its acceptors have",
            Way::ThreePhase => "a member has",
        };
        let (prepared, forgotten) = (self.prepared.len(), self.forgotten.len());
        let silent = self.silent(pact);
        let so = if prepared == pact.members.len() {
            "none has ended it, but its caller may have been told of a commit, and acceptors may \
             have accepted an abort, so nothing is concluded: an operator must say how it ends"
        } else if silent > 0 {
            "only one that is silent, or the data of the shards, can show whether it is committed \
             there"
        } else {
            "only the data of the shards can show whether it is committed there"
        };
        Some(format!(
            "{who} forgotten the run, and no member tells how it ended (prepared: {prepared}, \
             forgotten: {forgotten}, silent: {silent}): {so}"
        ))
    }

    /// Whether nobody is left who could decide. With Paxos that is why it is asked at all. With
    /// three-phase commit the members terminate; not if one of them did, and knows no more how.
    fn is_lost(&self, pact: &Pact) -> bool {
        pact.way == Way::Paxos || (!self.forgotten.is_empty() && self.silent(pact) == 0)
    }

    fn silent(&self, pact: &Pact) -> usize {
        pact.members.len().saturating_sub(self.prepared.len() + self.forgotten.len())
    }
}
