//! What "commit on every node" leaves behind when a node fails, and what two-phase commit does.

use super::{
    Experiment, Options, Table,
    chart::{Bar, bars},
    cluster::{Cluster, Setup, Way},
    percent,
};
use crate::random::Random;

/// How likely each node's disk is to fail, in thousandths: a flaky third node, and three bad ones.
const CASES: [[u64; 3]; 2] = [[0, 0, 20], [10, 10, 20]];
/// A node that died starts again after this.
const DOWN_US: u64 = 1_000_000;
/// Long enough for everything that can finish.
const END_US: u64 = 60_000_000;

#[derive(Default)]
struct Count {
    all: usize,
    none: usize,
    some: usize,
    unsettled: usize,
}

/// The share of transactions of which some but not all nodes commit, if each node fails by itself.
pub fn expected_partial(fails_per_thousand: &[u64]) -> f64 {
    let rates = fails_per_thousand.iter().map(|thousandths| *thousandths as f64 / 1_000.0);
    let none_fails: f64 = rates.clone().map(|rate| 1.0 - rate).product();
    let all_fail: f64 = rates.product();
    1.0 - none_fails - all_fail
}

pub(super) fn run(options: &Options) -> Experiment {
    let head = vec!["failure rates", "protocol", "all", "none", "partial", "rate", "expected"];
    let mut table = Table { head, rows: Vec::new() };
    let mut picture = Vec::new();
    for rates in CASES {
        let (naive, two_phase) = trials(options, &rates);
        let expected = expected_partial(&rates);
        let what = rates.map(|rate| format!("{} %", rate as f64 / 10.0)).join(", ");
        for (protocol, count, expected) in
            [("commit on every node", naive, expected), ("two-phase commit", two_phase, 0.0)]
        {
            assert!(count.unsettled == 0, "{protocol}: not settled within {END_US} µs");
            let rate = count.some as f64 / options.trials as f64;
            table.rows.push(vec![
                what.clone(),
                protocol.into(),
                count.all.to_string(),
                count.none.to_string(),
                count.some.to_string(),
                percent(count.some, options.trials),
                format!("{:.2} %", 100.0 * expected),
            ]);
            let label = format!("{protocol}, nodes fail {what}");
            let shown = format!("{:.2} % (expected {:.2} %)", 100.0 * rate, 100.0 * expected);
            picture.push(Bar { label, value: 100.0 * rate, shown });
        }
    }
    let text = format!(
        "Three shards are told to write, {} times for each line; a shard whose disk fails dies in \
         its sync and loses what it wrote. Told to commit one by one, the others have committed by \
         then, and nobody can take it back. The same failures under two-phase commit strike while \
         a shard prepares or while it commits: all of it happens, or none. Expected is 1 - \
         P(no shard fails) - P(all fail). Seed {}.",
        options.trials, options.seed
    );
    let title = "Commit on every node, and hope";
    let picture = bars("Transactions that happened in part, in %", &picture);
    Experiment { name: "naive", title, text, table, picture }
}

/// The same failures, under both.
fn trials(options: &Options, rates: &[u64]) -> (Count, Count) {
    let mut random = Random::new(options.seed);
    let (mut naive, mut two_phase) = (Count::default(), Count::default());
    for _ in 0..options.trials {
        let seed = random.number();
        let fails: Vec<bool> =
            rates.iter().map(|thousandths| (random.below(1_000) as u64) < *thousandths).collect();
        // Under two-phase commit a shard syncs twice: for its vote, and for its end.
        let sync = 1 + random.below(2) as u64;
        naive.add(trial(options, seed, &fails, 1, Cluster::write_everywhere));
        two_phase.add(trial(options, seed, &fails, sync, Cluster::begin));
    }
    (naive, two_phase)
}

/// How many shards hold what was written in the end; `None` if it is not settled.
fn trial(
    options: &Options,
    seed: u64,
    fails: &[bool],
    sync: u64,
    begin: fn(&mut Cluster),
) -> Option<(usize, usize)> {
    let (hop, sync_time) = options.delays();
    let shards = fails.len();
    let setup = Setup { shards, way: Way::Log, hop, sync: sync_time, votes_ms: 5_000, seed };
    let mut cluster = Cluster::new(setup);
    for (branch, fails) in fails.iter().enumerate() {
        if *fails {
            cluster.fail_sync(branch, sync);
            cluster.start_at(DOWN_US, branch + 1);
        }
    }
    begin(&mut cluster);
    let settled = cluster.run_until(END_US);
    settled.then(|| (cluster.written(), shards))
}

impl Count {
    fn add(&mut self, written: Option<(usize, usize)>) {
        match written {
            None => self.unsettled += 1,
            Some((0, _)) => self.none += 1,
            Some((written, of)) if written == of => self.all += 1,
            Some(_) => self.some += 1,
        }
    }
}
