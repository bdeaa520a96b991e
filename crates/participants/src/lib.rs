//! Participants: the systems that prepare, commit and abort branches.
//!
//! One trait, [`Participant`], and its adapters. What they promise is written at the trait and
//! checked on real servers by the [`mod@conformance`] suite. A service prepares nothing: it is only
//! called.

mod branches;
pub mod conformance;
pub mod http;
pub mod mysql;
pub mod postgres;
mod refusal;
pub mod service;
pub mod tls;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use handfast_core::{
    id::{BranchId, Cluster},
    pact::Pact,
    vote::{Ack, Cause, Proof, Reply, Vote},
    work::{Rows, Work},
};

use refusal::{WRONG_WORK, refusal};
pub use service::{Absent, ServiceCall, ServiceSettings};

/// A future that an adapter returns; boxed, so that adapters of all kinds fit one map.
pub type Pending<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A system that takes part in transactions.
///
/// Every call may be repeated, and may arrive after a later one: repeating never changes what
/// became of a branch. No call panics on what the other side answers. Dropping a returned future
/// must not leave a connection in a pool with a transaction open on it.
pub trait Participant: Send + Sync {
    /// What it is: `postgres`, `mysql`, `http`, `service`.
    fn kind(&self) -> &'static str;

    /// Whether [`Participant::hold`] and [`Participant::commit_one_phase`] work here.
    fn one_phase(&self) -> bool;

    /// Does the work and prepares it durably.
    fn prepare(&self, branch: BranchId, work: Work, within: Duration) -> Pending<'_, Prepared>;

    /// As [`Participant::prepare`], for a participant that told a [name](InDoubt::peer): from its
    /// yes on, it may also learn the decision from those whom the pact names.
    fn prepare_in(
        &self,
        pact: Pact,
        branch: BranchId,
        work: Work,
        within: Duration,
    ) -> Pending<'_, Prepared> {
        let _ = (pact, branch, work, within);
        let why = refusal(WRONG_WORK, Cause::Request, "it finishes nothing without the node");
        Box::pin(async { Prepared { vote: Vote::No(why), rows: Vec::new() } })
    }

    /// Does the work and keeps it open, unprepared, for [`Participant::commit_one_phase`]. A yes
    /// carries the proof by which that commit's success can be told later, and by anyone.
    fn hold(&self, branch: BranchId, work: Work, within: Duration) -> Pending<'_, Prepared>;

    /// Commits a prepared branch. `Ack::Finished` only with proof that it is committed.
    fn commit(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack>;

    /// Commits a held branch. `Ack::Finished`: committed; `Ack::Heuristic`: proved rolled back
    /// (its session died first); after a restart of ours it only finds out which of both it is.
    fn commit_one_phase(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack>;

    /// Rolls a branch back, whatever it is doing: working, held, prepared, or not there at all.
    /// `Ack::Finished` only when it is proved that no late prepare of it can still arrive through
    /// a session of ours.
    fn abort(&self, branch: BranchId, proof: Proof) -> Pending<'_, Ack>;

    /// Calls a service. Whoever drops the future before it is ready knows nothing of the call.
    fn call(&self, call: ServiceCall) -> Pending<'_, Reply> {
        let _ = call;
        Box::pin(async { Reply::Broken("it is not a service".into()) })
    }

    /// What is prepared there now; of a service, which prepares nothing, whether it is there.
    ///
    /// # Errors
    /// The list could not be read; nothing is known.
    fn in_doubt(&self) -> Pending<'_, Result<InDoubt, Unreachable>>;

    /// Looks for what keeps this system from taking part, and for what would harm it.
    fn check(&self) -> Pending<'_, Vec<Finding>>;
}

/// The answer to a prepare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The vote.
    pub vote: Vote,
    /// The rows of each statement that returns any, in order.
    pub rows: Vec<Rows>,
}

/// What is prepared at a participant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InDoubt {
    /// Branches of our cluster, with how long they have been prepared, in ms, where known.
    pub own: Vec<(BranchId, Option<u64>)>,
    /// How many are prepared by others: never touched, but counted.
    pub foreign: u64,
    /// The name by which it sends messages to others of its kind; none if it takes part in no pact.
    pub peer: Option<String>,
}

/// The participant could not be asked; says why, without secrets.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);

/// One thing that [`Participant::check`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// A stable code, such as `prepared_transactions_off`.
    pub code: &'static str,
    /// What is so.
    pub message: String,
    /// The line that mends it; empty if there is nothing to do.
    pub cure: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// It can take part, with a caveat.
    Warning,
    /// It cannot take part.
    Error,
}

/// How to reach a participant, and how much of it to use.
#[derive(Clone)]
pub struct Settings {
    /// The resource's name, for messages.
    pub name: String,
    /// `postgres://`, `mysql://`, `mariadb://`, `http://`, `https://`, `service+http://` or
    /// `service+https://`; a password in it is taken out before the address is shown anywhere.
    pub url: String,
    /// The password, or for HTTP the bearer token; wins over one in the address.
    pub secret: Option<String>,
    /// PEM file of the authorities to trust, instead of the public ones.
    pub ca_file: Option<std::path::PathBuf>,
    /// Whether to use TLS where the address leaves it open: databases.
    pub tls: TlsMode,
    /// Most connections at once.
    pub connections_max: usize,
    /// Most time to make a connection.
    pub connect_timeout: Duration,
    /// Most time of one statement, where the branch says nothing.
    pub statement_timeout: Duration,
    /// Most time to wait for one lock, where the branch says nothing.
    pub lock_timeout: Duration,
    /// MariaDB/MySQL: the table in which every branch leaves its mark; made if missing.
    pub marker_table: String,
    /// What concerns services alone.
    pub service: ServiceSettings,
    /// Whose branches are ours.
    pub cluster: Cluster,
}

/// Whether a database connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Off,
    /// Always, with the server's certificate verified against its name.
    Verify,
}

/// Makes the adapter that the address asks for. Does not connect yet.
///
/// # Errors
/// What is wrong with the settings, without secrets.
pub fn open(settings: Settings) -> Result<Arc<dyn Participant>, String> {
    let scheme = settings.url.split("://").next().unwrap_or_default();
    match scheme {
        "postgres" | "postgresql" => postgres::open(settings),
        "mysql" | "mariadb" => mysql::open(settings),
        "http" | "https" => http::open(settings),
        "service+http" | "service+https" => service::open(settings),
        other => Err(format!("resource `{}`: unknown scheme `{other}`", settings.name)),
    }
}
