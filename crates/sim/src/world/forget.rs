//! What can change nothing any more, so that an exhaustive walk need not tell it apart.
//!
//! Each rule rests on a rule of the machines: an input about a run that is over, or was lost in a
//! crash, changes nothing. The invariant `late_input` checks those in every state of every node;
//! the seeded walk forgets nothing, and delivers all of it.

use std::sync::Arc;

use handfast_core::{shard, transaction};

use super::{Branch, Call, Message, Place, SHARD, State, Timer, World};

impl World {
    pub(super) fn forget(&mut self) {
        let mut network = std::mem::take(&mut self.network);
        network.retain(|packet| !self.is_void(packet));
        self.network = network;
        for number in 0..self.plan.coordinators {
            let timers = &self.coordinator(number).timers;
            let is_over = |(of, timer): &&(usize, transaction::Timer)| {
                self.is_over(&Timer::Transaction(*of, *timer))
            };
            let over: Vec<_> = timers.iter().filter(is_over).copied().collect();
            for timer in over {
                self.coordinator_mut(number).timers.remove(&timer);
            }
        }
        for number in 0..self.plan.shards {
            let is_over = |timer: &&shard::Timer| self.is_over(&Timer::Shard((*timer).clone()));
            let over: Vec<_> =
                self.shard(number).timers.iter().filter(is_over).cloned().collect();
            for timer in over {
                self.shard_mut(number).timers.remove(&timer);
            }
        }
    }

    /// Whether a message that arrives will change nothing, now or later.
    fn is_void(&self, packet: &Message) -> bool {
        match packet {
            Message::Vote(branch, _) => !self.awaits_vote(*branch),
            Message::Ack(branch, _) => !self.awaits_ack(*branch),
            Message::Call(branch, Call::Prepare { .. }) => {
                self.state(*branch) != State::Fresh && !self.awaits_vote(*branch)
            }
            Message::Call(branch, Call::Commit { .. } | Call::Abort) => {
                self.is_ended(*branch) && !self.awaits_ack(*branch)
            }
            Message::Call(branch, Call::Orphan { .. }) => self.is_ended(*branch),
            Message::Inquiry(branch) | Message::Told(branch, _) => !self.may_inquire(*branch),
            Message::Peer(..) => false,
        }
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
        let pending = || known.branches[usize::from(branch.index)].is_pending();
        known.run == branch.run && !known.finished && pending() && !finished
    }

    fn is_open(&self, run: handfast_core::id::RunId) -> bool {
        let known = self.known(super::transaction(run));
        known.is_some_and(|known| known.run == run && !known.finished)
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

    /// Whether nothing follows when a timer fires.
    fn is_over(&self, timer: &Timer) -> bool {
        match timer {
            Timer::Transaction(_, transaction::Timer::Votes(run)) => !self.is_voting(*run),
            Timer::Transaction(_, transaction::Timer::Retry(run, _)) => !self.is_open(*run),
            Timer::Shard(shard::Timer::Inquire(id)) => !self.may_inquire(Branch::of(id)),
            Timer::Shard(shard::Timer::LockWait(id)) => {
                let Place::Shard(number) = self.plan.branch(Branch::of(id)).at else {
                    return true;
                };
                let live = self.shard(number).node.live(SHARD);
                live.is_none_or(|live| !live.waiting.contains_key(id))
            }
            Timer::Transaction(_, transaction::Timer::Lead(_))
            | Timer::Shard(shard::Timer::Lead(_)) => false,
        }
    }

    pub(super) fn send(&mut self, message: Message) {
        // A call that is made again while the first is under way: to double is a fault of its own.
        if self.plan.prunes && self.network.iter().any(|packet| **packet == message) {
            return;
        }
        self.network.push(Arc::new(message));
    }
}
