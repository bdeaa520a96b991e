//! What comes of a transaction by itself, as far as anybody can know.

use handfast_client::wire::{BranchKind, BranchState, BranchView, State, Transaction};
use handfast_core::transaction::Index;

/// What comes after that which leaves at once, to the branches in `now`. The calls must be there.
pub(in crate::node) fn later(t: &Transaction, now: &[Index]) -> Vec<String> {
    let is_now = |at: usize| now.iter().any(|branch| usize::from(*branch) == at);
    let all = || t.branches.iter().enumerate();
    let others = || all().filter(|(at, _)| !is_now(*at)).map(|(_, branch)| branch);
    match t.state {
        State::Aborting | State::Aborted => others().rev().filter_map(taken_back).collect(),
        State::Committing => others().filter_map(delivered).collect(),
        State::Preparing | State::Running | State::Held => {
            let mut lines = vec![decision(t, others())];
            let of = |if_so: &'static str| move |line: String| format!("{if_so}: {line}");
            let branches = t.branches.iter();
            lines.extend(branches.clone().filter_map(delivered).map(of("if that is to commit")));
            lines.extend(branches.rev().filter_map(taken_back).map(of("if that is to abort")));
            lines
        }
        State::Deciding | State::Committed | State::Mixed => Vec::new(),
    }
}

/// What is done until then, and what is waited for.
fn decision<'b>(t: &Transaction, others: impl Iterator<Item = &'b BranchView>) -> String {
    let is_before = |b: &&BranchView| b.kind != BranchKind::Deliver;
    let waiting = others.filter(is_before).filter(|b| b.state == BranchState::Waiting);
    let waiting: Vec<_> = waiting.map(|b| b.name.as_str()).collect();
    let first = match waiting.is_empty() {
        true => String::new(),
        false => format!("{}, then ", waiting.join(", ")),
    };
    let votes = t.branches.iter().any(|b| b.kind == BranchKind::Prepare);
    let when = match (t.state == State::Held, votes) {
        (true, _) => " when somebody says which",
        (false, true) => " when all have voted",
        (false, false) => "",
    };
    format!("{first}the decision{when}")
}

fn delivered(b: &BranchView) -> Option<String> {
    let is_to_come = b.kind == BranchKind::Deliver && b.state == BranchState::Waiting;
    is_to_come.then(|| calls("deliver", b).unwrap_or_else(|| at("deliver", b)))
}

/// What becomes of a step that is done, or may be.
fn taken_back(b: &BranchView) -> Option<String> {
    use BranchState::{Done, InDoubt, Stuck, Working};
    let BranchView { name, resource, .. } = b;
    let is_done = matches!(b.state, Done | InDoubt | Stuck | Working);
    let undo = (b.kind == BranchKind::Step && is_done).then(|| calls("undo", b))?;
    Some(match (undo, b.state) {
        (Some(undo), _) => undo,
        (None, Done) => format!("{name} at {resource} stays as it is: it has no undo"),
        (None, _) => format!("{name} at {resource} may be done, and stays so: it has no undo"),
    })
}

/// None if it has no such call.
fn calls(verb: &str, b: &BranchView) -> Option<String> {
    let call = b.calls.iter().find(|call| call.verb == verb)?;
    Some(format!("{}: {}", at(verb, b), call.call))
}

fn at(verb: &str, b: &BranchView) -> String {
    format!("{verb} {} at {}", b.name, b.resource)
}
