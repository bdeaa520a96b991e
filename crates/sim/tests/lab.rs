//! The lab finds what is known, and finds it again.

use handfast_core::{shard::End, transaction::Answer};
use handfast_sim::lab::{Cluster, Delay, EXPERIMENTS, NODE, Options, Setup, Way, expected_partial};

const HOP_US: u64 = 5_000;
const SYNC_US: u64 = 1_000;

fn setup(shards: usize, way: Way) -> Setup {
    let (hop, sync) = (Delay::exactly(HOP_US), Delay::exactly(SYNC_US));
    Setup { shards, way, hop, sync, votes_ms: 5_000, seed: 1 }
}

fn run(shards: usize, way: Way, prepare: impl FnOnce(&mut Cluster)) -> Cluster {
    let mut cluster = Cluster::new(setup(shards, way));
    prepare(&mut cluster);
    cluster.begin();
    assert!(cluster.run_until(600_000_000), "{way:?} is not settled");
    cluster
}

#[test]
fn two_phase_commit_costs_what_the_formulas_say() {
    for branches in 1..=10 {
        let cluster = run(branches, Way::Log, |_| {});
        let Some((at_us, Answer::Committed)) = &cluster.answered else { panic!() };
        // Prepare, sync, vote, sync: one round trip and two syncs until the caller knows.
        assert_eq!(*at_us, 2 * HOP_US + 2 * SYNC_US);
        assert_eq!(cluster.messages(), 4 * branches);
        assert_eq!(cluster.syncs(), 2 * branches as u64 + 1);
        // From the prepare's arrival: sync, vote, sync, commit, sync.
        assert!(cluster.locked_us().all(|us| us == (2 * HOP_US + 3 * SYNC_US) as f64));
        assert_eq!(cluster.written(), branches);
    }
}

#[test]
fn the_other_ways_cost_what_the_formulas_say() {
    for branches in 2..=10 {
        let n = branches as u64;
        let three_phase = run(branches, Way::ThreePhase, |_| {});
        // One round more: pre-commit, sync, answer, and a sync of the coordinator before it.
        assert_eq!(three_phase.answered.as_ref().unwrap().0, 4 * HOP_US + 4 * SYNC_US);
        assert_eq!((three_phase.messages(), three_phase.syncs()), (6 * branches, 3 * n + 2));
        let paxos = run(branches, Way::Paxos(1), |_| {});
        // The votes go to one acceptor beside the coordinator, on the first shard, which answers
        // for all at once; before the prepares the coordinator has noted who takes part.
        assert_eq!(paxos.answered.as_ref().unwrap().0, 3 * HOP_US + 3 * SYNC_US);
        assert_eq!((paxos.messages(), paxos.syncs()), (5 * branches, 2 * n + 3));
    }
}

#[test]
fn a_coordinator_that_dies_before_its_record_is_durable_aborts_when_it_is_back() {
    let cluster = run(2, Way::Log, |cluster| {
        // In its sync of the decision.
        cluster.kill_at(2 * HOP_US + SYNC_US + SYNC_US / 2, NODE);
        cluster.start_at(10_000_000, NODE);
    });
    assert!(cluster.answered.is_none());
    assert_eq!(cluster.written(), 0);
    assert!(cluster.stays.iter().all(|stay| matches!(stay.ended, Some((_, End::Aborted)))));
    assert!(cluster.in_doubt_us().all(|us| us > 9_000_000.0));
}

#[test]
fn a_coordinator_that_never_comes_back_leaves_its_branches_in_doubt() {
    let mut cluster = Cluster::new(setup(2, Way::Log));
    cluster.kill_at(2 * HOP_US + SYNC_US, NODE);
    cluster.begin();
    cluster.run_until(600_000_000);
    assert!(cluster.stays.iter().all(|stay| stay.prepared_us.is_some() && stay.ended.is_none()));
}

#[test]
fn a_partition_while_it_is_told_delays_the_end_and_does_not_change_it() {
    let cluster = run(3, Way::Log, |cluster| {
        // The votes have come, the decision is being written.
        cluster.cut_at(2 * HOP_US + SYNC_US + 1, vec![1]);
        cluster.cut_at(60_000_000, Vec::new());
    });
    assert_eq!(cluster.written(), 3);
    assert!(cluster.in_doubt_us().next().unwrap() > 50_000_000.0);
}

#[test]
fn partial_commits_are_as_many_as_expected_and_none_under_two_phase_commit() {
    assert!((expected_partial(&[0, 0, 20]) - 0.02).abs() < 1e-9);
    assert!((expected_partial(&[10, 10, 20]) - 0.0395).abs() < 1e-4);
    let options = Options { trials: 2_000, ..Options::default() };
    let (_, naive) = EXPERIMENTS.iter().find(|(name, _)| *name == "naive").unwrap();
    let naive = naive(&options);
    let number = |text: &str| text.split(' ').next().unwrap().parse::<f64>().unwrap();
    for row in &naive.table.rows {
        let [rate, expected] = [&row[5], &row[6]].map(|cell| number(cell));
        // Three times the standard error, in percent.
        let error = 300.0 * (expected / 100.0 * (1.0 - expected / 100.0) / 2_000.0).sqrt();
        assert!((rate - expected).abs() <= error, "{row:?}");
    }
    assert_eq!(naive.table.rows.len(), 4);
}

/// The rows of an experiment.
fn rows(name: &str) -> Vec<Vec<String>> {
    let (_, run) = EXPERIMENTS.iter().find(|(known, _)| *known == name).unwrap();
    run(&Options { trials: 100, ..Options::default() }).table.rows
}

#[test]
fn only_the_log_of_a_node_that_never_comes_back_blocks_for_ever() {
    for row in rows("blocking") {
        let [what, split, for_ever] = [0, 5, 6].map(|column| row[column].as_str());
        assert_eq!(split, "0", "{what}");
        assert_eq!(for_ever != "0", what == "log, never back", "{what}: {for_ever}");
    }
}

#[test]
fn a_partition_splits_three_phase_commit_and_not_paxos_commit() {
    let together = rows("split").into_iter().map(|row| (row[0].clone(), row[3].clone()));
    let expected = [("three_phase", "no: split"), ("paxos", "yes")];
    let expected = expected.map(|(way, together)| (way.to_owned(), together.to_owned()));
    assert_eq!(together.collect::<Vec<_>>(), expected);
}

#[test]
fn every_experiment_bears_the_fastest_and_the_slowest_network() {
    for (round_trip_us, sync_us) in [(100, 0), (200_000, 100_000)] {
        let options = Options { trials: 20, round_trip_us, sync_us, ..Options::default() };
        for (name, run) in EXPERIMENTS {
            let experiment = run(&options);
            assert!(!experiment.picture.contains("NaN"), "{name} with {options:?}");
            if *name == "split" {
                assert_eq!(experiment.table.rows[0][3], "no: split", "{options:?}");
            }
        }
    }
}

#[test]
fn every_experiment_finds_the_same_again() {
    let options = Options { trials: 100, ..Options::default() };
    for (name, run) in EXPERIMENTS {
        let [first, second] = [run(&options), run(&options)];
        assert_eq!(first.name, *name);
        assert!(first.table == second.table && first.picture == second.picture, "{name}");
        assert!(!first.table.rows.is_empty() && first.picture.ends_with("</svg>\n"), "{name}");
    }
}
