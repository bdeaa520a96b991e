//! A pact: what every member of a transaction knows that can be decided without its coordinator.
//!
//! The words and the pure logic of the two ways to decide that outlive the coordinating node:
//! [`paxos`], Paxos commit, and [`three_phase`], three-phase commit; and [`asking`], what is left
//! when those who would decide have forgotten the run. The machines
//! [`transaction`](crate::transaction) and [`shard`](crate::shard) hold the state, record and send.
//!
//! Messages go one way, from peer to peer, and may be lost, doubled, late and out of order; timers
//! of the machines heal that. Each carries the whole pact, so that a receiver that knows nothing
//! can act, and the number of the role it is for, so that one shard may have several.
//!
//! What one lost message costs until its sender's timer is over:
//!
//! * `Voted`, or the `Accepted` that follows from it: [`BALLOT_MS`], then a ballot of the
//!   coordinator's own.
//! * `Claim`, `Promise`, `Accept`, `Accepted` of such a ballot: nothing while a majority is heard;
//!   else its leader's wait, [`BALLOT_MS`] and more.
//! * `PreCommit`, `PreCommitted`, `Asked`, `Told`, `Led`: [`TERMINATION_MS`]; then who was not
//!   heard is taken for dead. Where nobody is left who could decide, up to [`FORGOTTEN_MS`].
//! * `Decided`: what is left of [`IN_DOUBT_MS`], or of the wait until the next inquiry.
//!
//! Nothing is sent twice within a period. The runtime sends over connections that deliver or break,
//! so that a loss means that a peer or the network is gone, and a second copy would be lost too;
//! and three-phase commit, whose period is the longest, takes a lost message for a dead member by
//! its very assumption: to repeat it sooner would only hide how often that is wrong.

use alloc::{string::String, sync::Arc};
use serde::{Deserialize, Serialize};

pub mod asking;
pub mod paxos;
pub mod three_phase;
mod trace;

use self::{
    paxos::{Ballot, Proposal},
    three_phase::Stage,
};
use crate::{
    id::{BranchId, Cluster, RunId, check_name},
    limits::BRANCHES_MAX,
    transaction::Index,
};

/// How long a branch with a pact is prepared before it asks its coordinator, in ms.
pub const IN_DOUBT_MS: u64 = 1_000;
/// After so many inquiries without any answer a member takes the coordinator for dead.
pub const SILENT_MAX: u32 = 2;
/// How long it waits at least between the first silence and the second, in ms: a coordinator that
/// is only being started again is soon heard.
pub const SILENT_PAUSE_MS: u64 = 250;
/// How long a leader waits for its acceptors at first, in ms; then it claims a higher ballot.
pub const BALLOT_MS: u64 = 500;
/// How long three-phase commit waits for an answer, in ms; who is silent for longer is taken for
/// dead. This is the bounded delay that it rests on.
pub const TERMINATION_MS: u64 = 1_000;
/// Longest wait before the members are asked again about a run that those who decide have
/// forgotten, in ms.
pub const FORGOTTEN_MS: u64 = 60_000;
/// Most faults that acceptors can be asked to bear: 2F of them beside the coordinator.
pub const FAULTS_MAX: usize = 4;

/// What is agreed before the first vote, and told to every member. It goes with every message, so
/// copies share its lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pact {
    /// The coordinator's cluster.
    pub cluster: Cluster,
    /// The run it is about.
    pub run: RunId,
    /// The transaction, by which its coordinator finds it.
    pub gid: String,
    /// How it is decided.
    pub way: Way,
    /// For each branch the name of its shard.
    pub members: Arc<[String]>,
    /// Paxos commit: the names of the 2F shards that are acceptors 1, 2, ...; the coordinator is
    /// acceptor 0. They may be members. With none (F = 0) it is two-phase commit.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub acceptors: Arc<[String]>,
}

/// How a transaction with a pact is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Way {
    /// By a round between the votes and the decision. Not safe when the network parts.
    ThreePhase,
    /// By a majority of acceptors.
    Paxos,
}

/// A process of a transaction: 0 is the coordinator, i + 1 the member with branch i.
pub type Process = u8;

/// Who a message goes to. The runtime knows addresses by configuration only.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// The node of the pact's cluster.
    Coordinator,
    /// A shard, by name.
    Shard(String),
}

fn is_empty(names: &Arc<[String]>) -> bool {
    names.is_empty()
}

impl Pact {
    /// Whether it makes sense: what comes from the network must be asked first.
    pub fn is_sound(&self) -> bool {
        let names = || self.members.iter().chain(&*self.acceptors);
        let acceptors_differ =
            (1..self.acceptors.len()).all(|at| !self.acceptors[..at].contains(&self.acceptors[at]));
        (1..=BRANCHES_MAX).contains(&self.members.len())
            && self.acceptors.len() <= 2 * FAULTS_MAX
            && self.acceptors.len().is_multiple_of(2)
            && acceptors_differ
            && (self.way == Way::Paxos || self.acceptors.is_empty())
            && check_name(&self.gid).is_ok()
            && names().all(|name| check_name(name).is_ok())
    }

    /// Whether it is about this branch.
    pub fn covers(&self, branch: &BranchId) -> bool {
        self.cluster == branch.cluster
            && self.run == branch.run
            && usize::from(branch.index) < self.members.len()
    }

    /// The name of one of its branches.
    pub fn branch(&self, index: Index) -> BranchId {
        BranchId { cluster: self.cluster.clone(), run: self.run, index }
    }

    /// Its branches' indices.
    pub fn indices(&self) -> impl Iterator<Item = Index> + use<> {
        0..u8::try_from(self.members.len()).unwrap_or(u8::MAX)
    }

    /// All processes' numbers.
    pub fn processes(&self) -> impl Iterator<Item = Process> + use<> {
        0..=u8::try_from(self.members.len()).unwrap_or(u8::MAX)
    }

    /// All acceptors' numbers.
    pub fn acceptor_numbers(&self) -> impl Iterator<Item = u8> + use<> {
        0..=u8::try_from(self.acceptors.len()).unwrap_or(u8::MAX)
    }

    /// How many acceptors may be dead.
    pub fn faults(&self) -> usize {
        self.acceptors.len() / 2
    }

    /// Whether the members can decide without the coordinator. Paxos commit with F = 0 is two-phase
    /// commit (Gray and Lamport 2006, section 5).
    pub fn outlives_coordinator(&self) -> bool {
        self.way == Way::ThreePhase || !self.acceptors.is_empty()
    }

    /// Where a process runs; `None` if there is no such process.
    pub fn process(&self, process: Process) -> Option<Peer> {
        Self::numbered(&self.members, process)
    }

    /// Where an acceptor runs; `None` if there is no such acceptor.
    pub fn acceptor(&self, acceptor: u8) -> Option<Peer> {
        Self::numbered(&self.acceptors, acceptor)
    }

    fn numbered(shards: &[String], number: u8) -> Option<Peer> {
        match usize::from(number).checked_sub(1) {
            None => Some(Peer::Coordinator),
            Some(at) => shards.get(at).cloned().map(Peer::Shard),
        }
    }
}

/// What peers say to each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Message {
    /// About which transaction. At a coordinator its gid is the stream.
    pub pact: Pact,
    /// What.
    pub word: Word,
}

/// What a message says. The numbers of the role it is for come with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Word {
    /// Paxos, to an acceptor (phase 2a of ballot 0): this member is prepared.
    Voted {
        /// Whose branch.
        member: Index,
        /// Which acceptor.
        acceptor: u8,
    },
    /// Paxos, to an acceptor (phase 1a): a leader wants to decide.
    Claim {
        /// Its ballot.
        ballot: Ballot,
        /// Which acceptor.
        acceptor: u8,
    },
    /// Paxos, to a leader (phase 1b): nothing below its ballot will be accepted any more.
    Promise {
        /// Its ballot.
        ballot: Ballot,
        /// Which acceptor.
        acceptor: u8,
        /// What this acceptor accepted last.
        accepted: Option<Proposal>,
    },
    /// Paxos, to an acceptor (phase 2a): a leader proposes.
    Accept {
        /// What, and in which ballot.
        proposal: Proposal,
        /// Which acceptor.
        acceptor: u8,
    },
    /// Paxos, to a leader (phase 2b): accepted, for all branches at once.
    Accepted {
        /// What, and in which ballot.
        proposal: Proposal,
        /// Which acceptor.
        acceptor: u8,
    },
    /// Paxos, to a leader: this acceptor has promised a higher ballot to someone else.
    Outbid {
        /// The leader's ballot.
        ballot: Ballot,
        /// Which acceptor.
        acceptor: u8,
        /// The ballot it must exceed.
        promised: Ballot,
    },
    /// Paxos, to a leader: this acceptor may have forgotten what it promised for the run. It will
    /// promise and accept no more, which is as if it were dead for good.
    Retired {
        /// The leader's ballot.
        ballot: Ballot,
        /// Which acceptor.
        acceptor: u8,
    },
    /// To a process: it is decided.
    Decided {
        /// Which process.
        to: Process,
        /// How.
        commit: bool,
    },
    /// Three-phase, to a member: all voted yes; move to precommitted and say so.
    PreCommit {
        /// Who leads.
        by: Process,
        /// Which member.
        member: Index,
    },
    /// Three-phase, to who leads: this member is precommitted.
    PreCommitted {
        /// Who leads.
        by: Process,
        /// Which member.
        member: Index,
    },
    /// To a member: how far is it? With Paxos: only whether it knows the end, see [`asking`].
    Asked {
        /// Who asks.
        by: Process,
        /// Which member.
        member: Index,
        /// Whether the asker wants to decide; if not it has only lost its own knowledge.
        leads: bool,
    },
    /// To who asked: so far is this member.
    Told {
        /// Who asked.
        by: Process,
        /// Which member.
        member: Index,
        /// How far it is.
        stage: Stage,
        /// It was down in between, so its stage does not count among those that never were.
        recovering: bool,
    },
    /// Three-phase, to a member that wants to lead: another one leads.
    Led {
        /// Who asked.
        by: Process,
        /// The member that says so.
        member: Index,
        /// The member that leads.
        leader: Index,
    },
    /// To who asked: this member may have ended its branch, and does not know any more how.
    Forgotten {
        /// Who asked.
        by: Process,
        /// Which member.
        member: Index,
    },
}

impl Word {
    /// In which ballot an acceptor answers its leader; `None` for every other word.
    pub fn ballot_answered(&self) -> Option<Ballot> {
        match *self {
            Self::Promise { ballot, .. }
            | Self::Outbid { ballot, .. }
            | Self::Retired { ballot, .. }
            | Self::Accepted { proposal: Proposal { ballot, .. }, .. } => Some(ballot),
            _ => None,
        }
    }

    /// Where it goes under this pact; `None` if the pact has no such role.
    pub fn to(&self, pact: &Pact) -> Option<Peer> {
        match *self {
            Self::Voted { acceptor, .. }
            | Self::Claim { acceptor, .. }
            | Self::Accept { acceptor, .. } => pact.acceptor(acceptor),
            Self::Promise { .. }
            | Self::Outbid { .. }
            | Self::Accepted { .. }
            | Self::Retired { .. } => pact.process(self.ballot_answered()?.leader(pact)),
            Self::Decided { to, .. } => pact.process(to),
            Self::PreCommit { member, .. } | Self::Asked { member, .. } => {
                pact.process(member.saturating_add(1))
            }
            Self::PreCommitted { by, .. }
            | Self::Told { by, .. }
            | Self::Led { by, .. }
            | Self::Forgotten { by, .. } => pact.process(by),
        }
    }
}
