//! What can change nothing any more, so that an exhaustive walk need not tell it apart.
//!
//! Each rule rests on a rule of the machines: an input about a run that is over, or was lost in a
//! crash, changes nothing. The invariant `late_input` checks those in every state of every node;
//! the seeded walk forgets nothing, and delivers all of it.

use std::sync::Arc;

use handfast_core::pact::{self, Way, Word};

use super::{Branch, Call, Message, Packet, Place, SHARD, State, World, driver::Out};

impl World {
    pub(super) fn forget(&mut self) {
        let mut network = std::mem::take(&mut self.network);
        network.retain(|packet| !self.is_void(packet));
        self.network = network;
    }

    /// Whether a message that arrives will change nothing, now or later.
    fn is_void(&self, packet: &Packet) -> bool {
        match &**packet {
            Message::Vote(branch, _) => !self.awaits_vote(*branch),
            Message::Ask(branch) | Message::AskedBack(branch, _) => !self.is_voting(branch.run),
            Message::Reply(branch, _) => !self.is_doing(*branch),
            Message::Ack(branch, _) => !self.awaits_ack(*branch),
            Message::Call(branch, Call::Prepare { .. }) => {
                self.state(*branch) != State::Fresh && !self.awaits_vote(*branch)
            }
            Message::Call(branch, Call::Do) => {
                self.state(*branch) != State::Fresh && !self.is_doing(*branch)
            }
            Message::Call(branch, Call::Take) => {
                self.state(*branch) == State::Done && !self.awaits_ack(*branch)
            }
            Message::Call(branch, Call::Commit { .. } | Call::Abort | Call::Undo) => {
                self.is_ended(*branch) && !self.awaits_ack(*branch)
            }
            Message::Call(branch, Call::Orphan { .. }) => self.is_ended(*branch),
            Message::Inquiry(branch) | Message::Told(branch, _) => !self.may_inquire(*branch),
            Message::Peer(_, to, message) => {
                message.pact.way == Way::Paxos
                    && self.is_up(*to)
                    && !self.hears_again(*to, message)
                    && self.changes_nothing(packet, *to)
            }
        }
    }

    /// Whether what a peer says with Paxos commit changes nothing where it arrives, and makes
    /// nobody say anything but what is void as well.
    ///
    /// So it will stay: ballots, promises and ends only rise, and are durable; a ballot that a
    /// leader forgets in a crash it never leads again.
    fn changes_nothing(&self, packet: &Packet, to: Place) -> bool {
        let Some(memo) = &self.memo else { return false };
        let said = match to {
            Place::Coordinator(number) => {
                let node = &self.coordinators[usize::from(number)];
                memo.borrow_mut().unmoved(&self.plan, node, packet)
            }
            Place::Shard(number) => {
                let node = &self.shards[usize::from(number)];
                memo.borrow_mut().unmoved(&self.plan, node, packet)
            }
            Place::Database(_) => None,
        };
        let is_void = |out: &Out| matches!(out, Out::Send(packet) if self.is_void(packet));
        said.is_some_and(|said| said.iter().all(is_void))
    }

    /// Whether a vote reaches an acceptor that has it, and would forget it in a crash.
    fn hears_again(&self, to: Place, message: &pact::Message) -> bool {
        let (Word::Voted { .. }, Place::Shard(number)) = (message.word, to) else { return false };
        let live = self.shard(number).node.live(SHARD);
        live.is_some_and(|live| live.bundles.contains_key(&message.pact.branch(0)))
    }

    /// Whether a branch is over, and a crash would not change that.
    fn is_ended(&self, branch: Branch) -> bool {
        match self.plan.branch(branch).at {
            Place::Shard(number) => {
                let saved = self.shard(number).node.durable(SHARD);
                saved.is_some_and(|saved| saved.finished.end(&self.plan.id(branch)).is_some())
            }
            _ => self.state(branch).is_ended() && self.left.revivals == 0,
        }
    }

    /// Whether a branch's answer to the decision matters: its run is open, now or after a crash.
    fn awaits_ack(&self, branch: Branch) -> bool {
        let Some(known) = self.known(branch.transaction()) else { return false };
        let finished = self.telling(branch).is_some_and(|telling| telling.is_finished);
        let pending = || known.is_pending(branch.index);
        known.run == branch.run && !known.finished && pending() && !finished
    }

    /// Whether a shard asks about a branch, or will when it is started.
    fn may_inquire(&self, branch: Branch) -> bool {
        let Place::Shard(number) = self.plan.branch(branch).at else { return false };
        let (node, id) = (&self.shard(number).node, self.plan.id(branch));
        match node.live(SHARD) {
            Some(live) => live.inquiries.contains_key(&id),
            None => node.durable(SHARD).is_some_and(|saved| saved.prepared.contains_key(&id)),
        }
    }

    pub(super) fn send(&mut self, message: Message) {
        self.put_on_the_way(Arc::new(message));
    }

    pub(super) fn put_on_the_way(&mut self, packet: Packet) {
        if let Some(branch) = packet.branch() {
            self.touched.transactions |= 1 << branch.transaction();
        }
        // A call that is made again while the first is under way: to double is a fault of its own.
        let same = |other: &Packet| Arc::ptr_eq(other, &packet) || *other == packet;
        if !self.plan.prunes || !self.network.iter().any(same) {
            self.network.push(packet);
        }
    }
}
