//! What the log remembers of a transaction, in order.

use handfast_client::wire::{self, BranchKind, BranchState};
use handfast_core::{
    plan::{Kind, Part, Plan},
    transaction::{Case, CaseBranch, Decision, Index, Reason, Record, Tried, Voted},
};
use handfast_log::Entry;

use super::{message, not_done::NotDone};
use crate::node::{attempts::Attempt, metrics::Call};

/// Most of an output that a timeline shows.
const OUTPUT_CHARS_MAX: usize = 256;

/// Adds what the log remembers. The branches must be there, with their calls.
pub(in crate::node) fn add_timeline(view: &mut wire::Transaction, entries: &[Entry]) {
    for entry in entries {
        let Ok(record) = serde_json::from_str::<Record>(&entry.body) else { continue };
        let mut lines = Vec::new();
        if let Record::Decided { decision, case } = &record {
            view.decided_at_ms = Some(entry.at_ms);
            lines.extend(case.iter().flat_map(|case| ended(view, case, because(decision))));
            lines.extend(because(decision).and_then(declared));
        }
        lines.push(told(view, record));
        view.timeline.extend(lines.into_iter().map(|line| line.at(entry)));
    }
    for branch in view.branches.iter_mut().filter(|branch| is_settled(branch.state)) {
        let of_branch = |line: &&wire::TimelineEntry| line.branch.as_ref() == Some(&branch.name);
        let tries = view.timeline.iter().rev().filter(of_branch).find_map(|line| line.tries);
        branch.attempts = tries.unwrap_or_default();
    }
}

/// Nothing is asked of it any more, or only for something else.
fn is_settled(state: BranchState) -> bool {
    !matches!(
        state,
        BranchState::Waiting | BranchState::Working | BranchState::InDoubt | BranchState::Stuck
    )
}

/// Why it was aborted, if it was.
fn because(decision: &Decision) -> Option<&Reason> {
    match decision {
        Decision::Commit => None,
        Decision::Abort(reason) => Some(reason),
    }
}

/// An operator said that a step is not done, and so it was aborted.
fn declared(reason: &Reason) -> Option<Line> {
    let is_declared = reason.refusal.code == "declared_undone";
    let line = || Line::of("declared undone", reason.branch.clone(), message(reason));
    is_declared.then(line)
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

/// What a timeline would say of a record: `pay declared done: seen (by ann)`.
pub(in crate::node) fn foretold(view: &wire::Transaction, record: Record) -> String {
    let Line { what, branch, detail, .. } = told(view, record);
    let branch = branch.map(|branch| branch + " ").unwrap_or_default();
    let detail = detail.trim();
    let colon = if detail.is_empty() { "" } else { ": " };
    [&branch, what, colon, detail].concat()
}

/// What the one who was asked back said.
const ASKED_BACK: &str = "its caller's word did not come; its local transaction has committed";

fn told(view: &wire::Transaction, record: Record) -> Line {
    let name = |at: Index| view.branches.get(usize::from(at)).map(|branch| branch.name.clone());
    match record {
        Record::Delegated(case) => Line::of("delegated", None, fates(view, &case, None)),
        Record::Decided { decision, case } => {
            let all = case.as_ref().map(|case| fates(view, case, because(&decision)));
            let all = all.unwrap_or_default();
            match &decision {
                Decision::Commit => Line::of("decided to commit", None, all),
                Decision::Abort(reason) => {
                    let detail = format!("{}; {all}", message(reason));
                    Line::of("decided to abort", None, detail.trim_end_matches("; "))
                }
            }
        }
        Record::Heuristic { branch, detail } => {
            Line::of("found finished against the decision", name(branch), detail)
        }
        Record::Stuck { branch, detail } => Line::of("stuck", name(branch), detail),
        Record::Resolved { branch, committed, reason } => {
            let (what, detail) = resolved(view, branch, committed, reason);
            Line::of(what, name(branch), detail)
        }
        Record::Begun { pact, plan, .. } => {
            let pact = pact.map(|pact| pact.to_string());
            let detail = pact.or(plan.map(|plan| planned(view, &plan)));
            Line::of("begun", None, detail.unwrap_or_default())
        }
        Record::Added { name, resource, planned } => {
            let part = part(view, &planned.part, "");
            Line::of("added", Some(name), format!("{part} at {resource}"))
        }
        Record::Sealed => Line::of("sealed", None, "no branch is added any more"),
        Record::Done { branch, declared: Some(reason), .. } => {
            Line::of("declared done", name(branch), reason)
        }
        Record::Done { branch, output, tried, .. } => {
            let detail = bounded(output.0);
            let reserves = view.branches.get(usize::from(branch)).is_some_and(is_reservation);
            let (what, call) = if reserves { ("voted yes", Call::Try) } else { ("done", Call::Do) };
            Line::of(what, name(branch), detail).after(call, tried)
        }
        Record::Applied { branch, tried } => {
            let (what, call) = applied(view, branch);
            Line::of(what, name(branch), "").after(call, tried)
        }
        Record::AskedBack => Line::of("asked back", None, ASKED_BACK),
        Record::AskStuck { detail } => Line::of("asking back is stuck", None, detail),
        Record::Edited { branch, reason, .. } => Line::of("edited", name(branch), reason),
        Record::PreCommitted { case, .. } => {
            Line::of("precommitted", None, fates(view, &case, None))
        }
        Record::Claimed { ballot } => Line::of("claimed", None, ballot.to_string()),
        Record::Promised { ballot } => Line::of("promised", None, ballot.to_string()),
        Record::Accepted { proposal } => Line::of("accepted", None, proposal.to_string()),
        Record::Finished => Line::of("finished", None, ""),
    }
}

/// What was asked before the decision, and has no record of its own: what branches that prepare
/// voted, and the ends of steps that are not done.
fn ended(view: &wire::Transaction, case: &Case, reason: Option<&Reason>) -> Vec<Line> {
    let line = |(branch, told): (&wire::BranchView, &CaseBranch)| {
        let tried = told.tried?;
        let line = Line::of(fate(branch, told, reason)?, Some(branch.name.clone()), "");
        Some(match not_done(branch, told, reason) {
            // Nothing was asked.
            Some(NotDone::NotCalled) => line,
            // An operator knows it; what was tried did not say.
            Some(NotDone::Declared) => {
                Line { what: "not known to be done", ..line }.after(asked(branch), Some(tried))
            }
            _ => line.after(asked(branch), Some(tried)),
        })
    };
    view.branches.iter().zip(&case.branches).filter_map(line).collect()
}

fn asked(branch: &wire::BranchView) -> Call {
    match branch.kind {
        BranchKind::Step => Call::Do,
        _ if is_reservation(branch) => Call::Try,
        BranchKind::Prepare | BranchKind::Deliver => Call::Prepare,
    }
}

/// How all branches stood when it was decided.
fn fates(view: &wire::Transaction, case: &Case, reason: Option<&Reason>) -> String {
    let branches = view.branches.iter().zip(&case.branches);
    let each = branches.filter_map(|(branch, told)| {
        Some(format!("{} {}", branch.name, fate(branch, told, reason)?))
    });
    each.collect::<Vec<_>>().join(", ")
}

/// How a branch stood when it was decided; a delivery had nothing to say, and a step does not vote.
fn fate(
    branch: &wire::BranchView,
    told: &CaseBranch,
    reason: Option<&Reason>,
) -> Option<&'static str> {
    let is_step = branch.kind == BranchKind::Step;
    Some(match (told.vote, not_done(branch, told, reason)) {
        _ if branch.kind == BranchKind::Deliver => return None,
        (_, Some(not_done)) => not_done.word(is_step),
        (Voted::Yes, _) if is_step => "done",
        (Voted::Yes, _) => "voted yes",
        (Voted::ReadOnly, _) => "read only",
        (Voted::No, _) => "voted no",
        (Voted::Unknown, _) if is_step => "not known to be done",
        (Voted::Unknown, _) => "vote not known",
    })
}

/// How a branch of what was aborted came to nothing, if it did.
fn not_done(
    branch: &wire::BranchView,
    told: &CaseBranch,
    reason: Option<&Reason>,
) -> Option<NotDone> {
    let reason = reason.filter(|_| told.vote == Voted::No)?;
    let (is_called, is_tried) = (!branch.calls.is_empty(), told.tried.is_some());
    Some(NotDone::of(&branch.name, Some(reason), is_called, is_tried))
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
            Some(ms) => format!(", took {ms} ms"),
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

/// What an operator said of a branch. One that prepares was found so; all else is done or not.
fn resolved(
    view: &wire::Transaction,
    at: Index,
    committed: bool,
    reason: String,
) -> (&'static str, String) {
    let kind = view.branches.get(usize::from(at)).map(|branch| branch.kind);
    match (kind, committed) {
        (Some(BranchKind::Step | BranchKind::Deliver), true) => ("declared done", reason),
        (Some(BranchKind::Step | BranchKind::Deliver), false) => ("declared undone", reason),
        (Some(BranchKind::Prepare) | None, true) => ("resolved", format!("as committed: {reason}")),
        (Some(BranchKind::Prepare) | None, false) => ("resolved", format!("as aborted: {reason}")),
    }
}

/// What is to be done: `open, step book, prepare seat after book`.
fn planned(view: &wire::Transaction, plan: &Plan) -> String {
    let open = plan.terms.open.then(|| String::from("open"));
    let parts = plan.branches.iter().zip(&view.branches);
    let parts = parts.map(|(planned, branch)| part(view, &planned.part, &branch.name));
    open.into_iter().chain(parts).collect::<Vec<_>>().join("; ")
}

fn part(view: &wire::Transaction, part: &Part, name: &str) -> String {
    let kind = match part.kind {
        Kind::Prepare => "prepare",
        Kind::Step => "step",
        Kind::Deliver => "deliver",
    };
    let before = part.after.iter().filter_map(|at| view.branches.get(usize::from(*at)));
    let before: Vec<&str> = before.map(|branch| branch.name.as_str()).collect();
    let after = if before.is_empty() { "" } else { "after" };
    let words = [kind, name, after, &before.join(", ")];
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn bounded(output: String) -> String {
    match output.char_indices().nth(OUTPUT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &output[..end]),
        None => output,
    }
}
