//! The exhaustive walk over worlds: every schedule of a small one.
//!
//! A state is a short row of numbers, each of which stands for the state of one node, one message,
//! the callers' knowledge and the faults that are left (SPIN's collapse compression, Holzmann
//! 1997). Numbers are given to states that differ, compared in full; so rows are equal if and only
//! if worlds are. What does not decide the future is left out: see `world::key`.

mod fold;

use std::{cell::RefCell, ops::ControlFlow, rc::Rc, sync::Arc};

use self::fold::Fold;
use crate::{
    explore::{self, Explored, Model, Options, Progress, Violation},
    invariants, machines,
    marks::Marks,
    walk::calm,
    world::{
        Action, Budget, Coordinator, Database, Ledger, Memo, Place, Plan, ShardNode, Table, World,
    },
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
    /// How many states it would have seen if none of them stood for others.
    pub unfolded: usize,
}

/// Walks every schedule of a plan's world. `watch` is told how far it has come, and can end it.
pub fn run(
    plan: Plan,
    options: Options,
    watch: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Report {
    let worlds = Worlds::new(plan);
    let explored = explore::explore(&worlds, options, watch);
    let unfolded = worlds.unfolded().unwrap_or(explored.progress.distinct);
    Report { explored, marks: worlds.marks(), unfolded }
}

/// All states of a plan's world, as a model.
pub struct Worlds {
    plan: Arc<Plan>,
    tables: RefCell<Tables>,
}

#[derive(Default)]
struct Tables {
    memo: Rc<RefCell<Memo>>,
    databases: Table<Arc<Database>, Arc<Database>>,
    ledgers: Table<Arc<Ledger>, Arc<Ledger>>,
    troubles: Table<(Budget, Option<Place>), (Budget, Option<Place>)>,
    fold: Option<Fold>,
    /// The state last walked on from, and the last one that came of it: both are asked for again
    /// and again.
    before: Option<(Row, World)>,
    after: Option<(Row, World)>,
    marks: Marks,
}

impl Worlds {
    /// Nothing has happened in it yet.
    pub fn new(plan: Plan) -> Self {
        machines::wrong(plan.mutant);
        let tables = Tables { fold: Fold::new(&plan), ..Tables::default() };
        Self { plan: Arc::new(plan), tables: RefCell::new(tables) }
    }

    /// How many states were seen and those that they stand for, if any stand for others.
    fn unfolded(&self) -> Option<usize> {
        self.tables.borrow().fold.as_ref().map(Fold::unfolded)
    }

    /// What was come by so far.
    pub fn marks(&self) -> Marks {
        self.tables.borrow().marks
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
        vec![self.tables.borrow_mut().compress(&world)]
    }

    fn actions(&self, row: &Row) -> Vec<Action> {
        self.world(row).actions()
    }

    fn next(&self, row: &Row, action: &Action) -> Row {
        let mut world = self.world(row);
        world.act(action);
        let mut tables = self.tables.borrow_mut();
        let after = tables.compress(&world);
        tables.marks.extend(world.marks);
        tables.after = Some((after.clone(), world));
        after
    }

    fn canonical(&self, row: Row) -> Row {
        let Tables { fold, memo, databases, .. } = &mut *self.tables.borrow_mut();
        match fold {
            Some(fold) => fold.canonical(&self.plan, &memo.borrow(), databases, row),
            None => row,
        }
    }

    fn check_state(&self, row: &Row) -> Result<(), Violation> {
        let mut tables = self.tables.borrow_mut();
        if tables.after.as_ref().is_none_or(|(known, _)| known != row) {
            let world = tables.expand(&self.plan, row);
            tables.after = Some((row.clone(), world));
        }
        tables.node_violation(&self.plan, row)?;
        let Tables { after, marks, .. } = &mut *tables;
        let (_, world) = after.as_mut().expect("it was put there just now");
        marks.extend(world.reached());
        invariants::check_world(world)
    }

    fn is_settled(&self, row: &Row) -> bool {
        let tables = self.tables.borrow();
        invariants::left(&tables.expand(&self.plan, row)).is_none()
    }

    /// How often somebody may lead is bounded in the walk, and not in calm.
    fn settles_beyond(&self, row: &Row) -> Result<(), Violation> {
        calm::settle(&mut self.world(row)).map(|_| ())
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
    /// The row of a world.
    fn compress(&mut self, world: &World) -> Row {
        let mut row = Vec::with_capacity(fixed(&world.plan) + world.network.len());
        row.push(self.ledgers.number(&world.ledger, Arc::clone));
        let troubles = (world.left, world.cut_off);
        row.push(self.troubles.number(&troubles, |troubles| *troubles));
        let mut memo = self.memo.borrow_mut();
        row.extend(world.coordinators.iter().map(|node| memo.number(&world.plan, node)));
        row.extend(world.shards.iter().map(|node| memo.number(&world.plan, node)));
        for node in &world.databases {
            row.push(self.databases.number(node, Arc::clone));
        }
        let fixed = row.len();
        for packet in &world.network {
            row.push(memo.packet(packet));
        }
        // In what order messages were sent does not matter.
        row[fixed..].sort_unstable();
        row.into()
    }

    fn expand(&self, plan: &Arc<Plan>, row: &Row) -> World {
        let (coordinators, shards) = (usize::from(plan.coordinators), usize::from(plan.shards));
        let (head, rest) = row.split_at(2);
        let (nodes, rest) = rest.split_at(coordinators);
        let (shards, rest) = rest.split_at(shards);
        let (databases, packets) = rest.split_at(usize::from(plan.databases));
        let memo = self.memo.borrow();
        World::of_parts(
            Arc::clone(plan),
            nodes.iter().map(|at| Arc::clone(memo.node(*at).0)).collect(),
            shards.iter().map(|at| Arc::clone(memo.node(*at).0)).collect(),
            databases.iter().map(|at| Arc::clone(self.databases.get(*at))).collect(),
            packets.iter().map(|at| Arc::clone(memo.packet_at(*at))).collect(),
            *self.troubles.get(head[1]),
            Arc::clone(self.ledgers.get(head[0])),
            Rc::clone(&self.memo),
        )
    }

    fn node_violation(&self, plan: &Plan, row: &Row) -> Result<(), Violation> {
        let (_, rest) = row.split_at(2);
        let (nodes, rest) = rest.split_at(usize::from(plan.coordinators));
        let (shards, _) = rest.split_at(usize::from(plan.shards));
        let memo = self.memo.borrow();
        let nodes = nodes.iter().map(|at| memo.node::<Coordinator>(*at).1);
        let shards = shards.iter().map(|at| memo.node::<ShardNode>(*at).1);
        match nodes.chain(shards).flatten().next() {
            Some(violation) => Err(violation.clone()),
            None => Ok(()),
        }
    }
}
