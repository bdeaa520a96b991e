//! Turns, and what follows from them: messages, timers, answers.

use std::sync::Arc;

use handfast_core::{
    id::{RequestId, RunId},
    pact::{self, Peer, Word},
    shard::{self, Inquired},
    transaction::{AckWhen, Answer, Decision, Effect, Input},
    vote::{Ack, Vote},
};

use super::{
    Branch, Call, Cast, Death, Message, Packet, Place, State, World, node::Effects, plan,
    shard_stream, text,
};
use crate::{
    machines::{Shard, Transaction},
    marks::Mark,
    mutants::Mutant,
};

/// What a request id says, so that whoever is answered is found again: who asked, about what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asker {
    Caller(RunId),
    Person,
    Coordinator(Branch),
    Shard(Branch),
}

/// The request of a caller who begins a run.
pub fn request_of_a_run(run: RunId) -> RequestId {
    pack(1, Branch { coordinator: 0, run, index: 0 })
}

/// The request of somebody who says something about a transaction.
pub fn request_of_a_person(transaction: usize) -> RequestId {
    let run = RunId { epoch: 0, number: plan::run_number(transaction, 0) };
    pack(2, Branch { coordinator: 0, run, index: 0 })
}

fn pack(kind: u64, branch: Branch) -> RequestId {
    let Branch { coordinator, run, index } = branch;
    let (number, epoch) = (run.number << 16, u64::from(run.epoch) << 40);
    RequestId(u64::from(index) | u64::from(coordinator) << 8 | number | epoch | kind << 60)
}

fn asker(request: RequestId) -> Asker {
    let RequestId(bits) = request;
    let run = RunId {
        epoch: u32::try_from(bits >> 40 & 0xf_ffff).expect("20 bits"),
        number: bits >> 16 & 0xff_ffff,
    };
    let (index, coordinator) = ((bits & 0xff) as u8, (bits >> 8 & 0xff) as u8);
    let branch = Branch { coordinator, run, index };
    match bits >> 60 {
        1 => Asker::Caller(run),
        2 => Asker::Person,
        3 => Asker::Coordinator(branch),
        _ => Asker::Shard(branch),
    }
}

impl World {
    /// One turn of a transaction.
    pub(super) fn coordinate(
        &mut self,
        number: u8,
        transaction: usize,
        input: Input,
        death: Option<Death>,
    ) {
        let stream = Arc::clone(&self.plan.gids[transaction]);
        let in_memory = self.coordinator(number).node.live(&stream).is_some();
        let fresh = self.is_wrong(Mutant::TakenForNew) && !in_memory;
        let effects = self.coordinator_mut(number).node.turn(&stream, input, fresh, death);
        self.released(number, effects, death);
    }

    /// What the transactions of a coordinator ask for, until it dies.
    pub(super) fn released(
        &mut self,
        number: u8,
        effects: Effects<Transaction>,
        death: Option<Death>,
    ) {
        for (gid, effect) in effects {
            let gids = &self.plan.gids;
            let transaction = gids.iter().position(|one| *one == gid).expect("one of the plan's");
            self.release(number, transaction, effect);
        }
        if death.is_some() {
            self.coordinator_died(number);
            self.marks.reach(Mark::Torn);
        }
        self.note_decisions(number);
    }

    fn release(&mut self, number: u8, transaction: usize, effect: Effect) {
        let branch = |run, index| Branch { coordinator: number, run, index };
        match effect {
            Effect::Prepare { run, branch: index, one_phase, .. } => {
                self.send(Message::Call(branch(run, index), Call::Prepare { one_phase }));
            }
            Effect::Commit { run, branch: index, one_phase, .. } => {
                self.send(Message::Call(branch(run, index), Call::Commit { one_phase }));
            }
            Effect::Abort { run, branch: index, .. } => {
                self.send(Message::Call(branch(run, index), Call::Abort));
            }
            Effect::Arm { timer, .. } => {
                self.coordinator_mut(number).timers.insert((transaction, timer));
            }
            Effect::Reply { request, answer } => self.hear(transaction, request, &answer),
            Effect::Close { run } => {
                let was_active = self.coordinator_mut(number).active.remove(&run);
                self.ledger_mut(transaction).closed_amiss |= !was_active;
            }
            Effect::Send { to, message } => self.tell_peer(Place::Coordinator(number), &to, message),
            Effect::Alarm { .. } => {}
        }
    }

    /// The first decision of each transaction that is durable.
    fn note_decisions(&mut self, number: u8) {
        for transaction in 0..self.plan.transactions.len() {
            let own = self.plan.transactions[transaction].coordinator == number;
            if own && self.ledger.facts[transaction].decided.is_none() {
                let known = self.durably_known(transaction);
                let decided = known.and_then(|known| {
                    let decision = known.decision.as_ref()?;
                    Some((known.run, *decision == Decision::Commit))
                });
                if decided.is_some() {
                    self.ledger_mut(transaction).decided = decided;
                }
            }
        }
    }

    /// A caller, an operator or a shard is answered.
    fn hear(&mut self, transaction: usize, request: RequestId, answer: &Answer) {
        let asker = asker(request);
        let applied = self.plan.transactions[transaction].ack == AckWhen::Applied
            && matches!(asker, Asker::Caller(_));
        let facts = self.ledger_mut(transaction);
        let told = &mut facts.told;
        let inquired = match answer {
            Answer::Committed => {
                told.committed = true;
                told.applied |= applied;
                None
            }
            Answer::Aborted(_) => {
                told.aborted = true;
                None
            }
            Answer::Mixed => {
                told.mixed = true;
                None
            }
            Answer::InquiryCommit => Some(Inquired::Commit),
            Answer::InquiryAbort => Some(Inquired::Abort),
            Answer::InquiryPending => Some(Inquired::Pending),
            _ => None,
        };
        if let (Some(inquired), Asker::Shard(branch)) = (inquired, asker) {
            if inquired == Inquired::Abort && !facts.abort_answered.contains(&branch.run) {
                facts.abort_answered.push(branch.run);
            }
            self.send(Message::Told(branch, inquired));
        }
        self.mark_answer(answer);
    }

    /// One turn of a shard.
    pub(super) fn shard_turn(&mut self, number: u8, input: shard::Input, death: Option<Death>) {
        let effects =
            self.shard_mut(number).node.turn(&shard_stream(), input, false, death);
        self.shard_released(number, effects, death);
    }

    /// What a shard asks for, until it dies.
    pub(super) fn shard_released(
        &mut self,
        number: u8,
        effects: Effects<Shard>,
        death: Option<Death>,
    ) {
        for (_, effect) in effects {
            match effect {
                shard::Effect::Reply { request, answer } => self.answer_call(request, answer),
                shard::Effect::Arm { timer, .. } => {
                    self.shard_mut(number).timers.insert(timer);
                }
                shard::Effect::Inquire { branch } => {
                    self.send(Message::Inquiry(Branch::of(&branch)));
                }
                shard::Effect::Send { to, message } => {
                    self.tell_peer(Place::Shard(number), &to, message);
                }
            }
        }
        if death.is_some() {
            self.shard_mut(number).timers.clear();
            self.marks.reach(Mark::Torn);
        }
    }

    fn tell_peer(&mut self, from: Place, to: &Peer, message: pact::Message) {
        if let Word::Accept { proposal, .. } = message.word {
            let run = message.pact.run;
            let proposed = (run, proposal);
            let facts = &self.ledger.facts[super::transaction(run)];
            if !facts.proposed.contains(&proposed) {
                self.ledger_mut(super::transaction(run)).proposed.insert(proposed);
            }
        }
        let leads = match message.word {
            Word::Claim { .. } | Word::PreCommit { .. } => true,
            Word::Asked { leads, .. } => leads,
            _ => false,
        };
        self.marks.reach_if(leads && matches!(from, Place::Shard(_)), Mark::TakenOver);
        let name = match to {
            Peer::Coordinator => message.pact.cluster.as_str(),
            Peer::Shard(name) => name,
        };
        let to = Place::parse(name).expect("all names in a world are those of places");
        self.send(Message::Peer(from, to, message));
    }

    /// As the adapter of shards reads their answers.
    fn answer_call(&mut self, request: RequestId, answer: shard::Answer) {
        let Asker::Coordinator(branch) = asker(request) else { return };
        let message = match answer {
            shard::Answer::Voted { vote: Vote::No(_), .. } => {
                Message::Vote(branch, Vote::No(text::refusal()))
            }
            shard::Answer::Voted { vote, .. } => Message::Vote(branch, vote),
            shard::Answer::Busy => Message::Vote(branch, Vote::Lost(text::refusal())),
            shard::Answer::Acked(Ack::Heuristic(_)) => {
                Message::Ack(branch, Ack::Heuristic(String::new()))
            }
            shard::Answer::Acked(ack) => Message::Ack(branch, ack),
            shard::Answer::Forgotten => {
                Message::Ack(branch, Ack::Unknown("forgotten".into()))
            }
            shard::Answer::Loaded(_) | shard::Answer::Locked(_) => return,
        };
        self.send(message);
    }
}

/// Messages arrive.
impl World {
    pub(super) fn deliver(&mut self, packet: &Packet, cast: Cast, death: Option<Death>) {
        match &**packet {
            Message::Call(branch, call) => match self.plan.branch(*branch).at {
                Place::Shard(number) => self.call_shard(number, *branch, *call, death),
                Place::Database(number) => self.call_database(number, *branch, *call, cast),
                Place::Coordinator(_) => unreachable!("branches are at shards and databases"),
            },
            Message::Vote(branch, vote) => self.voted(*branch, vote.clone(), death),
            Message::Ack(branch, ack) => self.acked(*branch, ack.clone(), death),
            Message::Inquiry(branch) => {
                let (request, run) = (pack(4, *branch), branch.run);
                let input = Input::Inquired { request, run };
                self.coordinate(branch.coordinator, branch.transaction(), input, death);
            }
            Message::Told(branch, answer) => self.shard_answered(*branch, *answer, death),
            Message::Peer(_, to, message) => {
                let message = message.clone();
                match *to {
                    Place::Coordinator(number) => {
                        let transaction = super::transaction(message.pact.run);
                        let input = Input::Received { message };
                        self.coordinate(number, transaction, input, death);
                    }
                    Place::Shard(number) => {
                        self.shard_turn(number, shard::Input::Received { message }, death);
                    }
                    Place::Database(_) => unreachable!("databases know no pact"),
                }
            }
        }
    }

    pub(super) fn shard_answered(
        &mut self,
        branch: Branch,
        answer: Inquired,
        death: Option<Death>,
    ) {
        if let Place::Shard(number) = self.plan.branch(branch).at {
            let input = shard::Input::Answered { branch: self.plan.id(branch), answer };
            self.shard_turn(number, input, death);
        }
    }

    fn call_shard(&mut self, number: u8, branch: Branch, call: Call, death: Option<Death>) {
        let (id, asked) = (self.plan.id(branch), pack(3, branch));
        let input = match call {
            Call::Prepare { .. } => {
                let ops = self.plan.branch(branch).ops();
                let pact = self.plan.pact(branch.coordinator, branch.run);
                let (request, branch, lock_wait_ms) = (asked, id, 1_000);
                shard::Input::Prepare { request, branch, ops, lock_wait_ms, pact }
            }
            Call::Commit { .. } => shard::Input::Commit { request: asked, branch: id },
            Call::Abort => shard::Input::Abort { request: asked, branch: id },
            Call::Orphan { committed: true } => {
                shard::Input::Commit { request: RequestId(0), branch: id }
            }
            Call::Orphan { committed: false } => {
                shard::Input::Abort { request: RequestId(0), branch: id }
            }
        };
        self.shard_turn(number, input, death);
    }

    fn call_database(&mut self, number: u8, branch: Branch, call: Call, cast: Cast) {
        let fences = self.plan.fences && !self.is_wrong(Mutant::NoFence);
        let database = self.database_mut(number);
        let message = match call {
            Call::Prepare { one_phase } => match database.prepare(branch, cast, one_phase) {
                State::ReadOnly => Message::Vote(branch, Vote::ReadOnly),
                State::Held | State::Prepared | State::Committed => {
                    Message::Vote(branch, Vote::Yes(Default::default()))
                }
                _ => Message::Vote(branch, Vote::No(text::refusal())),
            },
            Call::Commit { .. } => match database.end(branch, State::Committed, true) {
                State::Committed | State::Meddled { committed: true } => {
                    Message::Ack(branch, Ack::Finished)
                }
                _ => Message::Ack(branch, Ack::Heuristic(String::new())),
            },
            Call::Abort => match database.end(branch, State::RolledBack, fences) {
                State::Committed | State::Meddled { committed: true } => {
                    Message::Ack(branch, Ack::Heuristic(String::new()))
                }
                _ => Message::Ack(branch, Ack::Finished),
            },
            Call::Orphan { committed } => {
                let state = if committed { State::Committed } else { State::RolledBack };
                database.end(branch, state, false);
                self.marks.reach(Mark::OrphanFinished);
                return;
            }
        };
        self.send(message);
    }
}

