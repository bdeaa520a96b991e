//! One transaction over a coordinator and shards, in virtual time.
//!
//! The machines are those of production, each in its partition over a memory log. What a turn asks
//! for leaves when its sync is over; what comes in meanwhile is the next turn, as in the server.

use std::collections::BTreeMap;

use super::{
    site::Site,
    wiring::{cluster_name, shard_name},
};
use crate::{random::Random, virtual_time::Agenda};
use handfast_core::{
    id::{BranchId, RequestId, RunId},
    pact::{Pact, Way as PactWay},
    plan::Part,
    shard::{self, End, Inquired, Shard},
    transaction::{self, AckWhen, Begin, BranchSpec, Index, Transaction},
    vote::{Ack, Cause, Refusal, Vote},
    work::{KeyOp, Value, Work},
};

/// Where something runs: 0 is the coordinator's node, `i + 1` the shard of branch `i`.
pub type Place = usize;
/// The coordinator's node.
pub const NODE: Place = 0;

/// The stream of the transaction, and of each shard.
pub(super) const GID: &str = "transfer";
pub(super) const SHARD: &str = "shard";
/// What every branch writes.
const KEY: &str = "k";
/// The only run.
pub(super) const RUN: RunId = RunId { epoch: 1, number: 1 };
/// Who asked for the transaction.
pub(super) const CALLER: RequestId = RequestId(0);

/// How a transaction is decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// By one record of the coordinator.
    Log,
    /// By a round between votes and decision.
    ThreePhase,
    /// By a majority of acceptors, of which so many may fail.
    Paxos(usize),
}

impl Way {
    /// Its name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::ThreePhase => "three_phase",
            Self::Paxos(_) => "paxos",
        }
    }
}

/// How long something takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// On average, in µs.
    pub mean_us: u64,
    /// How far it may be off the mean, either way, in percent of it.
    pub spread_percent: u64,
}

impl Delay {
    /// Always as long.
    pub fn exactly(mean_us: u64) -> Self {
        Self { mean_us, spread_percent: 0 }
    }

    pub(super) fn draw(self, random: &mut Random) -> u64 {
        let off = self.mean_us * self.spread_percent.min(100) / 100;
        random.between((self.mean_us - off) as usize, (self.mean_us + off) as usize) as u64
    }
}

/// The circumstances of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many branches, each on a shard of its own.
    pub shards: usize,
    /// How it is decided.
    pub way: Way,
    /// A message's way to another place.
    pub hop: Delay,
    /// A sync.
    pub sync: Delay,
    /// How long the coordinator waits for votes, in ms.
    pub votes_ms: u64,
    /// What all chance is drawn from.
    pub seed: u64,
}

/// What was seen of a branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stay {
    /// Its shard began to work on it: from here on it holds its locks.
    pub locked_us: Option<u64>,
    /// It was prepared durably: from here on it is in doubt.
    pub prepared_us: Option<u64>,
    /// It was finished durably, so: here its locks are free.
    pub ended: Option<(u64, End)>,
}

/// A message, for drawings.
#[derive(Clone, Debug)]
pub struct Hop {
    /// Whence.
    pub from: Place,
    /// Whither.
    pub to: Place,
    /// When it left.
    pub sent_us: u64,
    /// When it arrived, or would have.
    pub arrives_us: u64,
    /// Whether it never did.
    pub lost: bool,
    /// What it says.
    pub label: String,
}

/// What is on its way to a place.
pub(super) enum Mail {
    Node(transaction::Input),
    Shard(shard::Input),
    Answer(RequestId, Said),
}

/// How a call was answered.
pub(super) enum Said {
    Vote(Vote),
    Ack(Ack),
    Inquired(Inquired),
    /// Not in time: nobody knows what became of it.
    Nothing,
}

/// A call that waits for its answer.
#[derive(Clone)]
pub(super) enum Call {
    Prepare(Index),
    Tell(Index),
    Inquiry(Place, BranchId),
}

#[expect(clippy::large_enum_variant, reason = "few events are queued at a time")]
pub(super) enum Event {
    Arrive { hop: usize, mail: Mail },
    GiveUp(RequestId),
    Synced(Place, u32),
    NodeFires(u32, transaction::Timer),
    ShardFires(Place, u32, shard::Timer),
    Search(u32),
    Kill(Place),
    Start(Place),
    Cut(Vec<Place>),
}

/// A coordinator, its shards, and what is under way between them.
pub struct Cluster {
    pub(super) setup: Setup,
    pub(super) agenda: Agenda<Event>,
    pub(super) random: Random,
    pub(super) node: Site<Transaction>,
    pub(super) shards: Vec<Site<Shard>>,
    pub(super) calls: BTreeMap<RequestId, Call>,
    pub(super) last_request: u64,
    /// Places that reach each other and nobody else.
    island: Vec<Place>,
    /// Work of a branch before it votes, on top of everything else, in µs.
    pub(super) work_us: Vec<u64>,
    /// All messages so far, in the order in which they were sent.
    pub hops: Vec<Hop>,
    /// By branch, what was seen.
    pub stays: Vec<Stay>,
    /// What the caller was told, and when.
    pub answered: Option<(u64, transaction::Answer)>,
}

impl Cluster {
    /// Everything up, nothing begun.
    pub fn new(setup: Setup) -> Self {
        Self {
            setup,
            agenda: Agenda::new(),
            random: Random::new(setup.seed),
            node: Site::new(),
            shards: (0..setup.shards).map(|_| Site::new()).collect(),
            calls: BTreeMap::new(),
            last_request: 0,
            island: Vec::new(),
            work_us: vec![0; setup.shards],
            hops: Vec::new(),
            stays: vec![Stay::default(); setup.shards],
            answered: None,
        }
    }

    /// The work of a branch takes longer.
    pub fn slow(&mut self, branch: usize, work_us: u64) {
        self.work_us[branch] = work_us;
    }

    /// A place dies.
    pub fn kill_at(&mut self, at_us: u64, place: Place) {
        self.agenda.at(at_us, Event::Kill(place));
    }

    /// A place that has died starts again.
    pub fn start_at(&mut self, at_us: u64, place: Place) {
        self.agenda.at(at_us, Event::Start(place));
    }

    /// From here on these places reach only each other, and the others too. None: all reach all.
    pub fn cut_at(&mut self, at_us: u64, island: Vec<Place>) {
        self.agenda.at(at_us, Event::Cut(island));
    }

    /// A shard dies in its n-th sync, counted from 1, and what that should write is lost.
    pub fn fail_sync(&mut self, branch: usize, sync: u64) {
        self.shards[branch].fatal_sync = Some(sync);
    }

    /// A caller asks for the transaction: every branch writes one key.
    pub fn begin(&mut self) {
        let names: Vec<String> = (0..self.setup.shards).map(shard_name).collect();
        let branch = |name: &String| BranchSpec {
            name: name.clone(),
            resource: name.clone(),
            one_phase: false,
            work: Work::Keys(vec![KeyOp::Put { key: KEY.into(), value: Value::Int(1) }]),
            part: Part::default(),
        };
        let begin = Begin {
            request: CALLER,
            run: RUN,
            fingerprint: String::new(),
            branches: names.iter().map(branch).collect(),
            timeout_ms: self.setup.votes_ms,
            ack: AckWhen::Decided,
            hold: false,
            pact: self.pact(names),
            terms: None,
        };
        self.give_node(transaction::Input::Begin(begin));
    }

    fn pact(&self, members: Vec<String>) -> Option<Pact> {
        let (way, acceptors) = match self.setup.way {
            Way::Log => return None,
            Way::ThreePhase => (PactWay::ThreePhase, Vec::new()),
            Way::Paxos(faults) => (PactWay::Paxos, members[..2 * faults].to_vec()),
        };
        let (gid, members, acceptors) = (GID.into(), members.into(), acceptors.into());
        Some(Pact { cluster: cluster_name(), run: RUN, gid, way, members, acceptors })
    }

    /// What is done without a protocol: every shard is told to write, and does so at once.
    pub fn write_everywhere(&mut self) {
        for place in 1..=self.shards.len() {
            let keys = [(KEY.into(), Value::Int(1))].into();
            let input = shard::Input::Load { request: CALLER, keys };
            self.send(NODE, place, "write", 0, Mail::Shard(input));
        }
    }

    /// Lets time pass until everything is settled or nothing can happen any more. False if that
    /// would be later than this.
    pub fn run_until(&mut self, end_us: u64) -> bool {
        loop {
            if self.is_settled() {
                return true;
            }
            match self.agenda.next_until(end_us) {
                Some(event) => self.happen(event),
                None => return self.agenda.is_empty(),
            }
        }
    }

    /// Every branch is finished, and the coordinator, if it is up and knows of it, knows that.
    fn is_settled(&self) -> bool {
        let known = self.node.saved(GID).and_then(|saved| saved.known.as_ref());
        let node_is_done = !self.node.syncs_now() && known.is_none_or(|known| known.finished);
        node_is_done && self.stays.iter().all(|stay| stay.ended.is_some())
    }

    /// Forced writes so far, of all places.
    pub fn syncs(&self) -> u64 {
        self.node.syncs + self.shards.iter().map(|shard| shard.syncs).sum::<u64>()
    }

    /// Messages so far that went from one place to another.
    pub fn messages(&self) -> usize {
        self.hops.iter().filter(|hop| hop.from != hop.to).count()
    }

    /// How many shards hold what was written.
    pub fn written(&self) -> usize {
        let holds = |shard: &&Site<Shard>| {
            shard.saved(SHARD).is_some_and(|saved| saved.keys.contains_key(KEY))
        };
        self.shards.iter().filter(holds).count()
    }

    /// When each finished branch was finished, in µs.
    pub fn ends_us(&self) -> impl Iterator<Item = f64> {
        self.stays.iter().filter_map(|stay| Some(stay.ended?.0 as f64))
    }

    /// How long each finished branch held its locks, in µs.
    pub fn locked_us(&self) -> impl Iterator<Item = f64> {
        self.stays.iter().filter_map(|stay| Some((stay.ended?.0 - stay.locked_us?) as f64))
    }

    /// How long each finished branch was in doubt, in µs.
    pub fn in_doubt_us(&self) -> impl Iterator<Item = f64> {
        self.stays.iter().filter_map(|stay| Some((stay.ended?.0 - stay.prepared_us?) as f64))
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { hop, mail } => self.arrive(hop, mail),
            Event::GiveUp(request) => self.answer(request, Said::Nothing),
            Event::Synced(NODE, life) if self.node.life == life => self.node_synced(),
            Event::Synced(place, life) if place != NODE && self.life(place) == life => {
                self.shard_synced(place);
            }
            Event::NodeFires(life, timer) if self.node.life == life => {
                self.give_node(transaction::Input::Fired(timer));
            }
            Event::ShardFires(place, life, timer) if self.life(place) == life => {
                self.give_shard(place, shard::Input::Fired(timer));
            }
            Event::Search(life) if self.node.life == life => self.search(),
            Event::Kill(place) => self.kill(place),
            Event::Start(place) => self.start(place),
            Event::Cut(island) => self.island = island,
            // Of a life that is over.
            Event::Synced(..) | Event::NodeFires(..) | Event::ShardFires(..) | Event::Search(_) => {
            }
        }
    }

    fn arrive(&mut self, hop: usize, mail: Mail) {
        let Hop { from, to, .. } = self.hops[hop];
        let is_up = if to == NODE { self.node.is_up() } else { self.shards[to - 1].is_up() };
        if !is_up || !self.reaches(from, to) {
            return self.bounce(hop, &mail);
        }
        match mail {
            Mail::Node(input) => self.give_node(input),
            Mail::Shard(input) => self.give_shard(to, input),
            Mail::Answer(request, said) => self.answer(request, said),
        }
    }

    /// Whether messages get from here to there.
    pub(super) fn reaches(&self, from: Place, to: Place) -> bool {
        self.island.contains(&from) == self.island.contains(&to)
    }

    fn life(&self, place: Place) -> u32 {
        if place == NODE { self.node.life } else { self.shards[place - 1].life }
    }

    fn answer(&mut self, request: RequestId, said: Said) {
        match (self.calls.remove(&request), said) {
            (Some(Call::Prepare(branch)), said) => {
                let vote = if let Said::Vote(vote) = said { vote } else { Vote::Lost(silence()) };
                let input = transaction::Input::Voted { run: RUN, branch, vote, tried: None };
                self.give_node(input);
            }
            (Some(Call::Tell(branch)), said) => {
                let unknown = || Ack::Unknown(silence().message);
                let ack = if let Said::Ack(ack) = said { ack } else { unknown() };
                let input = transaction::Input::Acked { run: RUN, branch, ack, took_ms: 0 };
                self.give_node(input);
            }
            (Some(Call::Inquiry(place, branch)), said) => {
                let answer = if let Said::Inquired(it) = said { it } else { Inquired::Silent };
                self.give_shard(place, shard::Input::Answered { branch, answer });
            }
            // Given up already, or asked by a life that is over.
            (None, _) => {}
        }
    }
}

fn silence() -> Refusal {
    let (code, message) = ("no_answer".into(), "no answer in time".into());
    Refusal { code, message, cause: Cause::Passing }
}
