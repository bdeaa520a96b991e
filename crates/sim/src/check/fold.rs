//! States that differ only in which of like branches is which, folded into one (symmetry reduction:
//! Ip and Dill 1996, "Better verification through symmetry").
//!
//! Branches are like if nobody treats one of them otherwise than another, see `world::rename`. A
//! schedule of theirs with other names is a schedule too. So of all states that names alone tell
//! apart the walk goes on from the one that it saw first, and what holds in that one holds in all.

use foldhash::fast::FixedState;
use handfast_core::transaction::Index;
use hashbrown::HashMap;

use super::Row;
use crate::world::{
    Coordinator, CoordinatorKey, Database, Memo, Names, Packet, Plan, Remembered, Renamed, Table,
    ways,
};

type Map<K, V> = HashMap<K, V, FixedState>;

/// What stands for what.
pub(super) struct Fold {
    /// All ways to exchange like branches; the first exchanges none.
    ways: Vec<Vec<Index>>,
    coordinators: Images<CoordinatorKey>,
    databases: Images<Database>,
    packets: Images<Packet>,
    /// By the least of the states that names alone tell apart: the one that was seen first.
    first: Map<Row, Row>,
    /// How many states all those are that stand for others, with those they stand for.
    unfolded: usize,
}

impl Fold {
    /// `None` if nothing is to be folded.
    pub fn new(plan: &Plan) -> Option<Self> {
        plan.folds.then(|| Self {
            ways: ways(plan),
            coordinators: Images::default(),
            databases: Images::default(),
            packets: Images::default(),
            first: Map::default(),
            unfolded: 0,
        })
    }

    /// How many states were seen, and those that they stand for.
    pub fn unfolded(&self) -> usize {
        self.unfolded
    }

    /// The state that stands for a state.
    pub fn canonical(
        &mut self,
        plan: &Plan,
        memo: &Memo,
        databases: &Table<std::sync::Arc<Database>, std::sync::Arc<Database>>,
        row: Row,
    ) -> Row {
        let (head, rest) = row.split_at(2);
        let (coordinators, rest) = rest.split_at(usize::from(plan.coordinators));
        let (at, packets) = rest.split_at(usize::from(plan.databases));
        let mut images: Vec<Row> = Vec::with_capacity(self.ways.len());
        for way in 0..self.ways.len() {
            let mut image = head.to_vec();
            for number in coordinators {
                let node = || memo.node::<Coordinator>(*number).0.key();
                image.push(self.coordinators.of(&self.ways, *number, node)[way]);
            }
            let fixed = image.len();
            image.resize(fixed + at.len(), 0);
            for (place, number) in at.iter().enumerate() {
                let database = || Database::clone(databases.get(*number));
                let to = usize::from(self.ways[way][place]);
                image[fixed + to] = self.databases.of(&self.ways, *number, database)[way];
            }
            let fixed = image.len();
            for number in packets {
                let packet = || Packet::clone(memo.packet_at(*number));
                image.push(self.packets.of(&self.ways, *number, packet)[way]);
            }
            image[fixed..].sort_unstable();
            images.push(image.into());
        }
        images.sort_unstable();
        images.dedup();
        let alike = images.len();
        let least = images.swap_remove(0);
        let unfolded = &mut self.unfolded;
        let first = self.first.entry(least).or_insert_with(|| {
            *unfolded += alike;
            row
        });
        first.clone()
    }
}

/// By the number of something, its numbers among all things and all their images, in each way.
struct Images<K> {
    all: Table<K, ()>,
    of: Map<u32, Box<[u32]>>,
}

impl<K> Default for Images<K> {
    fn default() -> Self {
        Self { all: Table::default(), of: Map::default() }
    }
}

impl<K: Renamed + Clone + Eq + std::hash::Hash> Images<K> {
    fn of(&mut self, ways: &[Vec<Index>], number: u32, key: impl Fn() -> K) -> &[u32] {
        let all = &mut self.all;
        self.of.entry(number).or_insert_with(|| {
            let key = key();
            let image = |names: &Vec<Index>| {
                let names: &Names = names;
                all.number(&key.renamed(names), |_| ())
            };
            ways.iter().map(image).collect()
        })
    }
}
