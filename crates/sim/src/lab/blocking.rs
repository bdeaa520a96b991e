//! How long branches are in doubt when the coordinator dies, and whether for ever.

use handfast_core::shard::End;

use super::{
    Experiment, Options, Table,
    chart::{Panel, Series, lines},
    cluster::{Cluster, Delay, NODE, Setup, Way},
    ms,
};

const BRANCHES: usize = 3;
/// A coordinator that comes back does so after this.
const DOWN_US: u64 = 10_000_000;
/// Who is in doubt for longer than this is in doubt for ever.
const END_US: u64 = 120_000_000;
/// How for ever is drawn.
const FOR_EVER_US: u64 = 20_000_000;
/// So many moments of death are tried, spread over the whole commit.
const MOMENTS: u64 = 60;

/// How a coordinator dies.
struct Case {
    what: &'static str,
    way: Way,
    restarts: bool,
}

const CASES: [Case; 4] = [
    Case { what: "log, never back", way: Way::Log, restarts: false },
    Case { what: "log, back after 10 s", way: Way::Log, restarts: true },
    Case { what: "three_phase, never back", way: Way::ThreePhase, restarts: false },
    Case { what: "paxos, never back", way: Way::Paxos(1), restarts: false },
];

/// What became of one transaction.
struct Fate {
    killed_us: u64,
    /// The longest time that a branch was in doubt; to the end of the experiment, if for ever.
    in_doubt_us: u64,
    blocked: bool,
    ends: Vec<Option<End>>,
}

pub(super) fn run(options: &Options) -> Experiment {
    let head = vec![
        "decide",
        "deaths",
        "not begun",
        "committed",
        "aborted",
        "split",
        "in doubt for ever",
        "longest in doubt ms",
    ];
    let mut table = Table { head, rows: Vec::new() };
    let mut panels = Vec::new();
    for case in &CASES {
        let fates = fates(options, case);
        table.rows.push(row(case, &fates));
        let shown_us = |fate: &Fate| if fate.blocked { FOR_EVER_US } else { fate.in_doubt_us };
        let point =
            |fate: &Fate| (fate.killed_us as f64 / 1_000.0, shown_us(fate) as f64 / 1_000_000.0);
        panels.push(Panel {
            title: format!("{}: longest in doubt, s", case.what),
            x_label: "dies so many ms after the request",
            log_x: false,
            y_max: Some(FOR_EVER_US as f64 / 1_000_000.0),
            series: vec![Series { name: String::new(), points: fates.iter().map(point).collect() }],
        });
    }
    let text = format!(
        "The coordinating node dies at {MOMENTS} different moments of a commit with {BRANCHES} \
         branches. In doubt is a branch from its durable prepare until it is finished durably; all \
         that time it holds its locks. In the pictures, for ever is drawn at {} s. A split would \
         be a branch that is committed while another one is aborted. Seed {}.",
        FOR_EVER_US / 1_000_000,
        options.seed
    );
    let title = "The coordinator dies";
    Experiment { name: "blocking", title, text, table, picture: lines(&panels) }
}

fn row(case: &Case, fates: &[Fate]) -> Vec<String> {
    let count = |is: fn(&Fate) -> bool| fates.iter().filter(|fate| is(fate)).count();
    let blocked = count(|fate| fate.blocked);
    let longest_us = fates.iter().map(|fate| fate.in_doubt_us).max().unwrap_or(0);
    vec![
        case.what.into(),
        fates.len().to_string(),
        count(|fate| !fate.blocked && fate.all(None)).to_string(),
        count(|fate| fate.all(Some(End::Committed))).to_string(),
        count(|fate| fate.all(Some(End::Aborted))).to_string(),
        count(Fate::is_split).to_string(),
        blocked.to_string(),
        if blocked > 0 { "for ever".into() } else { ms(longest_us as f64) },
    ]
}

fn fates(options: &Options, case: &Case) -> Vec<Fate> {
    // The longest of the ways takes three round trips and a half until all is applied.
    let whole_us = 4 * options.round_trip_us + 4 * options.sync_us;
    let moments = (0..MOMENTS).map(|moment| whole_us * moment / MOMENTS);
    moments.map(|killed_us| fate(options, case, killed_us)).collect()
}

fn fate(options: &Options, case: &Case, killed_us: u64) -> Fate {
    let hop = Delay::exactly(options.round_trip_us / 2);
    let sync = Delay::exactly(options.sync_us);
    let seed = options.seed;
    let setup = Setup { shards: BRANCHES, way: case.way, hop, sync, votes_ms: 5_000, seed };
    let mut cluster = Cluster::new(setup);
    cluster.kill_at(killed_us, NODE);
    if case.restarts {
        cluster.start_at(killed_us + DOWN_US, NODE);
    }
    cluster.begin();
    cluster.run_until(END_US);
    let in_doubt = cluster.stays.iter().filter_map(|stay| {
        let until_us = stay.ended.map_or(END_US, |(at_us, _)| at_us);
        Some(until_us.saturating_sub(stay.prepared_us?))
    });
    let blocked = |stay: &super::Stay| stay.prepared_us.is_some() && stay.ended.is_none();
    Fate {
        killed_us,
        in_doubt_us: in_doubt.max().unwrap_or(0),
        blocked: cluster.stays.iter().any(blocked),
        ends: cluster.stays.iter().map(|stay| stay.ended.map(|(_, end)| end)).collect(),
    }
}

impl Fate {
    fn all(&self, end: Option<End>) -> bool {
        self.ends.iter().all(|other| *other == end)
    }

    fn is_split(&self) -> bool {
        let has = |end| self.ends.contains(&Some(end));
        has(End::Committed) && has(End::Aborted)
    }
}
