//! What may have changed since it was last looked at, so that not everything is looked at after
//! every step.

use super::{Message, Place, World, transaction};

/// Transactions, coordinators and shards, each a bit by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Touched {
    pub(super) transactions: u32,
    pub(super) coordinators: u32,
    pub(super) shards: u32,
    /// Those of them that may have promised or forgotten something since their branches were asked.
    pub(super) promised: u32,
}

impl Touched {
    /// Everything.
    pub const ALL: Self = Self { transactions: !0, coordinators: !0, shards: !0, promised: !0 };

    /// The transactions among them.
    pub fn transactions(self, world: &World) -> impl Iterator<Item = usize> + use<> {
        (0..world.plan.transactions.len()).filter(move |at| self.transactions & 1 << at != 0)
    }

    /// The messages about their branches, and between peers those about them or from those shards.
    pub fn messages(self, world: &World) -> impl Iterator<Item = &Message> {
        let is_of = move |run| self.transactions & 1 << transaction(run) != 0;
        let about = move |message: &&Message| match message {
            Message::Peer(Place::Shard(from), ..) if self.shards & 1 << from != 0 => true,
            Message::Peer(_, _, peer) => is_of(peer.pact.run),
            message => message.branch().is_some_and(|branch| is_of(branch.run)),
        };
        world.network.iter().map(|packet| &**packet).filter(about)
    }

    /// The shards among them.
    pub fn shards(self, world: &World) -> impl Iterator<Item = u8> + use<> {
        (0..world.plan.shards).filter(move |at| self.shards & 1 << at != 0)
    }
}
