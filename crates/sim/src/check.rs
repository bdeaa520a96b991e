//! The exhaustive walk over worlds: every schedule of a small one.
//!
//! A state is a short row of numbers, each of which stands for the state of one node, one message,
//! the callers' knowledge and the faults that are left (SPIN's collapse compression, Holzmann
//! 1997). Numbers are given to states that differ, compared in full; so rows are equal if and only
//! if worlds are. What does not decide the future is left out: see `key`.

mod key;
mod table;

use std::{cell::RefCell, hash::BuildHasher as _, ops::ControlFlow, sync::Arc};

use foldhash::fast::FixedState;

use self::{
    key::{CoordinatorKey, ShardKey},
    table::Table,
};
use crate::{
    explore::{self, Explored, Model, Options, Progress, Violation},
    invariants,
    machines,
    marks::Marks,
    walk::calm,
    world::{Action, Budget, Coordinator, Database, Ledger, Packet, Place, Plan, ShardNode, World},
};

/// A world's state.
pub type Row = Box<[u32]>;

/// What a walk found.
#[derive(Clone, Debug)]
pub struct Report {
    /// How far it came, and what it found.
    pub explored: Explored<Action>,
    /// What it came by.
    pub marks: Marks,
}

/// Walks every schedule of a plan's world. `watch` is told how far it has come, and can end it.
pub fn run(
    plan: Plan,
    options: Options,
    watch: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Report {
    let worlds = Worlds::new(plan);
    let explored = explore::explore(&worlds, options, watch);
    Report { explored, marks: worlds.marks() }
}

/// All states of a plan's world, as a model.
pub struct Worlds {
    plan: Arc<Plan>,
    tables: RefCell<Tables>,
}

#[derive(Default)]
struct Tables {
    coordinators: Table<CoordinatorKey, Checked<Coordinator>>,
    shards: Table<(u8, ShardKey), Checked<ShardNode>>,
    databases: Table<Arc<Database>, Arc<Database>>,
    packets: Table<Packet, Packet>,
    ledgers: Table<Arc<Ledger>, Arc<Ledger>>,
    troubles: Table<(Budget, Option<Place>), (Budget, Option<Place>)>,
    /// The state last walked on from, and the last one that came of it: both are asked for again
    /// and again.
    before: Option<(Row, World)>,
    after: Option<(Row, World)>,
    marks: Marks,
}

/// A node's state, and what does not hold in it.
#[derive(Clone)]
struct Checked<N> {
    node: Arc<N>,
    violation: Option<Violation>,
}

impl Worlds {
    /// Nothing has happened in it yet.
    pub fn new(plan: Plan) -> Self {
        machines::wrong(plan.mutant);
        Self { plan: Arc::new(plan), tables: RefCell::default() }
    }

    /// What was come by so far.
    pub fn marks(&self) -> Marks {
        self.tables.borrow().marks
    }

    /// How many states of coordinators, shards, databases and messages differ.
    pub fn parts(&self) -> [usize; 4] {
        let tables = self.tables.borrow();
        [
            tables.coordinators.len(),
            tables.shards.len(),
            tables.databases.len(),
            tables.packets.len(),
        ]
    }

    /// The world in a state.
    pub fn world(&self, row: &Row) -> World {
        let mut tables = self.tables.borrow_mut();
        if let Some((_, world)) = tables.before.as_ref().filter(|(known, _)| known == row) {
            return world.clone();
        }
        let world = tables.expand(&self.plan, row);
        tables.before = Some((row.clone(), world.clone()));
        world
    }
}

impl Model for Worlds {
    type State = Row;
    type Action = Action;

    fn init(&self) -> Vec<Row> {
        let world = World::new(Arc::clone(&self.plan));
        vec![self.tables.borrow_mut().compress(&world, None)]
    }

    fn actions(&self, row: &Row) -> Vec<Action> {
        self.world(row).actions()
    }

    fn next(&self, row: &Row, action: &Action) -> Row {
        let mut world = self.world(row);
        world.act(action);
        let mut tables = self.tables.borrow_mut();
        let before = tables.before.take();
        let after = tables.compress(&world, before.as_ref());
        let marks = world.reached();
        tables.marks.extend(marks);
        tables.before = before;
        tables.after = Some((after.clone(), world));
        after
    }

    fn check(&self, _: &Row, _: &Action, after: &Row) -> Result<(), Violation> {
        let mut tables = self.tables.borrow_mut();
        if tables.after.as_ref().is_none_or(|(known, _)| known != after) {
            let world = tables.expand(&self.plan, after);
            tables.after = Some((after.clone(), world));
        }
        tables.node_violation(&self.plan, after)?;
        let (_, world) = tables.after.as_ref().expect("it was put there just now");
        invariants::check_world(world)?;
        let is_asked = |every: u64| FixedState::with_seed(1).hash_one(after) % every == 0;
        if world.plan.calm_every.is_some_and(is_asked) {
            calm::settle(&mut world.clone())?;
        }
        Ok(())
    }

    fn is_settled(&self, row: &Row) -> bool {
        let tables = self.tables.borrow();
        invariants::unsettled(&tables.expand(&self.plan, row)).is_none()
    }

    fn is_fault(&self, action: &Action) -> bool {
        action.is_fault()
    }
}

/// How many numbers come before those of the messages.
fn fixed(plan: &Plan) -> usize {
    2 + usize::from(plan.coordinators) + usize::from(plan.shards) + usize::from(plan.databases)
}

impl Tables {
    /// The row of a world. What it shares with `before` need not be looked at.
    fn compress(&mut self, world: &World, before: Option<&(Row, World)>) -> Row {
        let mut row = Vec::with_capacity(fixed(&world.plan) + world.network.len());
        row.push(self.ledgers.number(&world.ledger, |ledger| Arc::clone(ledger)));
        let troubles = (world.left, world.cut_off);
        row.push(self.troubles.number(&troubles, |troubles| *troubles));
        for (at, node) in world.coordinators.iter().enumerate() {
            let same = before.filter(|(_, before)| Arc::ptr_eq(&before.coordinators[at], node));
            let place = row.len();
            row.push(match same {
                Some((known, _)) => known[place],
                None => self.coordinator(&world.plan, node),
            });
        }
        for (at, node) in world.shards.iter().enumerate() {
            let same = before.filter(|(_, before)| Arc::ptr_eq(&before.shards[at], node));
            let place = row.len();
            row.push(match same {
                Some((known, _)) => known[place],
                None => self.shard(&world.plan, at, node),
            });
        }
        for node in &world.databases {
            row.push(self.databases.number(node, |node| Arc::clone(node)));
        }
        let fixed = row.len();
        for packet in &world.network {
            row.push(self.packets.number(packet, |packet| Arc::clone(packet)));
        }
        // In what order messages were sent does not matter.
        row[fixed..].sort_unstable();
        row.into()
    }

    fn coordinator(&mut self, plan: &Plan, node: &Arc<Coordinator>) -> u32 {
        self.coordinators.number(&CoordinatorKey::of(node), |_| Checked {
            node: Arc::clone(node),
            violation: invariants::check_coordinator(plan, node).err(),
        })
    }

    fn shard(&mut self, plan: &Plan, at: usize, node: &Arc<ShardNode>) -> u32 {
        let number = u8::try_from(at).expect("few shards");
        self.shards.number(&(number, ShardKey::of(node)), |_| Checked {
            node: Arc::clone(node),
            violation: invariants::check_shard(plan, number, node).err(),
        })
    }

    fn expand(&self, plan: &Arc<Plan>, row: &Row) -> World {
        let (coordinators, shards) = (usize::from(plan.coordinators), usize::from(plan.shards));
        let (head, rest) = row.split_at(2);
        let (nodes, rest) = rest.split_at(coordinators);
        let (shards, rest) = rest.split_at(shards);
        let (databases, packets) = rest.split_at(usize::from(plan.databases));
        World::of_parts(
            Arc::clone(plan),
            nodes.iter().map(|at| self.coordinators.get(*at).node.clone()).collect(),
            shards.iter().map(|at| self.shards.get(*at).node.clone()).collect(),
            databases.iter().map(|at| self.databases.get(*at).clone()).collect(),
            packets.iter().map(|at| self.packets.get(*at).clone()).collect(),
            *self.troubles.get(head[1]),
            Arc::clone(self.ledgers.get(head[0])),
        )
    }

    fn node_violation(&self, plan: &Plan, row: &Row) -> Result<(), Violation> {
        let (_, rest) = row.split_at(2);
        let (nodes, rest) = rest.split_at(usize::from(plan.coordinators));
        let (shards, _) = rest.split_at(usize::from(plan.shards));
        let nodes = nodes.iter().map(|at| &self.coordinators.get(*at).violation);
        let shards = shards.iter().map(|at| &self.shards.get(*at).violation);
        match nodes.chain(shards).flatten().next() {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }
}
