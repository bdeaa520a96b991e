//! Turns, and what follows from them: messages, timers, answers.

use std::sync::Arc;

use handfast_core::{
    id::{RequestId, RunId},
    pact::{self, Word},
    shard::{self, Inquired},
    transaction::{AckWhen, Answer, Decision, Input, Known, Saved},
    vote::{Ack, Proof, Reply, Vote},
};

use super::{
    Branch, Call, Cast, Death, Message, Packet, Place, State, World,
    driver::{Event, Out},
    request::{self, Asker, asker},
    text,
};
use crate::{marks::Mark, mutants::Mutant};

impl World {
    /// One turn of a transaction.
    pub(super) fn coordinate(
        &mut self,
        number: u8,
        transaction: usize,
        input: Input,
        death: Option<Death>,
    ) {
        self.coordinator_turn(number, Event::Input((transaction, input)), death);
    }

    pub(super) fn coordinator_turn(
        &mut self,
        number: u8,
        event: Event<(usize, Input)>,
        death: Option<Death>,
    ) {
        let plan = Arc::clone(&self.plan);
        match &event {
            Event::Input((transaction, _)) if death.is_none() => {
                self.touched.transactions |= 1 << transaction;
            }
            _ => self.touch_all_of(number),
        }
        self.touched.coordinators |= 1 << number;
        let left;
        match self.memo.clone() {
            Some(memo) => {
                let at = usize::from(number);
                let node = &self.coordinators[at];
                let (after, out) = memo.borrow_mut().turn(&plan, node, event, death);
                self.coordinators[at] = after;
                left = !out.is_empty();
                out.iter().cloned().for_each(|out| self.release(out));
            }
            None => {
                let out = self.coordinator_mut(number).turn(&plan, event, death);
                left = !out.is_empty();
                out.into_iter().for_each(|out| self.release(out));
            }
        }
        self.marks.reach_if(death.is_some(), Mark::Torn);
        self.marks.reach_if(death == Some(Death::Ahead) && left, Mark::LeftAhead);
        self.note_decisions(number);
    }

    /// One turn of a shard.
    pub(super) fn shard_turn(&mut self, number: u8, input: shard::Input, death: Option<Death>) {
        self.shard_event(number, Event::Input(input), death);
    }

    pub(super) fn shard_event(
        &mut self,
        number: u8,
        event: Event<shard::Input>,
        death: Option<Death>,
    ) {
        let plan = Arc::clone(&self.plan);
        if death.is_some() || matches!(event, Event::Restart) {
            self.doubt_states_at(number);
        }
        match self.memo.clone() {
            Some(memo) => {
                let at = usize::from(number);
                let (after, out) = memo.borrow_mut().turn(&plan, &self.shards[at], event, death);
                self.touched.shards |= 1 << number;
                self.touched.promised |= 1 << number;
                self.shards[at] = after;
                out.iter().cloned().for_each(|out| self.release(out));
            }
            None => {
                let shard = self.shard_mut(number);
                let before = shard.node.changes();
                let out = shard.turn(&plan, event, death);
                let promises = shard.node.changes() != before;
                self.touched.promised |= u32::from(promises) << number;
                out.into_iter().for_each(|out| self.release(out));
            }
        }
        self.marks.reach_if(death.is_some(), Mark::Torn);
    }

    fn release(&mut self, out: Out) {
        match out {
            Out::Reply(transaction, request, answer) => self.hear(transaction, request, &answer),
            Out::ClosedAmiss(transaction) => self.ledger_mut(transaction).closed_amiss = true,
            Out::AbortedAmiss(transaction) => self.ledger_mut(transaction).aborted_amiss = true,
            Out::CalledAmiss(branch, why) => {
                self.ledger_mut(branch.transaction()).called_amiss = Some((branch.index, why));
            }
            Out::CalledEarly(branch) => {
                self.ledger_mut(branch.transaction()).called_early = Some(branch.index);
            }
            Out::Send(packet) => {
                if let Message::Peer(from, _, message) = &*packet {
                    self.overhear(*from, message);
                }
                self.put_on_the_way(packet);
            }
        }
    }

    /// What leaders propose is remembered.
    fn overhear(&mut self, from: Place, message: &pact::Message) {
        if let Word::Accept { proposal, .. } = message.word {
            let run = message.pact.run;
            let proposed = (run, proposal);
            let transaction = super::transaction(run);
            if !self.ledger.facts[transaction].proposed.contains(&proposed) {
                self.ledger_mut(transaction).proposed.insert(proposed);
            }
        }
        let leads = match message.word {
            Word::Claim { .. } | Word::PreCommit { .. } => true,
            Word::Asked { leads, .. } => leads,
            _ => false,
        };
        self.marks.reach_if(leads && matches!(from, Place::Shard(_)), Mark::TakenOver);
    }

    /// The first decision of each transaction that is durable.
    fn note_decisions(&mut self, number: u8) {
        while let Some((run, committed)) = self.new_decision(number) {
            self.ledger_mut(super::transaction(run)).decided = Some((run, committed));
        }
    }

    /// A durable decision that is not noted yet.
    fn new_decision(&self, number: u8) -> Option<(RunId, bool)> {
        fn known<'a>((_, saved): (&Arc<str>, &'a Saved)) -> Option<&'a Known> {
            saved.known.as_ref()
        }
        let decided = |known: &Known| {
            let decision = known.decision.as_ref()?;
            Some((known.run, *decision == Decision::Commit))
        };
        let is_new = |(run, _): &(RunId, bool)| {
            self.ledger.facts[super::transaction(*run)].decided.is_none()
        };
        let durable = self.coordinator(number).node.all_durable();
        durable.filter_map(known).filter_map(decided).find(is_new)
    }

    /// A caller, an operator or a shard is answered.
    fn hear(&mut self, transaction: usize, request: RequestId, answer: &Answer) {
        let asker = asker(request);
        let applied =
            self.plan.transactions[transaction].ack == AckWhen::Applied && asker == Asker::Caller;
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
            Message::Reply(branch, reply) => self.answered(*branch, reply.clone(), death),
            Message::Ack(branch, ack) => self.acked(*branch, ack.clone(), death),
            Message::Ask(branch) => {
                self.marks.reach(Mark::AskedBack);
                let facts = self.ledger_mut(branch.transaction());
                let committed = *facts.local.get_or_insert(false);
                self.send(Message::AskedBack(*branch, committed));
            }
            Message::AskedBack(branch, committed) => {
                let reply = match committed {
                    true => Reply::Done(Proof::default()),
                    false => Reply::Refused(text::refusal()),
                };
                let input = Input::AskedBack { run: branch.run, reply };
                self.coordinate(branch.coordinator, branch.transaction(), input, death);
            }
            Message::Inquiry(branch) => {
                let (request, run) = (request::of_a_shard(*branch), branch.run);
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
        self.marks.reach_if(matches!(call, Call::Orphan { .. }), Mark::OrphanFinished);
        let (id, asked) = (self.plan.id(branch), request::of_a_coordinator(branch));
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
            Call::Do | Call::Undo | Call::Take => unreachable!("shards do no steps"),
        };
        self.shard_turn(number, input, death);
    }

    fn call_database(&mut self, number: u8, branch: Branch, call: Call, cast: Cast) {
        let fences = self.plan.fences && !self.is_wrong(Mutant::NoFence);
        if self.is_wrong(Mutant::AnyRunCommits) && matches!(call, Call::Commit { .. }) {
            for run in self.ledger.facts[branch.transaction()].runs.clone() {
                let other = Branch { run, ..branch };
                self.at_database(number, other, |database| {
                    database.end(other, State::Committed, false)
                });
            }
        }
        let message = self.at_database(number, branch, |database| {
            Some(match call {
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
                Call::Do => Message::Reply(
                    branch,
                    match database.act(branch, cast) {
                        State::Done => Reply::Done(Proof::default()),
                        _ => Reply::Refused(text::refusal()),
                    },
                ),
                Call::Undo => {
                    database.undo(branch, fences);
                    Message::Ack(branch, Ack::Finished)
                }
                Call::Take => {
                    database.act(branch, Cast::Yes);
                    Message::Ack(branch, Ack::Finished)
                }
                Call::Orphan { committed } => {
                    let state = if committed { State::Committed } else { State::RolledBack };
                    database.end(branch, state, false);
                    return None;
                }
            })
        });
        match message {
            Some(message) => self.send(message),
            None => self.marks.reach(Mark::OrphanFinished),
        }
    }
}
