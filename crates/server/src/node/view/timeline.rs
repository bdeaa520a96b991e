//! What the log remembers of a transaction, in order.

use handfast_client::wire::{self, BranchKind};
use handfast_core::transaction::{Case, Decision, Index, Record, Tried, Voted};
use handfast_log::Entry;

use crate::node::{attempts::Attempt, metrics::Call};

/// Most of an output that a timeline shows.
const OUTPUT_CHARS_MAX: usize = 256;

/// Adds what the log remembers. The branches must be there, with their calls.
pub(in crate::node) fn add_timeline(view: &mut wire::Transaction, entries: &[Entry]) {
    for entry in entries {
        let Ok(record) = serde_json::from_str::<Record>(&entry.body) else { continue };
        let mut lines = Vec::new();
        if let Record::Decided { case, .. } = &record {
            view.decided_at_ms = Some(entry.at_ms);
            lines.extend(case.iter().flat_map(|case| ended(view, case)));
        }
        lines.push(told(view, record));
        view.timeline.extend(lines.into_iter().map(|line| line.at(entry)));
    }
}

/// What a timeline says of a record.
struct Line {
    what: &'static str,
    branch: Option<String>,
    detail: String,
    /// Which call came to its end, and how.
    call: Option<(Call, Tried)>,
}

impl Line {
    fn of(what: &'static str, branch: Option<String>, detail: impl Into<String>) -> Self {
        Self { what, branch, detail: detail.into(), call: None }
    }

    fn after(self, call: Call, tried: Option<Tried>) -> Self {
        Self { call: tried.map(|tried| (call, tried)), ..self }
    }

    fn at(self, entry: &Entry) -> wire::TimelineEntry {
        wire::TimelineEntry {
            at_ms: entry.at_ms,
            position: Some(entry.position),
            what: self.what.into(),
            branch: self.branch,
            call: self.call.map(|(call, _)| call.name().into()),
            tries: self.call.map(|(_, tried)| tried.times),
            took_ms: self.call.map(|(_, tried)| tried.last_ms.into()),
            detail: self.detail,
        }
    }
}

fn told(view: &wire::Transaction, record: Record) -> Line {
    let name = |at: Index| view.branches.get(usize::from(at)).map(|branch| branch.name.clone());
    match record {
        Record::Delegated(case) => Line::of("delegated", None, votes(&case)),
        Record::Decided { decision, case } => {
            let votes = case.as_ref().map(votes).unwrap_or_default();
            match decision {
                Decision::Commit => Line::of("decided to commit", None, votes),
                Decision::Abort(reason) => {
                    let detail = format!("{}; {votes}", reason.refusal.message);
                    Line::of("decided to abort", None, detail.trim_end_matches("; "))
                }
            }
        }
        Record::Heuristic { branch, detail } => {
            Line::of("found finished against the decision", name(branch), detail)
        }
        Record::Stuck { branch, detail } => Line::of("stuck", name(branch), detail),
        Record::Resolved { branch, committed, reason } => {
            let saw = if committed { "committed" } else { "aborted" };
            Line::of("resolved", name(branch), format!("as {saw}: {reason}"))
        }
        Record::Begun { pact, plan, .. } => {
            let pact = pact.map(|pact| pact.to_string());
            let detail = pact.or(plan.map(|plan| plan.to_string()));
            Line::of("begun", None, detail.unwrap_or_default())
        }
        Record::Added { name, resource, planned } => {
            Line::of("added", Some(name), format!("{} at {resource}", planned.part))
        }
        Record::Sealed => Line::of("sealed", None, "no branch is added any more"),
        Record::Done { branch, output, declared, tried } => {
            let declared = declared.map(|reason| format!("declared: {reason}"));
            let detail = declared.unwrap_or_else(|| bounded(output.0));
            let reserves = view.branches.get(usize::from(branch)).is_some_and(is_reservation);
            let (what, call) = if reserves { ("voted yes", Call::Try) } else { ("done", Call::Do) };
            Line::of(what, name(branch), detail).after(call, tried)
        }
        Record::Applied { branch, tried } => {
            let (what, call) = applied(view, branch);
            Line::of(what, name(branch), "").after(call, tried)
        }
        Record::AskStuck { detail } => Line::of("asking back is stuck", None, detail),
        Record::Edited { branch, reason, .. } => Line::of("edited", name(branch), reason),
        Record::PreCommitted { case, .. } => Line::of("precommitted", None, votes(&case)),
        Record::Claimed { ballot } => Line::of("claimed", None, ballot.to_string()),
        Record::Promised { ballot } => Line::of("promised", None, ballot.to_string()),
        Record::Accepted { proposal } => Line::of("accepted", None, proposal.to_string()),
        Record::Finished => Line::of("finished", None, ""),
    }
}

/// What was asked before the decision, and has no record of its own: what branches that prepare
/// voted, and the ends of steps that are not done.
fn ended(view: &wire::Transaction, case: &Case) -> Vec<Line> {
    let line = |(at, branch): (Index, &wire::BranchView)| {
        let told = &case.branches.get(usize::from(at))?;
        let (what, call) = match (branch.kind, told.vote) {
            (BranchKind::Step, Voted::No) => ("not done", Call::Do),
            (BranchKind::Step, _) => ("not known to be done", Call::Do),
            (_, Voted::Yes) => ("voted yes", asked(branch)),
            (_, Voted::ReadOnly) => ("read only", asked(branch)),
            (_, Voted::No) => ("voted no", asked(branch)),
            (_, Voted::Unknown) => ("vote not known", asked(branch)),
        };
        Some(Line::of(what, Some(branch.name.clone()), "").after(call, Some(told.tried?)))
    };
    (0..).zip(&view.branches).filter_map(line).collect()
}

fn asked(branch: &wire::BranchView) -> Call {
    if is_reservation(branch) { Call::Try } else { Call::Prepare }
}

fn is_reservation(branch: &wire::BranchView) -> bool {
    branch.calls.iter().any(|call| call.verb == Call::Try.name())
}

/// How a branch has applied the decision.
fn applied(view: &wire::Transaction, at: Index) -> (&'static str, Call) {
    let branch = view.branches.get(usize::from(at));
    let (kind, is_reserved) =
        (branch.map(|branch| branch.kind), branch.is_some_and(is_reservation));
    let aborts = view.reason.is_some();
    match (kind, aborts, is_reserved) {
        (Some(BranchKind::Deliver), ..) => ("delivered", Call::Deliver),
        (Some(BranchKind::Step) | None, ..) => ("undone", Call::Undo),
        (Some(BranchKind::Prepare), false, true) => ("confirmed", Call::Confirm),
        (Some(BranchKind::Prepare), false, false) => ("committed", Call::Commit),
        (Some(BranchKind::Prepare), true, true) => ("cancelled", Call::Cancel),
        (Some(BranchKind::Prepare), true, false) => ("rolled back", Call::Abort),
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
            call: None,
            tries: None,
            took_ms: None,
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
