//! Lists: what memory and log know, in pages.
//!
//! What only memory knows comes first, the last begun before all others, and after it what the log
//! knows, the last changed before all others.

use std::{cmp::Reverse, sync::Arc};

use handfast_client::wire;
use handfast_core::{
    id::RunId,
    transaction::{Transaction, Voting},
};
use handfast_log::{ListQuery, LogError, Partition, Position, Reader, Sqlite};

use super::{Rejected, state, stuck, voting_state};
use crate::{driver::now_ms, node::runs::Runs};

/// Most lines on a page, and how many if nobody says.
const LINES_MAX: usize = 500;
const LINES: usize = 50;

/// What is listed on a page.
#[derive(Clone)]
pub(in crate::node) struct List {
    filter: wire::ListFilter,
    after: Option<After>,
    limit: usize,
    /// What the log is asked; nothing if only memory knows the wanted state.
    log: Option<ListQuery>,
}

/// Where the page before ended.
#[derive(Clone, Copy)]
enum After {
    /// In memory.
    Run(RunId),
    /// In the log.
    Position(Position),
}

impl After {
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            Some((epoch, number)) => {
                Some(Self::Run(RunId { epoch: epoch.parse().ok()?, number: number.parse().ok()? }))
            }
            None => text.parse().ok().map(Self::Position),
        }
    }
}

impl List {
    pub(in crate::node) fn new(filter: wire::ListFilter) -> Result<Self, Rejected> {
        let after = filter.after.as_ref().map(|after| {
            let no_page = || Rejected::WrongState(format!("`{after}` is no page"));
            After::parse(after).ok_or_else(no_page)
        });
        let after = after.transpose()?;
        let limit = filter.limit.map_or(LINES, |limit| limit as usize).clamp(1, LINES_MAX);
        let log = in_log(&filter)?.map(|query| ListQuery {
            before: match after {
                Some(After::Position(position)) => Some(position),
                Some(After::Run(_)) | None => None,
            },
            ..query
        });
        Ok(Self { filter, after, limit, log })
    }

    /// Whether there may be lines that only memory knows.
    pub(in crate::node) fn begins_in_memory(&self) -> bool {
        matches!(self.filter.state.as_deref(), None | Some("preparing" | "held" | "open"))
            && !matches!(self.after, Some(After::Position(_)))
    }

    /// Lines for transactions that wait for votes, which the log does not know; one more than the
    /// page has room for, if there are others.
    pub(in crate::node) fn voting(
        &self,
        partition: &mut Partition<Transaction, Sqlite>,
        runs: &Runs,
    ) -> Vec<(RunId, wire::TransactionLine)> {
        let found = partition.machines().filter_map(|(gid, saved, live)| {
            // The log tells the state of what has begun to be recorded, but not that it is held.
            let is_only_here = saved.known.is_none() || self.wants("held");
            let voting = live.voting.as_ref().filter(|_| is_only_here)?;
            self.fits(gid, voting).then_some((gid, voting))
        });
        let mut found: Vec<_> = found.collect();
        found.sort_unstable_by_key(|(_, voting)| Reverse(voting.run));
        found.truncate(self.limit + 1);
        let line = |(gid, voting): (&Arc<str>, &Voting)| {
            (voting.run, voting_line(gid, voting, runs.since_ms(voting.run)))
        };
        found.into_iter().map(line).collect()
    }

    fn wants(&self, state: &str) -> bool {
        self.filter.state.as_deref() == Some(state)
    }

    fn fits(&self, gid: &str, voting: &Voting) -> bool {
        let wire::ListFilter { state, resource, saga, prefix, .. } = &self.filter;
        let state_fits = match state.as_deref() {
            Some("held") => voting_state(voting) == wire::State::Held,
            Some("preparing") => voting_state(voting) == wire::State::Preparing,
            _ => true,
        };
        let is_at = |one: &String| voting.branches.iter().any(|(_, there, _)| there == one);
        let is_later = match self.after {
            Some(After::Run(last)) => voting.run < last,
            Some(After::Position(_)) | None => true,
        };
        let is_of = |name: &String| {
            saga_of(voting).and_then(|saga| saga.rsplit_once('@')).is_some_and(|(of, _)| of == name)
        };
        let prefix_fits = prefix.as_ref().is_none_or(|prefix| gid.starts_with(prefix.as_str()));
        let work_fits = resource.as_ref().is_none_or(is_at) && saga.as_ref().is_none_or(is_of);
        state_fits && is_later && prefix_fits && work_fits
    }

    /// A page of what memory and log know.
    pub(in crate::node) fn page(
        &self,
        reader: &Reader,
        mut voting: Vec<(RunId, wire::TransactionLine)>,
    ) -> Result<wire::TransactionPage, LogError> {
        let has_more = voting.len() > self.limit;
        voting.truncate(self.limit);
        let is_full = voting.len() == self.limit;
        let last = voting.last().map(|(run, _)| run.to_string());
        let mut transactions: Vec<_> = voting.into_iter().map(|(_, line)| line).collect();
        // Of those that are held, some have begun to be recorded.
        for line in transactions.iter_mut().filter(|line| line.state == wire::State::Held) {
            if let Some(last) = reader.stream(&line.gid)?.last() {
                line.changed_at_ms = last.at_ms;
            }
        }
        let next = match &self.log {
            // The log's part begins on a page after this one.
            Some(_) if is_full => last,
            Some(query) => {
                let limit = self.limit - transactions.len();
                let recorded = reader.list(&ListQuery { limit, ..query.clone() })?;
                let lines = recorded.lines.into_iter();
                transactions.extend(lines.map(|line| recorded_line(reader, line)));
                recorded.next.map(|position| position.to_string())
            }
            None => last.filter(|_| has_more),
        };
        Ok(wire::TransactionPage { transactions, next })
    }

    /// Whether memory may know more of a line than the log.
    pub(in crate::node) fn is_more_in_memory(line: &wire::TransactionLine) -> bool {
        line.stuck || line.state == wire::State::Running
    }

    /// Of transactions with a plan, the log knows that they run, but only memory that they are
    /// held; and of those that are stuck, memory knows later answers. What sleeps is not held, and
    /// what it answered is not worth waking it for.
    pub(in crate::node) fn tell_live(
        &self,
        partition: &Partition<Transaction, Sqlite>,
        page: &mut wire::TransactionPage,
    ) {
        for line in page.transactions.iter_mut().filter(|line| Self::is_more_in_memory(line)) {
            let Some((saved, live)) = partition.machine(&line.gid) else { continue };
            let is_held = live.voting.as_ref().is_some_and(|voting| voting.is_held());
            if line.state == wire::State::Running && is_held {
                line.state = wire::State::Held;
            }
            let stuck_at = saved.known.as_ref().map(|known| stuck::stuck_at(known, live));
            if let Some(stuck_at) = stuck_at.filter(|at| line.stuck && !at.is_empty()) {
                line.stuck_at = stuck_at;
            }
        }
        if self.wants("running") {
            page.transactions.retain(|line| line.state == wire::State::Running);
        }
    }
}

/// What the log is asked for a filter; nothing if only memory knows the wanted state.
fn in_log(filter: &wire::ListFilter) -> Result<Option<ListQuery>, Rejected> {
    let mut query = ListQuery {
        prefix: filter.prefix.clone(),
        label: filter.resource.clone(),
        starts: filter.saga.as_ref().map(|name| format!("{SAGA}{name}@")),
        ..ListQuery::default()
    };
    match filter.state.as_deref() {
        None => {}
        Some("open") => query.open_only = true,
        Some("in-doubt") => {
            query.open_only = true;
            query.states = ["deciding", "committing", "aborting"].map(String::from).to_vec();
        }
        Some("stuck") => {
            query.open_only = true;
            let at = filter.resource.as_ref().map(|at| format!("!stuck@{at}"));
            query.label = Some(at.unwrap_or_else(|| "!stuck".into()));
        }
        Some("preparing" | "held") => return Ok(None),
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
    Ok(Some(query))
}

/// What a label calls the saga.
const SAGA: &str = "!saga=";

fn saga_of(voting: &Voting) -> Option<&String> {
    voting.plan.as_ref()?.terms.saga.as_ref()
}

fn voting_line(gid: &str, voting: &Voting, since_ms: Option<u64>) -> wire::TransactionLine {
    let there = voting.branches.iter().map(|(_, resource, _)| resource.clone());
    let mut resources: Vec<String> = there.collect();
    resources.sort_unstable();
    resources.dedup();
    wire::TransactionLine {
        gid: gid.into(),
        state: voting_state(voting),
        stuck: false,
        stuck_at: Vec::new(),
        resources,
        saga: saga_of(voting).cloned(),
        changed_at_ms: since_ms.unwrap_or_else(now_ms),
    }
}

fn recorded_line(reader: &Reader, line: handfast_log::Line) -> wire::TransactionLine {
    let words: Vec<&str> = line.label.split(' ').collect();
    let resources = words.iter().filter(|word| !word.starts_with('!'));
    let is_stuck = words.contains(&"!stuck");
    wire::TransactionLine {
        stuck: is_stuck,
        stuck_at: if is_stuck { stuck::recorded(reader, &line.name) } else { Vec::new() },
        gid: line.name,
        state: state(&line.state),
        resources: resources.map(|word| (*word).into()).collect(),
        saga: words.iter().find_map(|word| word.strip_prefix(SAGA)).map(String::from),
        changed_at_ms: line.changed_at_ms,
    }
}
