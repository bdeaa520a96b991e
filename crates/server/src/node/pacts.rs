//! Transactions that others can finish without this node: whom they name, and what they say.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use handfast_client::wire::Decide;
use handfast_core::{
    id::{Cluster, RunId},
    pact::{Message, Pact, Peer, Way},
    transaction::{BranchSpec, Input},
};
use handfast_log::Addressed;
use handfast_participants::{
    Finding, Level, Settings,
    http::{self, Caller, words::Check},
};
use hyper::Method;

use super::{
    Inner, Rejected,
    resource::{Resource, Speaks},
};
use crate::{
    driver::NotTaken,
    inbox::{Incoming, Strangers},
    outbox::Outbox,
};

/// Acceptors besides the node where nobody says: one fault is survived.
const ACCEPTORS: usize = 2;
/// Most time to ask a shard whom it knows.
const CHECK_WITHIN: Duration = Duration::from_secs(5);

/// The shards that this node sends messages to, and the acceptors among them.
pub(super) struct Pacts {
    outboxes: BTreeMap<String, Outbox>,
    /// How they are asked whom they know.
    callers: BTreeMap<String, Caller>,
    /// Those that are configured; if none are, the first that speak with peers.
    acceptors: Vec<String>,
    strangers: Strangers,
}

impl Pacts {
    pub(super) fn new(acceptors: Vec<String>) -> Self {
        let (outboxes, callers) = (BTreeMap::new(), BTreeMap::new());
        Self { outboxes, callers, acceptors, strangers: Strangers::default() }
    }

    /// Makes the way to a resource, if it is one that may take messages.
    pub(super) fn add(&mut self, settings: &Settings) -> Result<(), String> {
        if settings.url.starts_with("http") {
            let name = settings.name.clone();
            let outbox = Outbox::start(name.clone(), http::caller(settings, 1)?);
            self.outboxes.insert(name.clone(), outbox);
            self.callers.insert(name, http::caller(settings, 1)?);
        }
        Ok(())
    }

    /// What these branches' participants can agree upon.
    pub(super) fn agree(
        &self,
        decide: Decide,
        branches: &[BranchSpec],
        resources: &BTreeMap<String, Arc<Resource>>,
    ) -> Result<Option<Terms>, Rejected> {
        let way = match decide {
            Decide::Log => return Ok(None),
            Decide::ThreePhase => Way::ThreePhase,
            Decide::Paxos => Way::Paxos,
        };
        for BranchSpec { name, resource, .. } in branches {
            match resources.get(resource).map(|known| known.speaks_with_peers()) {
                Some(Speaks::No(why)) => return Err(unsupported(Some(name), why)),
                Some(Speaks::NotKnown { is_down: false }) => return Err(Rejected::NotReady),
                // One that is down votes no, as ever.
                Some(Speaks::Yes | Speaks::NotKnown { is_down: true }) | None => {}
            }
        }
        let acceptors = match way {
            Way::ThreePhase => Vec::new(),
            Way::Paxos => self.acceptors(resources)?,
        };
        Ok(Some(Terms { way, acceptors }))
    }

    fn acceptors(
        &self,
        resources: &BTreeMap<String, Arc<Resource>>,
    ) -> Result<Vec<String>, Rejected> {
        for name in &self.acceptors {
            if let Some(Speaks::No(why)) = resources.get(name).map(|one| one.speaks_with_peers()) {
                return Err(unsupported(None, format!("acceptor: {why}")));
            }
        }
        if !self.acceptors.is_empty() {
            return Ok(self.acceptors.clone());
        }
        let mut some_may_come = false;
        let first = resources.values().filter(|one| match one.speaks_with_peers() {
            Speaks::Yes => true,
            Speaks::No(_) => false,
            Speaks::NotKnown { .. } => {
                some_may_come = true;
                false
            }
        });
        let first: Vec<_> = first.take(ACCEPTORS).map(|one| one.name.clone()).collect();
        match first.len() {
            ACCEPTORS => Ok(first),
            _ if some_may_come => Err(Rejected::NotReady),
            found => {
                let why = format!("{ACCEPTORS} acceptors are needed, and {found} could be");
                Err(unsupported(None, why))
            }
        }
    }

    /// Whether a shard knows all whom a pact with it may name: it refuses to prepare with
    /// strangers. Nothing, if it takes part in no pact or does not answer.
    pub(super) async fn check(
        &self,
        name: &str,
        cluster: &Cluster,
        resources: &BTreeMap<String, Arc<Resource>>,
    ) -> Option<Finding> {
        let answer =
            self.callers.get(name)?.call(Method::GET, "/v1/check", Vec::new(), CHECK_WITHIN);
        let (_, body) = answer.await.ok()?;
        let knows = serde_json::from_slice::<Check>(&body).ok()?.knows?;
        let speaks = |one: &&Arc<Resource>| matches!(one.speaks_with_peers(), Speaks::Yes);
        let speaking = resources.values().filter(speaks).map(|one| &one.name);
        let others: BTreeSet<_> = speaking.chain(&self.acceptors).filter(|o| *o != name).collect();
        let strangers = others.iter().filter(|other| !knows.peers.contains(other));
        let mut missing: Vec<_> = strangers.map(|other| format!("`--peer {other}=…`")).collect();
        if !knows.any_cluster && !knows.clusters.iter().any(|known| known == cluster.as_str()) {
            missing.push(format!("`--coordinator {cluster}=…`"));
        }
        let (level, message, cure) = match missing.is_empty() {
            true => (Level::Ok, format!("it knows this node and all {} peers", others.len()), ""),
            false => (
                Level::Warning,
                format!(
                    "it has no {}: it refuses to prepare with `decide` paxos or three_phase",
                    missing.join(", no ")
                ),
                "start it with all of its peers and coordinators",
            ),
        };
        Some(Finding { level, code: "peers", message, cure: cure.into() })
    }

    /// How many messages the shards took, and how many were dropped here.
    pub(super) fn counts(&self) -> (u64, u64) {
        let all = self.outboxes.values();
        let counts = all.map(|outbox| (outbox.sent(), outbox.dropped()));
        let strangers = self.strangers.messages();
        counts.fold((0, strangers), |(sent, lost), more| (sent + more.0, lost + more.1))
    }
}

/// How a transaction is decided without this node, should it die.
pub(super) struct Terms {
    way: Way,
    acceptors: Vec<String>,
}

impl Terms {
    /// The pact of a run.
    pub(super) fn pact(
        self,
        cluster: &Cluster,
        run: RunId,
        gid: &str,
        branches: &[BranchSpec],
    ) -> Pact {
        let members = branches.iter().map(|branch| branch.resource.clone()).collect();
        let (cluster, gid, Self { way, acceptors }) = (cluster.clone(), gid.into(), self);
        Pact { cluster, run, gid, way, members, acceptors: acceptors.into() }
    }
}

fn unsupported(branch: Option<&String>, why: String) -> Rejected {
    Rejected::DecideUnsupported { branch: branch.cloned(), why }
}

impl Inner {
    /// Sends a message on its way; one to this node does not leave the process.
    pub(super) fn tell(&self, to: Peer, message: Message) {
        match &to {
            Peer::Coordinator if message.pact.cluster == self.cluster => {
                let stream = message.pact.gid.as_str().into();
                let input = Input::Received { message };
                self.driver.send_internal(Addressed { stream, input, fresh: false });
            }
            Peer::Shard(name) => match self.pacts.outboxes.get(name) {
                Some(outbox) => outbox.put(message),
                None => self.pacts.strangers.dropped(format!("no resource is called `{name}`")),
            },
            Peer::Coordinator => {
                self.pacts.strangers.dropped("a message is for another node".into());
            }
        }
    }

    /// Takes messages of shards; how many. Those for which there is no room are lost: they come
    /// again.
    pub(super) fn receive(&self, messages: &Incoming) -> Result<usize, NotTaken> {
        let mut taken = 0;
        for message in messages.understood(&self.pacts.strangers) {
            let pact = &message.pact;
            let is_mine = pact.is_sound()
                && pact.cluster == self.cluster
                && pact.run.epoch <= self.runs.epoch
                && message.word.to(pact) == Some(Peer::Coordinator);
            if !is_mine {
                self.pacts.strangers.dropped("a message is not for this node".into());
                continue;
            }
            let stream = pact.gid.as_str().into();
            let input = Input::Received { message };
            match self.driver.try_send_peers(Addressed { stream, input, fresh: false }) {
                Ok(()) => taken += 1,
                Err(NotTaken::Full) => break,
                Err(NotTaken::Stopped) => return Err(NotTaken::Stopped),
            }
        }
        Ok(taken)
    }
}
