//! Lists: what memory and log know, in pages.

use handfast_client::wire;
use handfast_core::transaction::Transaction;
use handfast_log::{ListQuery, LogError, Partition, Reader, Sqlite};

use super::{Rejected, state, voting_state};
use crate::{driver::now_ms, node::runs::Runs};

/// Most lines on a page, and how many if nobody says.
const LINES_MAX: usize = 500;
const LINES: usize = 50;

fn limit(filter: &wire::ListFilter) -> usize {
    filter.limit.map_or(LINES, |limit| limit as usize).clamp(1, LINES_MAX)
}

/// Whether the filter's state is one that only memory knows.
fn is_voting_state(state: Option<&str>) -> bool {
    matches!(state, None | Some("preparing" | "held" | "open"))
}

/// Lines for transactions that wait for votes: the log does not know them.
pub(in crate::node) fn voting(
    partition: &mut Partition<Transaction, Sqlite>,
    runs: &Runs,
    filter: &wire::ListFilter,
) -> Vec<wire::TransactionLine> {
    let wanted_state = filter.state.as_deref();
    if !is_voting_state(wanted_state) {
        return Vec::new();
    }
    // What has begun to be recorded stands in the log's part too.
    let of_log = matches!(wanted_state, None | Some("open"));
    let lines = partition.machines().filter_map(|(gid, saved, live)| {
        let voting = live.voting.as_ref().filter(|_| !of_log || saved.known.is_none())?;
        let state = voting_state(voting);
        let state_fits = match wanted_state {
            Some("held") => state == wire::State::Held,
            Some("preparing") => state == wire::State::Preparing,
            _ => true,
        };
        let mut resources: Vec<String> =
            voting.branches.iter().map(|(_, resource, _)| resource.clone()).collect();
        resources.sort_unstable();
        resources.dedup();
        let resource_fits = filter.resource.as_ref().is_none_or(|one| resources.contains(one));
        let prefix_fits = filter.prefix.as_ref().is_none_or(|one| gid.starts_with(one.as_str()));
        (state_fits && resource_fits && prefix_fits).then(|| wire::TransactionLine {
            gid: gid.to_string(),
            state,
            stuck: false,
            resources,
            changed_at_ms: runs.since_ms(voting.run).unwrap_or_else(now_ms),
        })
    });
    lines.take(limit(filter)).collect()
}

/// The log's part of a list.
pub(in crate::node) fn query(filter: &wire::ListFilter) -> Result<ListQuery, Rejected> {
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
            name @ ("running" | "deciding" | "committing" | "aborting" | "committed" | "aborted"
            | "mixed"),
        ) => {
            query.states = vec![name.into()];
        }
        Some(other) => {
            return Err(Rejected::WrongState(format!(
                "unknown state `{other}`; there are open, in-doubt, stuck, preparing, held, \
                 running, deciding, committing, aborting, committed, aborted, mixed"
            )));
        }
    }
    Ok(query)
}

/// Of transactions with a plan, the log knows that they run, but only memory that they are held.
pub(in crate::node) fn tell_held(
    partition: &Partition<Transaction, Sqlite>,
    page: &mut wire::TransactionPage,
    wanted_state: Option<&str>,
) {
    let is_held = |gid: &str| {
        let voting = partition.machine(gid).and_then(|(_, live)| live.voting.as_ref());
        voting.is_some_and(|voting| voting.is_held())
    };
    for line in &mut page.transactions {
        if line.state == wire::State::Running && is_held(&line.gid) {
            line.state = wire::State::Held;
        }
    }
    if wanted_state == Some("running") {
        page.transactions.retain(|line| line.state == wire::State::Running);
    }
}

/// A page of what memory and log know.
pub(in crate::node) fn page(
    reader: &Reader,
    mut voting: Vec<wire::TransactionLine>,
    query: &ListQuery,
) -> Result<wire::TransactionPage, LogError> {
    // Of those that are held, some have begun to be recorded.
    for line in voting.iter_mut().filter(|line| line.state == wire::State::Held) {
        if let Some(last) = reader.stream(&line.gid)?.last() {
            line.changed_at_ms = last.at_ms;
        }
    }
    let recorded = reader.list(query)?;
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
    let transactions = voting.into_iter().chain(recorded).collect();
    Ok(wire::TransactionPage { transactions, next })
}
