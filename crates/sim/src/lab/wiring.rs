//! What leaves a place, and how it gets to another one: the lab's stand-in for the server's
//! dispatch.

use handfast_core::{
    id::{BranchId, Cluster as ClusterName, RequestId},
    pact::{Message, Peer, Word},
    shard::{self, Inquired},
    transaction::{self, Answer},
    vote::{Ack, Vote},
    work::Work,
};
use handfast_log::Addressed;

use super::{
    cluster::{CALLER, Call, Cluster, Event, GID, Hop, Mail, NODE, Place, RUN, SHARD, Said, Way},
    site::{Effects, Turn},
};

/// Most time for one call that tells a branch the decision, and for an inquiry, as in the server.
const TELL_US: u64 = 10_000_000;
const INQUIRE_US: u64 = 5_000_000;
/// A recovery search looks so often.
const SEARCH_US: u64 = 500_000;

pub(super) fn cluster_name() -> ClusterName {
    ClusterName::new("lab").expect("three letters make a name")
}

/// The name of the shard of a branch.
pub(super) fn shard_name(branch: usize) -> String {
    format!("s{}", branch + 1)
}

fn branch_id(branch: usize) -> BranchId {
    let index = u8::try_from(branch).expect("a lab has few branches");
    BranchId { cluster: cluster_name(), run: RUN, index }
}

/// What comes to a place, and what it makes of it.
impl Cluster {
    pub(super) fn give_node(&mut self, input: transaction::Input) {
        let turn = self.node.take(Addressed { stream: GID.into(), input, fresh: false });
        self.node_turned(turn);
    }

    pub(super) fn give_shard(&mut self, place: Place, input: shard::Input) {
        if let shard::Input::Prepare { .. } = &input
            && self.shards[place - 1].is_up()
        {
            let now_us = self.agenda.now_us();
            self.stays[place - 1].locked_us.get_or_insert(now_us);
        }
        let input = Addressed { stream: SHARD.into(), input, fresh: false };
        let turn = self.shards[place - 1].take(input);
        self.shard_turned(place, turn);
    }

    pub(super) fn node_synced(&mut self) {
        match self.node.synced() {
            None => self.kill(NODE),
            Some(effects) => {
                self.node_did(effects);
                let turn = self.node.turn();
                self.node_turned(turn);
            }
        }
    }

    pub(super) fn shard_synced(&mut self, place: Place) {
        match self.shards[place - 1].synced() {
            None => self.kill(place),
            Some(effects) => {
                self.shard_did(place, effects);
                let turn = self.shards[place - 1].turn();
                self.shard_turned(place, turn);
            }
        }
    }

    fn node_turned(&mut self, turn: Turn<transaction::Transaction>) {
        match turn {
            Turn::Idle => {}
            Turn::Syncs => self.sync_ends(NODE, self.node.life),
            Turn::Done(effects) => self.node_did(effects),
        }
    }

    fn shard_turned(&mut self, place: Place, turn: Turn<shard::Shard>) {
        match turn {
            Turn::Idle => {}
            Turn::Syncs => self.sync_ends(place, self.shards[place - 1].life),
            Turn::Done(effects) => self.shard_did(place, effects),
        }
    }

    fn sync_ends(&mut self, place: Place, life: u32) {
        let sync_us = self.setup.sync.draw(&mut self.random);
        self.agenda.after(sync_us, Event::Synced(place, life));
    }

    pub(super) fn kill(&mut self, place: Place) {
        if place == NODE {
            self.node.die();
            self.calls.retain(|_, call| matches!(call, Call::Inquiry(..)));
        } else {
            self.shards[place - 1].die();
            self.calls.retain(|_, call| !matches!(call, Call::Inquiry(by, _) if *by == place));
        }
    }

    pub(super) fn start(&mut self, place: Place) {
        if place == NODE {
            let turn = self.node.start();
            self.node_turned(turn);
            self.agenda.after(0, Event::Search(self.node.life));
        } else {
            let turn = self.shards[place - 1].start();
            self.shard_turned(place, turn);
        }
    }
}

/// What leaves.
impl Cluster {
    fn node_did(&mut self, effects: Effects<transaction::Transaction>) {
        use transaction::Effect;
        for (_, effect) in effects {
            match effect {
                // No experiment has a plan.
                Effect::Call { .. } | Effect::Ask { .. } | Effect::ArmAt { .. } => {}
                Effect::Prepare { branch, work, within_ms, pact, .. } => {
                    let within_us = within_ms.saturating_mul(1_000);
                    let request = self.call(Call::Prepare(branch), within_us);
                    let Work::Keys(ops) = work else { unreachable!("a lab works on keys") };
                    let (branch, lock_wait_ms) = (branch_id(branch.into()), shard::LOCK_WAIT_MS);
                    let place = usize::from(branch.index) + 1;
                    let input = shard::Input::Prepare { request, branch, ops, lock_wait_ms, pact };
                    let work_us = self.work_us[place - 1];
                    self.send(NODE, place, "prepare", work_us, Mail::Shard(input));
                }
                Effect::Commit { branch, .. } => self.tell(branch, true),
                Effect::Abort { branch, .. } => self.tell(branch, false),
                Effect::Arm { timer, after_ms } => {
                    let event = Event::NodeFires(self.node.life, timer);
                    self.agenda.after(after_ms.saturating_mul(1_000), event);
                }
                Effect::Reply { request: CALLER, answer } => {
                    self.answered.get_or_insert((self.agenda.now_us(), answer));
                }
                Effect::Reply { request, answer } => self.inquiry_answered(request, &answer),
                Effect::Send { to, message } => self.pass_on(NODE, &to, message),
                Effect::Close { .. } | Effect::Alarm { .. } | Effect::Recall { .. } => {}
            }
        }
    }

    fn tell(&mut self, branch: transaction::Index, commit: bool) {
        let request = self.call(Call::Tell(branch), TELL_US);
        let branch = branch_id(branch.into());
        let place = usize::from(branch.index) + 1;
        let (label, input) = match commit {
            true => ("commit", shard::Input::Commit { request, branch }),
            false => ("abort", shard::Input::Abort { request, branch }),
        };
        self.send(NODE, place, label, 0, Mail::Shard(input));
    }

    fn inquiry_answered(&mut self, request: RequestId, answer: &Answer) {
        let Some(Call::Inquiry(place, _)) = self.calls.get(&request) else { return };
        let (label, answer) = match answer {
            Answer::InquiryCommit => ("it is commit", Inquired::Commit),
            Answer::InquiryAbort => ("it is abort", Inquired::Abort),
            _ => ("not decided", Inquired::Pending),
        };
        let mail = Mail::Answer(request, Said::Inquired(answer));
        self.send(NODE, *place, label, 0, mail);
    }

    fn shard_did(&mut self, place: Place, effects: Effects<shard::Shard>) {
        use shard::Effect;
        self.look_at(place);
        for (_, effect) in effects {
            match effect {
                Effect::Reply { request, answer } => self.shard_answers(place, request, answer),
                Effect::Arm { timer, after_ms } => {
                    let event = Event::ShardFires(place, self.shards[place - 1].life, timer);
                    self.agenda.after(after_ms.saturating_mul(1_000), event);
                }
                Effect::Inquire { branch } => {
                    let run = branch.run;
                    let request = self.call(Call::Inquiry(place, branch), INQUIRE_US);
                    let input = transaction::Input::Inquired { request, run };
                    self.send(place, NODE, "what is decided?", 0, Mail::Node(input));
                }
                Effect::Send { to, message } => self.pass_on(place, &to, message),
            }
        }
    }

    fn shard_answers(&mut self, place: Place, request: RequestId, answer: shard::Answer) {
        let (label, said) = match answer {
            shard::Answer::Voted { vote, .. } => {
                let label = match &vote {
                    Vote::Yes(_) => "yes",
                    Vote::ReadOnly => "read-only",
                    Vote::No(_) => "no",
                    Vote::Lost(_) => "lost",
                };
                (label, Said::Vote(vote))
            }
            shard::Answer::Acked(Ack::Finished) => ("done", Said::Ack(Ack::Finished)),
            shard::Answer::Acked(ack) => ("not as told", Said::Ack(ack)),
            _ => return,
        };
        self.send(place, NODE, label, 0, Mail::Answer(request, said));
    }

    /// Notes what is durable of the branch at a place.
    fn look_at(&mut self, place: Place) {
        let Some(saved) = self.shards[place - 1].saved(SHARD) else { return };
        let (now_us, branch) = (self.agenda.now_us(), branch_id(place - 1));
        let stay = &mut self.stays[place - 1];
        if saved.prepared.contains_key(&branch) {
            stay.prepared_us.get_or_insert(now_us);
        }
        if let Some(end) = saved.finished.end(&branch) {
            stay.ended.get_or_insert((now_us, end));
        }
    }

    /// After a start of the node: branches that nobody votes on and nobody knows are rolled back.
    pub(super) fn search(&mut self) {
        let is_unknown = self.node.saved(GID).is_none_or(|saved| saved.known.is_none());
        if self.setup.way == Way::Log && is_unknown {
            for place in 1..=self.shards.len() {
                let shard = self.shards[place - 1].saved(SHARD);
                let branch = branch_id(place - 1);
                if shard.is_some_and(|saved| saved.prepared.contains_key(&branch)) {
                    // Asking for the list of what is prepared is a round trip of its own.
                    let asked_us = 2 * self.setup.hop.mean_us;
                    let input = shard::Input::Abort { request: self.request(), branch };
                    self.send(NODE, place, "abort", asked_us, Mail::Shard(input));
                }
            }
        }
        self.agenda.after(SEARCH_US, Event::Search(self.node.life));
    }

    fn pass_on(&mut self, from: Place, to: &Peer, message: Message) {
        let to = match to {
            Peer::Coordinator => NODE,
            Peer::Shard(name) => {
                let mut names = (0..self.shards.len()).map(shard_name);
                let Some(branch) = names.position(|other| other == *name) else { return };
                branch + 1
            }
        };
        let label = label(&message.word);
        let mail = match to {
            NODE => Mail::Node(transaction::Input::Received { message }),
            _ => Mail::Shard(shard::Input::Received { message }),
        };
        self.send(from, to, &label, 0, mail);
    }

    fn request(&mut self) -> RequestId {
        self.last_request += 1;
        RequestId(self.last_request)
    }

    fn call(&mut self, call: Call, within_us: u64) -> RequestId {
        let request = self.request();
        self.calls.insert(request, call);
        self.agenda.after(within_us, Event::GiveUp(request));
        request
    }

    /// Sends a message, which then is worked on for so long before it is answered. One to the same
    /// place takes no time, and is none.
    pub(super) fn send(&mut self, from: Place, to: Place, label: &str, work_us: u64, mail: Mail) {
        let now_us = self.agenda.now_us();
        let hop_us = if from == to { 0 } else { self.setup.hop.draw(&mut self.random) };
        let arrives_us = now_us + hop_us + work_us;
        let hop = self.hops.len();
        let (sent_us, label) = (now_us, label.into());
        self.hops.push(Hop { from, to, sent_us, arrives_us, lost: false, label });
        self.agenda.at(arrives_us, Event::Arrive { hop, mail });
    }

    /// What a message that did not arrive leads to: whoever is called and is not there refuses the
    /// connection, but nothing comes back from beyond a cut.
    pub(super) fn bounce(&mut self, hop: usize, mail: &Mail) {
        self.hops[hop].lost = true;
        let Hop { from, to, .. } = self.hops[hop];
        let call = match mail {
            Mail::Node(transaction::Input::Inquired { request, .. }) => *request,
            Mail::Shard(
                shard::Input::Prepare { request, .. }
                | shard::Input::Commit { request, .. }
                | shard::Input::Abort { request, .. },
            ) => *request,
            _ => return,
        };
        if self.reaches(from, to) {
            let back_us = self.setup.hop.draw(&mut self.random);
            self.agenda.after(back_us, Event::GiveUp(call));
        }
    }
}

/// What a message between peers says, in a few words.
fn label(word: &Word) -> String {
    match word {
        Word::Voted { member, .. } => format!("s{} is prepared", member + 1),
        Word::Claim { .. } => "I lead".into(),
        Word::Promise { .. } => "promised".into(),
        Word::Accept { .. } => "accept".into(),
        Word::Accepted { .. } => "accepted".into(),
        Word::Outbid { .. } => "outbid".into(),
        Word::Retired { .. } | Word::Forgotten { .. } => "I forgot".into(),
        Word::Decided { commit: true, .. } => "commit".into(),
        Word::Decided { commit: false, .. } => "abort".into(),
        Word::PreCommit { .. } => "pre-commit".into(),
        Word::PreCommitted { .. } => "pre-committed".into(),
        Word::Asked { .. } => "how far?".into(),
        Word::Told { stage, .. } => format!("{stage:?}").to_lowercase(),
        Word::Led { leader, .. } => format!("s{} leads", leader + 1),
    }
}
