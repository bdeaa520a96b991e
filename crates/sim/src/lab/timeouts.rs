//! What a vote timeout costs that is too short, or too long.

use handfast_core::transaction::Answer;

use super::{
    Experiment, Options, Table,
    chart::{Panel, Series, lines},
    cluster::{Cluster, Setup, Way},
    mean, ms, percent,
};
use crate::random::Random;

/// The timeouts that are tried.
const TIMEOUTS_MS: [u64; 10] = [10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000];
const BRANCHES: usize = 3;
/// Half of the branches work for less than this, and one in a hundred for more than 50 times that.
const WORK_US: f64 = 5_000.0;
/// In so many transactions of a hundred a shard cannot be reached.
const CUT_PERCENT: usize = 2;
/// It can be reached again after this.
const CUT_US: u64 = 30_000_000;
const END_US: u64 = 600_000_000;

/// A transaction's circumstances, the same for every timeout.
struct Case {
    seed: u64,
    work_us: [u64; BRANCHES],
    cut: Option<usize>,
}

/// What a timeout did to all of them.
#[derive(Default)]
struct Cost {
    committed: usize,
    /// Aborted though everyone would have voted yes.
    in_vain: usize,
    /// How long the prepared branches of a transaction waited for one that cannot be reached.
    held_us: Vec<f64>,
}

pub(super) fn run(options: &Options) -> Experiment {
    let cases = cases(options);
    let head = vec!["vote timeout", "committed", "aborted in vain", "held for one away, mean ms"];
    let mut table = Table { head, rows: Vec::new() };
    let (mut in_vain, mut held) = (Vec::new(), Vec::new());
    let alive = cases.iter().filter(|case| case.cut.is_none()).count();
    for votes_ms in TIMEOUTS_MS {
        let cost = cost(options, votes_ms, &cases);
        let held_us = mean(&cost.held_us);
        table.rows.push(vec![
            format!("{votes_ms} ms"),
            percent(cost.committed, cases.len()),
            percent(cost.in_vain, alive),
            if cost.held_us.is_empty() { "-".into() } else { ms(held_us) },
        ]);
        in_vain.push((votes_ms as f64, 100.0 * cost.in_vain as f64 / alive as f64));
        held.push((votes_ms as f64, held_us.max(0.0) / 1_000.0));
    }
    let panel = |title: &str, name: &str, points| Panel {
        title: title.into(),
        y_max: None,
        x_label: "vote timeout, ms",
        log_x: true,
        series: vec![Series { name: name.into(), points }],
    };
    let picture = lines(&[
        panel("Aborted in vain, %", "too short", in_vain),
        panel("Branches wait prepared for one that is away, ms", "too long", held),
    ]);
    let text = format!(
        "{} transactions of {BRANCHES} branches, the same for every timeout. Half of the branches \
         work for less than {} ms before they vote, but one in a hundred for more than 50 times \
         that; in {CUT_PERCENT} % of the transactions one shard cannot be reached for {} s. A \
         short timeout aborts what would have committed; a long one lets the branches that are \
         prepared hold their locks for one that does not answer. Seed {}.",
        cases.len(),
        ms(WORK_US),
        CUT_US / 1_000_000,
        options.seed
    );
    let title = "How long to wait for votes";
    Experiment { name: "timeouts", title, text, table, picture }
}

fn cases(options: &Options) -> Vec<Case> {
    let mut random = Random::new(options.seed);
    // Ten timeouts are tried with each.
    let count = (options.trials / TIMEOUTS_MS.len()).max(1);
    let work = |random: &mut Random| {
        // Pareto's law: half of it below twice the least, and a long tail. 10 s at most.
        let chance = (random.below(1_000_000) + 1) as f64 / 1_000_000.0;
        (WORK_US / 2.0 / chance).min(10_000_000.0) as u64
    };
    (0..count)
        .map(|_| {
            let seed = random.number();
            let work_us = [work(&mut random), work(&mut random), work(&mut random)];
            let is_cut = random.below(100) < CUT_PERCENT;
            Case { seed, work_us, cut: is_cut.then(|| random.below(BRANCHES)) }
        })
        .collect()
}

fn cost(options: &Options, votes_ms: u64, cases: &[Case]) -> Cost {
    let (hop, sync) = options.delays();
    let mut cost = Cost::default();
    for case in cases {
        let setup = Setup { shards: BRANCHES, way: Way::Log, hop, sync, votes_ms, seed: case.seed };
        let mut cluster = Cluster::new(setup);
        for (branch, work_us) in case.work_us.iter().enumerate() {
            cluster.slow(branch, *work_us);
        }
        if let Some(branch) = case.cut {
            cluster.cut_at(0, vec![branch + 1]);
            cluster.cut_at(CUT_US, Vec::new());
        }
        cluster.begin();
        let settled = cluster.run_until(END_US);
        assert!(settled, "a transaction is not settled though everyone can be reached again");
        match (&cluster.answered, case.cut) {
            (Some((_, Answer::Committed)), _) => cost.committed += 1,
            (_, None) => cost.in_vain += 1,
            (_, Some(_)) => cost.held_us.extend(cluster.in_doubt_us().reduce(f64::max)),
        }
    }
    cost
}
