//! What the log remembers of a transaction, in order.

use handfast_client::wire;
use handfast_core::transaction::{Case, Decision, Index, Record, Voted};
use handfast_log::Entry;

use crate::node::{attempts::Attempt, metrics::Call};

/// Most of an output that a timeline shows.
const OUTPUT_CHARS_MAX: usize = 256;

/// Adds what the log remembers.
pub(in crate::node) fn add_timeline(view: &mut wire::Transaction, entries: &[Entry]) {
    let name = |view: &wire::Transaction, index: Index| {
        view.branches.get(usize::from(index)).map(|branch| branch.name.clone())
    };
    let kind = |view: &wire::Transaction, index: Index| {
        view.branches.get(usize::from(index)).map(|branch| branch.kind)
    };
    for entry in entries {
        let Ok(record) = serde_json::from_str::<Record>(&entry.body) else { continue };
        let (what, branch, detail) = match record {
            Record::Delegated(case) => ("delegated", None, votes(&case)),
            Record::Decided { decision, case } => {
                view.decided_at_ms = Some(entry.at_ms);
                let what = match &decision {
                    Decision::Commit => "decided to commit",
                    Decision::Abort(_) => "decided to abort",
                };
                let mut detail = case.as_ref().map(votes).unwrap_or_default();
                if let Decision::Abort(reason) = decision {
                    detail = format!("{}; {detail}", reason.refusal.message);
                }
                (what, None, detail)
            }
            Record::Heuristic { branch, detail } => {
                ("found finished against the decision", name(view, branch), detail)
            }
            Record::Stuck { branch, detail } => ("stuck", name(view, branch), detail),
            Record::Resolved { branch, committed, reason } => {
                let saw = if committed { "committed" } else { "aborted" };
                ("resolved", name(view, branch), format!("as {saw}: {reason}"))
            }
            Record::Begun { pact, plan, .. } => {
                let pact = pact.map(|pact| pact.to_string());
                let detail = pact.or(plan.map(|plan| plan.to_string()));
                ("begun", None, detail.unwrap_or_default())
            }
            Record::Added { name, resource, planned } => {
                ("added", Some(name), format!("{} at {resource}", planned.part))
            }
            Record::Sealed => ("sealed", None, "no branch is added any more".into()),
            Record::Done { branch, output, declared } => {
                let declared = declared.map(|reason| format!("declared: {reason}"));
                ("done", name(view, branch), declared.unwrap_or_else(|| bounded(output.0)))
            }
            Record::Applied { branch } => {
                let is_delivery = kind(view, branch) == Some(wire::BranchKind::Deliver);
                let what = if is_delivery { "delivered" } else { "undone" };
                (what, name(view, branch), String::new())
            }
            Record::AskStuck { detail } => ("asking back is stuck", None, detail),
            Record::Edited { branch, reason, .. } => ("edited", name(view, branch), reason),
            Record::PreCommitted { case, .. } => ("precommitted", None, votes(&case)),
            Record::Claimed { ballot } => ("claimed", None, ballot.to_string()),
            Record::Promised { ballot } => ("promised", None, ballot.to_string()),
            Record::Accepted { proposal } => ("accepted", None, proposal.to_string()),
            Record::Finished => ("finished", None, String::new()),
        };
        view.timeline.push(wire::TimelineEntry {
            at_ms: entry.at_ms,
            position: Some(entry.position),
            what: what.into(),
            branch,
            detail: detail.trim_end_matches("; ").into(),
        });
    }
}

/// Adds what only this process remembers.
pub(in crate::node) fn add_attempts(view: &mut wire::Transaction, attempts: &[Attempt]) {
    for attempt in attempts {
        // Who is asked back is nobody's branch.
        let branch = view.branches.get(usize::from(attempt.branch));
        let branch = branch.filter(|_| attempt.call != Call::Ask);
        let branch = branch.map(|branch| branch.name.clone());
        let mut detail = attempt.call.name().to_owned();
        detail += &match attempt.took_ms() {
            Some(ms) => format!(", answered after {ms} ms"),
            None => ", not answered yet".into(),
        };
        if let Some(fault) = &attempt.answer {
            detail += &format!(": {fault}");
        }
        view.timeline.push(wire::TimelineEntry {
            at_ms: attempt.at_ms,
            position: None,
            what: "asked".into(),
            branch,
            detail,
        });
    }
    view.timeline.sort_by_key(|entry| entry.at_ms);
}

fn votes(case: &Case) -> String {
    let vote = |vote| match vote {
        Voted::Yes => "voted yes",
        Voted::ReadOnly => "read only",
        Voted::No => "voted no",
        Voted::Unknown => "had not voted",
    };
    let each = case.branches.iter().map(|branch| format!("{} {}", branch.name, vote(branch.vote)));
    each.collect::<Vec<_>>().join(", ")
}

fn bounded(output: String) -> String {
    match output.char_indices().nth(OUTPUT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &output[..end]),
        None => output,
    }
}
