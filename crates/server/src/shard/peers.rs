//! Whom a shard asks, and with whom it finishes what it is in doubt about.

use std::{collections::BTreeMap, time::Duration};

use handfast_core::{
    id::{BranchId, Cluster, check_name},
    pact::{Message, Pact, Peer},
    shard::Inquired,
};
use handfast_participants::{
    http::{
        CallError, CallSettings, Caller,
        words::{DecisionWord, Inquiry, Knows},
    },
    tls,
};
use hyper::{Method, StatusCode};
use rustls::ClientConfig;

use super::{
    Remote, ShardConfig,
    api::{Outgoing, PeersPage},
};
use crate::{
    inbox::{Incoming, Strangers},
    outbox::Outbox,
};

/// Most time to connect to somebody.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// Everybody whom a shard knows.
pub(super) struct Peers {
    me: Option<String>,
    shards: BTreeMap<String, Outbox>,
    coordinators: BTreeMap<Option<Cluster>, Coordinator>,
    strangers: Strangers,
}

impl Peers {
    /// Makes no connection yet.
    pub(super) fn new(config: &ShardConfig) -> Result<Self, String> {
        let me = config.name.as_deref();
        for name in me.into_iter().chain(config.peers.keys().map(String::as_str)) {
            check_name(name).map_err(|why| format!("no shard can be called {name:?}: {why}"))?;
        }
        match me {
            None if !config.peers.is_empty() => return Err("peers need a name of its own".into()),
            Some(me) if config.peers.contains_key(me) => {
                return Err(format!("peer `{me}` has the shard's own name"));
            }
            _ => {}
        }
        let tls =
            tls::trusting(config.ca_file.as_deref()).map_err(|why| format!("ca_file: {why}"))?;
        let outbox = |name: &str, to: &Remote| {
            let caller =
                caller(to, &tls, 1).map_err(|why| format!("{name} cannot be called: {why}"))?;
            Ok::<_, String>(Outbox::start(name.into(), caller))
        };
        let shard = |(name, to): (&String, &Remote)| Ok((name.clone(), outbox(name, to)?));
        let coordinator = |(cluster, to): (&Option<String>, &Remote)| {
            let cluster = cluster.as_deref().map(Cluster::new).transpose();
            let cluster = cluster.map_err(|why| format!("no cluster has this name: {why}"))?;
            let name = coordinator_name(&cluster);
            let inquiries = caller(to, &tls, Coordinator::CONNECTIONS_MAX)
                .map_err(|why| format!("{name} cannot be called: {why}"))?;
            Ok((cluster, Coordinator { inquiries, outbox: outbox(&name, to)? }))
        };
        Ok(Self {
            shards: config.peers.iter().map(shard).collect::<Result<_, String>>()?,
            coordinators: config
                .coordinators
                .iter()
                .map(coordinator)
                .collect::<Result<_, String>>()?,
            me: config.name.clone(),
            strangers: Strangers::default(),
        })
    }

    /// The name by which others know this shard.
    pub(super) fn me(&self) -> Option<&str> {
        self.me.as_deref()
    }

    /// Whether that is this shard.
    pub(super) fn is_me(&self, peer: &Peer) -> bool {
        matches!(peer, Peer::Shard(name) if Some(name.as_str()) == self.me())
    }

    /// The node that decides over the branches of a cluster.
    pub(super) fn coordinator(&self, cluster: &Cluster) -> Option<&Coordinator> {
        let own = self.coordinators.get(&Some(cluster.clone()));
        own.or_else(|| self.coordinators.get(&None))
    }

    /// Puts a message into its outbox.
    pub(super) fn send(&self, to: &Peer, message: Message) {
        let outbox = match to {
            Peer::Shard(name) => self.shards.get(name),
            Peer::Coordinator => self.coordinator(&message.pact.cluster).map(|known| &known.outbox),
        };
        match outbox {
            Some(outbox) => outbox.put(message),
            None => self.strangers.dropped(format!("{to:?} is not configured")),
        }
    }

    /// The messages that are for this shard, and about a pact whose members it knows.
    pub(super) fn admitted(&self, incoming: &Incoming) -> impl Iterator<Item = Message> {
        let understood = incoming.understood(&self.strangers);
        understood.into_iter().filter(|message| self.admits(message))
    }

    fn admits(&self, Message { pact, word }: &Message) -> bool {
        let why = match word.to(pact) {
            Some(to) if pact.is_sound() && self.is_me(&to) => match self.stranger(pact) {
                Some(why) => why,
                None => return true,
            },
            _ => "a message is not for this shard".into(),
        };
        self.strangers.dropped(why);
        false
    }

    /// What was sent and dropped.
    pub(super) fn page(&self) -> PeersPage {
        let outgoing = |name: String, outbox: &Outbox| {
            (name, Outgoing { sent: outbox.sent(), dropped: outbox.dropped() })
        };
        let shards = self.shards.iter().map(|(name, outbox)| outgoing(name.clone(), outbox));
        let nodes = self.coordinators.iter();
        let nodes = nodes.map(|(cluster, node)| outgoing(coordinator_name(cluster), &node.outbox));
        let (name, unknown) = (self.me.clone(), self.strangers.messages());
        PeersPage { name, peers: shards.chain(nodes).collect(), unknown }
    }

    /// With whom it can share a pact, if with anybody.
    pub(super) fn knows(&self) -> Option<Knows> {
        self.me()?;
        let clusters = self.coordinators.keys().flatten();
        Some(Knows {
            peers: self.shards.keys().cloned().collect(),
            clusters: clusters.map(ToString::to_string).collect(),
            any_cluster: self.coordinators.contains_key(&None),
        })
    }

    /// Whether this shard can take part in a pact with that branch; why not.
    ///
    /// Refused here, a wrong configuration aborts transactions and says why. Taken, it would leave
    /// them in doubt when their node dies.
    pub(super) fn check(&self, branch: &BranchId, pact: &Pact) -> Result<(), String> {
        let Some(me) = self.me() else {
            return Err("this shard has no name: it was started without `--name`".into());
        };
        match pact.members.get(usize::from(branch.index)) {
            Some(wanted) if wanted == me => {}
            wanted => return Err(format!("this shard is called `{me}`, not {wanted:?}")),
        }
        self.stranger(pact).map_or(Ok(()), Err)
    }

    /// Whom of a pact this shard does not know, in words.
    fn stranger(&self, pact: &Pact) -> Option<String> {
        let me = self.me()?;
        let mut others = pact.members.iter().chain(&*pact.acceptors).filter(|name| *name != me);
        if let Some(stranger) = others.find(|name| !self.shards.contains_key(*name)) {
            return Some(format!("`{me}` has no `--peer` for `{stranger}`"));
        }
        let cluster = &pact.cluster;
        let nobody = self.coordinator(cluster).is_none();
        nobody.then(|| format!("`{me}` has no `--coordinator` for cluster {cluster}"))
    }
}

/// A node that decides over branches here.
pub(super) struct Coordinator {
    inquiries: Caller,
    outbox: Outbox,
}

impl Coordinator {
    /// Most inquiries at once.
    const CONNECTIONS_MAX: usize = 8;
    /// Most time of an inquiry, its wait for a connection included.
    const WITHIN: Duration = Duration::from_secs(2);

    /// What was decided over a branch.
    pub(super) async fn ask(&self, branch: &BranchId) -> Inquired {
        let path = format!("/v1/inquiries/{branch}");
        let answer = self.inquiries.call(Method::GET, &path, Vec::new(), Self::WITHIN).await;
        // Whoever answers is alive, and so is a coordinator that was not asked for want of a place.
        let (inquired, why) = match answer {
            Ok((StatusCode::OK, body)) => match serde_json::from_slice(&body) {
                Ok(Inquiry { decision: DecisionWord::Commit }) => return Inquired::Commit,
                Ok(Inquiry { decision: DecisionWord::Abort }) => return Inquired::Abort,
                Ok(Inquiry { decision: DecisionWord::Pending }) => return Inquired::Pending,
                Err(why) => (Inquired::Pending, why.to_string()),
            },
            Ok((status, _)) => (Inquired::Pending, format!("it answered {status}")),
            Err(error @ CallError::Busy) => (Inquired::Pending, error.to_string()),
            Err(error) => (Inquired::Silent, error.to_string()),
        };
        tracing::debug!(%branch, %why, "the coordinator did not say what it decided");
        inquired
    }
}

fn coordinator_name(cluster: &Option<Cluster>) -> String {
    match cluster {
        Some(cluster) => format!("the coordinator of cluster {cluster}"),
        None => "the coordinator".into(),
    }
}

fn caller(to: &Remote, tls: &ClientConfig, connections_max: usize) -> Result<Caller, String> {
    let (url, token, tls) = (to.url.as_str(), to.token.as_deref(), tls.clone());
    Caller::new(CallSettings { url, token, tls, connections_max, connect_timeout: CONNECT_TIMEOUT })
}
