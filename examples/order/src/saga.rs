//! The saga, as the node gets it.

use std::time::Duration;

use handfast_client::{
    Error, Handfast, Outcome,
    wire::{RunSaga, SagaDefinition},
};
use serde_json::Value;

/// The definition, as a file for `handfast saga apply`.
pub const DEFINITION: &str = include_str!("../order.yaml");

/// How long a customer waits for the outcome.
const PATIENCE: Duration = Duration::from_secs(10);

/// Gives it to the node, which keeps it.
pub async fn apply(node: &Handfast) -> Result<(), String> {
    let applied = node.sagas().apply(&definition()?).await;
    applied.map(drop).map_err(|e| format!("failed to apply the saga: {e}"))
}

/// Runs it, under that name with that input.
pub async fn run(node: &Handfast, gid: String, input: Value) -> Result<Outcome, Error> {
    let run = RunSaga { gid: Some(gid), input: Some(input), ..RunSaga::default() };
    node.sagas().run("order", &run, PATIENCE).await
}

fn definition() -> Result<SagaDefinition, String> {
    handfast_saga::parse(DEFINITION).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing wrong with it, and nothing that had better be otherwise.
    #[test]
    fn lint_has_nothing_to_say() {
        assert_eq!(handfast_saga::lint(&definition().unwrap()), []);
    }
}
