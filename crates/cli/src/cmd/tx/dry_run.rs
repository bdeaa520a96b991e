//! What would follow from a word, told to a person.
//!
//! The node tells it in the one-line texts of its records and effects, which name branches by their
//! places: `Done #1 …`, `undo 7.3 #1 at shipping …`. A text that is not known here is shown as it
//! is.

use std::fmt::Write as _;

use handfast_client::{
    Command, Handfast,
    wire::{
        Branch, BranchKind, BranchState, BranchView, Call, CallView, DryRun, Outcome, State,
        Transaction,
    },
};

use super::show::call_lines;
use crate::{
    exit::{Exit, Failure},
    output::Output,
};

pub async fn show(
    hf: &Handfast,
    gid: &str,
    command: &Command,
    output: &Output,
) -> Result<Exit, Failure> {
    let dry = hf.dry_run(gid, command).await?;
    let mut transaction = hf.get(gid).await?;
    if let Command::Edit(edit) = command {
        output.talk(&edited(&edit.branch, &mut transaction));
    }
    output.data(&dry, |dry| text(dry, &transaction));
    output.talk("nothing was done");
    Ok(Exit::Ok)
}

/// What an edited branch calls and would call; the transaction is then as it would be.
fn edited(branch: &Branch, t: &mut Transaction) -> String {
    let lines = |calls: &[CallView]| {
        call_lines(calls).map(|call| format!("\n  {call}")).collect::<String>()
    };
    let (name, wanted) = (&branch.name, calls(branch));
    let mut text = String::new();
    if let Some(there) = t.branches.iter_mut().find(|there| there.name == *name) {
        let before = std::mem::replace(&mut there.calls, wanted.clone());
        let _ = writeln!(text, "Branch {name} calls:{}", lines(&before));
    }
    let _ = write!(text, "From now on branch {name} would call:{}", lines(&wanted));
    text
}

/// A branch's calls as the node shows them.
fn calls(branch: &Branch) -> Vec<CallView> {
    let act = if branch.kind == Some(BranchKind::Deliver) { "deliver" } else { "do" };
    let calls = [
        (act, &branch.act),
        ("undo", &branch.undo),
        ("try", &branch.attempt),
        ("confirm", &branch.confirm),
        ("cancel", &branch.cancel),
    ];
    let view = |(verb, call): (&str, &Option<Call>)| {
        let Call { call, headers, body } = call.as_ref()?;
        let (headers, body) = (headers.keys().cloned().collect(), body.clone());
        Some(CallView { verb: verb.into(), call: call.clone(), headers, body })
    };
    let message = branch.message.iter().map(|message| CallView {
        verb: act.into(),
        call: format!("message {}", message.kind),
        ..CallView::default()
    });
    calls.into_iter().filter_map(view).chain(message).collect()
}

fn text(dry: &DryRun, t: &Transaction) -> String {
    let records = dry.records.iter().map(|line| record(line, t));
    let effects = dry.effects.iter().filter_map(|line| effect(line, t));
    let mut text = match is_mixed(dry, t) {
        true => {
            "It would be finished, MIXED: part of it happened. This cannot be taken back.\n".into()
        }
        false => String::new(),
    };
    for (head, lines) in [
        ("It would be recorded:", records.collect::<Vec<_>>()),
        ("Then at once:", effects.collect()),
        ("And later:", later(dry, t)),
    ] {
        if !lines.is_empty() {
            let _ = writeln!(text, "{head}");
            lines.iter().for_each(|line| {
                let _ = writeln!(text, "  {}", line.replace(char::is_control, " "));
            });
        }
    }
    if text.is_empty() { "Nothing would follow.".into() } else { text }
}

/// The branch at the place that a word such as `#1` names.
fn branch<'t>(word: &str, t: &'t Transaction) -> Option<&'t BranchView> {
    t.branches.get(word.strip_prefix('#')?.parse::<usize>().ok()?)
}

fn record(line: &str, t: &Transaction) -> String {
    let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (place, more) = rest.split_once(' ').unwrap_or((rest, ""));
    match (what, branch(place, t)) {
        ("Decided", _) if place == "commit" => "the decision to commit".into(),
        ("Decided", _) => "the decision to abort".into(),
        ("Sealed", _) => "no branch can be added any more".into(),
        ("Finished", _) => "the transaction is finished".into(),
        ("Done", Some(b)) => format!("{} is done, {more}", b.name),
        ("Resolved", Some(b)) => declared(b, more),
        ("Edited", Some(b)) => format!("{} has other calls: {more}", b.name),
        ("Stuck", Some(b)) => format!("{} is stuck: {more}", b.name),
        ("Applied", Some(b)) if b.kind == BranchKind::Deliver => format!("{} is delivered", b.name),
        ("Applied", Some(b)) => format!("{} is undone", b.name),
        _ => line.into(),
    }
}

fn declared(b: &BranchView, said: &str) -> String {
    let (seen, reason) = said.split_once(' ').unwrap_or((said, ""));
    let word = match (b.kind, seen) {
        (BranchKind::Prepare, seen) => seen,
        (_, "committed") => "done",
        _ => "undone",
    };
    format!("{} is declared {word}: {reason}", b.name)
}

/// Whether a branch would be declared finished against what was decided.
fn is_mixed(dry: &DryRun, t: &Transaction) -> bool {
    let against = match t.state {
        State::Committing => "aborted",
        State::Aborting => "committed",
        _ => return false,
    };
    let resolves = |line: &String| {
        let mut words = line.split(' ');
        words.next() == Some("Resolved") && words.nth(1) == Some(against)
    };
    dry.records.iter().any(resolves)
}

/// What becomes of a step that is done, or may be.
fn undo(b: &BranchView) -> String {
    let BranchView { name, resource, .. } = b;
    match b.calls.iter().find(|call| call.verb == "undo") {
        Some(undo) => format!("undo {name} at {resource}: {}", undo.call),
        // An older node does not tell.
        None if b.calls.is_empty() => format!("undo {name} at {resource}, if it has an undo"),
        None => format!("{name} at {resource} stays as it is: it has no undo"),
    }
}

/// Nothing of timers and answers: they change nothing outside.
fn effect(line: &str, t: &Transaction) -> Option<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let place = words.get(2).and_then(|word| branch(word, t));
    let why = line.split_once(" is not called: ").map(|(_, why)| why);
    match (words.as_slice(), place) {
        (["arm" | "reply" | "close" | "alarm", ..], _) => None,
        ([verb, _, _, "at", resource, ..], Some(b)) => {
            let verb = if *verb == "reserve" { "try" } else { *verb };
            let call = b.calls.iter().find(|call| call.verb == verb);
            let call = call.map(|call| format!(": {}", call.call)).unwrap_or_default();
            let not = why.map(|why| format!(" cannot be called, for {why}")).unwrap_or_default();
            Some(format!("{verb} {} at {resource}{call}{not}", b.name))
        }
        _ => Some(line.into()),
    }
}

/// What comes beyond the first effects: what a decision leads to, and what leads to one.
fn later(dry: &DryRun, t: &Transaction) -> Vec<String> {
    let decided = |word: &str| dry.records.iter().any(|record| record.starts_with(word));
    let is_named = |at: usize| {
        let place = format!("#{at}");
        dry.effects.iter().any(|effect| effect.split(' ').nth(2) == Some(&place))
    };
    let others = t.branches.iter().enumerate().filter(|(at, _)| !is_named(*at)).map(|(_, b)| b);
    let others: Vec<_> = others.collect();
    let undone = |b: &&&BranchView| {
        b.kind == BranchKind::Step && matches!(b.state, BranchState::Done | BranchState::Working)
    };
    let undos = || others.iter().filter(undone).rev().map(|b| undo(b));
    let deliver = |b: &&BranchView| format!("deliver {} at {}", b.name, b.resource);
    let is_delivery = |b: &&&BranchView| b.kind == BranchKind::Deliver;
    let deliveries = || others.iter().filter(is_delivery).map(deliver);
    if decided("Decided abort") {
        return undos().collect();
    }
    if decided("Decided commit") {
        return deliveries().collect();
    }
    if t.outcome != Outcome::Unknown || t.state == State::Deciding {
        return Vec::new();
    }
    let is_waiting =
        |b: &&&BranchView| b.state == BranchState::Waiting && b.kind != BranchKind::Deliver;
    let waits: Vec<_> = others.iter().filter(is_waiting).map(|b| b.name.as_str()).collect();
    let first =
        if waits.is_empty() { String::new() } else { format!("{}, then ", waits.join(", ")) };
    let votes = t.branches.iter().any(|b| b.kind == BranchKind::Prepare);
    let when = if votes { " when all have voted" } else { "" };
    let mut lines = vec![format!("{first}the decision{when}")];
    lines.extend(deliveries().map(|line| format!("if that is to commit: {line}")));
    lines.extend(undos().map(|line| format!("if that is to abort: {line}")));
    lines
}
