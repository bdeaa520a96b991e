//! One branch, as its machine knows it.

use handfast_client::wire::{BranchKind, BranchState, BranchView, CallView, Transaction};
use handfast_core::{
    plan::{Call, Kind, Plan},
    transaction::{Decision, Fate, Index, Known, KnownBranch, Live, Telling, Voted, Voting},
    vote::{Proof, Vote},
    work::Work,
};

use super::not_done::NotDone;

/// A branch of a run of which nothing is recorded.
pub(super) fn voting(name: &str, resource: &str, vote: Option<&Vote>, id: String) -> BranchView {
    bare(name, resource, id, prepares(vote))
}

fn prepares(vote: Option<&Vote>) -> BranchState {
    match vote {
        None => BranchState::Working,
        Some(Vote::Yes(_)) => BranchState::Prepared,
        Some(Vote::ReadOnly) => BranchState::ReadOnly,
        Some(Vote::No(_)) => BranchState::Refused,
        Some(Vote::Lost(_)) => BranchState::InDoubt,
    }
}

/// A branch of a run that the log knows.
pub(super) fn known(known: &Known, live: &Live, at: Index, id: String) -> BranchView {
    let branch = &known.branches[usize::from(at)];
    let telling = live.telling.get(usize::from(at));
    let voting = live.voting.as_ref().filter(|_| known.decision.is_none());
    let state = match (&branch.fate, voting) {
        (Fate::Heuristic(_), _) => BranchState::Heuristic,
        (Fate::Resolved { .. }, _) => BranchState::Resolved,
        (fate, Some(voting)) => undecided(voting, at, fate, telling),
        (_, None) => told(known, branch, at, telling),
    };
    let mut view = bare(&branch.name, &branch.resource, id, state);
    view.attempts = telling.map_or(0, attempts);
    view.last_answer = telling.and_then(|telling| telling.last_answer.clone());
    match &branch.fate {
        Fate::Stuck(_) if is_under_way(telling) => {}
        Fate::Stuck(detail) => {
            view.last_answer.get_or_insert_with(|| detail.clone());
        }
        Fate::Heuristic(found) => view.last_answer = Some(found.clone()),
        Fate::Open | Fate::Applied | Fate::Resolved { .. } => {}
    }
    if let Some(plan) = &known.plan {
        let voted = match voting.and_then(|voting| voting.vote(at)) {
            Some(Vote::Yes(proof)) => Some(proof),
            _ => None,
        };
        place(&mut view, known, plan, at);
        view.output = output(plan, at, voted.unwrap_or(&branch.proof));
    }
    view
}

/// Before the decision, with a plan.
fn undecided(voting: &Voting, at: Index, fate: &Fate, telling: Option<&Telling>) -> BranchState {
    let is_begun = telling.is_some_and(|telling| telling.is_begun);
    // Before a restart its call may have left ahead.
    let may_be_done = telling.is_some_and(|telling| telling.may_be_done);
    match (voting.kind(at), voting.vote(at)) {
        (Kind::Deliver, _) => BranchState::Waiting,
        (Kind::Step, Some(Vote::Yes(_))) => BranchState::Done,
        (Kind::Step, None) if !is_begun && may_be_done => BranchState::InDoubt,
        (_, None) if !is_begun => BranchState::Waiting,
        (_, None) if is_stuck(fate, telling) => BranchState::Stuck,
        (_, vote) => prepares(vote),
    }
}

/// After the decision, or while it is left to others.
fn told(known: &Known, branch: &KnownBranch, at: Index, telling: Option<&Telling>) -> BranchState {
    let is_over = known.finished
        || branch.fate == Fate::Applied
        || telling.is_some_and(|telling| telling.is_finished);
    let is_told = telling.is_some_and(|told| told.is_asked || told.waits || attempts(told) > 0);
    let is_stuck = is_stuck(&branch.fate, telling);
    match (known.kind(at), branch.vote) {
        (Kind::Deliver, _) if matches!(known.decision, Some(Decision::Abort(_))) => {
            BranchState::Skipped
        }
        (Kind::Deliver, _) if is_over => BranchState::Finished,
        (Kind::Deliver, _) if is_stuck => BranchState::Stuck,
        (Kind::Deliver, _) if !is_told => BranchState::Waiting,
        (Kind::Deliver, _) => BranchState::InDoubt,
        (_, Voted::ReadOnly) => BranchState::ReadOnly,
        (Kind::Prepare | Kind::Step, Voted::No) => match not_done(known, branch, at) {
            NotDone::Refused => BranchState::Refused,
            NotDone::NotBegun => BranchState::Skipped,
            NotDone::Declared | NotDone::NotCalled | NotDone::NotReached => BranchState::NotDone,
        },
        (Kind::Step, vote) if !known.concerns(at) => match vote {
            Voted::Yes => BranchState::Done,
            // It may be done, and nothing undoes it.
            _ => BranchState::InDoubt,
        },
        (Kind::Step, _) if is_over => BranchState::Undone,
        (_, Voted::Yes | Voted::Unknown) if is_over => BranchState::Finished,
        (_, Voted::Yes | Voted::Unknown) if is_stuck => BranchState::Stuck,
        (_, Voted::Yes | Voted::Unknown) => BranchState::InDoubt,
    }
}

/// Those that failed, whether they arrived or not.
fn attempts(telling: &Telling) -> u32 {
    telling.tries.saturating_add(telling.unsent)
}

/// What waits for an operator is tried again all the same: meanwhile nobody need look.
fn is_stuck(fate: &Fate, telling: Option<&Telling>) -> bool {
    matches!(fate, Fate::Stuck(_)) && !is_under_way(telling)
}

fn is_under_way(telling: Option<&Telling>) -> bool {
    telling.is_some_and(|telling| telling.is_asked)
}

/// How a branch that voted no, or could not, came to that.
fn not_done(known: &Known, branch: &KnownBranch, at: Index) -> NotDone {
    let reason = match &known.decision {
        Some(Decision::Abort(reason)) => Some(reason),
        Some(Decision::Commit) | None => None,
    };
    // Without a plan all are asked at once.
    let Some(plan) = &known.plan else {
        return match NotDone::of(&branch.name, reason, false, false) {
            NotDone::NotBegun => NotDone::Refused,
            not_done => not_done,
        };
    };
    let planned = plan.branches.get(usize::from(at));
    let is_called = planned.is_some_and(|planned| matches!(planned.work, Work::Calls(_)));
    NotDone::of(&branch.name, reason, is_called, branch.is_tried)
}

fn place(view: &mut BranchView, known: &Known, plan: &Plan, at: Index) {
    let Some(planned) = plan.branches.get(usize::from(at)) else { return };
    view.kind = match planned.part.kind {
        Kind::Prepare => BranchKind::Prepare,
        Kind::Step => BranchKind::Step,
        Kind::Deliver => BranchKind::Deliver,
    };
    let name = |at: &Index| Some(known.branches.get(usize::from(*at))?.name.clone());
    view.after = planned.part.after.iter().filter_map(name).collect();
}

/// What a step or reservation has put out. What databases hand over is no output.
fn output(plan: &Plan, at: Index, proof: &Proof) -> Option<serde_json::Value> {
    let planned = plan.branches.get(usize::from(at))?;
    let is_called = matches!(planned.work, Work::Calls(_));
    let text = Some(&proof.0).filter(|text| is_called && !text.is_empty())?;
    serde_json::from_str(text).ok()
}

fn bare(name: &str, resource: &str, id: String, state: BranchState) -> BranchView {
    BranchView {
        name: name.into(),
        resource: resource.into(),
        kind: BranchKind::Prepare,
        after: Vec::new(),
        id,
        state,
        attempts: 0,
        output: None,
        last_answer: None,
        next_attempt_at_ms: None,
        waits_for: None,
        calls: Vec::new(),
    }
}

/// Adds what each branch calls of its service.
pub(in crate::node) fn add_calls(view: &mut Transaction, plan: &Plan) {
    for (at, branch) in view.branches.iter_mut().enumerate() {
        branch.calls = calls(plan, at);
    }
}

/// The values of headers stay here: they may be secrets.
fn calls(plan: &Plan, at: usize) -> Vec<CallView> {
    let Some(planned) = plan.branches.get(at) else { return Vec::new() };
    let Work::Calls(calls) = &planned.work else { return Vec::new() };
    let (act, undo) = match planned.part.kind {
        Kind::Prepare => ("try", "cancel"),
        Kind::Step => ("do", "undo"),
        Kind::Deliver => ("deliver", ""),
    };
    let (confirm, taken_back) = (calls.confirm.as_ref(), calls.undo.as_ref());
    let all = [(act, Some(&calls.act)), ("confirm", confirm), (undo, taken_back)];
    let view = |(verb, call): (&str, Option<&Call>)| {
        let Call { method, path, headers, body } = call?;
        Some(CallView {
            verb: verb.into(),
            call: format!("{method} {path}"),
            headers: headers.iter().map(|(name, _)| name.clone()).collect(),
            body: serde_json::from_str(body).ok(),
        })
    };
    all.into_iter().filter_map(view).collect()
}
