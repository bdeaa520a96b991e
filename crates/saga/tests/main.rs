//! Definitions: read, checked, begun and drawn.
#![allow(clippy::unwrap_used)]

mod begin;
mod check;
mod example;
mod graph;
mod lint;
mod order;
mod template;

use handfast_client::wire::{FindingLevel, SagaDefinition, SagaFinding};

/// The example of docs/sagas.md.
fn example() -> SagaDefinition {
    handfast_saga::parse(&example::yaml()).unwrap()
}

/// A definition with these branches, in YAML's flow style.
fn saga(branches: &[&str]) -> SagaDefinition {
    let mut text =
        "name: s\nversion: 1\ntimeout_ms: 5000\ndeadline_ms: 60000\nbranches:\n".to_owned();
    for branch in branches {
        text.push_str(&format!("  - {branch}\n"));
    }
    handfast_saga::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Code and branch of each finding; all of them must be of this level.
fn codes(findings: &[SagaFinding], level: FindingLevel) -> Vec<(&str, &str)> {
    assert!(findings.iter().all(|finding| finding.level == level), "{findings:?}");
    findings.iter().map(|f| (f.code.as_str(), f.branch.as_deref().unwrap_or(""))).collect()
}
