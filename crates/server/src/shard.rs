//! The shard server: a transactional key-value participant in a process of its own.
//!
//! It drives core's [`Shard`] over a log of its own and speaks the participant protocol
//! (`docs/participant-protocol.md`). It may be killed at any moment: what it answered is durable,
//! and after a restart it holds what is in doubt and asks the coordinator.

mod ages;
mod api;
mod calls;
mod peers;

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use handfast_core::{
    pact::{Message, Peer},
    shard::{Effect, Input, Inquired, Shard},
};
use handfast_log::{Addressed, Log, LogError, Partition, Sqlite, SqliteOptions};
use tokio::sync::oneshot;

use self::{ages::Ages, calls::Callers, peers::Peers};
use crate::{
    config::TlsFiles,
    driver::{self, DriverHandle},
    listen::{ListenError, Listener},
    stop_point,
};

/// The only stream of a shard's log.
const STREAM: &str = "shard";
/// Most connections at once.
const CONNECTIONS_MAX: usize = 4_096;
/// How long a stopping shard lets running requests finish.
const GRACE: Duration = Duration::from_secs(10);

/// How to run a shard. Tokens are never shown.
#[derive(Clone)]
pub struct ShardConfig {
    /// Where the log is kept; made if missing. One process at a time.
    pub data_dir: PathBuf,
    /// Where to listen. Beyond loopback only with a token.
    pub listen: SocketAddr,
    /// The bearer token that every request must carry; if absent, none is asked for.
    pub token: Option<String>,
    /// Its certificate and key; without them it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// PEM file of the authorities that nodes and peers are verified against; the public ones if
    /// absent.
    pub ca_file: Option<PathBuf>,
    /// The node that is asked about branches of the cluster of that name, and the one about those
    /// of all others. Where there is none, branches in doubt wait until they are told.
    pub coordinators: BTreeMap<Option<String>, Remote>,
    /// The name by which nodes and other shards know this one. Without it, it takes part in no
    /// pact: transactions over it are decided by the log of their node.
    pub name: Option<String>,
    /// The other shards with which it may share a pact, by their names.
    pub peers: BTreeMap<String, Remote>,
}

impl ShardConfig {
    /// A shard that knows nobody and asks for no token.
    pub fn new(data_dir: PathBuf, listen: SocketAddr) -> Self {
        let (coordinators, peers) = (BTreeMap::new(), BTreeMap::new());
        let (token, tls, ca_file, name) = (None, None, None, None);
        Self { data_dir, listen, token, tls, ca_file, coordinators, name, peers }
    }
}

/// Somebody whom a shard calls.
#[derive(Clone)]
pub struct Remote {
    /// The base URL.
    pub url: String,
    /// The bearer token that is wanted there.
    pub token: Option<String>,
}

/// Why a shard did not start, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// It would be open to everybody on the network.
    #[error("a shard without a token listens on loopback only, not on {0}")]
    Open(SocketAddr),
    /// A name, or somebody's address or token, cannot be used.
    #[error("{0}")]
    Peers(String),
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its log cannot be opened, or failed while it ran. What was not answered is not known; the
    /// next start finds out.
    #[error("the log failed: {0}")]
    Log(#[from] LogError),
}

/// Runs a shard until `shutdown`; then it stops accepting, lets running requests finish, and closes
/// its log. What is in doubt stays in doubt.
///
/// # Errors
/// It did not start, and nothing has happened; or its log failed.
pub async fn serve(
    config: ShardConfig,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ShardError> {
    ShardServer::open(config).await?.serve(shutdown).await
}

/// A shard that has its log and its address, and answers as soon as it is served.
pub struct ShardServer {
    listener: Listener,
    shared: Arc<Shared>,
    broken: oneshot::Receiver<LogError>,
    token: Option<String>,
}

/// What requests and the partition's thread share.
struct Shared {
    driver: OnceLock<DriverHandle<Shard>>,
    callers: Callers,
    peers: Peers,
    ages: Ages,
}

impl ShardServer {
    /// Opens the log, takes the address, and begins to ask about what is in doubt.
    ///
    /// # Errors
    /// It did not start; nothing has happened.
    pub async fn open(config: ShardConfig) -> Result<Self, ShardError> {
        if config.token.is_none() && !config.listen.ip().is_loopback() {
            return Err(ShardError::Open(config.listen));
        }
        let peers = Peers::new(&config).map_err(ShardError::Peers)?;
        let listener = Listener::take(config.listen, CONNECTIONS_MAX, config.tls.as_ref()).await?;
        let mut log = Sqlite::open(&config.data_dir, SqliteOptions::default())?;
        let ages = Ages::of(&log.read(STREAM)?);
        let opened = Partition::open(log)?;
        let (driver, callers) = (OnceLock::new(), Callers::default());
        let shared = Arc::new(Shared { driver, callers, peers, ages });
        let (log_failed, broken) = oneshot::channel();
        let (for_effects, for_broken) = (Arc::clone(&shared), Arc::clone(&shared));
        let runtime = tokio::runtime::Handle::current();
        let handle = driver::spawn(
            opened,
            move |_, effects| for_effects.dispatch(effects, &runtime),
            // Its one stream was read at the start, so none is refused later.
            |_| {},
            move |error| {
                for_broken.callers.drop_all();
                drop(log_failed.send(error));
            },
        );
        drop(shared.driver.set(handle));
        tokio::spawn(ages::watch(Arc::clone(&shared)));
        Ok(Self { listener, shared, broken, token: config.token })
    }

    /// The address it listens on, with its real port.
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Answers requests until `shutdown`. See [`serve`].
    ///
    /// # Errors
    /// The log failed.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<(), ShardError> {
        let Self { listener, shared, broken, token } = self;
        let scheme = listener.scheme();
        tracing::info!(address = %listener.address(), scheme, "the shard listens");
        let mut failed = None;
        let until = async {
            tokio::select! {
                () = shutdown => tracing::info!("the shard stops"),
                Ok(error) = broken => failed = Some(error),
            }
        };
        let router = api::router(Arc::clone(&shared), token.as_deref());
        let running = listener.serve(router, until).await;
        if tokio::time::timeout(GRACE, running.shutdown()).await.is_err() {
            tracing::warn!("requests were still running when the grace was over");
        }
        shared.driver().clone().stop().await;
        failed.map_or(Ok(()), |error| Err(ShardError::Log(error)))
    }
}

impl Shared {
    /// Waits for the moment between the thread's start and its handle's arrival.
    fn driver(&self) -> &DriverHandle<Shard> {
        self.driver.wait()
    }

    /// Does what a turn asks for. Runs on the partition's thread.
    fn dispatch(
        self: &Arc<Self>,
        effects: Vec<(Arc<str>, Effect)>,
        runtime: &tokio::runtime::Handle,
    ) {
        for (stream, effect) in effects {
            match effect {
                Effect::Reply { request, answer } => {
                    stop_point::reach("before_reply");
                    self.callers.answer(request, answer);
                }
                Effect::Arm { timer, after_ms } => {
                    self.driver().arm(after_ms, stream, timer);
                }
                Effect::Inquire { branch } => {
                    let shared = Arc::clone(self);
                    runtime.spawn(async move {
                        let answer = match shared.peers.coordinator(&branch.cluster) {
                            Some(coordinator) => coordinator.ask(&branch).await,
                            None => Inquired::Silent,
                        };
                        let answered = Input::Answered { branch, answer };
                        shared.driver().send_internal(addressed(answered));
                    });
                }
                Effect::Send { to, message } => self.send(to, message),
            }
        }
    }

    /// Sends a message on its way; one to itself does not leave the process.
    fn send(&self, to: Peer, message: Message) {
        if self.peers.is_me(&to) {
            self.driver().send_internal(addressed(Input::Received { message }));
        } else {
            self.peers.send(&to, message);
        }
    }
}

fn addressed(input: Input) -> Addressed<Shard> {
    Addressed { stream: STREAM.into(), input, fresh: false }
}
