//! What each way to decide costs: time, locks, messages, forced writes.

use handfast_core::transaction::Answer;

use super::{
    Experiment, Options, Table,
    chart::{Panel, Series, lines},
    cluster::{Cluster, Setup, Way},
    mean, ms,
};
use crate::random::Random;

/// Transactions for each line: delays are drawn for each.
const TRANSACTIONS: usize = 100;
const END_US: u64 = 600_000_000;

/// What one way costs with so many branches, on average.
struct Cost {
    answer_us: f64,
    applied_us: f64,
    locked_us: f64,
    messages: f64,
    syncs: f64,
}

/// A way, and its costs by the number of branches.
type Costs = (Way, Vec<(usize, Cost)>);

pub(super) fn run(options: &Options) -> Experiment {
    let of_way = |way| (2..=10).map(|count| (count, cost(options, way, count))).collect();
    let ways = [Way::Log, Way::ThreePhase, Way::Paxos(1)];
    let costs: Vec<Costs> = ways.into_iter().map(|way| (way, of_way(way))).collect();
    let text = format!(
        "A round trip takes {} ms and a sync {} ms, each up to a fifth more or less; every line is \
         the mean of {TRANSACTIONS} commits without any fault. Messages to the caller are not \
         counted, nor are those that stay on one machine. Paxos commit here bears the loss of one \
         place (three acceptors: the coordinator's node and two of the shards). Seed {}.",
        ms(options.round_trip_us as f64),
        ms(options.sync_us as f64),
        options.seed
    );
    let (title, table, picture) = ("What deciding costs", table(&costs), picture(&costs));
    Experiment { name: "latency", title, text, table, picture }
}

fn table(costs: &[Costs]) -> Table {
    let head = vec![
        "branches",
        "decide",
        "answer ms",
        "applied ms",
        "locks held ms",
        "messages",
        "forced writes",
    ];
    let row = |way: Way, (branches, cost): &(usize, Cost)| {
        vec![
            branches.to_string(),
            way.name().into(),
            ms(cost.answer_us),
            ms(cost.applied_us),
            ms(cost.locked_us),
            format!("{:.0}", cost.messages),
            format!("{:.0}", cost.syncs),
        ]
    };
    let counts = 0..costs[0].1.len();
    let rows = counts.flat_map(|at| costs.iter().map(move |(way, costs)| row(*way, &costs[at])));
    Table { head, rows: rows.collect() }
}

fn picture(costs: &[Costs]) -> String {
    let series = |(way, costs): &Costs, value: fn(&Cost) -> f64| Series {
        name: way.name().into(),
        points: costs.iter().map(|(count, cost)| (*count as f64, value(cost))).collect(),
    };
    let panel = |title: &str, value: fn(&Cost) -> f64| Panel {
        title: title.into(),
        y_max: None,
        x_label: "branches",
        log_x: false,
        series: costs.iter().map(|costs| series(costs, value)).collect(),
    };
    lines(&[
        panel("Caller is answered, ms", |cost| cost.answer_us / 1_000.0),
        panel("A branch holds its locks, ms", |cost| cost.locked_us / 1_000.0),
        panel("Messages", |cost| cost.messages),
        panel("Forced writes", |cost| cost.syncs),
    ])
}

fn cost(options: &Options, way: Way, branches: usize) -> Cost {
    let (hop, sync) = options.delays();
    let mut random = Random::new(options.seed);
    let clusters: Vec<Cluster> = (0..TRANSACTIONS)
        .map(|_| {
            let seed = random.number();
            let setup = Setup { shards: branches, way, hop, sync, votes_ms: 60_000, seed };
            let mut cluster = Cluster::new(setup);
            cluster.begin();
            let settled = cluster.run_until(END_US);
            assert!(settled, "{way:?} with {branches} branches is not settled without any fault");
            cluster
        })
        .collect();
    let of_all = |value: fn(&Cluster) -> f64| mean(&clusters.iter().map(value).collect::<Vec<_>>());
    Cost {
        answer_us: of_all(|cluster| match &cluster.answered {
            Some((at_us, Answer::Committed)) => *at_us as f64,
            other => unreachable!("without any fault it commits: {other:?}"),
        }),
        applied_us: of_all(|cluster| cluster.ends_us().fold(0.0, f64::max)),
        locked_us: of_all(|cluster| mean(&cluster.locked_us().collect::<Vec<_>>())),
        messages: of_all(|cluster| cluster.messages() as f64),
        syncs: of_all(|cluster| cluster.syncs() as f64),
    }
}
