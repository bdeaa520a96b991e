//! A run of a definition.

use handfast_client::wire::{BeginTransaction, Branch, SagaDefinition, SagaFinding};
use serde_json::{Map, Value};

use crate::Schema;

/// The transaction that runs a definition with an input. All of the definition is in it: what is
/// applied later changes nothing in it.
///
/// `schema` is the definition's own.
///
/// # Errors
/// What of the input does not fit the schema.
pub fn begin(
    definition: &SagaDefinition,
    schema: &Schema,
    gid: Option<String>,
    input: Option<Value>,
) -> Result<BeginTransaction, Vec<SagaFinding>> {
    let input = input.unwrap_or_else(|| Value::Object(Map::new()));
    schema.check(&input)?;
    // The hint is for lint, and no part of what is done.
    let branch = |branch: &Branch| Branch { compensation: None, ..branch.clone() };
    Ok(BeginTransaction {
        gid,
        timeout_ms: definition.timeout_ms,
        deadline_ms: definition.deadline_ms,
        input: Some(input),
        branches: definition.branches.iter().map(branch).collect(),
        ..BeginTransaction::default()
    })
}
