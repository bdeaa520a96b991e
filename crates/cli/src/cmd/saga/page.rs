//! What `handfast saga` shows to people.

use std::fmt::Write as _;

use handfast_client::wire::{
    Branch, BranchKind, Call, FindingLevel, Saga, SagaDefinition, SagaFinding, SagaLine,
};
use handfast_saga::Order;

use crate::output::{relative, table, utc};

pub fn lines(sagas: &[SagaLine], now_ms: u64) -> String {
    let row = |line: &SagaLine| {
        let version = line.versions.last().map(u32::to_string).unwrap_or_default();
        vec![
            line.name.clone(),
            version,
            line.versions.len().to_string(),
            relative(line.applied_at_ms, now_ms),
            line.description.clone(),
        ]
    };
    let head = ["NAME", "VERSION", "KEPT", "APPLIED", "DESCRIPTION"];
    table(&head, &sagas.iter().map(row).collect::<Vec<_>>())
}

pub fn applied(saga: &Saga) -> String {
    let SagaDefinition { name, version, .. } = &saga.definition;
    format!("{name} {version} is kept\n{}", findings(&saga.findings))
}

pub fn saga(saga: &Saga) -> String {
    let SagaDefinition { name, version, description, timeout_ms, deadline_ms, branches, .. } =
        &saga.definition;
    let mut text = format!("{name} {version}  {description}\n\n");
    let _ = writeln!(text, "  Applied {}", utc(saga.applied_at_ms));
    for (what, ms) in [("Votes within", timeout_ms), ("Decided within", deadline_ms)] {
        if let Some(ms) = ms {
            let _ = writeln!(text, "  {what} {ms} ms");
        }
    }
    let _ = writeln!(text, "  Its runs: handfast tx ls --saga {name}");
    text.push('\n');
    text.push_str(&branch_table(branches));
    if !saga.findings.is_empty() {
        text.push('\n');
        text.push_str(&findings(&saga.findings));
    }
    text
}

fn branch_table(branches: &[Branch]) -> String {
    let order = Order::of(branches).ok();
    let call = |call: &Option<Call>| call.as_ref().map(|call| call.call.clone());
    let row = |(index, branch): (usize, &Branch)| {
        let near = order.iter().flat_map(|order| order.right_before(index));
        let after: Vec<_> = near.map(|at| branches[at].name.as_str()).collect();
        let work = call(&branch.act)
            .or_else(|| call(&branch.attempt))
            .or_else(|| Some(branch.message.as_ref()?.kind.clone()))
            .or_else(|| Some(branch.sql.as_ref()?.first()?.0.clone()))
            .unwrap_or_default();
        vec![
            branch.name.clone(),
            match branch.kind.unwrap_or_default() {
                BranchKind::Prepare => "prepare".into(),
                BranchKind::Step => "step".into(),
                BranchKind::Deliver => "deliver".into(),
            },
            branch.resource.clone(),
            after.join(", "),
            work,
            call(&branch.undo).or_else(|| call(&branch.cancel)).unwrap_or_default(),
        ]
    };
    let head = ["BRANCH", "KIND", "RESOURCE", "AFTER", "WORK", "UNDO"];
    table(&head, &branches.iter().enumerate().map(row).collect::<Vec<_>>())
}

/// What lint says of a file.
pub fn verdict(file: &str, found: &[SagaFinding]) -> String {
    let count = |level| found.iter().filter(|finding| finding.level == level).count();
    let (errors, warnings) = (count(FindingLevel::Error), count(FindingLevel::Warning));
    format!("{file}: {errors} errors, {warnings} warnings\n{}", findings(found))
}

pub fn findings(findings: &[SagaFinding]) -> String {
    let mut text = String::new();
    for SagaFinding { level, code, branch, message, better } in findings {
        let level = match level {
            FindingLevel::Ok => "ok",
            FindingLevel::Warning => "warning",
            FindingLevel::Error => "error",
        };
        let branch = branch.as_ref().map(|branch| format!("{branch}: ")).unwrap_or_default();
        // A definition may be somebody else's, and hold what steers a terminal.
        let line = format!("{branch}{message}").replace(char::is_control, " ");
        let _ = writeln!(text, "  {level:8} {line} [{code}]");
        if !better.is_empty() {
            let _ = writeln!(text, "           better: {}", better.replace(char::is_control, " "));
        }
    }
    text
}
