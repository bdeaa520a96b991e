//! Nodes with their drivers: who arms the timers, knows the open runs, and hands on what is asked
//! for. What a node does depends on nothing but itself and what happens to it.

use std::{collections::BTreeSet, sync::Arc};

use handfast_core::{
    id::{RequestId, RunId},
    orphans::{Judged, Listed},
    pact::{
        self, Peer, Word,
        paxos::{Proposal, Value},
    },
    plan::Verb,
    shard,
    transaction::{self, Answer, Decision, Effect, Index, Input, Timer},
    vote::{Ack, Reply, Vote},
};

use super::{
    Branch, Call, Death, Message, Node, Packet, Place, Plan,
    request::{Asker, asker},
    text,
};
use crate::{
    machines::{Shard, Transaction},
    mutants::Mutant,
};

/// The stream of a shard.
pub const SHARD: &str = "shard";

thread_local! {
    static SHARD_STREAM: Arc<str> = Arc::from(SHARD);
}

/// A node that coordinates: the machines, and what its driver knows.
#[derive(Clone)]
pub struct Coordinator {
    /// Which one.
    pub number: u8,
    /// The machines.
    pub node: Node<Transaction>,
    /// How often it was started.
    pub epoch: u32,
    /// Runs begun or brought back, and not over.
    pub active: BTreeSet<RunId>,
    /// Timers that are armed, with their transactions.
    pub timers: BTreeSet<(usize, transaction::Timer)>,
    /// How far a search for orphans has come.
    pub search: Search,
}

/// A search for orphans: P, then A and T, then Q. The decision is whether it committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Search {
    /// None is under way.
    #[default]
    None,
    /// These are prepared (P).
    Listed(Listed<Branch>),
    /// Of those, these are of no active run (A); with what was decided about them, if anything (T).
    Judged(Judged<Branch, bool>),
}

/// A shard: the machine, and its driver.
#[derive(Clone)]
pub struct ShardNode {
    /// Which one.
    pub number: u8,
    /// The machine, in the one stream [`SHARD`].
    pub node: Node<Shard>,
    /// Timers that are armed.
    pub timers: BTreeSet<shard::Timer>,
}

/// What happens to a node.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Event<I> {
    /// An input of its machines.
    Input(I),
    /// It is started.
    Restart,
}

/// What leaves a node.
#[derive(Clone)]
pub enum Out {
    /// A message.
    Send(Packet),
    /// An answer, about a transaction.
    Reply(usize, RequestId, Answer),
    /// A run of a transaction is closed, and was not open.
    ClosedAmiss(usize),
    /// A transaction is aborted by an input that speaks for no abort.
    AbortedAmiss(usize),
    /// A step is called at a time when it must not be: what, and why not.
    CalledAmiss(Branch, &'static str),
    /// A branch is called again before its wait is over.
    CalledEarly(Branch),
}

impl Coordinator {
    pub(super) fn new(number: u8) -> Self {
        let (active, timers) = (BTreeSet::new(), BTreeSet::new());
        Self { number, node: Node::default(), epoch: 1, active, timers, search: Search::None }
    }

    /// What follows, until it dies if it is to die.
    pub fn turn(
        &mut self,
        plan: &Plan,
        event: Event<(usize, Input)>,
        death: Option<Death>,
    ) -> Vec<Out> {
        let mut out = Vec::new();
        let effects = match event {
            Event::Restart => {
                self.epoch += 1;
                let effects = self.node.restart(death);
                let runs = self.node.in_memory().filter_map(|(_, saved, _)| {
                    saved.known.as_ref().filter(|known| !known.finished).map(|known| known.run)
                });
                self.active = runs.collect();
                effects
            }
            Event::Input((transaction, input)) => {
                match &input {
                    Input::Begin(begin) => _ = self.active.insert(begin.run),
                    Input::Fired(timer) => _ = self.timers.remove(&(transaction, *timer)),
                    _ => {}
                }
                let gid = &plan.gids[transaction];
                let is_new = self.node.live(gid).is_none();
                let fresh = plan.mutant == Some(Mutant::TakenForNew) && is_new;
                let aborts_amiss = !may_abort(&input) && !self.is_aborted(gid);
                let was_decided = self.is_decided(gid);
                let effects = self.node.turn(gid, input, fresh, death);
                // A turn in which it dies is one that it also takes without dying.
                if death.is_none() && self.is_decided(gid) == was_decided {
                    out.extend(self.called_early(plan, transaction, &effects));
                }
                if aborts_amiss && self.is_aborted(gid) {
                    out.push(Out::AbortedAmiss(transaction));
                }
                effects
            }
        };
        for (gid, effect) in effects {
            let transaction = plan.gids.iter().position(|one| *one == gid);
            self.release(plan, transaction.expect("one of the plan's"), effect, &mut out);
        }
        if let Some(death) = death {
            self.died();
            leave(death, &mut out);
        }
        if plan.prunes {
            self.forget_timers(plan);
        }
        out
    }

    fn release(&mut self, plan: &Plan, transaction: usize, effect: Effect, out: &mut Vec<Out>) {
        let branch = |run, index| Branch { coordinator: self.number, run, index };
        let message = match effect {
            Effect::Prepare { run, branch: index, one_phase, .. } => {
                Message::Call(branch(run, index), Call::Prepare { one_phase })
            }
            Effect::Commit { run, branch: index, one_phase, .. } => {
                Message::Call(branch(run, index), Call::Commit { one_phase })
            }
            Effect::Abort { run, branch: index, .. } => {
                Message::Call(branch(run, index), Call::Abort)
            }
            Effect::Send { to, message } => {
                peer_message(Place::Coordinator(self.number), &to, message)
            }
            Effect::Call { run, branch: index, verb, .. } => {
                let branch = branch(run, index);
                let amiss = self.is_amiss(plan, transaction, branch, verb);
                out.extend(amiss.map(|why| Out::CalledAmiss(branch, why)));
                Message::Call(
                    branch,
                    match verb {
                        Verb::Do => Call::Do,
                        Verb::Undo => Call::Undo,
                        _ => Call::Take,
                    },
                )
            }
            Effect::Arm { timer, .. } | Effect::ArmAt { timer, .. } => {
                self.timers.insert((transaction, timer));
                return;
            }
            Effect::Reply { request, answer } => {
                return out.push(Out::Reply(transaction, request, answer));
            }
            Effect::Close { run } => {
                if !self.active.remove(&run) {
                    out.push(Out::ClosedAmiss(transaction));
                }
                return;
            }
            Effect::Ask { run, .. } => Message::Ask(branch(run, 0)),
            // What is called has left already.
            Effect::Alarm { .. } | Effect::Recall { .. } => return,
        };
        out.push(Out::Send(Arc::new(message)));
    }

    /// Whether the last that is known of a transaction is that it is aborted.
    fn is_aborted(&self, gid: &str) -> bool {
        let known = self.node.saved(gid).and_then(|saved| saved.known.as_ref());
        known.is_some_and(|known| matches!(known.decision, Some(Decision::Abort(_))))
    }

    fn is_decided(&self, gid: &str) -> bool {
        let known = self.node.saved(gid).and_then(|saved| saved.known.as_ref());
        known.is_some_and(|known| known.decision.is_some())
    }

    /// A branch that is called though its timer runs. One that was armed before the decision is
    /// nothing to what comes after it, nor is the answer that it was armed for.
    fn called_early(
        &self,
        plan: &Plan,
        transaction: usize,
        effects: &[(Arc<str>, Effect)],
    ) -> Option<Out> {
        let live = self.node.live(&plan.gids[transaction]);
        let is_answered = |branch: Index| {
            let telling = live.and_then(|live| live.telling.get(usize::from(branch)));
            telling.is_some_and(|telling| telling.last_answer.is_some())
        };
        effects.iter().find_map(|(_, effect)| {
            let (Effect::Commit { run, branch, .. }
            | Effect::Abort { run, branch, .. }
            | Effect::Call { run, branch, .. }) = effect
            else {
                return None;
            };
            let timer = (transaction, Timer::Retry(*run, *branch));
            let waits = self.timers.contains(&timer) && is_answered(*branch);
            let branch = Branch { coordinator: self.number, run: *run, index: *branch };
            waits.then_some(Out::CalledEarly(branch))
        })
    }

    /// Why a step must not be called now, if so: by what the node itself knows.
    fn is_amiss(
        &self,
        plan: &Plan,
        transaction: usize,
        branch: Branch,
        verb: Verb,
    ) -> Option<&'static str> {
        let gid = &plan.gids[transaction];
        let saved = self.node.saved(gid).and_then(|saved| saved.known.as_ref());
        let decision = saved.and_then(|known| known.decision.as_ref());
        let telling = self.node.live(gid).map(|live| &live.telling);
        let telling = telling.and_then(|telling| telling.get(usize::from(branch.index)));
        match (verb, decision) {
            (Verb::Do, Some(_)) => Some("done after the decision"),
            (Verb::Deliver, decision) if decision != Some(&Decision::Commit) => {
                Some("delivered before the decision to commit")
            }
            (Verb::Undo, None) => Some("undone before the decision"),
            (Verb::Undo, _) if telling.is_some_and(|telling| telling.is_doing) => {
                Some("undone while its do is under way")
            }
            _ => None,
        }
    }

    /// Dies at rest.
    pub fn crash(&mut self) {
        self.node.crash();
        self.died();
    }

    fn died(&mut self) {
        self.active.clear();
        self.timers.clear();
        self.search = Search::None;
    }

    /// Timers from which nothing would follow, see `forget`.
    fn forget_timers(&mut self, plan: &Plan) {
        let node = &self.node;
        self.timers.retain(|(of, timer)| {
            let gid = &plan.gids[*of];
            match timer {
                transaction::Timer::Votes(run) => {
                    let voting = node.live(gid).and_then(|live| live.voting.as_ref());
                    voting.is_some_and(|voting| voting.run == *run)
                }
                transaction::Timer::Retry(run, _) => {
                    let known = node.saved(gid).and_then(|saved| saved.known.as_ref());
                    known.is_some_and(|known| known.run == *run && !known.finished)
                }
                transaction::Timer::Deadline(run) => {
                    let voting = node.live(gid).and_then(|live| live.voting.as_ref());
                    voting.is_some_and(|voting| voting.run == *run)
                }
                transaction::Timer::Lead(_) => true,
            }
        });
    }
}

impl ShardNode {
    pub(super) fn new(plan: &Plan, number: u8) -> Self {
        let mut node = Node::default();
        let (request, keys) = (RequestId(0), plan.keys(number));
        let load = shard::Input::Load { request, keys };
        SHARD_STREAM.with(|stream| node.turn(stream, load, false, None));
        Self { number, node, timers: BTreeSet::new() }
    }

    /// What follows, until it dies if it is to die.
    pub fn turn(
        &mut self,
        plan: &Plan,
        event: Event<shard::Input>,
        death: Option<Death>,
    ) -> Vec<Out> {
        let effects = match event {
            Event::Restart => self.node.restart(death),
            Event::Input(input) => {
                if let shard::Input::Fired(timer) = &input {
                    self.timers.remove(timer);
                }
                SHARD_STREAM.with(|stream| self.node.turn(stream, input, false, death))
            }
        };
        let mut out = Vec::new();
        for (_, effect) in effects {
            let message = match effect {
                shard::Effect::Reply { request, answer } => answer_to_call(request, answer),
                shard::Effect::Arm { timer, .. } => {
                    self.timers.insert(timer);
                    None
                }
                shard::Effect::Inquire { branch } => Some(Message::Inquiry(Branch::of(&branch))),
                shard::Effect::Send { to, message } => {
                    Some(peer_message(Place::Shard(self.number), &to, message))
                }
            };
            out.extend(message.map(|message| Out::Send(Arc::new(message))));
        }
        if let Some(death) = death {
            self.timers.clear();
            leave(death, &mut out);
        }
        if plan.prunes {
            self.forget_timers();
        }
        out
    }

    /// Dies at rest.
    pub fn crash(&mut self) {
        self.node.crash();
        self.timers.clear();
    }

    /// Timers from which nothing would follow, see `forget`.
    fn forget_timers(&mut self) {
        let Some(live) = self.node.live(SHARD) else { return };
        self.timers.retain(|timer| match timer {
            shard::Timer::Inquire(id) => live.inquiries.contains_key(id),
            shard::Timer::LockWait(id) => live.waiting.contains_key(id),
            shard::Timer::Lead(_) => true,
        });
    }
}

/// Whether an input may be why a transaction is aborted: a no, a failure or silence that may be
/// one, somebody who wants it, or a peer that may have seen any of these.
fn may_abort(input: &Input) -> bool {
    match input {
        Input::Voted { vote, .. } => !matches!(vote, Vote::Yes(_) | Vote::ReadOnly),
        Input::Answered { reply, .. } | Input::AskedBack { reply, .. } => {
            !matches!(reply, Reply::Done(_))
        }
        Input::Acked { ack, .. } => *ack != Ack::Finished,
        Input::Received { message } => !matches!(
            message.word,
            Word::Voted { .. }
                | Word::PreCommitted { .. }
                | Word::Accepted { proposal: Proposal { value: Value::Prepared, .. }, .. }
        ),
        Input::Begin(_) | Input::CommitAsked { .. } | Input::Inquired { .. } => false,
        _ => true,
    }
}

/// Keeps what leaves of a node that dies, if that is any part.
fn leave(death: Death, out: &mut Vec<Out>) {
    let Death::AfterSome(some) = death else { return };
    let mut sent = 0;
    out.retain(|out| {
        let bit = match out {
            Out::Send(_) => {
                sent += 1;
                sent
            }
            Out::Reply(..) => 0,
            Out::ClosedAmiss(_)
            | Out::AbortedAmiss(_)
            | Out::CalledAmiss(..)
            | Out::CalledEarly(_) => return true,
        };
        some >> bit & 1 != 0
    });
}

fn peer_message(from: Place, to: &Peer, message: pact::Message) -> Message {
    let name = match to {
        Peer::Coordinator => message.pact.cluster.as_str(),
        Peer::Shard(name) => name,
    };
    let to = Place::parse(name).expect("all names in a world are those of places");
    Message::Peer(from, to, message)
}

/// As the adapter of shards reads their answers.
fn answer_to_call(request: RequestId, answer: shard::Answer) -> Option<Message> {
    let Asker::Coordinator(branch) = asker(request) else { return None };
    Some(match answer {
        shard::Answer::Voted { vote: Vote::No(_), .. } => {
            Message::Vote(branch, Vote::No(text::refusal()))
        }
        shard::Answer::Voted { vote, .. } => Message::Vote(branch, vote),
        shard::Answer::Busy => Message::Vote(branch, Vote::Lost(text::refusal())),
        shard::Answer::Acked(Ack::Heuristic(_)) => {
            Message::Ack(branch, Ack::Heuristic(String::new()))
        }
        shard::Answer::Acked(ack) => Message::Ack(branch, ack),
        shard::Answer::Forgotten => Message::Ack(branch, Ack::Unknown("forgotten".into())),
        shard::Answer::Loaded(_) | shard::Answer::Locked(_) => return None,
    })
}
