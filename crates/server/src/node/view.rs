//! Machines and records, as the wire shows them.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use handfast_client::wire;
use handfast_core::{
    id::{BranchId, Cluster, RunId},
    pact::{Pact, Way},
    transaction::{
        AckWhen, Answer, Case, Decision, Fate, Index, Known, KnownBranch, Live, Reason, Record,
        Saved, Telling, Transaction, Voted, Voting,
    },
    vote::Vote,
    work::{Param, Rows},
};
use handfast_log::{Entry, ListQuery, Page, Partition, Sqlite};

use super::Rejected;
use crate::driver::now_ms;

/// Most lines on a page, and how many if nobody says.
const LINES_MAX: usize = 500;
const LINES: usize = 50;

/// A transaction of which this answer knows nothing but the name.
pub(super) fn unknown(gid: &str) -> wire::Transaction {
    bare(gid, wire::Outcome::Unknown, wire::State::Preparing)
}

fn bare(gid: &str, outcome: wire::Outcome, state: wire::State) -> wire::Transaction {
    wire::Transaction {
        gid: gid.into(),
        outcome,
        state,
        decide: wire::Decide::Log,
        stuck: false,
        reason: None,
        decided_at_ms: None,
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
        Answer::WrongState(state) => {
            Err(Rejected::WrongState(format!("not possible in state `{state}`")))
        }
        Answer::Taken | Answer::InquiryCommit | Answer::InquiryAbort | Answer::InquiryPending => {
            Ok(unknown(gid))
        }
    }
}

fn abort_reason(reason: &Reason) -> wire::AbortReason {
    wire::AbortReason {
        branch: reason.branch.clone(),
        code: reason.refusal.code.clone(),
        message: reason.refusal.message.clone(),
        cure: None,
        retryable: reason.refusal.cause.retryable(),
    }
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
            let mut view = bare(gid, outcome(known), state(known.state()));
            view.stuck = known.is_stuck();
            view.decide = decide(known.pact.as_ref());
            if let Some(Decision::Abort(reason)) = &known.decision {
                view.reason = Some(abort_reason(reason));
            }
            let branches = known.branches.iter().enumerate().map(|(index, branch)| {
                told_branch(known, branch, live.telling.get(index), id(known.run, index))
            });
            view.branches = branches.collect();
            Some(view)
        }
        (None, Some(voting)) => {
            let mut view = bare(gid, wire::Outcome::Unknown, voting_state(voting));
            view.decide = decide(voting.pact.as_ref());
            let branches = voting.branches.iter().enumerate();
            view.branches = branches
                .map(|(index, (name, resource, vote))| {
                    voting_branch(name, resource, vote.as_ref(), id(voting.run, index))
                })
                .collect();
            Some(view)
        }
        (None, None) => None,
    }
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
        _ => wire::State::Preparing,
    }
}

fn voting_state(voting: &Voting) -> wire::State {
    match voting.is_held() {
        true => wire::State::Held,
        false => wire::State::Preparing,
    }
}

fn voting_branch(name: &str, resource: &str, vote: Option<&Vote>, id: String) -> wire::BranchView {
    let state = match vote {
        None => wire::BranchState::Working,
        Some(Vote::Yes(_)) => wire::BranchState::Prepared,
        Some(Vote::ReadOnly) => wire::BranchState::ReadOnly,
        Some(Vote::No(_)) => wire::BranchState::Refused,
        Some(Vote::Lost(_)) => wire::BranchState::InDoubt,
    };
    branch_view(name, resource, id, state, None)
}

fn told_branch(
    known: &Known,
    branch: &KnownBranch,
    telling: Option<&Telling>,
    id: String,
) -> wire::BranchView {
    use wire::BranchState;
    let told = known.finished || telling.is_some_and(|telling| telling.is_finished);
    let state = match (&branch.fate, branch.vote) {
        (Fate::Heuristic(_), _) => BranchState::Heuristic,
        (Fate::Resolved { .. }, _) => BranchState::Resolved,
        (_, Voted::ReadOnly) => BranchState::ReadOnly,
        (_, Voted::No) => BranchState::Refused,
        (_, Voted::Yes | Voted::Unknown) if told => BranchState::Finished,
        (Fate::Stuck(_), _) => BranchState::Stuck,
        (Fate::Open, Voted::Yes | Voted::Unknown) => BranchState::InDoubt,
    };
    let mut view = branch_view(&branch.name, &branch.resource, id, state, telling);
    if let Fate::Heuristic(detail) | Fate::Stuck(detail) = &branch.fate {
        view.last_answer.get_or_insert_with(|| detail.clone());
    }
    view
}

fn branch_view(
    name: &str,
    resource: &str,
    id: String,
    state: wire::BranchState,
    telling: Option<&Telling>,
) -> wire::BranchView {
    wire::BranchView {
        name: name.into(),
        resource: resource.into(),
        id,
        state,
        attempts: telling.map_or(0, |telling| telling.tries),
        last_answer: telling.and_then(|telling| telling.last_answer.clone()),
        next_attempt_at_ms: None,
    }
}

/// Adds what the log remembers.
pub(super) fn add_timeline(view: &mut wire::Transaction, entries: &[Entry]) {
    let name = |view: &wire::Transaction, index: Index| {
        view.branches.get(usize::from(index)).map(|branch| branch.name.clone())
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
            Record::Begun { pact, .. } => ("begun", None, pact.to_string()),
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

fn limit(filter: &wire::ListFilter) -> usize {
    filter.limit.map_or(LINES, |limit| limit as usize).clamp(1, LINES_MAX)
}

/// Whether the filter's state is one that only memory knows.
fn is_voting_state(state: Option<&str>) -> bool {
    matches!(state, None | Some("preparing" | "held" | "open"))
}

/// Lines for transactions that wait for votes: the log does not know them.
pub(super) fn voting(
    partition: &mut Partition<Transaction, Sqlite>,
    filter: &wire::ListFilter,
) -> Vec<wire::TransactionLine> {
    let wanted_state = filter.state.as_deref();
    if !is_voting_state(wanted_state) {
        return Vec::new();
    }
    let lines = partition.machines().filter_map(|(gid, _, live)| {
        let voting = live.voting.as_ref()?;
        let state = voting_state(voting);
        let state_fits = match wanted_state {
            Some("held") => state == wire::State::Held,
            Some("preparing") => state == wire::State::Preparing,
            _ => true,
        };
        let resources: Vec<String> =
            voting.branches.iter().map(|(_, resource, _)| resource.clone()).collect();
        let resource_fits = filter.resource.as_ref().is_none_or(|one| resources.contains(one));
        let prefix_fits = filter.prefix.as_ref().is_none_or(|one| gid.starts_with(one.as_str()));
        (state_fits && resource_fits && prefix_fits).then(|| wire::TransactionLine {
            gid: gid.to_string(),
            state,
            stuck: false,
            resources,
            changed_at_ms: now_ms(),
        })
    });
    lines.take(limit(filter)).collect()
}

/// The log's part of a list.
pub(super) fn query(filter: &wire::ListFilter) -> Result<ListQuery, Rejected> {
    let mut query = ListQuery {
        prefix: filter.prefix.clone(),
        label: filter.resource.clone(),
        limit: limit(filter),
        ..ListQuery::default()
    };
    if let Some(after) = &filter.after {
        let position = after.parse();
        query.before =
            Some(position.map_err(|_| Rejected::WrongState(format!("`{after}` is no page")))?);
    }
    match filter.state.as_deref() {
        None => {}
        Some("open") => query.open_only = true,
        Some("in-doubt") => {
            query.open_only = true;
            query.states = ["deciding", "committing", "aborting"].map(String::from).to_vec();
        }
        Some("stuck") => {
            query.open_only = true;
            query.label = Some("!stuck".into());
        }
        Some("preparing" | "held") => query.states = vec!["none: only memory knows".into()],
        Some(
            name @ ("deciding" | "committing" | "aborting" | "committed" | "aborted" | "mixed"),
        ) => {
            query.states = vec![name.into()];
        }
        Some(other) => {
            return Err(Rejected::WrongState(format!(
                "unknown state `{other}`; there are open, in-doubt, stuck, preparing, held, \
                 deciding, committing, aborting, committed, aborted, mixed"
            )));
        }
    }
    Ok(query)
}

/// A page of what memory and log know.
pub(super) fn page(voting: Vec<wire::TransactionLine>, recorded: Page) -> wire::TransactionPage {
    let next = recorded.next.map(|position| position.to_string());
    let recorded = recorded.lines.into_iter().map(|line| {
        let words: Vec<&str> = line.label.split(' ').collect();
        let resources = words.iter().filter(|word| !word.starts_with('!'));
        wire::TransactionLine {
            gid: line.name.to_string(),
            state: state(&line.state),
            stuck: words.contains(&"!stuck"),
            resources: resources.map(|word| (*word).into()).collect(),
            changed_at_ms: line.changed_at_ms,
        }
    });
    wire::TransactionPage { transactions: voting.into_iter().chain(recorded).collect(), next }
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
        Param::Text(text) => text.into(),
        Param::Bytes(bytes) => serde_json::json!({ "bytes": BASE64.encode(&bytes) }),
    }
}
