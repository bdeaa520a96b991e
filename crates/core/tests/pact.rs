//! Whole transactions with a pact: what they cost, and that a crash at any moment neither splits nor
//! blocks them.

mod hosts;

use handfast_core::{pact::Way, transaction::Answer};
use hosts::{COORDINATOR, Crash, Hosts};

/// Messages and forced writes of a commit of `n` branches.
fn cost(way: Option<Way>, n: usize, faults: usize) -> (usize, usize) {
    let mut hosts = Hosts::begin(way, n, faults, false);
    hosts.run();
    assert_eq!(hosts.answer, Some(Answer::Committed));
    hosts.assert_finished("nothing happened");
    let shards: usize = hosts.shards.iter().map(|node| node.syncs).sum();
    (hosts.messages, hosts.coordinator.syncs + shards)
}

/// Gray and Lamport 2006 count 3N - 1 messages and N + 1 writes for two-phase commit: there the first
/// participant starts it, and neither acknowledgements nor the participants' commits are counted.
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

fn with_crashes(way: Way, refuses: bool, crashes: &[Crash]) -> Hosts {
    let faults = usize::from(way == Way::Paxos);
    let mut hosts = Hosts::begin(Some(way), 2, faults, refuses);
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

/// The coordinator dies, in the middle of sending or after it, and is back soon, late, or never.
fn deaths_of_coordinator(last: usize) -> impl Iterator<Item = Crash> {
    let backs = [None, Some(5), Some(2_500), Some(60_000)];
    (1..last).flat_map(move |at| {
        [0, 1, 9].into_iter().flat_map(move |keep| {
            backs.map(|back_ms| Crash { at, who: COORDINATOR, keep, back_ms })
        })
    })
}

#[test]
fn whenever_the_coordinator_dies_the_members_finish_alike() {
    for (way, refuses) in ways() {
        let mut committed = 0;
        for dead in deaths_of_coordinator(60) {
            let hosts = with_crashes(way, refuses, &[dead]);
            let alone = dead.back_ms.is_none_or(|back| back > 10_000) && hosts.answer.is_none();
            committed += usize::from(alone && hosts.ends().contains(&true));
        }
        assert_eq!(committed > 0, !refuses, "{way:?}: the interesting case was not reached");
    }
}

#[test]
fn whenever_a_member_dies_too_the_others_finish_alike() {
    for (way, refuses) in ways() {
        for dead in deaths_of_coordinator(30) {
            for at in dead.at + 1..50 {
                for who in [1, 2] {
                    let member = |keep, back| Crash { at, who, keep, back_ms: Some(back) };
                    with_crashes(way, refuses, &[dead, member(0, 4_000)]);
                    with_crashes(way, refuses, &[dead, member(1, 50)]);
                }
            }
        }
    }
}

#[test]
fn when_all_have_died_those_that_come_back_finish_alike() {
    for (way, refuses) in ways() {
        for dead in deaths_of_coordinator(30) {
            for (one, other) in [(1, 2), (1, 9), (5, 7), (12, 16)] {
                for backs in [[5, 3_000], [3_000, 5], [3_000, 3_000]] {
                    let member = |who, after, back: u64| Crash {
                        at: dead.at + after,
                        who,
                        keep: 9,
                        back_ms: Some(back),
                    };
                    let members = [member(1, one, backs[0]), member(2, other, backs[1])];
                    with_crashes(way, refuses, &[dead, members[0], members[1]]);
                }
            }
        }
    }
}
