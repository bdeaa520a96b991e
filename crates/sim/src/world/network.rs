//! What is under way between two of a world.

use std::sync::Arc;

use handfast_core::{
    pact,
    shard::Inquired,
    vote::{Ack, Reply, Vote},
};

use super::{Branch, Place, Plan};

/// A message under way. It may arrive, now or after any other; be lost; be doubled.
pub type Packet = Arc<Message>;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A coordinator asks something of a branch.
    Call(Branch, Call),
    /// A branch answers the prepare.
    Vote(Branch, Vote),
    /// A service answers the do of a step.
    Reply(Branch, Reply),
    /// A branch answers the decision.
    Ack(Branch, Ack),
    /// Whether its caller's local transaction committed is asked, at the place of a branch.
    Ask(Branch),
    /// It has, or never will.
    AskedBack(Branch, bool),
    /// A shard asks what was decided about a branch.
    Inquiry(Branch),
    /// What the shard is told.
    Told(Branch, Inquired),
    /// One who decides with others says something, from one to the other.
    Peer(Place, Place, pact::Message),
}

/// What is asked of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// To do its work and vote.
    Prepare {
        /// And to keep the work open instead of preparing.
        one_phase: bool,
    },
    /// To commit.
    Commit {
        /// And so to decide.
        one_phase: bool,
    },
    /// To roll back.
    Abort,
    /// To do a step.
    Do,
    /// To undo it.
    Undo,
    /// To take a delivery.
    Take,
    /// To end as found by a search, whose answer nobody waits for.
    Orphan {
        /// How.
        committed: bool,
    },
}

impl Message {
    /// Who sent it.
    pub fn from(&self, plan: &Plan) -> Place {
        match self {
            Self::Call(branch, _) | Self::Told(branch, _) | Self::Ask(branch) => {
                Place::Coordinator(branch.coordinator)
            }
            Self::Vote(branch, _)
            | Self::AskedBack(branch, _)
            | Self::Reply(branch, _)
            | Self::Ack(branch, _)
            | Self::Inquiry(branch) => plan.branch(*branch).at,
            Self::Peer(from, ..) => *from,
        }
    }

    /// To whom.
    pub fn to(&self, plan: &Plan) -> Place {
        match self {
            Self::Call(branch, _) | Self::Told(branch, _) | Self::Ask(branch) => {
                plan.branch(*branch).at
            }
            Self::Vote(branch, _)
            | Self::AskedBack(branch, _)
            | Self::Reply(branch, _)
            | Self::Ack(branch, _)
            | Self::Inquiry(branch) => Place::Coordinator(branch.coordinator),
            Self::Peer(_, to, _) => *to,
        }
    }

    /// The branch that it is about, if it is about one.
    pub fn branch(&self) -> Option<Branch> {
        match self {
            Self::Call(branch, _)
            | Self::Ask(branch)
            | Self::AskedBack(branch, _)
            | Self::Vote(branch, _)
            | Self::Reply(branch, _)
            | Self::Ack(branch, _)
            | Self::Inquiry(branch)
            | Self::Told(branch, _) => Some(*branch),
            Self::Peer(..) => None,
        }
    }

    /// Whether it is a call to that branch that somebody waits for, or its answer.
    pub fn is_about(&self, branch: Branch) -> bool {
        match self {
            Self::Call(_, Call::Orphan { .. })
            | Self::Ask(_)
            | Self::AskedBack(..)
            | Self::Inquiry(_)
            | Self::Told(..)
            | Self::Peer(..) => false,
            Self::Call(about, _)
            | Self::Vote(about, _)
            | Self::Reply(about, _)
            | Self::Ack(about, _) => *about == branch,
        }
    }
}
