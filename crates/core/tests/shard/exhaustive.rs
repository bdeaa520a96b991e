//! Every schedule of a small world: three transactions on one shard, doubled and late messages,
//! lost answers, timers, a crash at every moment.
//!
//! A message once sent may arrive any number of times, or never: sending is choosing to step.
//! States that were seen are not walked again, so the walk ends by itself.

use std::collections::{BTreeMap, HashSet, VecDeque};

use handfast_core::{
    id::RequestId,
    machine::{Machine, Output},
    shard::{Answer, Effect, End, Input, Inquired, Live, Mode, Record, Saved, Shard, Timer},
    vote::{Ack, Vote},
    work::{KeyOp, Value},
};

use super::{branch, replay, step};

const TRANSACTIONS: usize = 3;
/// Enough for two of the transactions, not for all.
const BEFORE: i64 = 80;
const TAKEN: i64 = 30;
const CRASHES_MAX: u8 = 1;

#[derive(Clone, Debug)]
struct World {
    saved: Saved,
    live: Live,
    /// The log, and how much of it is synced.
    records: Vec<Record>,
    synced: usize,
    transactions: [Coordinator; TRANSACTIONS],
    crashes: u8,
}

/// What the coordinator of one transaction knows. It commits only after a yes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Coordinator {
    voted_yes: bool,
    decision: Option<End>,
    /// It was told that the branch is finished.
    acknowledged: bool,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    Prepare(usize),
    Decide(usize, End),
    Tell(usize),
    LockWaitOver(usize),
    Answer(usize),
    AskAgain(usize),
    Crash,
}

#[test]
fn no_schedule_breaks_a_promise() {
    let mut seen = HashSet::new();
    let mut next = VecDeque::from([(World::new(), Vec::new())]);
    let mut reached = BTreeMap::<&str, usize>::new();
    while let Some((world, path)) = next.pop_front() {
        for action in actions(&world) {
            let mut after = world.clone();
            let path: Vec<_> = path.iter().copied().chain([action]).collect();
            after.act(action, &path);
            after.check(&path);
            for name in after.interesting() {
                *reached.entry(name).or_default() += 1;
            }
            if seen.insert(after.key()) {
                next.push_back((after, path));
            }
        }
    }
    for case in ["one waits", "in doubt after a crash", "two committed, one aborted"] {
        assert!(reached.contains_key(case), "never reached: {case}");
    }
    assert!(!reached.contains_key("all committed"), "there is not enough for all");
    assert!(seen.len() > 5_000, "only {} states: the world is too small", seen.len());
}

fn actions(world: &World) -> Vec<Action> {
    let mut actions = Vec::new();
    for (t, known) in world.transactions.iter().enumerate() {
        actions.extend([Action::Prepare(t), Action::LockWaitOver(t)]);
        actions.extend([Action::Answer(t), Action::AskAgain(t)]);
        match known.decision {
            Some(_) => actions.push(Action::Tell(t)),
            None => {
                actions.push(Action::Decide(t, End::Aborted));
                if known.voted_yes {
                    actions.push(Action::Decide(t, End::Committed));
                }
            }
        }
    }
    if world.crashes < CRASHES_MAX {
        actions.push(Action::Crash);
    }
    actions
}

impl World {
    fn new() -> Self {
        let keys = BTreeMap::from([("alice".to_owned(), Value::Int(BEFORE))]);
        let records = vec![Record::Loaded { keys }];
        Self {
            saved: replay(&records),
            live: Live::default(),
            synced: records.len(),
            records,
            transactions: [Coordinator::default(); TRANSACTIONS],
            crashes: 0,
        }
    }

    fn act(&mut self, action: Action, path: &[Action]) {
        let request = |t: usize| RequestId(t as u64);
        let branch = |t: usize| branch(t as u64 + 1);
        match action {
            Action::Decide(t, end) => self.transactions[t].decision = Some(end),
            Action::Crash => self.crash(),
            Action::Prepare(t) => {
                let take = KeyOp::Add { key: "alice".into(), by: -TAKEN, min: Some(0), max: None };
                let give = KeyOp::Add { key: format!("to{t}"), by: TAKEN, min: None, max: None };
                let (request, branch, ops) = (request(t), branch(t), vec![take, give]);
                self.step(
                    Input::Prepare { request, branch, ops, lock_wait_ms: 9, pact: None },
                    path,
                );
            }
            Action::Tell(t) => self.step(
                match self.transactions[t].decision {
                    Some(End::Committed) => {
                        Input::Commit { request: request(t), branch: branch(t) }
                    }
                    _ => Input::Abort { request: request(t), branch: branch(t) },
                },
                path,
            ),
            Action::LockWaitOver(t) => {
                self.step(Input::Fired(Timer::LockWait(branch(t))), path);
            }
            Action::AskAgain(t) => self.step(Input::Fired(Timer::Inquire(branch(t))), path),
            Action::Answer(t) => {
                // How often it asked in vain is not interesting: the counter would never end.
                let answer = match self.transactions[t].decision {
                    Some(End::Committed) => Inquired::Commit,
                    Some(End::Aborted) => Inquired::Abort,
                    None => return,
                };
                self.step(Input::Answered { branch: branch(t), answer }, path);
            }
        }
    }

    fn step(&mut self, input: Input, path: &[Action]) {
        let ends = self.ends();
        let (records, effects, forced) = step(&mut self.saved, &mut self.live, input);
        self.records.extend(records);
        if forced {
            self.synced = self.records.len();
        }
        for (before, after) in ends.into_iter().zip(self.ends()) {
            assert!(before.is_none() || before == after, "an end changed: {path:?}");
        }
        for effect in effects {
            if let Effect::Reply { request, answer } = effect {
                self.hear(request.0 as usize, answer, path);
            }
        }
    }

    /// Every answer is heard at once; that it may be lost is the coordinator's choice not to act.
    fn hear(&mut self, t: usize, answer: Answer, path: &[Action]) {
        let known = &mut self.transactions[t];
        match answer {
            Answer::Voted { vote: Vote::Yes(_), .. } => known.voted_yes = true,
            Answer::Voted { vote: Vote::No(_), .. } => {
                assert!(!known.voted_yes || known.decision.is_some(), "yes became no: {path:?}");
            }
            Answer::Acked(Ack::Finished) => known.acknowledged = true,
            other => panic!("{other:?} after {path:?}"),
        }
    }

    fn crash(&mut self) {
        self.crashes += 1;
        self.records.truncate(self.synced);
        self.saved = replay(&self.records);
        self.live = Live::default();
        Shard::restart(&self.saved, &mut self.live, &mut Output::new());
    }

    fn ends(&self) -> [Option<End>; TRANSACTIONS] {
        std::array::from_fn(|t| self.saved.finished.end(&branch(t as u64 + 1)))
    }

    fn check(&self, path: &[Action]) {
        assert_eq!(replay(&self.records), self.saved, "replay is not live: {path:?}");
        let committed =
            self.ends().iter().filter(|end| **end == Some(End::Committed)).count() as i64;
        let left = Value::Int(BEFORE - TAKEN * committed);
        assert_eq!(self.saved.keys["alice"], left, "a lost update: {path:?}");
        for (t, known) in self.transactions.iter().enumerate() {
            let (id, end) = (branch(t as u64 + 1), self.ends()[t]);
            let given = self.saved.keys.contains_key(&format!("to{t}"));
            assert_eq!(given, end == Some(End::Committed), "half a branch: {path:?}");
            assert!(end.is_none() || !self.saved.prepared.contains_key(&id), "{path:?}");
            assert!(end != Some(End::Committed) || known.decision == end, "alone: {path:?}");
            if known.acknowledged {
                assert_eq!(end, known.decision, "acknowledged and not so: {path:?}");
            }
            let holds = self.live.locks.held().any(|(_, _, holders)| holders.contains(&id));
            let may = self.saved.prepared.contains_key(&id) || self.live.waiting.contains_key(&id);
            assert!(may || !holds, "a finished branch holds a lock: {path:?}");
            for key in ["alice".to_owned(), format!("to{t}")] {
                let locked = self.live.locks.held().any(|(held, mode, holders)| {
                    held == key && mode == Mode::Exclusive && holders.contains(&id)
                });
                let must = self.saved.prepared.contains_key(&id);
                assert!(locked || !must, "prepared without its lock: {path:?}");
            }
        }
        let stuck = !self.live.waiting.is_empty() && self.saved.prepared.is_empty();
        assert!(!stuck, "one waits for nobody: {path:?}");
    }

    fn interesting(&self) -> Vec<&'static str> {
        let ends = self.ends();
        let mut names = Vec::new();
        if ends == [Some(End::Committed); TRANSACTIONS] {
            names.push("all committed");
        }
        if !self.live.waiting.is_empty() {
            names.push("one waits");
        }
        if !self.live.inquiries.is_empty() {
            names.push("in doubt after a crash");
        }
        if ends == [Some(End::Committed), Some(End::Aborted), Some(End::Committed)] {
            names.push("two committed, one aborted");
        }
        names
    }

    /// What the future depends on: what is saved, what a crash would leave of it, what is live.
    fn key(&self) -> String {
        let (saved, durable) = (&self.saved, replay(&self.records[..self.synced]));
        let known = (self.transactions, self.crashes);
        format!("{saved:?}{durable:?}{:?}{known:?}", self.live)
    }
}
