//! Whole transactions with a pact: what they cost, and that a crash at any moment neither splits
//! nor blocks them.

mod hosts;

use handfast_core::{pact::Way, transaction::Answer};
use hosts::{COORDINATOR, Crash, Hosts, random};

/// Messages and forced writes of a commit of `n` branches.
fn cost(way: Option<Way>, n: usize, faults: usize) -> (usize, usize) {
    let mut hosts = Hosts::begin(way, n, faults, false);
    hosts.run();
    assert_eq!(hosts.answer, Some(Answer::Committed));
    hosts.assert_finished("nothing happened");
    let shards: usize = hosts.shards.iter().map(|node| node.syncs).sum();
    (hosts.messages, hosts.coordinator.syncs + shards)
}

/// Gray and Lamport 2006 count 3N - 1 messages and N + 1 writes for two-phase commit: there the
/// first participant starts it, and neither acknowledgements nor the participants' commits are
/// counted.
#[test]
fn a_commit_costs_what_the_formulas_say() {
    for n in 2..=10 {
        assert_eq!(cost(None, n, 0), (4 * n, 2 * n + 1), "log, N = {n}");
        assert_eq!(cost(Some(Way::Paxos), n, 0), cost(None, n, 0), "Paxos, F = 0, N = {n}");
        assert_eq!(cost(Some(Way::ThreePhase), n, 0), (6 * n, 3 * n + 2), "three-phase, N = {n}");
        for f in 1..=2 {
            // NF + F + 3N - 1 and N + F + 1 in the paper; here, in addition, the coordinator starts
            // (1 message), the members acknowledge (N) and force their commits (N), and the
            // coordinator forces `Begun`.
            let expected = (n * f + f + 3 * n - 1 + 1 + n, n + f + 1 + n + 1);
            assert_eq!(cost(Some(Way::Paxos), n, f), expected, "Paxos, F = {f}, N = {n}");
        }
    }
}

/// With F = 0 Paxos commit is two-phase commit (Gray and Lamport 2006, section 5): every message,
/// in its millisecond, every sync, the answer and the ends are the same; after a commit, a no,
/// votes that are too late, and the death of anybody at any moment.
#[test]
fn paxos_without_faults_is_two_phase_commit() {
    let mut told = [0, 0, 0];
    let mut same = |refuses, late: Option<u64>, crashes: &[Crash]| {
        let run = |way| {
            let mut hosts = Hosts::begin(way, 2, 0, refuses);
            hosts.crashes = crashes.to_vec();
            late.into_iter().for_each(|at_ms| hosts.time_out_at(at_ms));
            hosts.run();
            let syncs: Vec<_> = hosts.shards.iter().map(|node| node.syncs).collect();
            (hosts.said.clone(), hosts.coordinator.syncs, syncs, hosts.ends(), hosts.answer)
        };
        let (log, paxos) = (run(None), run(Some(Way::Paxos)));
        assert_eq!(log, paxos, "refuses: {refuses}, late: {late:?}, {crashes:?}");
        told[match log.4 {
            Some(Answer::Committed) => 0,
            Some(_) => 1,
            None => 2,
        }] += 1;
    };
    for refuses in [false, true] {
        same(refuses, None, &[]);
        (0..4).for_each(|at_ms| same(refuses, Some(at_ms), &[]));
        for dead in deaths_of_coordinator(40, [None, Some(5), Some(2_500)]) {
            same(refuses, None, &[dead]);
            for who in [1, 2] {
                same(refuses, None, &[Crash { who, ..dead }]);
            }
        }
    }
    assert!(told.iter().all(|times| *times > 10), "reached: {told:?}");
}

fn with_crashes(way: Way, members: usize, refuses: bool, crashes: &[Crash]) -> Hosts {
    let faults = usize::from(way == Way::Paxos);
    let mut hosts = Hosts::begin(Some(way), members, faults, refuses);
    hosts.crashes = crashes.to_vec();
    hosts.run();
    let story = format!("{way:?}, refuses: {refuses}, {crashes:?}");
    hosts.assert_agreed(&story);
    hosts.assert_finished(&story);
    hosts
}

fn ways() -> impl Iterator<Item = (Way, bool)> {
    [Way::Paxos, Way::ThreePhase].into_iter().flat_map(|way| [(way, false), (way, true)])
}

/// The coordinator dies, in the middle of sending or after it.
fn deaths_of_coordinator<const B: usize>(
    events: usize,
    backs: [Option<u64>; B],
) -> impl Iterator<Item = Crash> {
    (1..events).flat_map(move |at| {
        [0, 1, 9].into_iter().flat_map(move |keep| {
            backs.map(|back_ms| Crash { at, who: COORDINATOR, keep, back_ms })
        })
    })
}

#[test]
fn whenever_the_coordinator_dies_the_members_finish_alike() {
    for (way, refuses) in ways() {
        let mut committed = 0;
        for dead in deaths_of_coordinator(60, [None, Some(5), Some(2_500), Some(60_000)]) {
            let hosts = with_crashes(way, 2, refuses, &[dead]);
            let alone = dead.back_ms.is_none_or(|back| back > 10_000) && hosts.answer.is_none();
            committed += usize::from(alone && hosts.ends().contains(&true));
        }
        assert_eq!(committed > 0, !refuses, "{way:?}: the interesting case was not reached");
    }
}

#[test]
fn whenever_a_member_dies_too_the_others_finish_alike() {
    for (way, refuses) in ways() {
        for dead in deaths_of_coordinator(20, [None, Some(2_500)]) {
            for at in dead.at + 1..36 {
                for who in [1, 2] {
                    let member = |keep, back| Crash { at, who, keep, back_ms: Some(back) };
                    with_crashes(way, 2, refuses, &[dead, member(0, 4_000)]);
                    with_crashes(way, 2, refuses, &[dead, member(1, 50)]);
                }
            }
        }
    }
}

#[test]
fn when_all_have_died_those_that_come_back_finish_alike() {
    for (way, refuses) in ways() {
        for dead in deaths_of_coordinator(20, [None, Some(2_500)]) {
            for (one, other) in [(1, 2), (1, 9), (5, 7), (12, 16)] {
                for backs in [[5, 3_000], [3_000, 5], [3_000, 3_000]] {
                    let member = |who, after, back: u64| Crash {
                        at: dead.at + after,
                        who,
                        keep: 9,
                        back_ms: Some(back),
                    };
                    let members = [member(1, one, backs[0]), member(2, other, backs[1])];
                    with_crashes(way, 2, refuses, &[dead, members[0], members[1]]);
                }
            }
        }
    }
}

/// The first of three dies when it alone is precommitted; the second, leading the others, dies when
/// it has just decided. If the first, being back, counted for the third, that one would commit.
#[test]
fn who_was_down_does_not_count() {
    let mut aborted = 0;
    for at in 6..9 {
        let dead = Crash { at, who: COORDINATOR, keep: 1, back_ms: None };
        for first in at + 1..at + 4 {
            for second in first + 20..first + 120 {
                let first = Crash { at: first, who: 1, keep: 9, back_ms: Some(1_040) };
                let second = Crash { at: second, who: 2, keep: 0, back_ms: Some(9_000) };
                let crashes = [dead, first, second];
                let hosts = with_crashes(Way::ThreePhase, 3, false, &crashes);
                aborted += usize::from(hosts.ends().contains(&false));
            }
        }
    }
    assert!(aborted > 0, "the interesting case was not reached");
}

/// If anybody knows the end, it is that of all; else those in doubt say why. How many these are.
fn assert_ended_or_stuck(hosts: &Hosts, story: &str) -> usize {
    hosts.assert_agreed(story);
    if !hosts.ends().is_empty() {
        hosts.assert_finished(story);
    }
    hosts.assert_stuck(story)
}

/// All acceptors beside the coordinator forget the run while it is in doubt. Nobody guesses, and
/// nobody claims for ever what cannot be decided any more.
#[test]
fn when_the_acceptors_have_forgotten_a_known_end_is_the_end() {
    let mut reached = [0, 0, 0];
    for (dead, refuses) in deaths_of_coordinator(24, [None, Some(2_500), Some(60_000)])
        .flat_map(|dead| [(dead, false), (dead, true)])
    {
        // The second member is dead when the first ends.
        let away = Crash { at: dead.at + 3, who: 2, keep: 0, back_ms: Some(30_000) };
        for forget_ms in [2, 500, 20_000] {
            for crashes in [vec![dead], vec![dead, away]] {
                let mut hosts = Hosts::begin(Some(Way::Paxos), 2, 1, refuses);
                hosts.crashes = crashes;
                hosts.forget_at(forget_ms);
                hosts.run();
                let story = format!("forgotten at {forget_ms}, {refuses}, {:?}", hosts.crashes);
                reached[assert_ended_or_stuck(&hosts, &story)] += 1;
                assert!(hosts.rounds() <= 3, "claimed again and again: {story}");
            }
        }
    }
    assert!(reached[0] > 0 && reached[2] > 0, "reached: {reached:?}");
}

/// Paxos commit needs no bound on delays: messages are late, doubled and lost, and hosts die.
#[test]
fn no_chaos_splits_paxos_commit() {
    let mut ends = [0, 0];
    for seed in 1..=3_000 {
        let mut hosts = in_chaos(seed);
        hosts.run();
        let story = format!("seed {seed}, {:?}", hosts.crashes);
        hosts.assert_agreed(&story);
        hosts.assert_finished(&story);
        ends[usize::from(hosts.ends().contains(&true))] += 1;
    }
    assert!(ends.iter().all(|reached| *reached > 100), "reached: {ends:?}");
}

/// The same, and the acceptors forget the run in the middle of it.
#[test]
fn no_chaos_splits_what_the_acceptors_have_forgotten() {
    let mut reached = [0, 0, 0];
    for seed in 1..=1_000 {
        let mut hosts = in_chaos(seed);
        let forget_ms = [1, 5, 60, 1_000, 4_000][(seed % 5) as usize];
        hosts.forget_at(forget_ms);
        hosts.run();
        let story = format!("seed {seed}, forgotten at {forget_ms}, {:?}", hosts.crashes);
        reached[assert_ended_or_stuck(&hosts, &story)] += 1;
    }
    assert!(reached[0] > 100 && reached[2] > 10, "reached: {reached:?}");
}

fn in_chaos(seed: u64) -> Hosts {
    let mut chaos = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(seed);
    let mut crash = |who| {
        let back_ms = Some([5, 1_500, 30_000][(random(&mut chaos) % 3) as usize]);
        let keep = (random(&mut chaos) % 4) as usize;
        Crash { at: (random(&mut chaos) % 120) as usize, who, keep, back_ms }
    };
    let crashes = [crash(COORDINATOR), crash(1), crash(2), crash(3)];
    let mut hosts = Hosts::begin(Some(Way::Paxos), 2, 1, seed.is_multiple_of(8));
    (hosts.crashes, hosts.chaos) = (crashes.to_vec(), Some(chaos | 1));
    hosts
}
