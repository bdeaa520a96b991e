//! One transaction on one page, to be read at three in the morning: first what it means, then what
//! happens next and what can be said, then the evidence.

mod next;

use std::fmt::Write as _;

use handfast_client::wire::{
    BranchKind, BranchState, BranchView, CallView, Decide, State, TimelineEntry, Transaction,
};

use crate::output::{relative, span, table, utc};

/// Most of an output, or of an answer in a list, that is shown; `--json` shows more.
const SHOWN_CHARS_MAX: usize = 60;

pub fn page(t: &Transaction, now_ms: u64) -> String {
    let stuck = if t.stuck { ", STUCK" } else { "" };
    let mut text = format!("{}  {}{stuck}\n\n", t.gid, state_word(t.state));
    let _ = writeln!(text, "  {}", meaning(t, now_ms));
    if let Some(saga) = &t.saga {
        let _ = writeln!(text, "  A run of the saga {saga}.");
    }
    match t.decide {
        Decide::Log => {}
        Decide::ThreePhase => {
            text.push_str("  Its shards may decide without the node (three_phase).\n")
        }
        Decide::Paxos => text.push_str("  Its shards may decide without the node (paxos).\n"),
    }
    if let Some(reason) = &t.reason {
        let branch = reason.branch.as_ref().map(|b| format!("branch {b}: ")).unwrap_or_default();
        let _ = writeln!(text, "  Because: {branch}{} [{}]", clean(&reason.message), reason.code);
        if let Some(cure) = &reason.cure {
            let _ = writeln!(text, "  Cure: {}", clean(cure));
        }
        if reason.retryable {
            text.push_str("  The same work may succeed under a new gid.\n");
        }
    }
    text.push_str(&undone(t));
    text.push_str(&next::lines(t, now_ms));
    if !t.branches.is_empty() {
        let _ = write!(text, "\n{}", branches(&t.branches, now_ms));
        let _ = write!(text, "\n{}", there(&t.branches));
    }
    if !t.timeline.is_empty() {
        let _ = write!(text, "\n{}", timeline(&t.timeline, now_ms));
    }
    text
}

pub fn state_word(state: State) -> &'static str {
    match state {
        State::Preparing => "preparing",
        State::Running => "running",
        State::Held => "held",
        State::Deciding => "deciding",
        State::Committing => "committing",
        State::Aborting => "aborting",
        State::Committed => "committed",
        State::Aborted => "aborted",
        State::Mixed => "MIXED",
    }
}

fn meaning(t: &Transaction, now_ms: u64) -> String {
    let decided = t.decided_at_ms.map(|at| format!(" {}", relative(at, now_ms)));
    let decided = decided.unwrap_or_default();
    match t.state {
        State::Preparing => "Not decided: it waits for votes.".into(),
        State::Running => "Not decided: its steps are being done.".into(),
        State::Held if waiting(t).any(|b| b.kind != BranchKind::Deliver) => {
            "Not decided: it waits for a word, and then for what is still to come.".into()
        }
        State::Held => "Not decided: all is done or voted yes; it waits for a word.".into(),
        State::Deciding if t.decide != Decide::Log => {
            "Not decided as far as the node knows: it waits for its shards and acceptors.".into()
        }
        State::Deciding => {
            "Its one branch decides by committing; it waits to hear whether that happened.".into()
        }
        State::Committing => {
            format!("It will happen: commit was decided{decided}. Not yet applied everywhere.")
        }
        State::Aborting => {
            format!("It will not happen: abort was decided{decided}. Not yet undone everywhere.")
        }
        State::Committed => format!("It happened: decided{decided}, applied everywhere."),
        State::Aborted if t.branches.iter().any(stays) => {
            format!("It did not happen: decided{decided}. Some of it had no undo.")
        }
        State::Aborted => format!("It did not happen: decided{decided}, nothing of it is left."),
        State::Mixed => {
            let who = match against(t) {
                Some(_) => "a branch was finished against the decision by someone else",
                None => "a branch ended against the decision, and an operator said so",
            };
            format!("{}: {who}.", mixed(t))
        }
    }
}

/// How much of what ended against its decision has happened.
fn mixed(t: &Transaction) -> &'static str {
    let is_commit = t.reason.is_none();
    let is_against = |b: &BranchView| match b.state {
        BranchState::Heuristic => true,
        BranchState::Resolved => resolved_as(t, b) == Some(!is_commit),
        _ => false,
    };
    match (t.branches.iter().all(is_against), is_commit) {
        (true, true) => "NOTHING OF IT HAPPENED, though commit was decided",
        (true, false) => "ALL OF IT HAPPENED, though abort was decided",
        (false, _) => "PART OF IT HAPPENED",
    }
}

/// What an operator said of a branch last: whether it has happened.
fn resolved_as(t: &Transaction, b: &BranchView) -> Option<bool> {
    let lines = t.timeline.iter().rev().filter(|line| line.branch.as_ref() == Some(&b.name));
    lines.into_iter().find_map(|line| match line.what.as_str() {
        "declared done" => Some(true),
        "declared undone" => Some(false),
        "resolved" => Some(line.detail.starts_with("as committed")),
        _ => None,
    })
}

/// Whose turn has not come.
fn waiting(t: &Transaction) -> impl Iterator<Item = &BranchView> {
    t.branches.iter().filter(|b| b.state == BranchState::Waiting)
}

/// A branch that was finished against the decision, and that nobody has dealt with.
fn against(t: &Transaction) -> Option<&BranchView> {
    t.branches.iter().find(|b| b.state == BranchState::Heuristic)
}

/// Of an abort: a step that is or may be done, and that nothing undoes.
fn stays(b: &BranchView) -> bool {
    b.kind == BranchKind::Step && matches!(b.state, BranchState::Done | BranchState::InDoubt)
}

/// Of an abort: what was undone, and what was not.
fn undone(t: &Transaction) -> String {
    let is_over = t.state == State::Aborted;
    if !is_over && t.state != State::Aborting {
        return String::new();
    }
    let steps = t.branches.iter().filter(|b| b.kind == BranchKind::Step);
    let of = |state| {
        let names = steps.clone().filter(|b| b.state == state).map(|b| b.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    };
    let maybe = "May be done, and nothing undoes it";
    let lines = [
        ("Undone", of(BranchState::Undone)),
        ("Done, and nothing undoes it", of(BranchState::Done)),
        (if is_over { maybe } else { "To be undone" }, of(BranchState::InDoubt)),
    ];
    let said = lines.iter().filter(|(_, names)| !names.is_empty());
    said.map(|(what, names)| format!("  {what}: {names}.\n")).collect()
}

fn branches(branches: &[BranchView], now_ms: u64) -> String {
    let row = |b: &BranchView| {
        vec![
            b.name.clone(),
            kind_word(b.kind).into(),
            right_before(b, branches).join(", "),
            b.resource.clone(),
            branch_word(b.state).into(),
            if b.attempts == 0 { "-".into() } else { b.attempts.to_string() },
            b.next_attempt_at_ms.map_or("-".into(), |at| soon(at, now_ms)),
            b.last_answer.clone().unwrap_or_default(),
        ]
    };
    let head = ["BRANCH", "KIND", "AFTER", "RESOURCE", "STATE", "TRIES", "NEXT TRY", "LAST ANSWER"];
    table(&head, &branches.iter().map(row).collect::<Vec<_>>())
}

/// What comes right before a branch. The wire names all that come before it.
fn right_before<'b>(branch: &'b BranchView, all: &[BranchView]) -> Vec<&'b str> {
    let is_before_another = |name: &String| {
        let others = all.iter().filter(|other| branch.after.contains(&other.name));
        others.into_iter().any(|other| other.after.contains(name))
    };
    let near = branch.after.iter().filter(|name| !is_before_another(name));
    near.map(String::as_str).collect()
}

/// When it is tried next. A time that is over is now: the node is about to, or has just begun.
fn soon(at_ms: u64, now_ms: u64) -> String {
    if at_ms > now_ms { relative(at_ms, now_ms) } else { "now".into() }
}

/// What each branch is called at its participant, and what it has put out.
fn there(branches: &[BranchView]) -> String {
    let row = |b: &BranchView| {
        let output = b.output.as_ref().map(|output| shortened(output.to_string()));
        vec![b.name.clone(), b.id.clone(), output.unwrap_or_default()]
    };
    table(&["BRANCH", "ID THERE", "OUTPUT"], &branches.iter().map(row).collect::<Vec<_>>())
}

pub fn shortened(text: String) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn kind_word(kind: BranchKind) -> &'static str {
    match kind {
        BranchKind::Prepare => "prepare",
        BranchKind::Step => "step",
        BranchKind::Deliver => "deliver",
    }
}

fn branch_word(state: BranchState) -> &'static str {
    match state {
        BranchState::Waiting => "waiting",
        BranchState::Working => "working",
        BranchState::Done => "done",
        BranchState::Undone => "undone",
        BranchState::Skipped => "skipped",
        BranchState::NotDone => "not done",
        BranchState::Prepared => "prepared",
        BranchState::ReadOnly => "read only",
        BranchState::Refused => "said no",
        BranchState::InDoubt => "in doubt",
        BranchState::Stuck => "STUCK",
        BranchState::Finished => "finished",
        BranchState::Heuristic => "AGAINST DECISION",
        BranchState::Resolved => "resolved",
    }
}

fn timeline(entries: &[TimelineEntry], now_ms: u64) -> String {
    // Only what has a plan, or is left to others, records that it begins.
    let begun = entries.iter().find(|entry| entry.what == "begun");
    let first = begun.or(entries.first()).map_or(now_ms, |entry| entry.at_ms);
    let mut before = begun.map(|entry| entry.at_ms);
    let mut rows = Vec::new();
    for alike in entries.chunk_by(is_same) {
        let between = alike.len().saturating_sub(2);
        for (at, entry) in alike.iter().enumerate() {
            let is_edge = at == 0 || at + 1 == alike.len();
            if is_edge || between == 1 {
                rows.push(row(entry, before));
                before = Some(entry.at_ms);
            } else if at == 1 {
                let branch = entry.branch.clone().unwrap_or_default();
                let more = format!("{between} more the same");
                rows.push(["", "", "", &more, &branch, ""].map(String::from).to_vec());
            }
        }
    }
    let since = match begun {
        Some(_) => "Began",
        None => "Its begin is not recorded; known since",
    };
    let since = format!("{since} {}, {}\n", utc(first), relative(first, now_ms));
    let mut text = since + &table(&["TIME", "PASSED", "RECORD", "WHAT", "BRANCH", "DETAIL"], &rows);
    if entries.iter().any(|entry| entry.position.is_none()) {
        text.push_str("(without a record: seen by this process, and forgotten with it)\n");
    }
    text
}

/// `before_ms` is absent if nothing before it is known.
fn row(entry: &TimelineEntry, before_ms: Option<u64>) -> Vec<String> {
    let passed = before_ms.map(|before_ms| span(entry.at_ms.saturating_sub(before_ms)));
    vec![
        time_of_day(entry.at_ms),
        passed.map_or("-".into(), |passed| format!("+{passed}")),
        entry.position.map_or("-".into(), |position| format!("#{position}")),
        entry.what.clone(),
        entry.branch.clone().unwrap_or_default(),
        detail(entry),
    ]
}

/// Where a call ended, which one, after how many tries, and then what else is known.
fn detail(entry: &TimelineEntry) -> String {
    let (Some(call), Some(took_ms)) = (&entry.call, entry.took_ms) else {
        return entry.detail.clone();
    };
    let mut text = match entry.tries {
        Some(tries) if tries > 1 => {
            format!("{call}, {tries} tries, the last took {took_ms} ms")
        }
        _ => format!("{call}, took {took_ms} ms"),
    };
    if !entry.detail.is_empty() {
        let _ = write!(text, ": {}", entry.detail);
    }
    text
}

/// What a branch calls, one call a line.
pub fn call_lines(calls: &[CallView]) -> impl Iterator<Item = String> + '_ {
    calls.iter().map(|CallView { verb, call, headers, body }| {
        let headers = match headers.is_empty() {
            true => String::new(),
            false => format!(" with {}", headers.join(", ")),
        };
        let body = body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        format!("{verb} {call}{headers}{body}")
    })
}

/// Whether both tell of tries of one branch that were answered the same.
fn is_same(one: &TimelineEntry, other: &TimelineEntry) -> bool {
    // What was asked stands before the comma, what was answered after the colon.
    let said = |entry: &TimelineEntry| {
        let (asked, answered) = entry.detail.split_once(", ")?;
        let (_, answer) = answered.split_once(": ")?;
        Some((asked.to_owned(), answer.to_owned()))
    };
    let is_seen = one.position.is_none() && other.position.is_none();
    is_seen && one.branch == other.branch && said(one).is_some() && said(one) == said(other)
}

/// `14:40:08.123`.
fn time_of_day(at_ms: u64) -> String {
    let whole = utc(at_ms);
    whole.split(' ').nth(1).unwrap_or_default().into()
}

/// What others said may hold line breaks, and worse.
pub fn clean(text: &str) -> String {
    text.replace(char::is_control, " ")
}
