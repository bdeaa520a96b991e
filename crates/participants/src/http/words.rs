//! What Handfast's participant protocol says, as JSON. `docs/participant-protocol.md` explains it.

use handfast_core::{
    pact::{Message, Pact},
    vote::Refusal,
    work::{Rows, Work},
};
use serde::{Deserialize, Serialize};

/// `POST /v1/branches/{branch}/prepare`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepare {
    /// What the branch is to do.
    pub work: Work,
    /// The vote is of no use after this time, in ms.
    pub within_ms: u64,
    /// Who else takes part, where the participants finish among themselves if need be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pact: Option<Pact>,
}

/// The answer to a prepare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Voted {
    /// The vote.
    pub vote: VoteWord,
    /// Why; with a no.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refusal: Option<Refusal>,
    /// What the work returned; with a yes or read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<Rows>,
}

/// A vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteWord {
    /// Prepared durably.
    Yes,
    /// Holds nothing and never will.
    No,
    /// Wrote nothing, holds nothing.
    ReadOnly,
}

/// The answer to `POST /v1/branches/{branch}/commit` and `/abort`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acked {
    /// What became of the branch.
    pub ack: AckWord,
    /// More, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// What became of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AckWord {
    /// It is finished as told, now or before.
    Finished,
    /// It was finished against what it is told now.
    Heuristic,
    /// Nobody knows any more: it was finished very long ago, or never was here.
    Forgotten,
}

/// The answer to `GET /v1/branches`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branches {
    /// Prepared, not decided, in the order of their ids.
    pub in_doubt: Vec<InDoubtBranch>,
    /// How many branches wait for locks.
    #[serde(default)]
    pub waiting: u64,
    /// How many are prepared by others than Handfast.
    #[serde(default)]
    pub foreign: u64,
    /// Give it as `after` to get those that follow; absent on the last page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// The name by which it sends messages to others; absent if it takes part in no pact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A branch in doubt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InDoubtBranch {
    /// Its id.
    pub branch: String,
    /// How long it has been prepared, where that is known, in ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// Why nobody but an operator can end it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<String>,
}

/// The answer to `GET /v1/check`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// [`PROTOCOL`].
    pub protocol: String,
    /// With whom it can share a pact; absent if it takes part in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knows: Option<Knows>,
}

/// Whom a service finds without being told an address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knows {
    /// The other services, by name.
    pub peers: Vec<String>,
    /// The clusters whose node it knows.
    pub clusters: Vec<String>,
    /// It knows a node for all other clusters.
    #[serde(default)]
    pub any_cluster: bool,
}

/// The protocol's name and version.
pub const PROTOCOL: &str = "handfast-participant/1";

/// The answer of a node to `GET /v1/inquiries/{branch}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inquiry {
    /// What was decided.
    pub decision: DecisionWord,
}

/// What was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DecisionWord {
    /// Commit.
    Commit,
    /// Roll back.
    Abort,
    /// Not decided: ask again.
    Pending,
}

/// `POST /v1/messages`: what peers tell each other, in one direction. Each may be lost, come twice
/// or come late.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Messages {
    /// At most [`MESSAGES_MAX`].
    pub messages: Vec<Message>,
}

/// The answer to `POST /v1/messages`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// How many were taken; the others are lost, as messages may be.
    pub taken: usize,
}

/// Most messages of one request. The longest has less than 8 KiB, so that the longest request stays
/// well below [`BODY_BYTES_MAX`](super::BODY_BYTES_MAX).
pub const MESSAGES_MAX: usize = 64;
