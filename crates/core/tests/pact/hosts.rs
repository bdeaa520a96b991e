//! A coordinator and shards on a virtual clock: every message takes 1 ms, every timer its time, and
//! the network never parts. So the assumptions of three-phase commit hold.

mod hold;

use std::collections::BTreeMap;

use handfast_core::{
    id::{BranchId, Cluster, RequestId, RunId},
    machine::{Machine, Output},
    pact::{Message, Pact, Peer, Way},
    plan::Part,
    shard::{self, Inquired, Shard},
    transaction::{self, AckWhen, Answer, Begin, BranchSpec, Transaction},
    vote::{Ack, Cause, Refusal, Vote},
    work::{KeyOp, Work},
};

/// A machine and its log, which lose in a crash what was not synced.
pub struct Node<M: Machine> {
    pub saved: M::Saved,
    pub live: M::Live,
    records: Vec<M::Record>,
    synced: usize,
    /// Turns that waited for a sync.
    pub syncs: usize,
    pub is_up: bool,
    /// Counts the starts: timers and answers of an earlier one reach nobody.
    life: u32,
}

impl<M: Machine> Node<M> {
    fn new() -> Self {
        let (saved, live) = Default::default();
        Self { saved, live, records: Vec::new(), synced: 0, syncs: 0, is_up: true, life: 0 }
    }

    fn step(&mut self, input: M::Input) -> Vec<M::Effect> {
        let mut out = Output::new();
        M::step(&self.saved, &mut self.live, input, &mut out);
        self.take(out)
    }

    fn crash(&mut self) {
        self.is_up = false;
        self.life += 1;
        self.records.truncate(self.synced);
        self.live = M::Live::default();
        self.saved = M::Saved::default();
        for record in &self.records {
            M::apply(&mut self.saved, record);
        }
    }

    fn restart(&mut self) -> Vec<M::Effect> {
        self.is_up = true;
        let mut out = Output::new();
        M::restart(&self.saved, &mut self.live, &mut out);
        self.take(out)
    }

    fn take(&mut self, out: Output<M>) -> Vec<M::Effect> {
        let (records, effects, forced) = out.into_parts();
        for record in records {
            M::apply(&mut self.saved, &record);
            self.records.push(record);
        }
        if forced {
            self.synced = self.records.len();
            self.syncs += 1;
        }
        effects
    }
}

/// What happens next, and to which life of whom.
enum Event {
    ToCoordinator(transaction::Input, Option<u32>),
    ToShard(usize, shard::Input, Option<u32>),
    /// A shard's inquiry arrives at the coordinator.
    Inquiry(usize, u32, BranchId),
    Restart(usize),
    /// The acceptors forget all runs so far.
    Forget,
    /// The driver of the coordinator waits no longer for this answer.
    Deadline(RequestId),
}

/// Whom a shard's answer is for.
#[derive(Clone, Copy)]
enum Call {
    Vote(RunId, u8, u32),
    Ack(RunId, u8, u32),
}

/// The coordinator's place among the hosts; shards follow.
pub const COORDINATOR: usize = 0;
const BEGIN: RequestId = RequestId(0);
const RUN: RunId = RunId { epoch: 1, number: 1 };

pub struct Hosts {
    pub coordinator: Node<Transaction>,
    pub shards: Vec<Node<Shard>>,
    names: Vec<String>,
    members: usize,
    events: BTreeMap<(u64, u64), Event>,
    now_ms: u64,
    next: u64,
    calls: BTreeMap<RequestId, Call>,
    inquiries: BTreeMap<RequestId, (usize, u32, BranchId)>,
    /// Messages between different hosts, with requests and answers.
    pub messages: usize,
    /// Those messages in words, with when they left; pacts left out.
    pub said: Vec<String>,
    pub answer: Option<Answer>,
    pub crashes: Vec<Crash>,
    /// If set, messages of the first seconds are late, doubled or lost, as this number has it.
    pub chaos: Option<u64>,
    taken: usize,
}

/// A host dies in the middle of what an event made it do.
#[derive(Clone, Copy, Debug)]
pub struct Crash {
    /// The number of the event.
    pub at: usize,
    /// Which host.
    pub who: usize,
    /// Of what it asked for at this event, so much left it.
    pub keep: usize,
    /// After how many ms it is back, if ever.
    pub back_ms: Option<u64>,
}

impl Hosts {
    /// `members` branches, each on a shard of its own; of `2 * faults` acceptors none is a member.
    pub fn begin(way: Option<Way>, members: usize, faults: usize, refuses: bool) -> Self {
        let mut names: Vec<_> = (0..members).map(|at| format!("m{at}")).collect();
        let acceptors: Vec<_> = (0..2 * faults).map(|at| format!("x{at}")).collect();
        names.extend(acceptors.iter().cloned());
        let mut cluster = Self {
            coordinator: Node::new(),
            shards: names.iter().map(|_| Node::new()).collect(),
            names,
            members,
            events: BTreeMap::new(),
            now_ms: 0,
            next: 0,
            calls: BTreeMap::new(),
            inquiries: BTreeMap::new(),
            messages: 0,
            said: Vec::new(),
            answer: None,
            crashes: Vec::new(),
            chaos: None,
            taken: 0,
        };
        let begin = cluster.request(way, acceptors, refuses);
        cluster.later(0, Event::ToCoordinator(transaction::Input::Begin(begin), None));
        cluster
    }

    fn request(&self, way: Option<Way>, acceptors: Vec<String>, refuses: bool) -> Begin {
        let run = RUN;
        let members: Vec<_> = self.names[..self.members].to_vec();
        let spec = |(at, name): (usize, &String)| {
            let op = match refuses && at == 0 {
                true => KeyOp::Expect { key: "k".into(), value: Some(self::value()) },
                false => KeyOp::Put { key: "k".into(), value: self::value() },
            };
            let (name, resource) = (format!("b{at}"), name.clone());
            let (work, part) = (Work::Keys(vec![op]), Part::default());
            BranchSpec { name, resource, one_phase: false, work, part }
        };
        let branches = members.iter().enumerate().map(spec).collect();
        let cluster = Cluster::new("t").unwrap();
        let (gid, members, acceptors) = ("g".into(), members.into(), acceptors.into());
        let pact = way.map(|way| Pact { cluster, run, gid, way, members, acceptors });
        Begin {
            request: BEGIN,
            run,
            fingerprint: "f".into(),
            branches,
            timeout_ms: 5_000,
            ack: AckWhen::Decided,
            hold: false,
            pact,
            terms: None,
        }
    }

    /// Until nothing happens any more, or for ten minutes.
    pub fn run(&mut self) {
        while let Some(((at_ms, _), event)) = self.events.pop_first() {
            if at_ms > 600_000 {
                return;
            }
            self.now_ms = at_ms;
            self.taken += 1;
            self.happen(event);
            let dying = |crash: &&Crash| crash.at == self.taken;
            for crash in self.crashes.iter().filter(dying).copied().collect::<Vec<_>>() {
                self.crash(crash.who, crash.back_ms);
            }
        }
    }

    /// As if the acceptors had served so many runs since that they remember none of now.
    pub fn forget_at(&mut self, at_ms: u64) {
        self.later(at_ms, Event::Forget);
    }

    fn forget(&mut self) {
        let floor = self.branch_id(RUN, 0);
        for node in &mut self.shards[self.members..] {
            let Some(shard::Record::Snapshot(mut saved)) = Shard::snapshot(&node.saved) else {
                unreachable!("a shard has one")
            };
            (saved.acceptors, saved.acceptor_floors) = (Vec::new(), vec![floor.clone()]);
            let mut out = Output::new();
            out.force(shard::Record::Snapshot(saved));
            node.take(out);
        }
    }

    fn crash(&mut self, host: usize, back: Option<u64>) {
        match host.checked_sub(1) {
            None => {
                self.coordinator.crash();
                for asker in std::mem::take(&mut self.inquiries).into_values() {
                    self.answer_asker(asker, Inquired::Silent);
                }
            }
            Some(shard) => self.shards[shard].crash(),
        }
        if let Some(after_ms) = back {
            self.later(after_ms, Event::Restart(host));
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ToCoordinator(input, life) => {
                let node = &mut self.coordinator;
                if node.is_up && life.is_none_or(|life| life == node.life) {
                    let effects = node.step(input);
                    self.coordinator_asks(effects);
                }
            }
            Event::ToShard(at, input, life) => {
                let node = &mut self.shards[at];
                if node.is_up && life.is_none_or(|life| life == node.life) {
                    let effects = node.step(input);
                    self.shard_asks(at, effects);
                } else if life.is_none() {
                    self.refused(&input);
                }
            }
            Event::Inquiry(at, life, branch) if self.coordinator.is_up => {
                let (request, run) = (self.fresh(), branch.run);
                self.inquiries.insert(request, (at, life, branch));
                let input = transaction::Input::Inquired { request, run };
                self.happen(Event::ToCoordinator(input, None));
            }
            Event::Inquiry(at, life, branch) => {
                self.answer_asker((at, life, branch), Inquired::Silent);
            }
            Event::Deadline(request) => self.unanswered(request),
            Event::Forget => self.forget(),
            Event::Restart(COORDINATOR) => {
                let effects = self.coordinator.restart();
                self.coordinator_asks(effects);
            }
            Event::Restart(host) => {
                let effects = self.shards[host - 1].restart();
                self.shard_asks(host - 1, effects);
            }
        }
    }

    /// What leaves before the crash.
    fn leave<E>(&self, host: usize, mut effects: Vec<E>) -> Vec<E> {
        let dies = |crash: &&Crash| crash.at == self.taken && crash.who == host;
        if let Some(crash) = self.crashes.iter().find(dies) {
            effects.truncate(crash.keep);
        }
        effects
    }

    /// Nobody is there to take a request.
    fn refused(&mut self, input: &shard::Input) {
        if let shard::Input::Prepare { request, .. }
        | shard::Input::Commit { request, .. }
        | shard::Input::Abort { request, .. } = input
        {
            self.unanswered(*request);
        }
    }

    fn unanswered(&mut self, request: RequestId) {
        let (input, life) = match self.calls.remove(&request) {
            None => return,
            Some(Call::Vote(run, branch, life)) => {
                let (code, cause) = ("lost".into(), Cause::Passing);
                let vote = Vote::Lost(Refusal { code, message: String::new(), cause });
                (transaction::Input::Voted { run, branch, vote, tried: None }, life)
            }
            Some(Call::Ack(run, branch, life)) => {
                let ack = Ack::Unknown("no answer".into());
                (transaction::Input::Acked { run, branch, ack, took_ms: 0 }, life)
            }
        };
        self.later(1, Event::ToCoordinator(input, Some(life)));
    }

    fn coordinator_asks(&mut self, effects: Vec<transaction::Effect>) {
        use transaction::Effect;
        let life = self.coordinator.life;
        for effect in self.leave(COORDINATOR, effects) {
            match effect {
                Effect::Prepare { run, branch, work: Work::Keys(ops), pact, .. } => {
                    let id = self.branch_id(run, branch);
                    self.call(branch, Call::Vote(run, branch, life), |request| {
                        shard::Input::Prepare { request, branch: id, ops, lock_wait_ms: 9, pact }
                    });
                }
                Effect::Commit { run, branch, .. } => {
                    let id = self.branch_id(run, branch);
                    let call = Call::Ack(run, branch, life);
                    self.call(branch, call, |request| shard::Input::Commit { request, branch: id });
                }
                Effect::Abort { run, branch, .. } => {
                    let id = self.branch_id(run, branch);
                    let call = Call::Ack(run, branch, life);
                    self.call(branch, call, |request| shard::Input::Abort { request, branch: id });
                }
                Effect::Arm { timer, after_ms } => {
                    let input = transaction::Input::Fired(timer);
                    self.later(after_ms, Event::ToCoordinator(input, Some(life)));
                }
                Effect::Reply { request: BEGIN, answer } => self.answer = Some(answer),
                Effect::Reply { request, answer } => self.answer_inquiry(request, &answer),
                Effect::Send { to, message } => self.send(None, &to, message),
                Effect::Close { .. } => {}
                other => panic!("unexpected: {other:?}"),
            }
        }
    }

    fn call(&mut self, branch: u8, call: Call, input: impl FnOnce(RequestId) -> shard::Input) {
        let request = self.fresh();
        self.calls.insert(request, call);
        self.messages += 1;
        let input = input(request);
        self.say(&match &input {
            shard::Input::Prepare { branch, ops, .. } => format!("prepare {branch}: {ops:?}"),
            shard::Input::Commit { branch, .. } => format!("commit {branch}"),
            other => format!("{other:?}"),
        });
        for after_ms in self.arrivals() {
            let event = Event::ToShard(usize::from(branch), input.clone(), None);
            self.later(after_ms, event);
        }
        self.later(400, Event::Deadline(request));
    }

    fn answer_inquiry(&mut self, request: RequestId, answer: &Answer) {
        let Some((at, life, branch)) = self.inquiries.remove(&request) else { return };
        let answer = match answer {
            Answer::InquiryCommit => Inquired::Commit,
            Answer::InquiryAbort => Inquired::Abort,
            _ => Inquired::Pending,
        };
        self.answer_asker((at, life, branch), answer);
    }

    fn answer_asker(&mut self, (at, life, branch): (usize, u32, BranchId), answer: Inquired) {
        self.say(&format!("b{at} is told about {branch}: {answer:?}"));
        let input = shard::Input::Answered { branch, answer };
        self.later(1, Event::ToShard(at, input, Some(life)));
    }

    fn shard_asks(&mut self, at: usize, effects: Vec<shard::Effect>) {
        use shard::Effect;
        let life = self.shards[at].life;
        for effect in self.leave(at + 1, effects) {
            match effect {
                Effect::Arm { timer, after_ms } => {
                    let input = shard::Input::Fired(timer);
                    self.later(after_ms, Event::ToShard(at, input, Some(life)));
                }
                Effect::Inquire { branch } => {
                    self.say(&format!("b{at} asks about {branch}"));
                    self.later(1, Event::Inquiry(at, life, branch));
                }
                Effect::Send { to, message } => self.send(Some(at), &to, message),
                Effect::Reply { request, answer } => {
                    self.messages += 1;
                    self.say(&format!("b{at} answers {answer:?}"));
                    let (input, life) = match (self.calls.remove(&request), answer) {
                        (
                            Some(Call::Vote(run, branch, life)),
                            shard::Answer::Voted { vote, .. },
                        ) => (transaction::Input::Voted { run, branch, vote, tried: None }, life),
                        (Some(Call::Ack(run, branch, life)), shard::Answer::Acked(ack)) => {
                            (transaction::Input::Acked { run, branch, ack, took_ms: 0 }, life)
                        }
                        (None, _) => continue,
                        (_, other) => panic!("unexpected: {other:?}"),
                    };
                    self.later(1, Event::ToCoordinator(input, Some(life)));
                }
            }
        }
    }

    /// A message in JSON, as on the wire.
    fn send(&mut self, from: Option<usize>, to: &Peer, message: Message) {
        let json = serde_json::to_string(&message).unwrap();
        assert_eq!(message, serde_json::from_str(&json).unwrap(), "JSON changes a message");
        let at = match to {
            Peer::Coordinator => None,
            Peer::Shard(name) => self.names.iter().position(|known| known == name),
        };
        self.messages += usize::from(at != from);
        self.say(&format!("{from:?} to {to:?}: {:?}", message.word));
        for after_ms in self.arrivals() {
            let message = message.clone();
            let event = match at {
                None => Event::ToCoordinator(transaction::Input::Received { message }, None),
                Some(at) => Event::ToShard(at, shard::Input::Received { message }, None),
            };
            self.later(after_ms, event);
        }
    }

    /// When a message arrives: once after 1 ms, or as chaos wants.
    fn arrivals(&mut self) -> Vec<u64> {
        match &mut self.chaos {
            Some(chaos) if self.now_ms < 20_000 => {
                let copies = [0, 1, 1, 1, 1, 1, 1, 2][(random(chaos) % 8) as usize];
                (0..copies).map(|_| [1, 5, 50, 900, 3_000][(random(chaos) % 5) as usize]).collect()
            }
            _ => vec![1],
        }
    }

    fn say(&mut self, what: &str) {
        self.said.push(format!("{} ms: {what}", self.now_ms));
    }

    /// The time for votes is over then, whatever the coordinator's timer says.
    pub fn time_out_at(&mut self, at_ms: u64) {
        let input = transaction::Input::Fired(transaction::Timer::Votes(RUN));
        self.later(at_ms, Event::ToCoordinator(input, None));
    }

    fn later(&mut self, after_ms: u64, event: Event) {
        self.next += 1;
        self.events.insert((self.now_ms + after_ms, self.next), event);
    }

    fn fresh(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    fn branch_id(&self, run: RunId, index: u8) -> BranchId {
        BranchId { cluster: Cluster::new("t").unwrap(), run, index }
    }
}

/// The next of a row of numbers (xorshift).
pub fn random(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 8
}

fn value() -> handfast_core::work::Value {
    handfast_core::work::Value::Int(1)
}
