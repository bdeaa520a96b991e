//! Every schedule of a small world: one gid, its coordinator with its log, two participants,
//! callers who ask twice; messages doubled, late and lost, timers, crashes at every moment.
//!
//! A message once sent may arrive any number of times, or never: losing is choosing not to deliver.
//! States that were seen are not walked again, so the walk ends by itself.

mod action;
mod invariants;
mod mutant;
mod participant;
mod world;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet, VecDeque},
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    time::Instant,
};

use handfast_core::transaction::{AckWhen, Decision, Fate, Known, Record, Voting};

use self::{
    action::Action,
    invariants::{
        AGREEMENT, CLOSED_ONCE, DECIDED_ONCE, FINISHED, HELD, INQUIRY, LATE_INPUT, ONE_OUTCOME,
        ONE_RUN_COMMITS, REPLAY_IS_SAVED, SETTLES, TOLD_IS_DURABLE, TOLD_IS_SO, UNANIMITY,
        WRITE_AHEAD,
    },
    mutant::Mutant,
    participant::{Cast, State},
    world::{Rules, World},
};

const ALL_CASTS: &[Cast] = &[Cast::Yes, Cast::No, Cast::ReadOnly];

/// Two branches, no trouble yet.
const TWO: Rules = Rules {
    branches: 2,
    one_phase: false,
    hold: false,
    ack: AckWhen::Decided,
    begins: 1,
    crashes: 0,
    casts: &[Cast::Yes],
    meddling: false,
    breaking: false,
    mutant: None,
};
/// One branch, of a participant that can commit in one phase.
const ONE: Rules = Rules { branches: 1, one_phase: true, ..TWO };

#[test]
fn all_votes_and_a_crash() {
    let rules = Rules { casts: ALL_CASTS, crashes: 1, ..TWO };
    walk(rules).reached(&[
        "told committed",
        "told aborted",
        "committed with a read-only branch",
        "in doubt after a crash, to commit",
        "in doubt after a crash, unknown",
        "an orphan rolled back",
        "an inquiry answered commit",
        "an inquiry answered abort",
    ]);
}

#[test]
fn a_caller_who_asks_twice_and_two_crashes() {
    let rules = Rules { begins: 2, crashes: 2, ..TWO };
    walk(rules).reached(&[
        "in doubt after a crash, to commit",
        "in doubt after a crash, unknown",
        "an orphan rolled back",
        "committed at the second attempt",
    ]);
}

#[test]
fn a_caller_who_waits_until_it_is_applied() {
    let rules = Rules { casts: ALL_CASTS, ack: AckWhen::Applied, begins: 2, ..TWO };
    walk(rules).reached(&["told applied", "told aborted"]);
}

#[test]
fn a_caller_who_holds() {
    let rules = Rules { hold: true, ..TWO };
    let crashed = walk(Rules { crashes: 1, ..rules });
    crashed.reached(&["held", "told committed", "in doubt after a crash, to commit"]);
    walk(Rules { begins: 2, ..rules }).reached(&["held", "told committed", "told aborted"]);
}

#[test]
fn commit_in_one_phase() {
    let rules = Rules { casts: ALL_CASTS, begins: 3, crashes: 2, ..ONE };
    walk(rules).reached(&[
        "told committed",
        "told aborted",
        "committed with a read-only branch",
        "delegated",
        "delegated, and a crash",
        "delegated, and committed",
        "delegated, and aborted",
        "committed at the second attempt",
    ]);
}

#[test]
fn someone_finishes_a_branch_by_hand() {
    for ack in [AckWhen::Decided, AckWhen::Applied] {
        let rules = Rules { ack, meddling: true, crashes: 1, ..TWO };
        walk(rules).reached(&["mixed", "told mixed", "mixed, and acknowledged"]);
    }
}

#[test]
fn a_participant_that_only_an_operator_can_mend() {
    let rules = Rules { breaking: true, crashes: 1, ..TWO };
    walk(rules).reached(&["stuck", "stuck, and finished", "in doubt after a crash, to commit"]);
}

/// Each in a world where it does harm, and what it breaks there. Together they break everything: an
/// invariant that cannot fail proves nothing.
#[test]
fn every_mutant_is_found() {
    let again = Rules { begins: 2, crashes: 1, ..TWO };
    let one_again = Rules { begins: 2, crashes: 1, ..ONE };
    let meddled = Rules { meddling: true, ..TWO };
    let mutants: [(Mutant, Rules, &[&str]); 17] = [
        (Mutant::UnsyncedDecision, again, &[WRITE_AHEAD, AGREEMENT, ONE_RUN_COMMITS]),
        (Mutant::UnsyncedDelegation, one_again, &[WRITE_AHEAD, ONE_RUN_COMMITS]),
        (Mutant::ForgottenAbort, again, &[TOLD_IS_DURABLE, ONE_OUTCOME, TOLD_IS_SO]),
        (Mutant::EarlyFinish, TWO, &[FINISHED]),
        (Mutant::EarlyInquiryAbort, TWO, &[INQUIRY, AGREEMENT]),
        (Mutant::MissingClose, TWO, &[CLOSED_ONCE]),
        (Mutant::OneVoteForAll, TWO, &[UNANIMITY]),
        (Mutant::HoldIgnored, Rules { hold: true, ..TWO }, &[HELD]),
        (Mutant::LostTakenAsNo, TWO, &[SETTLES]),
        (Mutant::GoneTakenAsFinished, meddled, &[FINISHED]),
        (Mutant::NoFence, TWO, &[FINISHED]),
        (Mutant::OrphanJudgedTooEarly, TWO, &[AGREEMENT]),
        (Mutant::NoTimers, TWO, &[SETTLES]),
        (Mutant::AnyRun, again, &[LATE_INPUT]),
        (Mutant::UnloggedEnd, TWO, &[REPLAY_IS_SAVED]),
        (Mutant::TakenForNew, again, &[DECIDED_ONCE, ONE_RUN_COMMITS]),
        (Mutant::SilentRestart, again, &[SETTLES]),
    ];
    let mut unbroken: BTreeSet<_> = invariants::ALL.iter().map(|(name, _)| *name).collect();
    for (mutant, rules, breaks) in mutants {
        let walked = explore(Rules { mutant: Some(mutant), ..rules }, breaks);
        println!("{mutant:?}: {walked}");
        for name in breaks {
            assert!(walked.broken.contains_key(name), "{mutant:?} does not break: {name}");
            unbroken.remove(name);
        }
    }
    assert!(unbroken.is_empty(), "no mutant breaks: {unbroken:?}");
}

/// What a walk came by.
struct Walked {
    states: usize,
    depth: usize,
    seconds: f64,
    reached: BTreeMap<&'static str, usize>,
    /// Invariants that do not hold, and a shortest way there.
    broken: BTreeMap<&'static str, Vec<Action>>,
}

impl Walked {
    fn reached(&self, cases: &[&str]) {
        for case in cases {
            assert!(self.reached.contains_key(case), "never reached: {case}");
        }
    }
}

impl fmt::Display for Walked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { states, depth, seconds, broken, .. } = self;
        write!(f, "{states} states, {depth} deep, {seconds:.1} s")?;
        for (invariant, path) in broken {
            write!(f, "\n  broken: {invariant}, by {path:?}")?;
        }
        Ok(())
    }
}

fn walk(rules: Rules) -> Walked {
    let walked = explore(rules, &[]);
    println!("{walked}");
    assert!(walked.broken.is_empty(), "{rules:?}: {walked}");
    walked
}

/// Walks the world, breadth first, until all of `breaks` are found broken; if none are looked for,
/// to its end.
fn explore(rules: Rules, breaks: &[&str]) -> Walked {
    let start = Instant::now();
    let mut walked = Walked {
        states: 1,
        depth: 0,
        seconds: 0.0,
        reached: BTreeMap::new(),
        broken: BTreeMap::new(),
    };
    let world = World::new(rules);
    // Of states that were seen only the hash is kept: with a million of them, one is mistaken for
    // another once in thirty million walks.
    let mut seen = HashSet::from([hash(&world)]);
    let mut settling = HashSet::new();
    // How each state was come by: from which, by what.
    let mut came = vec![None];
    let mut next = VecDeque::from([(world, 0, 0)]);
    while let Some((world, place, depth)) = next.pop_front() {
        walked.depth = depth;
        if !breaks.is_empty() && breaks.iter().all(|name| walked.broken.contains_key(name)) {
            break;
        }
        for action in world.actions() {
            let mut after = world.clone();
            after.act(action);
            for name in interesting(action, &after) {
                *walked.reached.entry(name).or_default() += 1;
            }
            if !seen.insert(hash(&after)) {
                continue;
            }
            came.push(Some((place, action)));
            for name in broken(&after, &mut settling) {
                walked.broken.entry(name).or_insert_with(|| path(&came));
            }
            next.push_back((after, came.len() - 1, depth + 1));
        }
    }
    walked.states = seen.len();
    walked.seconds = start.elapsed().as_secs_f64();
    walked
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// The invariants that do not hold.
fn broken(world: &World, settling: &mut HashSet<u64>) -> Vec<&'static str> {
    let durable = world.durable();
    let broken = invariants::ALL.iter().filter(|(_, holds)| !holds(world, &durable));
    let mut broken: Vec<_> = broken.map(|(name, _)| *name).collect();
    if !settles(world.clone(), settling) {
        broken.push(SETTLES);
    }
    broken
}

/// Whether all ends well if nothing goes wrong any more. `settling` are worlds of which that is
/// known.
fn settles(mut world: World, settling: &mut HashSet<u64>) -> bool {
    let mut hashes = Vec::new();
    let settles = loop {
        let hash = hash(&world);
        if settling.contains(&hash) {
            break true;
        }
        hashes.push(hash);
        let after = invariants::helped(&world);
        if after == world {
            break invariants::is_settled(&world);
        }
        world = after;
    };
    if settles {
        settling.extend(hashes);
    }
    settles
}

/// The way to the state that was come by last.
fn path(came: &[Option<(usize, Action)>]) -> Vec<Action> {
    let mut path = Vec::new();
    let mut place = came.len() - 1;
    while let Some((before, action)) = came[place] {
        path.push(action);
        place = before;
    }
    path.reverse();
    path
}

/// The cases that a walk must come by, or it proves nothing about them.
fn interesting(action: Action, world: &World) -> impl Iterator<Item = &'static str> {
    let told = world.told;
    let known = world.saved.known.as_ref();
    let is_known = |is: fn(&Known) -> bool| known.is_some_and(is);
    let held = world.live.voting.as_ref().is_some_and(Voting::is_held);
    let unknown = known.is_none();
    let committed = is_known(|known| known.decision == Some(Decision::Commit));
    let undecided = is_known(|known| known.decision.is_none());
    let mixed = is_known(Known::is_mixed);
    let finished = is_known(|known| known.finished);
    let delegated = matches!(world.records.first(), Some(Record::Delegated(_)));
    let has = |state| world.branches().any(|(.., branch)| branch.state == state);
    let crashed = matches!(action, Action::Crash { .. });
    [
        (held, "held"),
        (told.committed, "told committed"),
        (told.aborted, "told aborted"),
        (told.applied, "told applied"),
        (told.mixed, "told mixed"),
        (committed && has(State::ReadOnly), "committed with a read-only branch"),
        (crashed && committed && has(State::Prepared), "in doubt after a crash, to commit"),
        (crashed && unknown && has(State::Prepared), "in doubt after a crash, unknown"),
        (matches!(action, Action::RollBackOrphan(..)), "an orphan rolled back"),
        (matches!(action, Action::ObeyCommit(..)), "an inquiry answered commit"),
        (matches!(action, Action::ObeyAbort(..)), "an inquiry answered abort"),
        (committed && !world.is_known(0), "committed at the second attempt"),
        (undecided, "delegated"),
        (crashed && undecided, "delegated, and a crash"),
        (delegated && committed, "delegated, and committed"),
        (delegated && !committed && !undecided, "delegated, and aborted"),
        (mixed, "mixed"),
        (mixed && finished, "mixed, and acknowledged"),
        (is_known(Known::is_stuck), "stuck"),
        (finished && is_known(was_stuck), "stuck, and finished"),
    ]
    .into_iter()
    .filter_map(|(is_so, name)| is_so.then_some(name))
}

fn was_stuck(known: &Known) -> bool {
    known.branches.iter().any(|branch| matches!(branch.fate, Fate::Stuck(_)))
}
