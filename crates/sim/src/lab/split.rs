//! Three-phase commit when the network parts, and Paxos commit at the same moment.

use handfast_core::shard::End;

use super::{
    Experiment, Options, Table,
    cluster::{Cluster, Delay, Hop, NODE, Setup, Way},
    ms,
    sequence::{Mark, sequence},
};

const BRANCHES: usize = 2;
/// The network heals after this.
const CUT_US: u64 = 20_000_000;
const END_US: u64 = 120_000_000;

/// A way to decide, and the message after which the network parts: it reaches the first shard and
/// not the second.
struct Case {
    way: Way,
    parts_at: &'static str,
}

const CASES: [Case; 2] = [
    Case { way: Way::ThreePhase, parts_at: "pre-commit" },
    Case { way: Way::Paxos(1), parts_at: "commit" },
];

pub(super) fn run(options: &Options) -> Experiment {
    let head = vec!["decide", "shard s1", "shard s2", "together", "s2 in doubt ms"];
    let mut table = Table { head, rows: Vec::new() };
    let mut picture = None;
    for case in CASES {
        let (cluster, cut_us) = parted(options, &case);
        let ends: Vec<_> =
            cluster.stays.iter().map(|stay| stay.ended.map(|(_, end)| end)).collect();
        let [first, second] = [ends[0], ends[1]].map(|end| match end {
            Some(End::Committed) => "committed",
            Some(End::Aborted) => "aborted",
            None => "in doubt",
        });
        let in_doubt_us = cluster.in_doubt_us().last().unwrap_or(END_US as f64);
        let together = if first == second { "yes" } else { "no: split" };
        let row = [case.way.name(), first, second, together].map(String::from);
        table.rows.push(row.into_iter().chain([ms(in_doubt_us)]).collect());
        picture.get_or_insert_with(|| drawn(&cluster, cut_us));
    }
    let text = format!(
        "Nothing crashes. After all have voted yes the network parts for {} s: the coordinator and \
         shard s1 on one side, shard s2 on the other. Under three-phase commit the coordinator \
         takes the silent s2 for dead and commits with s1; s2 takes the two others for dead, finds \
         that of those it can reach nobody is pre-committed, and aborts. Money is made or lost. \
         Under Paxos commit, parted where it hurts most, s2 is no majority: it waits and finishes \
         as decided when the network is whole. The picture is the split.",
        CUT_US / 1_000_000
    );
    let title = "Three-phase commit is split by a partition";
    Experiment { name: "split", title, text, table, picture: picture.unwrap_or_default() }
}

/// The transaction, once without fault to learn the moment, and once with the partition.
fn parted(options: &Options, case: &Case) -> (Cluster, u64) {
    let whole = transaction(options, case, |_| {});
    let told = whole.hops.iter().find(|hop| hop.label == case.parts_at && hop.to == 2);
    let cut_us = told.map_or(0, |hop| hop.sent_us + 1);
    let cluster = transaction(options, case, |cluster| {
        cluster.cut_at(cut_us, vec![NODE, 1]);
        cluster.cut_at(cut_us + CUT_US, Vec::new());
    });
    (cluster, cut_us)
}

fn transaction(options: &Options, case: &Case, prepare: impl FnOnce(&mut Cluster)) -> Cluster {
    let hop = Delay::exactly(options.round_trip_us / 2);
    let sync = Delay::exactly(options.sync_us);
    let (way, seed) = (case.way, options.seed);
    let mut cluster =
        Cluster::new(Setup { shards: BRANCHES, way, hop, sync, votes_ms: 5_000, seed });
    prepare(&mut cluster);
    cluster.begin();
    cluster.run_until(END_US);
    cluster
}

fn drawn(cluster: &Cluster, cut_us: u64) -> String {
    let last_us = cluster.ends_us().fold(0.0, f64::max) as u64;
    let hops: Vec<Hop> =
        cluster.hops.iter().filter(|hop| hop.sent_us <= last_us).cloned().collect();
    let parts = "the network parts".into();
    let mut marks = vec![Mark { place: None, at_us: cut_us, text: parts }];
    for (branch, stay) in cluster.stays.iter().enumerate() {
        let mut mark = |at_us, text: &str| {
            marks.push(Mark { place: Some(branch + 1), at_us, text: text.into() })
        };
        if let Some(at_us) = stay.prepared_us {
            mark(at_us, "prepared");
        }
        if let Some((at_us, end)) = stay.ended {
            mark(at_us, if end == End::Committed { "COMMITTED" } else { "ABORTED" });
        }
    }
    sequence(&["coordinator", "s1", "s2"], &hops, &marks)
}
