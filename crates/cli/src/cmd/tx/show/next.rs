//! What happens next by itself, and what a person can say.

use std::fmt::Write as _;

use handfast_client::wire::{BranchKind, BranchState, BranchView, Decide, State, Transaction};

use super::{against, call_lines, clean, soon, waiting};
use crate::output::relative;

pub fn lines(t: &Transaction, now_ms: u64) -> String {
    if matches!(t.state, State::Committed | State::Aborted) {
        return String::new();
    }
    let branches = t.branches.iter().filter_map(|b| by_itself(t, b, now_ms));
    let next = whole(t).into_iter().chain(in_time(t, now_ms)).chain(branches).chain(later(t));
    let mut text: String = next.map(|line| format!("  Next: {line}\n")).collect();
    let stuck: Vec<_> = t.branches.iter().filter(|b| b.state == BranchState::Stuck).collect();
    for b in &stuck {
        let _ = write!(text, "\n{}", stuck_branch(t, b, now_ms));
    }
    if !stuck.is_empty() {
        text.push_str("    Each of these takes --dry-run, which only shows what would follow.\n");
    }
    text
}

fn whole(t: &Transaction) -> Option<String> {
    let gid = &t.gid;
    match t.state {
        State::Preparing => {
            Some("it is aborted by itself if votes are missing at its timeout.".into())
        }
        State::Held => Some(format!("`handfast tx commit {gid}` or `handfast tx abort {gid}`.")),
        State::Mixed => Some(match against(t) {
            Some(b) => format!(
                "correct the books by hand, then `handfast tx resolve {gid} {} --outcome … \
                 --reason …`.",
                b.name
            ),
            None => "nothing; it stays in the lists for as long as it is kept.".into(),
        }),
        State::Running
        | State::Deciding
        | State::Committing
        | State::Aborting
        | State::Committed
        | State::Aborted => None,
    }
}

/// What becomes of it without a word.
fn in_time(t: &Transaction, now_ms: u64) -> Option<String> {
    if let Some(asking) = &t.asking {
        let answer = asking.last_answer.as_ref();
        let answer = answer.map(|said| format!("; its last answer: {}", clean(said)));
        let again = asking.next_attempt_at_ms.map(|at| format!("; again {}", soon(at, now_ms)));
        return Some(format!(
            "its time is over; {} is asked whether its caller's local transaction committed{}{}.",
            asking.resource,
            answer.unwrap_or_default(),
            again.unwrap_or_default()
        ));
    }
    let over = t.deadline_at_ms.map(|at| soon(at, now_ms));
    match (t.state, over) {
        (State::Held, None) => Some("without a word its end comes at its timeout.".into()),
        (_, Some(over)) => Some(format!("not decided by then, its time is over {over}.")),
        (_, None) => None,
    }
}

/// What becomes of a branch without anybody's help.
fn by_itself(t: &Transaction, b: &BranchView, now_ms: u64) -> Option<String> {
    let BranchView { name, resource, .. } = b;
    let doing = match (b.state, b.kind) {
        (BranchState::Working, BranchKind::Step) => "done",
        (BranchState::Working, _) => "asked for its vote",
        (BranchState::InDoubt, BranchKind::Step) => "undone",
        (BranchState::InDoubt, BranchKind::Deliver) => "delivered",
        (BranchState::InDoubt, BranchKind::Prepare) => "told the decision",
        _ => return None,
    };
    let undone_first = |other: &&BranchView| {
        let is_open = matches!(other.state, BranchState::InDoubt | BranchState::Stuck);
        is_open && other.kind == BranchKind::Step && other.after.contains(name)
    };
    let first = t.branches.iter().find(undone_first).filter(|_| doing == "undone");
    let again = b.next_attempt_at_ms.filter(|at| *at > now_ms);
    if let Some(why) = not_called(b) {
        return Some(format!(
            "branch {name} cannot be {doing}, for it cannot be called: {}.",
            clean(why)
        ));
    }
    Some(match (first, &b.waits_for, again) {
        (Some(first), ..) => format!("branch {name} is undone after {}.", first.name),
        (None, Some(first), _) => format!("branch {name} is {doing} after {}.", clean(first)),
        (None, None, Some(at)) => format!("branch {name} is tried again {}.", relative(at, now_ms)),
        (None, None, None) => format!("branch {name} is being {doing} at {resource}."),
    })
}

/// Whose turn has not come.
fn later(t: &Transaction) -> Option<String> {
    let mut waiting: Vec<_> = waiting(t).collect();
    // All that come before a branch are named, so what comes later has more of them.
    waiting.sort_by_key(|b| b.after.len());
    let (last, before): (Vec<&BranchView>, Vec<_>) =
        waiting.into_iter().partition(|b| b.kind == BranchKind::Deliver);
    let names = |branches: &[&BranchView]| {
        branches.iter().map(|b| b.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let is_decided = t.state == State::Committing;
    match (before.is_empty(), last.is_empty()) {
        (true, true) => None,
        (true, false) if is_decided => Some(format!("still to come: {}.", names(&last))),
        (true, false) => Some(format!("after a decision to commit: {}.", names(&last))),
        (false, true) => Some(format!("still to come: {}, the decision.", names(&before))),
        (false, false) => Some(format!(
            "still to come: {}, the decision; after one to commit: {}.",
            names(&before),
            names(&last)
        )),
    }
}

/// Why nobody was called, if so: its call names what no answer has brought.
fn not_called(b: &BranchView) -> Option<&str> {
    b.last_answer.as_ref()?.strip_prefix("it could not be called: ")
}

/// Whether the do of a step was heard to have come about, and not only what may be undone.
fn is_known_done(t: &Transaction, b: &BranchView) -> bool {
    let mut lines = t.timeline.iter().filter(|line| line.branch.as_ref() == Some(&b.name));
    lines.any(|line| matches!(line.what.as_str(), "done" | "declared done"))
}

/// A line, if there was an answer, or no call.
fn last_answer(b: &BranchView) -> String {
    match (not_called(b), &b.last_answer) {
        (Some(why), _) => format!("  It cannot be called: {}\n", clean(why)),
        (None, Some(answer)) => format!("  Its last answer: {}\n", clean(answer)),
        (None, None) => String::new(),
    }
}

/// A branch that waits for a person, and what can be said of it, ready to be copied.
fn stuck_branch(t: &Transaction, b: &BranchView, now_ms: u64) -> String {
    let (gid, BranchView { name, resource, id, .. }) = (&t.gid, b);
    let mut text = format!("  Branch {name} is STUCK and waits for a person");
    if let Some(at) = b.next_attempt_at_ms {
        let _ = write!(text, "; all the same it is tried again {}", soon(at, now_ms));
    }
    text.push_str(".\n");
    text.push_str(&last_answer(b));
    for call in call_lines(&b.calls) {
        let _ = writeln!(text, "  It calls: {}", clean(&call));
    }
    let is_decided = !matches!(t.state, State::Running | State::Preparing | State::Held);
    let resolve = |seen: &str| format!("resolve {gid} {name} {seen} --reason '…'");
    let whole = format!("edit {gid} --branch-file FILE --reason '…'");
    let mut words = Vec::new();
    let mut word = |when: &str, what: String| words.push((when.to_owned(), what));
    // Those who decide have forgotten it: no other answer will come.
    let is_forgotten = t.state == State::Deciding && t.decide != Decide::Log;
    if not_called(b).is_none() && !is_forgotten {
        word(&format!("{resource} is mended"), format!("retry {gid} {name}"));
    }
    match b.kind {
        BranchKind::Step => {
            let calls = "--do 'POST /…' --body '…' --undo 'DELETE /…'";
            word("call something else", format!("edit {gid} {name} {calls} --reason '…'"));
            let (undone, done) = match is_decided {
                true if is_known_done(t, b) => ("it is undone there", "it shall stay done"),
                true => ("it is not done there", "it is done there, and shall stay so"),
                false => ("it is not done there", "it is done there"),
            };
            word(undone, resolve("--undone"));
            word(done, resolve("--done"));
        }
        BranchKind::Deliver => {
            // The whole branch, for a message is more than a method and a path.
            word("send something else", whole);
            word("it has arrived", resolve("--done"));
            word("it shall not be delivered", resolve("--undone"));
        }
        BranchKind::Prepare => {
            word(&format!("{id} is committed there"), resolve("--outcome committed"));
            word(&format!("{id} is rolled back there"), resolve("--outcome aborted"));
            if is_decided {
                word("a reservation: call something else", whole);
            }
        }
    }
    if !is_decided {
        word("give all of it up", format!("abort {gid} --reason '…'"));
    }
    let width = words.iter().map(|(when, _)| when.chars().count()).max().unwrap_or(0);
    for (when, what) in words {
        let _ = writeln!(text, "    {when:width$}  handfast tx {what}");
    }
    text
}
