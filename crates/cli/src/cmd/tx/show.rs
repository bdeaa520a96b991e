//! One transaction on one page, to be read at three in the morning: first what it means, then what
//! happens next, then the evidence.

use std::fmt::Write as _;

use handfast_client::wire::{BranchState, BranchView, Decide, State, TimelineEntry, Transaction};

use crate::output::{relative, span, table, utc};

pub fn page(t: &Transaction, now_ms: u64) -> String {
    let mut text = format!("{}  {}\n\n", t.gid, state_word(t.state));
    let _ = writeln!(text, "  {}", meaning(t, now_ms));
    match t.decide {
        Decide::Log => {}
        Decide::ThreePhase => {
            text.push_str("  Its shards may decide without the node (three_phase).\n")
        }
        Decide::Paxos => text.push_str("  Its shards may decide without the node (paxos).\n"),
    }
    if let Some(reason) = &t.reason {
        let branch = reason.branch.as_ref().map(|b| format!("branch {b}: ")).unwrap_or_default();
        let _ = writeln!(text, "  Because: {branch}{} [{}]", reason.message, reason.code);
        if let Some(cure) = &reason.cure {
            let _ = writeln!(text, "  Cure: {cure}");
        }
        if reason.retryable {
            text.push_str("  The same work may succeed under a new gid.\n");
        }
    }
    for line in next(t, now_ms) {
        let _ = writeln!(text, "  Next: {line}");
    }
    if !t.branches.is_empty() {
        text.push('\n');
        text.push_str(&branches(&t.branches, now_ms));
    }
    if !t.timeline.is_empty() {
        text.push('\n');
        text.push_str(&timeline(&t.timeline, now_ms));
    }
    text
}

pub fn state_word(state: State) -> &'static str {
    match state {
        State::Preparing => "preparing",
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
        State::Held => "Not decided: every branch voted yes; it waits for a word.".into(),
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
        State::Aborted => format!("It did not happen: decided{decided}, nothing of it is left."),
        State::Mixed => "PART OF IT HAPPENED: a branch was finished against the decision by \
                         someone else."
            .into(),
    }
}

/// What will happen by itself, or what a person must do.
fn next(t: &Transaction, now_ms: u64) -> Vec<String> {
    let gid = &t.gid;
    let whole = match t.state {
        State::Preparing => {
            Some("it is aborted by itself if votes are missing at its timeout.".into())
        }
        State::Held => Some(format!(
            "`handfast tx commit {gid}` or `handfast tx abort {gid}`; aborted by itself at its \
             timeout."
        )),
        State::Mixed => Some(format!(
            "correct the books by hand, then `handfast tx resolve {gid} --branch … --outcome … \
             --reason …`."
        )),
        State::Committed | State::Aborted => return Vec::new(),
        State::Deciding | State::Committing | State::Aborting => None,
    };
    let branches = t.branches.iter().filter_map(|b| match b.state {
        BranchState::Stuck => Some(format!(
            "branch {} is STUCK and waits for a person. Mend {} and `handfast tx retry {gid}`, or \
             look there for `{}` and `handfast tx resolve {gid} --branch {} --outcome … --reason \
             …`.",
            b.name, b.resource, b.id, b.name
        )),
        BranchState::InDoubt => Some(match b.next_attempt_at_ms {
            Some(at) if at > now_ms => {
                format!("branch {} is tried again {}.", b.name, relative(at, now_ms))
            }
            _ => format!("branch {}: {} is being told now.", b.name, b.resource),
        }),
        _ => None,
    });
    whole.into_iter().chain(branches).collect()
}

fn branches(branches: &[BranchView], now_ms: u64) -> String {
    let row = |b: &BranchView| {
        vec![
            b.name.clone(),
            b.resource.clone(),
            branch_word(b.state).into(),
            b.attempts.to_string(),
            b.next_attempt_at_ms.map_or("-".into(), |at| relative(at, now_ms)),
            b.id.clone(),
            b.last_answer.clone().unwrap_or_default(),
        ]
    };
    let head = ["BRANCH", "RESOURCE", "STATE", "TRIES", "NEXT TRY", "ID THERE", "LAST ANSWER"];
    table(&head, &branches.iter().map(row).collect::<Vec<_>>())
}

fn branch_word(state: BranchState) -> &'static str {
    match state {
        BranchState::Working => "working",
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
    let start = entries.iter().map(|entry| entry.at_ms).min().unwrap_or(now_ms);
    let row = |entry: &TimelineEntry| {
        vec![
            format!("+{}", span(entry.at_ms.saturating_sub(start))),
            entry.position.map_or("-".into(), |position| format!("#{position}")),
            entry.what.clone(),
            entry.branch.clone().unwrap_or_default(),
            entry.detail.clone(),
        ]
    };
    let rows: Vec<_> = entries.iter().map(row).collect();
    let began = format!("Began {}, {}\n", utc(start), relative(start, now_ms));
    began + &table(&["AFTER", "RECORD", "WHAT", "BRANCH", "DETAIL"], &rows)
}
