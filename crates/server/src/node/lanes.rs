//! Ordered deliveries: those with one key at one resource leave one after the other.
//!
//! A lane is made with its first delivery and goes with its last. Places are taken in the order in
//! which deliveries leave the partition, which is the order of their decisions; a delivery whose
//! own transaction holds it back takes its place when its turn has come. The first of a lane is
//! called until it is finished or an operator has dealt with it, and only then the second leaves:
//! a stuck delivery holds up its lane, and nothing else.
//!
//! Bounded by the transactions that may be open.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use handfast_core::{
    id::RunId,
    plan::{Calls, Kind},
    transaction::{Decision, Index, Known, Record, Transaction},
    work::Work,
};
use handfast_log::{Log as _, LogError, Partition, Position, Sqlite};

use super::requests::Request;

/// The lanes of one resource.
#[derive(Default)]
pub(super) struct Lanes(Mutex<State>);

#[derive(Default)]
struct State {
    /// By key, and within a lane by number.
    lanes: HashMap<Arc<str>, Lane>,
    /// By gid, so that no lane is ever searched.
    places: HashMap<Arc<str>, Vec<Place>>,
    /// The last number that was given out.
    last: u64,
}

/// Whose it is, and what is to be called; none of the first, which is called or waits to be tried
/// again.
type Lane = BTreeMap<u64, (Arc<str>, Option<Request>)>;

/// Where a delivery stands.
struct Place {
    run: RunId,
    branch: Index,
    key: Arc<str>,
    number: u64,
}

impl Lanes {
    /// Gives the delivery its place; returns it if it is the first and may leave. One that has a
    /// place keeps it: the first is tried again, and any other is called when its turn comes.
    pub(super) fn enter(&self, key: &str, request: Request) -> Option<Request> {
        let mut state = self.lock();
        if let Some(number) = state.number(key, &request) {
            return state.is_first(key, number).then_some(request);
        }
        state.last += 1;
        let number = state.last;
        let key = state.lanes.get_key_value(key).map_or_else(|| key.into(), |(key, _)| key.clone());
        let (gid, run, branch) = (Arc::clone(&request.gid), request.run, request.branch);
        let place = Place { run, branch, key: Arc::clone(&key), number };
        state.places.entry(Arc::clone(&gid)).or_default().push(place);
        let lane = state.lanes.entry(key).or_default();
        let (waits, leaves) = match lane.is_empty() {
            true => (None, Some(request)),
            false => (Some(request), None),
        };
        lane.insert(number, (gid, waits));
        leaves
    }

    /// For whom a delivery waits: the first of its lane; none if it is that itself.
    pub(super) fn first_before(
        &self,
        gid: &str,
        delivery: (RunId, Index),
        key: &str,
    ) -> Option<Arc<str>> {
        let state = self.lock();
        let number = state.place(gid, delivery, key)?;
        let (first, (whose, _)) = state.lanes.get(key)?.first_key_value()?;
        (*first != number).then(|| Arc::clone(whose))
    }

    /// Who leaves when a delivery is dealt with: the second of its lane; none if it is not the
    /// first.
    pub(super) fn second_after(
        &self,
        gid: &str,
        delivery: (RunId, Index),
        key: &str,
    ) -> Option<Arc<str>> {
        let state = self.lock();
        let number = state.place(gid, delivery, key)?;
        let mut lane = state.lanes.get(key)?.iter();
        lane.next().filter(|(first, _)| **first == number)?;
        lane.next().map(|(_, (whose, _))| Arc::clone(whose))
    }

    /// The first is finished; returns the next, which may leave now.
    pub(super) fn finished(&self, key: &str, done: &Request) -> Option<Request> {
        let mut state = self.lock();
        let number = state.number(key, done)?;
        if !state.is_first(key, number) {
            return None;
        }
        state.take_out(&done.gid, |place| place.number == number);
        state.next(key)
    }

    /// After an operator's word about a transaction: takes out those of its deliveries that are not
    /// to wait under their key any more. Returns those that may leave now.
    pub(super) fn settle(
        &self,
        gid: &str,
        still_waits: impl Fn(RunId, Index, &str) -> bool,
    ) -> Vec<Request> {
        let mut state = self.lock();
        let goes = |place: &Place| !still_waits(place.run, place.branch, &place.key);
        let touched = state.take_out(gid, goes);
        touched.into_iter().filter_map(|key| state.next(&key)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn number(&self, key: &str, request: &Request) -> Option<u64> {
        self.place(&request.gid, (request.run, request.branch), key)
    }

    fn place(&self, gid: &str, delivery: (RunId, Index), key: &str) -> Option<u64> {
        let mut places = self.places.get(gid)?.iter();
        let is_its = |place: &&Place| ((place.run, place.branch), &*place.key) == (delivery, key);
        places.find(is_its).map(|place| place.number)
    }

    fn is_first(&self, key: &str, number: u64) -> bool {
        let first = self.lanes.get(key).and_then(|lane| lane.keys().next());
        first == Some(&number)
    }

    /// Takes deliveries of a transaction out of their lanes; returns which lanes.
    fn take_out(&mut self, gid: &str, goes: impl Fn(&Place) -> bool) -> BTreeSet<Arc<str>> {
        let mut touched = BTreeSet::new();
        let Some(places) = self.places.get_mut(gid) else { return touched };
        for gone in places.extract_if(.., |place| goes(place)) {
            if let Some(lane) = self.lanes.get_mut(&gone.key) {
                lane.remove(&gone.number);
            }
            touched.insert(gone.key);
        }
        if places.is_empty() {
            self.places.remove(gid);
        }
        touched
    }

    /// The first of a lane, if it was not called yet; an empty lane is removed.
    fn next(&mut self, key: &str) -> Option<Request> {
        match self.lanes.get_mut(key)?.first_entry() {
            Some(mut first) => first.get_mut().1.take(),
            None => {
                self.lanes.remove(key);
                None
            }
        }
    }
}

/// The key under which a branch is delivered in order, if it is.
pub(super) fn key(calls: &Calls) -> Option<&str> {
    calls.order_key.as_deref()
}

/// Whether a delivery waits to be delivered under this key.
pub(super) fn waits(known: &Known, branch: Index, under: &str) -> bool {
    let planned = known.plan.as_ref().and_then(|plan| plan.branches.get(usize::from(branch)));
    let is_there = planned.is_some_and(|planned| match &planned.work {
        Work::Calls(calls) => key(calls) == Some(under),
        Work::Sql(_) | Work::Keys(_) => false,
    });
    is_there && known.is_pending(branch)
}

/// Where in the log those transactions were decided that have ordered deliveries left. At a start
/// machines come back in the order of their begin.
pub(super) fn decided_at(
    partition: &mut Partition<Transaction, Sqlite>,
) -> Result<HashMap<Arc<str>, Position>, LogError> {
    let left = |known: &Known| {
        let Some(plan) = known.plan.as_ref().filter(|_| known.decision.is_some()) else {
            return false;
        };
        (0..).zip(&plan.branches).any(|(branch, planned)| match &planned.work {
            Work::Calls(calls) if planned.part.kind == Kind::Deliver => {
                key(calls).is_some() && known.is_pending(branch)
            }
            _ => false,
        })
    };
    let open = partition.machines().filter(|(_, saved, _)| saved.known.as_ref().is_some_and(left));
    let open: Vec<_> = open.map(|(gid, ..)| Arc::clone(gid)).collect();
    let mut decided = HashMap::with_capacity(open.len());
    for gid in open {
        let is_decision = |body: &str| {
            let record = serde_json::from_str(body);
            matches!(record, Ok(Record::Decided { decision: Decision::Commit, .. }))
        };
        let entries = partition.log().read(&gid)?;
        if let Some(entry) = entries.iter().find(|entry| is_decision(&entry.body)) {
            decided.insert(gid, entry.position);
        }
    }
    Ok(decided)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use handfast_core::plan::Verb;

    use super::*;
    use crate::node::filling::Filling;

    fn delivery(number: u64, branch: Index) -> Request {
        Request {
            gid: format!("t{number}").into(),
            run: RunId { epoch: 1, number },
            branch,
            verb: Verb::Deliver,
            within: Duration::ZERO,
            filling: Filling::default(),
        }
    }

    fn gid(request: Option<Request>) -> Option<String> {
        request.map(|request| request.gid.to_string())
    }

    fn is_empty(lanes: &Lanes) -> bool {
        let state = lanes.lock();
        state.lanes.is_empty() && state.places.is_empty()
    }

    #[test]
    fn one_that_has_a_place_gets_no_second() {
        let lanes = Lanes::default();
        assert_eq!(gid(lanes.enter("k", delivery(0, 0))).as_deref(), Some("t0"));
        assert_eq!(gid(lanes.enter("k", delivery(1, 0))), None);
        assert_eq!(gid(lanes.enter("k", delivery(1, 0))), None, "it waits already");
        assert_eq!(gid(lanes.enter("k", delivery(2, 0))), None);
        assert_eq!(gid(lanes.enter("k", delivery(0, 0))).as_deref(), Some("t0"), "tried again");
        assert_eq!(gid(lanes.finished("k", &delivery(1, 0))), None, "it is not the first");
        assert_eq!(gid(lanes.finished("k", &delivery(0, 0))).as_deref(), Some("t1"));
        assert_eq!(gid(lanes.finished("k", &delivery(1, 0))).as_deref(), Some("t2"));
        assert_eq!(gid(lanes.finished("k", &delivery(2, 0))), None);
        assert!(is_empty(&lanes));
    }

    #[test]
    fn what_is_dealt_with_leaves_its_lane_and_no_other() {
        let lanes = Lanes::default();
        for (key, number, branch) in
            [("k", 0, 0), ("k", 1, 0), ("k", 1, 1), ("k", 2, 0), ("l", 1, 2), ("l", 3, 0)]
        {
            lanes.enter(key, delivery(number, branch));
        }
        assert!(lanes.settle("nobody", |_, _, _| false).is_empty());
        assert!(lanes.settle("t1", |_, branch, key| (branch, key) != (0, "k")).is_empty());
        assert_eq!(gid(lanes.settle("t0", |_, _, _| false).pop()).as_deref(), Some("t1"));
        let left = lanes.settle("t1", |_, _, _| false).into_iter();
        assert_eq!(left.map(|request| request.gid).collect::<Vec<_>>(), ["t2".into(), "t3".into()]);
        lanes.settle("t2", |_, _, _| false);
        lanes.settle("t3", |_, _, _| false);
        assert!(is_empty(&lanes));
    }
}
