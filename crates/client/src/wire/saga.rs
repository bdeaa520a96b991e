//! Sagas as definitions: transactions that are described once, and run with an input.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

use super::{AckWhen, Branch, FindingLevel, Wait};

/// A transaction that is described once and run often. A version never changes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SagaDefinition {
    /// Its name, 1 to 64 of letters, digits and `. _ -`.
    pub name: String,
    /// From 1; another content is another version.
    pub version: u32,
    /// What it does, for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// What a run's input must be: a JSON Schema (2020-12 unless `$schema` says otherwise) that
    /// refers to nothing outside of itself. Any object if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
    /// Within this time all branches that prepare must have voted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Within this time a run must be decided, or it is aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// What a run does, in the order of the list unless `after` says otherwise.
    pub branches: Vec<Branch>,
}

/// How hard it is to take back what a step has done. `handfast saga lint` goes by it, and nothing
/// else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Compensation {
    /// Cheap and always possible, or there is nothing to take back.
    Easy,
    /// It costs something, somebody notices, or it may come too late.
    Hard,
    /// It cannot be taken back.
    None,
}

/// A definition as the node keeps it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Saga {
    /// What was applied.
    pub definition: SagaDefinition,
    /// What lint says of it: warnings only, since one with errors is not kept.
    #[serde(default)]
    pub findings: Vec<SagaFinding>,
    /// When this version was applied first, in milliseconds since 1970.
    pub applied_at_ms: u64,
}

/// One saga in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SagaLine {
    /// Its name.
    pub name: String,
    /// Its versions, ascending; the last is the one that runs unless another is asked for.
    pub versions: Vec<u32>,
    /// What the last one does.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// When the last one was applied first, in milliseconds since 1970.
    pub applied_at_ms: u64,
}

/// Runs a saga: the answer is the transaction, as if it had been begun by itself.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct RunSaga {
    /// The transaction's name; made by the server if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<String>,
    /// An object that fits the definition's schema; an empty one if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<serde_json::Value>,
    /// Which version; the last if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Whether this request waits for the outcome (default) or returns at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// When the caller is answered: at the decision (default), or when every branch applied it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ack: Option<AckWhen>,
}

/// One thing that a check of a definition found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct SagaFinding {
    /// An error cannot run; a warning can, and is better mended.
    pub level: FindingLevel,
    /// A stable code, explained in docs/sagas.md.
    pub code: String,
    /// The branch it concerns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// What is so.
    pub message: String,
    /// What would be better.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub better: String,
}
