//! A running node, as the API and embedders see it. Cheap to clone.

use std::sync::Arc;

use handfast_client::wire;
use handfast_core::{id::BranchId, work::Work};

/// A whole transaction to run, checked and in the core's words.
#[derive(Clone, Debug)]
pub struct Begin {
    /// The caller's name for it; made here if absent.
    pub gid: Option<String>,
    /// In the caller's order: name, resource, work.
    pub branches: Vec<(String, String, Work)>,
    /// All branches must vote within this time.
    pub timeout_ms: u64,
    /// When to answer.
    pub ack: wire::AckWhen,
    /// Whether to wait for `commit` after the votes.
    pub hold: bool,
    /// What makes two requests with one gid the same: a hash over branches, hold and timeout.
    pub fingerprint: String,
    /// How long the caller waits; 0 = not at all.
    pub wait_ms: u64,
}

/// What an operator or caller may tell an open transaction.
#[derive(Clone, Debug)]
pub enum Command {
    /// Commit a held one.
    Commit,
    /// Abort one that is not decided.
    Abort { reason: String },
    /// Try its branches again now.
    Retry,
    /// Declare a branch finished.
    Resolve { branch: String, committed: bool, reason: String },
}

/// Why the node did not take a request. Nothing has happened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Rejected {
    #[error("the node's queue is full")]
    Busy,
    #[error("the node is stopping")]
    Stopping,
    #[error("this gid was used with other content")]
    OtherContent,
    #[error("no such transaction")]
    NoSuchTransaction,
    #[error("no such branch")]
    NoSuchBranch,
    #[error("no such resource: {0}")]
    NoSuchResource(String),
    /// The transaction is in a state where this cannot be done.
    #[error("{0}")]
    WrongState(String),
}

#[derive(Clone)]
pub struct Node {
    #[allow(dead_code)]
    inner: Arc<()>,
}

impl Node {
    /// Runs a transaction; answers when it is decided or applied, or with outcome `unknown` when
    /// the wait is over. A known gid with the same content attaches to it.
    pub async fn begin(&self, begin: Begin) -> Result<wire::Transaction, Rejected> {
        let _ = begin;
        Err(Rejected::Stopping)
    }
    /// What is known of a transaction, with its timeline.
    pub async fn transaction(&self, gid: &str) -> Result<wire::Transaction, Rejected> {
        let _ = gid;
        Err(Rejected::NoSuchTransaction)
    }
    /// A page of transactions. `Err(WrongState)` for a filter that makes no sense.
    pub async fn list(&self, filter: wire::ListFilter) -> Result<wire::TransactionPage, Rejected> {
        let _ = filter;
        Err(Rejected::Stopping)
    }
    /// Tells a transaction; `by` names who (the token's name), for the audit trail.
    pub async fn command(
        &self,
        gid: &str,
        command: Command,
        by: &str,
    ) -> Result<wire::Transaction, Rejected> {
        let _ = (gid, command, by);
        Err(Rejected::NoSuchTransaction)
    }
    /// All resources.
    pub fn resources(&self) -> Vec<wire::Resource> {
        Vec::new()
    }
    /// Checks one resource now.
    pub async fn check(&self, resource: &str) -> Result<Vec<wire::Finding>, Rejected> {
        Err(Rejected::NoSuchResource(resource.into()))
    }
    /// A participant asks what was decided for its branch.
    pub async fn inquire(&self, branch: BranchId) -> Result<wire::Inquiry, Rejected> {
        let _ = branch;
        Err(Rejected::Stopping)
    }
    /// True once recovery has read the log and scanned (or tried to scan) every resource.
    pub fn is_ready(&self) -> bool {
        false
    }
    /// Prometheus text.
    pub fn metrics(&self) -> String {
        String::new()
    }
    /// Stops taking requests (they get `Rejected::Stopping`), waits up to `grace_ms` for running
    /// transactions, syncs and closes the log.
    pub async fn stop(&self, grace_ms: u64) {
        let _ = grace_ms;
    }
}
