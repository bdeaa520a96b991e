//! What operators see and say: lists, commands, resources.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{Outcome, State};

/// One line of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TransactionLine {
    /// Its name.
    pub gid: String,
    /// What it waits for.
    pub state: State,
    /// True if it needs an operator.
    #[serde(default)]
    pub stuck: bool,
    /// Where it needs an operator; absent if it does not, or if that could not be read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stuck_at: Vec<StuckAt>,
    /// Its resources.
    pub resources: Vec<String>,
    /// The saga it is a run of, with its version: `order@3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// When it last changed, in milliseconds since 1970.
    pub changed_at_ms: u64,
}

/// What of a transaction waits for an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct StuckAt {
    /// The branch; absent if it is its caller's service, which is asked in vain whether the
    /// caller's local transaction committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its resource.
    pub resource: String,
    /// The beginning of what was answered there last, as far as the node has it in mind; or else of
    /// what was answered when it became stuck.
    pub last_answer: String,
}

/// A page of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct TransactionPage {
    /// The lines; maybe fewer than asked for, maybe none, though others follow.
    pub transactions: Vec<TransactionLine>,
    /// Give it as `after` to get the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What the list may be filtered by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema, utoipa::IntoParams))]
#[cfg_attr(feature = "openapi", into_params(parameter_in = Query))]
#[serde(deny_unknown_fields)]
pub struct ListFilter {
    /// A state's name, or `in-doubt` (decided or deciding, not finished), `open`, `stuck`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Only transactions with a branch at this resource; of `stuck` ones, only those that are
    /// stuck there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Only runs of this saga, in whatever version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// Only gids that start with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Lines on a page, 1 to 500; default 50.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// The `next` of the page before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// An operator's word, with the reason that is kept with it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Because {
    /// Why; kept in the log. Required for `:resolve`.
    #[serde(default)]
    pub reason: String,
}

/// An operator declares a branch finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Resolve {
    /// Which branch.
    pub branch: String,
    /// What the operator saw there: committed or aborted.
    pub outcome: Outcome,
    /// Why; kept in the log.
    pub reason: String,
}

/// An operator has branches tried again now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RetryNow {
    /// Which branch; all that wait if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Why; kept in the node's log of operators' words.
    #[serde(default)]
    pub reason: String,
}

/// An operator gives a branch other calls, and has it tried again.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// The branch, with its name, resource and kind as they were, and its calls as they shall be.
    pub branch: super::Branch,
    /// Why; kept in the log.
    pub reason: String,
}

/// What would follow from an operator's word, in words; nothing has happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct DryRun {
    /// What to think of first: it would end against its decision, which cannot be taken back, or
    /// the word changes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// What would be recorded, in order, as its timeline would say it.
    pub records: Vec<String>,
    /// What would leave then at once, in order.
    pub effects: Vec<String>,
    /// What would come after that, as far as anybody can know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<String>,
}

/// One word to many transactions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Bulk {
    /// To which.
    pub filter: ListFilter,
    /// Why; kept in the log.
    #[serde(default)]
    pub reason: String,
    /// Only tell what would follow; so says `?dry_run=true`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// The same other calls for one branch of many transactions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkEdit {
    /// In which.
    pub filter: ListFilter,
    /// The branch, as in [`Edit`]; one that differs in resource or kind is refused.
    pub branch: super::Branch,
    /// Why; kept in the log.
    pub reason: String,
    /// Only tell what would follow; so says `?dry_run=true`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// An operator declares branches of many transactions finished.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct BulkResolve {
    /// In which.
    pub filter: ListFilter,
    /// Which branch of each, if it is stuck or was finished against the decision; if absent, every
    /// branch that is stuck. With a `resource` in the filter, only branches there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What the operator saw there: committed or aborted.
    pub outcome: Outcome,
    /// Why; kept in the log.
    pub reason: String,
    /// Only tell what would follow; so says `?dry_run=true`, too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
}

/// What became of one word to many.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct BulkDone {
    /// Nothing was said to any: this is what would have been.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Those that took it; with `dry_run`, that would take it.
    pub taken: Vec<String>,
    /// With `dry_run`, what to think of first of those that would end mixed, as in [`DryRun`].
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub warnings: std::collections::BTreeMap<String, String>,
    /// Those to which nothing was said, for they are committed or aborted already, as it says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub already: Vec<String>,
    /// Those that did not, and why.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub refused: std::collections::BTreeMap<String, String>,
    /// Give it as the filter's `after` to go on; absent when all are done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A resource as the node sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Resource {
    /// Its configured name.
    pub name: String,
    /// `postgres`, `mysql`, `http`.
    pub kind: String,
    /// Whether it answered last time.
    pub health: Health,
    /// Its last fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_fault: Option<String>,
    /// Branches of ours prepared there at the last scan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prepared: Option<u64>,
    /// Prepared branches there that belong to others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foreign: Option<u64>,
    /// How long the oldest of ours has been prepared, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_in_doubt_ms: Option<u64>,
    /// When it was last scanned, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanned_at_ms: Option<u64>,
    /// Unfinished transactions that wait for an operator because of what it answers; absent if
    /// they could not be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck: Option<u64>,
    /// Calls running there now.
    pub calls: u64,
    /// The name by which it finishes transactions with its peers; absent if it does not, and then
    /// takes no branch of a transaction that is decided by `three_phase` or `paxos`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}

/// A resource's health.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// Not asked yet.
    Unknown,
    /// It answers.
    Up,
    /// It does not answer: the circuit breaker is open; new branches are refused at once.
    Down,
}

/// One thing that a check of a resource found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Finding {
    /// `ok`, `warning` or `error`.
    pub level: FindingLevel,
    /// A stable code.
    pub code: String,
    /// What is so.
    pub message: String,
    /// The line that mends it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cure: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum FindingLevel {
    /// As it should be.
    Ok,
    /// It can take part, with a caveat.
    Warning,
    /// It cannot take part.
    Error,
}
