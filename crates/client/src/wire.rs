//! The wire: what requests and answers look like as JSON. Described by `/openapi.json`.
//!
//! These types depend on nothing else of Handfast, so that a change inside never changes the wire.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

mod operate;
mod saga;
mod service;
mod work;

pub use operate::*;
pub use saga::*;
pub use service::*;
pub use work::*;

/// A whole transaction to run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BeginTransaction {
    /// The caller's name for it, 1 to 64 of letters, digits and `. _ - :`. The same gid with the
    /// same content is the same transaction and has one answer; made by the server if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
    /// Within this time all branches must have voted, or it is aborted. Default 5000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// When the caller is answered: at the decision (default), or when every branch applied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<AckWhen>,
    /// Whether this request waits for the outcome (default) or returns at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Prepare everything, then wait for `:commit` or `:abort`; aborted when `timeout_ms` is over.
    /// A request that waits is answered 202, state `held`, when all branches have voted yes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub hold: bool,
    /// How commit or abort is decided. Everything but `log` needs shards that know each other.
    #[serde(default, skip_serializing_if = "Decide::is_log")]
    pub decide: Decide,
    /// Leave it open: branches may be added until `:commit` or `:abort`, or until `deadline_ms` is
    /// over. Steps are done at once, branches that prepare after `:commit`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub open: bool,
    /// Within this time it must be decided, or it is aborted; no limit if absent, 60 s if `open` or
    /// `hold` with steps. `timeout_ms` is for the votes of branches that prepare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What its calls may use as `{{input.field}}`: an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
    /// Two-phase message: whom to ask when an open transaction's deadline is over and no word has
    /// come. Done (2xx) means commit; refused (409, 422) means abort; anything else: asked again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Ask>,
    /// 1 to 64, with different names; of an open transaction maybe none at first.
    #[serde(default)]
    pub branches: Vec<Branch>,
}

/// How commit or abort is decided.
///
/// `log` (default): by one record of the node; while the node is away, branches wait for it.
/// `paxos`: by a majority of the node and its acceptors; the shards finish without the node, those
/// that reach a majority also when the network partitions. `three_phase`: by a round more; the
/// shards finish without the node, but when the network parts, a message is lost, or a node is slow
/// and not dead, it may split the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Decide {
    /// By one record in the node's log.
    #[default]
    Log,
    /// By a pre-commit round among the shards. It may commit on one shard and abort on another when
    /// the network partitions or a node is slow.
    ThreePhase,
    /// By a majority of acceptors, for each branch.
    Paxos,
}

impl Decide {
    /// Whether it is the default.
    pub fn is_log(&self) -> bool {
        *self == Self::Log
    }
}

/// When the caller is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum AckWhen {
    /// As soon as the decision is durable.
    #[default]
    Decided,
    /// When every branch has applied the decision.
    Applied,
}

/// Whether a request waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// Until the outcome, at most a little longer than `timeout_ms`; then 202.
    #[default]
    Outcome,
    /// Not at all: 202 with the place to ask.
    None,
}

/// One participant's part.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// Its name within the transaction.
    pub name: String,
    /// The configured resource.
    pub resource: String,
    /// What it does before and after the decision; `prepare` if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BranchKind>,
    /// Which branches come before it. If absent: a step comes after the step before it in the
    /// list, a branch that prepares after all steps, a delivery after none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<String>>,
    /// Statements, for a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sql: Option<Vec<Statement>>,
    /// Key operations, for a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<Vec<KeyOp>>,
    /// Isolation level, for a database.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// Most time for one statement; the resource's setting if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement_timeout_ms: Option<u64>,
    /// Most time to wait for one lock; the resource's setting if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock_timeout_ms: Option<u64>,
    /// What a step or delivery calls.
    #[serde(default, rename = "do", skip_serializing_if = "Option::is_none")]
    pub act: Option<Call>,
    /// What takes the step back if the transaction aborts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Call>,
    /// A reservation (kind `prepare`): what makes it.
    #[serde(default, rename = "try", skip_serializing_if = "Option::is_none")]
    pub attempt: Option<Call>,
    /// What makes the reservation final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Call>,
    /// What gives the reservation back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Call>,
    /// What a delivery sends, as a CloudEvent; instead of `do`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// How a step, or a delivery, is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// How its undo is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo_retry: Option<Retry>,
    /// Whether 404 or 410 to undo or cancel means that there is nothing to undo.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent_is_undone: bool,
    /// Deliveries with one key to one resource arrive in the order of their decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_key: Option<String>,
    /// How hard it is to take back: a hint for `handfast saga lint` that changes nothing in a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensation: Option<Compensation>,
}

/// What a branch does before and after the decision.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum BranchKind {
    /// Prepares and votes; then commits or aborts as decided.
    #[default]
    Prepare,
    /// Is done before the decision, and undone if that is to abort.
    Step,
    /// Is done after the decision to commit, until it succeeds.
    Deliver,
}

/// What the caller is told: exactly what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It happens, everywhere.
    Committed,
    /// It does not happen, anywhere.
    Aborted,
    /// Not known yet, or not known to this answer: ask again.
    Unknown,
}

/// What a transaction waits for, or how it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Waits for votes.
    Preparing,
    /// Its steps are being done.
    Running,
    /// All branches voted yes; waits for `:commit` or `:abort`.
    Held,
    /// Its only branch commits in one phase, or shards decide with the node: waits for what they
    /// say.
    Deciding,
    /// Decided; waits for branches to commit.
    Committing,
    /// Decided; waits for branches to roll back.
    Aborting,
    /// Committed everywhere.
    Committed,
    /// Aborted everywhere.
    Aborted,
    /// A branch was finished against the decision by someone else; waits for a person.
    Mixed,
}

/// A transaction as it is known now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Transaction {
    /// Its name.
    pub gid: String,
    /// What is known.
    pub outcome: Outcome,
    /// What it waits for.
    pub state: State,
    /// The saga it is a run of, with its version: `order@3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// How it is decided; `log` where this answer does not know.
    #[serde(default, skip_serializing_if = "Decide::is_log")]
    pub decide: Decide,
    /// True if it needs an operator; the branch, or `asking`, says why.
    #[serde(default)]
    pub stuck: bool,
    /// Why it was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<AbortReason>,
    /// When its decision was recorded, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at_ms: Option<u64>,
    /// While it is not decided: when its time is over, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_at_ms: Option<u64>,
    /// Its time is over, and its caller's service is asked whether the caller's local transaction
    /// committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asking: Option<Asking>,
    /// Its branches, in the caller's order.
    #[serde(default)]
    pub branches: Vec<BranchView>,
    /// Rows returned, by branch; only in the answer to the request that ran it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<String, Vec<ResultSet>>,
    /// What happened, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub timeline: Vec<TimelineEntry>,
}

/// How asking goes whether the local transaction of an open transaction's caller committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Asking {
    /// Whom.
    pub resource: String,
    /// How often it was asked, since the node started or an operator's `:retry`.
    pub attempts: u32,
    /// Its last answer, if that told nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<String>,
    /// When it is asked again, in milliseconds since 1970; absent while it is being asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at_ms: Option<u64>,
}

/// Why a transaction was aborted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct AbortReason {
    /// The branch because of which it was aborted; absent if it was not a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// A stable code, explained in docs/errors.md.
    pub code: String,
    /// What happened, in words.
    pub message: String,
    /// What can be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// What the service answered, where one refused: its JSON, or its text; a longer one than
    /// 64 KiB is cut, and is a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
    /// Whether the same request may succeed if sent again under a new gid.
    pub retryable: bool,
}

/// One branch as it is known now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BranchView {
    /// Its name.
    pub name: String,
    /// Its resource.
    pub resource: String,
    /// What it does before and after the decision.
    #[serde(default)]
    pub kind: BranchKind,
    /// Which branches come before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// The name it has at the participant.
    pub id: String,
    /// What is known of it.
    pub state: BranchState,
    /// Tries so far of what it waits for, since the node started; of what is settled, all tries
    /// that the log tells of, where one transaction is shown.
    #[serde(default)]
    pub attempts: u32,
    /// What a step or reservation has put out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<serde_json::Value>,
    /// The participant's last answer that was not success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer: Option<String>,
    /// When it is tried again, in milliseconds since 1970; absent while it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at_ms: Option<u64>,
    /// What must come first, if it is something else than the branches that come before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits_for: Option<String>,
    /// What it calls of its service; only where one transaction is shown, and only if it has steps,
    /// deliveries or reservations.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallView>,
}

/// A call as it is kept: with its templates, and without the values of its headers, since those may
/// be secrets.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct CallView {
    /// `do`, `undo`, `deliver`, `try`, `confirm` or `cancel`.
    pub verb: String,
    /// Method and path: `POST /bookings`.
    pub call: String,
    /// The names of its headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<String>,
    /// Sent as JSON; no body if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<serde_json::Value>,
}

/// What is known of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum BranchState {
    /// Its turn has not come.
    Waiting,
    /// No vote, or no answer yet.
    Working,
    /// The step is done.
    Done,
    /// The step is undone.
    Undone,
    /// Not begun, and never will be.
    Skipped,
    /// Not done, and never will be, though nobody refused it: no call of it arrived, or could be
    /// made, none was taken, or an operator said so.
    NotDone,
    /// Voted yes.
    Prepared,
    /// Wrote nothing; done.
    ReadOnly,
    /// Voted no, or its service refused for business reasons; holds nothing.
    Refused,
    /// Decided, not yet known to be finished. Of a step before the decision: it may have been
    /// called before the node restarted, and its turn has not come again.
    InDoubt,
    /// As in doubt, and an operator must look.
    Stuck,
    /// Finished as decided.
    Finished,
    /// Finished against the decision by someone else.
    Heuristic,
    /// Declared finished by an operator.
    Resolved,
}

/// Rows that one statement returned.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct ResultSet {
    /// Column names.
    pub columns: Vec<String>,
    /// Rows of values; bytes as `{"bytes": "<base64>"}`.
    pub rows: Vec<Vec<serde_json::Value>>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TimelineEntry {
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// The record's place in the log; absent for what was only seen, not recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// What: a record's kind, how a call ended, or `asked`.
    pub what: String,
    /// The branch it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The call that ended: `do`, `undo`, `deliver`, `prepare`, `try`, `commit`, `abort`, `confirm`
    /// or `cancel`; only of a transaction with steps, deliveries or reservations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// How often it was tried, since the node started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tries: Option<u32>,
    /// How long the last try took, in milliseconds, with its wait for a free connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// More, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A problem, as application/problem+json (RFC 9457).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Problem {
    /// Where the code is explained.
    #[serde(rename = "type")]
    pub kind: String,
    /// The HTTP status.
    pub status: u16,
    /// A stable code.
    pub code: String,
    /// The code in a few words.
    pub title: String,
    /// What was wrong with this request.
    pub detail: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cure: String,
    /// The branch it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Whether the same request may succeed later.
    #[serde(default)]
    pub retryable: bool,
    /// The transaction, where the problem is that it was aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Box<Transaction>>,
}

/// The answer to a participant that asks what was decided for its branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Inquiry {
    /// Commit it.
    Commit,
    /// Roll it back.
    Abort,
    /// Not decided: ask again.
    Pending,
}
