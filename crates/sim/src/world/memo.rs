//! What is known already, so that an exhaustive walk need not do it again: each turn of each state
//! of each node is taken once.
//!
//! A turn depends on nothing but the node and what happens to it (see `driver`), so a turn that is
//! remembered is as good as one that is taken. Nodes whose states decide the same future (see
//! `key`) are one.

use std::{hash::Hash, rc::Rc, sync::Arc};

use foldhash::fast::FixedState;
use handfast_core::{pact, shard, transaction};
use hashbrown::HashMap;

use super::{
    Coordinator, Death, Message, Packet, Plan, ShardNode,
    driver::{Event, Out},
    key::{CoordinatorKey, ShardKey},
    plan::transaction as transaction_of,
    table::Table,
};
use crate::{explore::Violation, invariants};

type Map<K, V> = HashMap<K, V, FixedState>;
/// A node, what happens to it, and whether it dies in it.
type Turn<I> = (u32, Event<I>, Option<Death>);
/// What becomes of a node in a turn, and what leaves it.
type Turned<N> = (Arc<N>, Said);
/// What leaves a node.
type Said = Rc<[Out]>;

/// A node, of either kind.
pub(crate) trait Remembered: Clone {
    /// What of it decides the future.
    type Key: Clone + Eq + Hash;
    /// What happens to it.
    type Input: Clone + Eq + Hash;

    /// See [`Remembered::Key`].
    fn key(&self) -> Self::Key;
    /// What does not hold in it.
    fn violation(&self, plan: &Plan) -> Option<Violation>;
    /// What a peer says arrives.
    fn received(message: pact::Message) -> Self::Input;
    /// What follows from what happens, until it dies if it is to die.
    fn turn(&mut self, plan: &Plan, event: Event<Self::Input>, death: Option<Death>) -> Vec<Out>;
    /// What is known of nodes of its kind.
    fn known(memo: &Memo) -> &Known<Self>;
    /// The same, to be added to.
    fn known_mut(memo: &mut Memo) -> &mut Known<Self>;
}

/// Nodes, messages and turns.
#[derive(Default)]
pub(crate) struct Memo {
    coordinators: Known<Coordinator>,
    shards: Known<ShardNode>,
    packets: Table<Packet, Packet>,
    /// The numbers of those that stand for their like, by address: they are never let go.
    packets_at: Map<usize, u32>,
}

/// The nodes of one kind, and their turns.
pub(crate) struct Known<N: Remembered> {
    states: Table<N::Key, Checked<N>>,
    /// As for messages.
    at: Map<usize, u32>,
    turns: Map<Turn<N::Input>, Turned<N>>,
    /// By node and message between peers: what the node says to it; absent if it changes the node.
    unmoved: Map<(u32, u32), Option<Said>>,
}

/// A node's state, and what does not hold in it.
struct Checked<N> {
    node: Arc<N>,
    violation: Option<Violation>,
}

impl<N: Remembered> Default for Known<N> {
    fn default() -> Self {
        let (at, turns, unmoved) = (Map::default(), Map::default(), Map::default());
        Self { states: Table::default(), at, turns, unmoved }
    }
}

fn address<T>(shared: &Arc<T>) -> usize {
    Arc::as_ptr(shared) as usize
}

impl Memo {
    /// The number of a node's state.
    pub fn number<N: Remembered>(&mut self, plan: &Plan, node: &Arc<N>) -> u32 {
        let known = N::known_mut(self);
        if let Some(number) = known.at.get(&address(node)) {
            return *number;
        }
        let number = known.states.number(&node.key(), |_| Checked {
            node: Arc::clone(node),
            violation: node.violation(plan),
        });
        known.at.insert(address(&known.states.get(number).node), number);
        number
    }

    /// The node's state of that number, and what does not hold in it.
    pub fn node<N: Remembered>(&self, number: u32) -> (&Arc<N>, Option<&Violation>) {
        let Checked { node, violation } = N::known(self).states.get(number);
        (node, violation.as_ref())
    }

    /// The number of a message.
    pub fn packet(&mut self, packet: &Packet) -> u32 {
        if let Some(number) = self.packets_at.get(&address(packet)) {
            return *number;
        }
        let number = self.packets.number(packet, Arc::clone);
        self.packets_at.insert(address(self.packets.get(number)), number);
        number
    }

    /// The message of that number.
    pub fn packet_at(&self, number: u32) -> &Packet {
        self.packets.get(number)
    }

    /// A turn of a node.
    pub(super) fn turn<N: Remembered>(
        &mut self,
        plan: &Plan,
        node: &Arc<N>,
        event: Event<N::Input>,
        death: Option<Death>,
    ) -> Turned<N> {
        let key = (self.number(plan, node), event, death);
        if let Some(turned) = N::known(self).turns.get(&key) {
            return turned.clone();
        }
        let mut after = N::clone(self.node::<N>(key.0).0);
        let out = self.alike(after.turn(plan, key.1.clone(), death));
        let number = self.number(plan, &Arc::new(after));
        let turned = (Arc::clone(self.node(number).0), out);
        N::known_mut(self).turns.insert(key, turned.clone());
        turned
    }

    /// What a node says to a message between peers, if that is all that comes of it.
    pub(super) fn unmoved<N: Remembered>(
        &mut self,
        plan: &Plan,
        node: &Arc<N>,
        packet: &Packet,
    ) -> Option<Said> {
        let number = self.number(plan, node);
        let key = (number, self.packet(packet));
        if let Some(known) = N::known(self).unmoved.get(&key) {
            return known.clone();
        }
        let Message::Peer(.., message) = &**packet else { return None };
        let event = Event::Input(N::received(message.clone()));
        let (after, out) = self.turn(plan, node, event, None);
        let said = (self.number(plan, &after) == number).then_some(out);
        N::known_mut(self).unmoved.insert(key, said.clone());
        said
    }

    /// Puts for each message the one that stands for its like.
    fn alike(&mut self, out: Vec<Out>) -> Said {
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

impl Remembered for Coordinator {
    type Key = CoordinatorKey;
    type Input = (usize, transaction::Input);

    fn key(&self) -> CoordinatorKey {
        CoordinatorKey::of(self)
    }

    fn violation(&self, plan: &Plan) -> Option<Violation> {
        invariants::check_coordinator(plan, self).err()
    }

    fn received(message: pact::Message) -> Self::Input {
        (transaction_of(message.pact.run), transaction::Input::Received { message })
    }

    fn turn(&mut self, plan: &Plan, event: Event<Self::Input>, death: Option<Death>) -> Vec<Out> {
        self.turn(plan, event, death)
    }

    fn known(memo: &Memo) -> &Known<Self> {
        &memo.coordinators
    }

    fn known_mut(memo: &mut Memo) -> &mut Known<Self> {
        &mut memo.coordinators
    }
}

impl Remembered for ShardNode {
    type Key = (u8, ShardKey);
    type Input = shard::Input;

    fn key(&self) -> Self::Key {
        (self.number, ShardKey::of(self))
    }

    fn violation(&self, plan: &Plan) -> Option<Violation> {
        invariants::check_shard(plan, self.number, self).err()
    }

    fn received(message: pact::Message) -> shard::Input {
        shard::Input::Received { message }
    }

    fn turn(&mut self, plan: &Plan, event: Event<shard::Input>, death: Option<Death>) -> Vec<Out> {
        self.turn(plan, event, death)
    }

    fn known(memo: &Memo) -> &Known<Self> {
        &memo.shards
    }

    fn known_mut(memo: &mut Memo) -> &mut Known<Self> {
        &mut memo.shards
    }
}
