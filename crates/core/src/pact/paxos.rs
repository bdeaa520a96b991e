//! Paxos commit (Gray and Lamport 2006; TLA+ module PaxosCommit): acceptors and leaders.
//!
//! ```text
//! member    ── prepared, forced ──▶ vote to the coordinator, Voted to acceptors 1..=F
//! acceptor  ── all N, forced ─────▶ Accepted(b0)
//! leader    ── F + 1 Accepted ────▶ decided                            (ballot 0: coordinator)
//!
//! takeover  ── Claimed, forced ───▶ Claim ──▶ Promise ──▶ Accept ──▶ Accepted ──▶ decided
//! ```
//!
//! There is one instance of Paxos for each branch, with the value prepared or aborted; all
//! prepared is commit. An acceptor takes the branches' own ballot 0 only when it has it from all of
//! them, and writes it once (section 5: bundled 2b messages); leaders propose for all at once. So
//! in an acceptor all instances have the same ballot, and from that the same value: prepared if it
//! stems from ballot 0, aborted if a leader was free to choose. One word stands for all of them.
//!
//! * Ballots are dealt out among the leaders, and the largest used one is forced before it leaves:
//!   there is at most one 2a for each ballot and instance (comment of Phase2a in the module).
//! * A leader with F + 1 promises must propose what has the highest ballot among them; if nothing
//!   was accepted it proposes aborted, never prepared (4.2).
//! * With F acceptors dead the others decide; two leaders can only delay each other.

use alloc::collections::{BTreeMap, BTreeSet};
use serde::{Deserialize, Serialize};

use super::{BALLOT_MS, Pact, Process, Word};

/// Longest wait of a leader before it claims a higher ballot, in ms.
const BALLOT_MAX_MS: u64 = 8_000;

/// A ballot: 0 is the branches' own, round * (N + 1) + leader are those of the leaders.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Ballot(pub u64);

/// What is chosen for every branch of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Prepared: the transaction commits.
    Prepared,
    /// Aborted.
    Aborted,
}

/// A value in a ballot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Proposal {
    /// In which ballot.
    pub ballot: Ballot,
    /// What.
    pub value: Value,
}

impl Ballot {
    /// Whether it is the branches' own.
    pub fn is_first(&self) -> bool {
        *self == Self::default()
    }

    /// Whose ballot it is. Ballot 0 is led by the coordinator.
    pub fn leader(self, pact: &Pact) -> Process {
        u8::try_from(self.0 % processes(pact)).unwrap_or_default()
    }

    /// The leader's first ballot above this one; `None` if there are no numbers left.
    pub fn next(self, leader: Process, pact: &Pact) -> Option<Self> {
        let round = self.0 / processes(pact) + 1;
        round.checked_mul(processes(pact))?.checked_add(leader.into()).map(Self)
    }
}

fn processes(pact: &Pact) -> u64 {
    pact.members.len() as u64 + 1
}

impl Proposal {
    /// What the branches themselves propose by voting yes.
    pub const OWN: Self = Self { ballot: Ballot(0), value: Value::Prepared };
}

/// What an acceptor has promised for a run; saved.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Acceptor {
    /// Nothing below this ballot is accepted any more.
    pub promised: Ballot,
    /// What was accepted last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Proposal>,
}

/// What an acceptor must force before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// See [`Acceptor::promised`].
    Promised(Ballot),
    /// See [`Acceptor::accepted`].
    Accepted(Proposal),
}

impl Acceptor {
    /// A leader claims a ballot (phase 1b). What to force, and what to answer.
    pub fn claimed(&self, ballot: Ballot, acceptor: u8) -> (Option<Change>, Word) {
        if ballot < self.promised {
            return (None, Word::Outbid { ballot, acceptor, promised: self.promised });
        }
        let change = (ballot > self.promised).then_some(Change::Promised(ballot));
        (change, Word::Promise { ballot, acceptor, accepted: self.accepted })
    }

    /// A leader proposes, or all branches have (phase 2b). What to force, and what to answer.
    pub fn proposed(&self, proposal: Proposal, acceptor: u8) -> (Option<Change>, Word) {
        let Proposal { ballot, .. } = proposal;
        match self.accepted {
            _ if ballot < self.promised => {
                (None, Word::Outbid { ballot, acceptor, promised: self.promised })
            }
            Some(before) if before.ballot == ballot => {
                (None, Word::Accepted { proposal: before, acceptor })
            }
            _ => (Some(Change::Accepted(proposal)), Word::Accepted { proposal, acceptor }),
        }
    }

    /// Takes a recorded change.
    pub fn apply(&mut self, change: Change) {
        match change {
            Change::Promised(ballot) => self.promised = self.promised.max(ballot),
            Change::Accepted(proposal) => {
                self.promised = self.promised.max(proposal.ballot);
                self.accepted = Some(proposal);
            }
        }
    }
}

/// One who wants to decide; live: after a crash it leads in a higher ballot, or not at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leader {
    /// Its ballot.
    pub ballot: Ballot,
    /// The highest ballot that it was told of.
    pub seen: Ballot,
    /// How often it claimed.
    pub tries: u32,
    /// Acceptors that have forgotten the run.
    pub retired: BTreeSet<u8>,
    /// How far it is.
    pub phase: Phase,
}

/// How far a leader is in its ballot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Another one has a higher ballot. It waits, then claims above.
    Outbid,
    /// It has these promises: by acceptor, what was accepted there.
    Claiming(BTreeMap<u8, Option<Proposal>>),
    /// These acceptors have accepted this value.
    Proposing(Value, BTreeSet<u8>),
}

/// What a leader is to do after an acceptor's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Nothing new.
    Nothing,
    /// Propose this to all acceptors.
    Propose(Proposal),
    /// This is chosen: it is decided.
    Chosen(Value),
    /// Wait, if it does not already: somebody else was faster, now or before.
    Outbid,
    /// So many acceptors have forgotten the run that there never will be a majority.
    Forgotten,
}

impl Default for Phase {
    /// Ballot 0, in which the branches propose.
    fn default() -> Self {
        Self::Proposing(Value::Prepared, BTreeSet::new())
    }
}

impl Leader {
    /// Takes the process' next ballot above all it knows, `used` among them. The ballot must be
    /// forced before the claim leaves. `None` if there are no numbers left.
    pub fn claim(&mut self, process: Process, used: Ballot, pact: &Pact) -> Option<Ballot> {
        let above = used.max(self.ballot).max(self.seen);
        self.ballot = above.next(process, pact)?;
        self.tries = self.tries.saturating_add(1);
        self.phase = Phase::Claiming(BTreeMap::new());
        Some(self.ballot)
    }

    /// An acceptor answers. What is late names another ballot than the current.
    pub fn hear(&mut self, word: Word, pact: &Pact) -> Heard {
        match word {
            Word::Promise { ballot, acceptor, accepted } => self
                .promised(ballot, acceptor, accepted, pact)
                .map_or(Heard::Nothing, Heard::Propose),
            Word::Accepted { proposal, acceptor } => {
                self.accepted(proposal, acceptor, pact).map_or(Heard::Nothing, Heard::Chosen)
            }
            Word::Outbid { ballot, promised, .. } => {
                self.outbid(ballot, promised);
                Heard::Outbid
            }
            Word::Retired { acceptor, .. } if pact.acceptor(acceptor).is_some() => {
                self.retired.insert(acceptor);
                let is_over = is_majority(self.retired.len(), pact);
                if is_over { Heard::Forgotten } else { Heard::Nothing }
            }
            _ => Heard::Nothing,
        }
    }

    /// How long to wait for the acceptors before claiming again. Longer with every try, and of
    /// different length for each process, lest two leaders outbid each other for ever.
    pub fn wait_ms(&self, process: Process) -> u64 {
        let doublings = self.tries.saturating_sub(1).min(8);
        (BALLOT_MS << doublings).min(BALLOT_MAX_MS) + u64::from(process) * BALLOT_MS / 4
    }

    /// An acceptor promised. What to propose to all acceptors, once it is a majority.
    fn promised(
        &mut self,
        ballot: Ballot,
        acceptor: u8,
        accepted: Option<Proposal>,
        pact: &Pact,
    ) -> Option<Proposal> {
        let Phase::Claiming(promises) = &mut self.phase else { return None };
        if ballot != self.ballot || pact.acceptor(acceptor).is_none() {
            return None;
        }
        promises.insert(acceptor, accepted);
        if !is_majority(promises.len(), pact) {
            return None;
        }
        let last = promises.values().flatten().max_by_key(|proposal| proposal.ballot);
        let value = last.map_or(Value::Aborted, |proposal| proposal.value);
        self.phase = Phase::Proposing(value, BTreeSet::new());
        Some(Proposal { ballot, value })
    }

    /// An acceptor accepted. What is chosen, once it is a majority.
    fn accepted(&mut self, proposal: Proposal, acceptor: u8, pact: &Pact) -> Option<Value> {
        let Phase::Proposing(value, accepted) = &mut self.phase else { return None };
        let own = Proposal { ballot: self.ballot, value: *value };
        if proposal != own || pact.acceptor(acceptor).is_none() {
            return None;
        }
        accepted.insert(acceptor);
        is_majority(accepted.len(), pact).then_some(*value)
    }

    /// An acceptor has promised a higher ballot to another leader.
    fn outbid(&mut self, ballot: Ballot, promised: Ballot) {
        if ballot == self.ballot {
            self.seen = self.seen.max(promised);
            self.phase = Phase::Outbid;
        }
    }
}

/// F + 1 of 2F + 1.
fn is_majority(acceptors: usize, pact: &Pact) -> bool {
    acceptors > pact.faults()
}
