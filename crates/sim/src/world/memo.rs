//! What is known already, so that an exhaustive walk need not do it again: each turn of each state
//! of each node is taken once.
//!
//! A turn depends on nothing but the node and what happens to it (see `driver`), so a turn that is
//! remembered is as good as one that is taken. Nodes whose states decide the same future (see
//! `key`) are one.

use std::{rc::Rc, sync::Arc};

use foldhash::fast::FixedState;
use handfast_core::{shard, transaction};
use hashbrown::HashMap;

use super::{
    Coordinator, Death, Message, Packet, Place, Plan, ShardNode,
    driver::{Event, Out},
    key::{CoordinatorKey, ShardKey},
    plan::transaction as transaction_of,
    table::Table,
};
use crate::{explore::Violation, invariants};

type Map<K, V> = HashMap<K, V, FixedState>;
/// A node, what happens to it, and whether it dies in it.
type Turn<I> = (u32, Event<I>, Option<Death>);
/// What became of a node, and what left it.
type Turned<N> = (Arc<N>, Rc<[Out]>);

/// What left a node, and nothing else came of it.
type Said = Rc<[Out]>;

/// Nodes, messages and turns.
#[derive(Default)]
pub struct Memo {
    coordinators: Table<CoordinatorKey, Checked<Coordinator>>,
    shards: Table<(u8, ShardKey), Checked<ShardNode>>,
    packets: Table<Packet, Packet>,
    /// The numbers of those that stand for their like, by address: they are never let go.
    known: Map<usize, u32>,
    coordinated: Map<Turn<(usize, transaction::Input)>, Turned<Coordinator>>,
    served: Map<Turn<shard::Input>, Turned<ShardNode>>,
    /// What nodes say to messages that change nothing; absent if they do. By place and numbers.
    unmoved: Map<(Place, u32, u32), Option<Said>>,
}

/// A node's state, and what does not hold in it.
struct Checked<N> {
    node: Arc<N>,
    violation: Option<Violation>,
}

fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared) as usize
}

impl Memo {
    /// The number of a coordinator's state.
    pub fn coordinator(&mut self, plan: &Plan, node: &Arc<Coordinator>) -> u32 {
        if let Some(number) = self.known.get(&address(node)) {
            return *number;
        }
        let key = CoordinatorKey::of(node);
        let number = self.coordinators.number(&key, |_| Checked {
            node: Arc::clone(node),
            violation: invariants::check_coordinator(plan, node).err(),
        });
        self.known.insert(address(&self.coordinators.get(number).node), number);
        number
    }

    /// The number of a shard's state.
    pub fn shard(&mut self, plan: &Plan, node: &Arc<ShardNode>) -> u32 {
        if let Some(number) = self.known.get(&address(node)) {
            return *number;
        }
        let key = (node.number, ShardKey::of(node));
        let number = self.shards.number(&key, |_| Checked {
            node: Arc::clone(node),
            violation: invariants::check_shard(plan, node.number, node).err(),
        });
        self.known.insert(address(&self.shards.get(number).node), number);
        number
    }

    /// The number of a message.
    pub fn packet(&mut self, packet: &Packet) -> u32 {
        if let Some(number) = self.known.get(&address(packet)) {
            return *number;
        }
        let number = self.packets.number(packet, Arc::clone);
        self.known.insert(address(self.packets.get(number)), number);
        number
    }

    /// The coordinator of that number, and what does not hold in it.
    pub fn coordinator_at(&self, number: u32) -> (&Arc<Coordinator>, Option<&Violation>) {
        let Checked { node, violation } = self.coordinators.get(number);
        (node, violation.as_ref())
    }

    /// The shard of that number, and what does not hold in it.
    pub fn shard_at(&self, number: u32) -> (&Arc<ShardNode>, Option<&Violation>) {
        let Checked { node, violation } = self.shards.get(number);
        (node, violation.as_ref())
    }

    /// The message of that number.
    pub fn packet_at(&self, number: u32) -> &Packet {
        self.packets.get(number)
    }

    /// A turn of a coordinator.
    pub(super) fn coordinate(
        &mut self,
        plan: &Plan,
        node: &Arc<Coordinator>,
        event: Event<(usize, transaction::Input)>,
        death: Option<Death>,
    ) -> Turned<Coordinator> {
        let key = (self.coordinator(plan, node), event, death);
        if let Some(turned) = self.coordinated.get(&key) {
            return turned.clone();
        }
        let mut after = Coordinator::clone(self.coordinator_at(key.0).0);
        let out = self.alike(after.turn(plan, key.1.clone(), death));
        let number = self.coordinator(plan, &Arc::new(after));
        let turned = (Arc::clone(self.coordinator_at(number).0), out);
        self.coordinated.insert(key, turned.clone());
        turned
    }

    /// A turn of a shard.
    pub(super) fn serve(
        &mut self,
        plan: &Plan,
        node: &Arc<ShardNode>,
        event: Event<shard::Input>,
        death: Option<Death>,
    ) -> Turned<ShardNode> {
        let key = (self.shard(plan, node), event, death);
        if let Some(turned) = self.served.get(&key) {
            return turned.clone();
        }
        let mut after = ShardNode::clone(self.shard_at(key.0).0);
        let out = self.alike(after.turn(plan, key.1.clone(), death));
        let number = self.shard(plan, &Arc::new(after));
        let turned = (Arc::clone(self.shard_at(number).0), out);
        self.served.insert(key, turned.clone());
        turned
    }

    /// What a coordinator says to a message between peers, if that is all.
    pub(super) fn unmoved_coordinator(
        &mut self,
        plan: &Plan,
        node: &Arc<Coordinator>,
        packet: &Packet,
    ) -> Option<Said> {
        let number = self.coordinator(plan, node);
        let key = (Place::Coordinator(node.number), number, self.packet(packet));
        if let Some(known) = self.unmoved.get(&key) {
            return known.clone();
        }
        let Message::Peer(.., message) = &**packet else { return None };
        let (of, message) = (transaction_of(message.pact.run), message.clone());
        let event = Event::Input((of, transaction::Input::Received { message }));
        let (after, out) = self.coordinate(plan, node, event, None);
        let said = (self.coordinator(plan, &after) == number).then_some(out);
        self.unmoved.insert(key, said.clone());
        said
    }

    /// The same for a shard.
    pub(super) fn unmoved_shard(
        &mut self,
        plan: &Plan,
        node: &Arc<ShardNode>,
        packet: &Packet,
    ) -> Option<Said> {
        let number = self.shard(plan, node);
        let key = (Place::Shard(node.number), number, self.packet(packet));
        if let Some(known) = self.unmoved.get(&key) {
            return known.clone();
        }
        let Message::Peer(.., message) = &**packet else { return None };
        let event = Event::Input(shard::Input::Received { message: message.clone() });
        let (after, out) = self.serve(plan, node, event, None);
        let said = (self.shard(plan, &after) == number).then_some(out);
        self.unmoved.insert(key, said.clone());
        said
    }

    /// Puts for each message the one that stands for its like.
    fn alike(&mut self, out: Vec<Out>) -> Rc<[Out]> {
        let alike = |out| match out {
            Out::Send(packet) => {
                let number = self.packet(&packet);
                Out::Send(Arc::clone(self.packet_at(number)))
            }
            out => out,
        };
        out.into_iter().map(alike).collect()
    }
}
