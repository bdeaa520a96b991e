//! Machines and records, as the wire shows them.

mod branch;
mod later;
mod list;
mod not_done;
mod stuck;
mod timeline;
mod waits;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use handfast_client::wire;
use handfast_core::{
    id::{BranchId, Cluster, RunId},
    limits::REASON_BYTES_MAX,
    pact::{Pact, Way},
    transaction::{AckWhen, Answer, Decision, Index, Known, Live, Reason, Saved, Voting},
    work::{Param, Rows},
};

use super::Rejected;

pub(super) use branch::add_calls;
pub(super) use later::later;
pub(super) use list::List;
pub(super) use timeline::{add_attempts, add_timeline, foretold};

/// A transaction of which this answer knows nothing but the name.
pub(super) fn unknown(gid: &str) -> wire::Transaction {
    bare(gid, wire::Outcome::Unknown, wire::State::Preparing)
}

fn bare(gid: &str, outcome: wire::Outcome, state: wire::State) -> wire::Transaction {
    wire::Transaction {
        gid: gid.into(),
        outcome,
        state,
        saga: None,
        decide: wire::Decide::Log,
        stuck: false,
        reason: None,
        decided_at_ms: None,
        deadline_at_ms: None,
        asking: None,
        branches: Vec::new(),
        results: Default::default(),
        timeline: Vec::new(),
    }
}

/// What the machine answered, in the wire's words.
pub(super) fn answered(
    gid: &str,
    answer: Answer,
    ack: AckWhen,
) -> Result<wire::Transaction, Rejected> {
    use wire::{Outcome, State};
    match answer {
        Answer::Committed => {
            let state = match ack {
                AckWhen::Decided => State::Committing,
                AckWhen::Applied => State::Committed,
            };
            Ok(bare(gid, Outcome::Committed, state))
        }
        Answer::Aborted(reason) => {
            let mut transaction = bare(gid, Outcome::Aborted, State::Aborting);
            transaction.reason = Some(abort_reason(&reason));
            Ok(transaction)
        }
        Answer::Held => Ok(bare(gid, Outcome::Unknown, State::Held)),
        // Decided, but not so everywhere: neither "it happened" nor "it did not" is true.
        Answer::Mixed => Ok(bare(gid, Outcome::Unknown, State::Mixed)),
        Answer::OtherContent => Err(Rejected::OtherContent),
        Answer::Busy => Err(Rejected::Busy),
        Answer::NoSuchTransaction => Err(Rejected::NoSuchTransaction),
        // A state's name is one word; anything else is a reason.
        Answer::WrongState(why) => Err(Rejected::WrongState(match why.contains(' ') {
            true => format!("not possible: {why}"),
            false => format!("not possible in state `{why}`"),
        })),
        Answer::CallUnderWay => Err(Rejected::CallUnderWay),
        Answer::Added
        | Answer::Done(_)
        | Answer::Taken
        | Answer::InquiryCommit
        | Answer::InquiryAbort
        | Answer::InquiryPending => Ok(unknown(gid)),
    }
}

fn abort_reason(reason: &Reason) -> wire::AbortReason {
    wire::AbortReason {
        branch: reason.branch.clone(),
        code: reason.refusal.code.clone(),
        message: message(reason),
        cure: None,
        body: service_said(reason),
        retryable: reason.refusal.cause.retryable(),
    }
}

/// The answer of a service that refused, if there was one.
fn service_said(reason: &Reason) -> Option<serde_json::Value> {
    let refused = reason.refusal.code == "service_refused";
    serde_json::from_str(Some(&reason.refusal.message).filter(|_| refused)?).ok()
}

/// Why it was aborted, in words and not too many.
fn message(reason: &Reason) -> String {
    match service_said(reason) {
        Some(serde_json::Value::String(text)) => shortened(text, REASON_BYTES_MAX),
        _ => shortened(reason.refusal.message.clone(), REASON_BYTES_MAX),
    }
}

/// At most so many bytes, and a mark if there were more.
fn shortened(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max - '…'.len_utf8()));
        text.push('…');
    }
    text
}

/// What the request was that began it, if it did.
pub(super) fn fingerprint<'a>(saved: &'a Saved, live: &'a Live) -> Option<&'a str> {
    let known = saved.known.as_ref().map(|known| &known.fingerprint);
    known.or(live.voting.as_ref().map(|voting| &voting.fingerprint)).map(String::as_str)
}

/// A transaction as its machine knows it; none if nothing is known.
pub(super) fn transaction(
    gid: &str,
    cluster: &Cluster,
    saved: &Saved,
    live: &Live,
) -> Option<wire::Transaction> {
    let id = |run: RunId, index: usize| {
        let index = Index::try_from(index).unwrap_or(Index::MAX);
        BranchId { cluster: cluster.clone(), run, index }.to_string()
    };
    match (&saved.known, &live.voting) {
        (Some(known), _) => {
            let held = live.voting.as_ref().is_some_and(|voting| voting.is_held());
            let state = if held { wire::State::Held } else { state(known.state()) };
            let mut view = bare(gid, outcome(known), state);
            view.asking = asking(known, live);
            view.decide = decide(known.pact.as_ref());
            view.saga = known.saga().map(String::from);
            if let Some(Decision::Abort(reason)) = &known.decision {
                view.reason = Some(abort_reason(reason));
            }
            let branches = (0..).take(known.branches.len());
            view.branches = branches
                .map(|at| branch::known(known, live, at, id(known.run, usize::from(at))))
                .collect();
            view.stuck = is_stuck(known, &view.branches);
            Some(view)
        }
        (None, Some(voting)) => {
            let mut view = bare(gid, wire::Outcome::Unknown, voting_state(voting));
            view.decide = decide(voting.pact.as_ref());
            let branches = voting.branches.iter().enumerate();
            view.branches = branches
                .map(|(index, (name, resource, vote))| {
                    branch::voting(name, resource, vote.as_ref(), id(voting.run, index))
                })
                .collect();
            Some(view)
        }
        (None, None) => None,
    }
}

/// Whether an operator is waited for: not while what was stuck is tried again.
fn is_stuck(known: &Known, branches: &[wire::BranchView]) -> bool {
    use wire::BranchState::{Heuristic, Stuck};
    let waits = |branch: &wire::BranchView| matches!(branch.state, Heuristic | Stuck);
    let is_asking = known.decision.is_none() && known.ask_stuck.is_some();
    known.is_stuck() && (is_asking || branches.iter().any(waits))
}

/// How asking goes whether the caller's local transaction committed, once that began.
fn asking(known: &Known, live: &Live) -> Option<wire::Asking> {
    let is_open = live.voting.as_ref().is_some_and(|voting| voting.open);
    let plan = known.plan.as_ref().filter(|_| is_open && live.asks > 0)?;
    Some(wire::Asking {
        resource: plan.terms.ask.as_ref()?.resource.clone(),
        attempts: live.asks,
        last_answer: live.ask_answer.clone().or(known.ask_stuck.clone()),
        next_attempt_at_ms: None,
    })
}

fn decide(pact: Option<&Pact>) -> wire::Decide {
    match pact.map(|pact| pact.way) {
        None => wire::Decide::Log,
        Some(Way::ThreePhase) => wire::Decide::ThreePhase,
        Some(Way::Paxos) => wire::Decide::Paxos,
    }
}

fn outcome(known: &Known) -> wire::Outcome {
    match &known.decision {
        _ if known.is_mixed() => wire::Outcome::Unknown,
        Some(Decision::Commit) => wire::Outcome::Committed,
        Some(Decision::Abort(_)) => wire::Outcome::Aborted,
        None => wire::Outcome::Unknown,
    }
}

/// The state of a name that [`Known::state`] gives.
fn state(name: &str) -> wire::State {
    match name {
        "deciding" => wire::State::Deciding,
        "committing" => wire::State::Committing,
        "aborting" => wire::State::Aborting,
        "committed" => wire::State::Committed,
        "aborted" => wire::State::Aborted,
        "mixed" => wire::State::Mixed,
        "running" => wire::State::Running,
        _ => wire::State::Preparing,
    }
}

fn voting_state(voting: &Voting) -> wire::State {
    match voting.is_held() {
        true => wire::State::Held,
        false => wire::State::Preparing,
    }
}

/// One finding of a check.
pub(super) fn finding(finding: handfast_participants::Finding) -> wire::Finding {
    use handfast_participants::Level;
    wire::Finding {
        level: match finding.level {
            Level::Ok => wire::FindingLevel::Ok,
            Level::Warning => wire::FindingLevel::Warning,
            Level::Error => wire::FindingLevel::Error,
        },
        code: finding.code.into(),
        message: finding.message,
        cure: finding.cure,
    }
}

/// Rows that a branch returned.
pub(super) fn result_set(rows: Rows) -> wire::ResultSet {
    let values = |row: Vec<Param>| row.into_iter().map(value).collect();
    wire::ResultSet { columns: rows.columns, rows: rows.rows.into_iter().map(values).collect() }
}

fn value(param: Param) -> serde_json::Value {
    match param {
        Param::Null => serde_json::Value::Null,
        Param::Bool(truth) => truth.into(),
        Param::Int(number) => number.into(),
        Param::Real(real) => f64::from(real).into(),
        Param::Text(text) | Param::Output(text) => text.into(),
        Param::Bytes(bytes) => serde_json::json!({ "bytes": BASE64.encode(&bytes) }),
    }
}
