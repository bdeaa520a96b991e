//! A transaction that is open: branches are added while the caller's code runs.

use std::{pin::Pin, time::Duration};

use hyper::Method;
use tokio::time::Instant;

use crate::{
    Abort, Error, Handfast, Outcome, Unknown, Value,
    branch::branch_words,
    client::{POLL_FIRST, POLL_LONGEST},
    link::{escape, json},
    outcome::put_out,
    wire::{self, BeginTransaction, Branch, BranchKind, BranchState, Call, KeyOp, Message},
};

/// An open transaction.
///
/// Dropped without a word, it is aborted when its deadline is over; or asked for, if it is a
/// two-phase message.
#[derive(Clone)]
#[must_use = "an open transaction is aborted at its deadline"]
pub struct Open {
    handfast: Handfast,
    gid: String,
    /// How long its branches may take to prepare.
    timeout_ms: u64,
}

/// Why a branch is not done, or a transaction not open.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotDone {
    /// The transaction is aborted, all of it.
    #[error("the transaction is aborted: {}", .0.message)]
    Aborted(Box<Abort>),
    /// The transaction was committed before, by whoever used its gid.
    #[error("the transaction is committed already")]
    Committed(Box<wire::Transaction>),
    /// It may be done: say the same once more, or abort.
    #[error("it is not known whether it is done: {}", .0.why)]
    Unknown(Box<Unknown>),
    /// The transaction is as it was before.
    #[error(transparent)]
    Error(#[from] Error),
}

impl Handfast {
    /// An open transaction that was begun elsewhere, or before this process started.
    pub fn opened(&self, gid: impl Into<String>) -> Open {
        let timeout_ms = crate::client::TRANSACTION_TIMEOUT_MS;
        Open { handfast: self.clone(), gid: gid.into(), timeout_ms }
    }
}

impl Open {
    pub(crate) async fn begin(
        handfast: Handfast,
        begin: &BeginTransaction,
    ) -> Result<Self, NotDone> {
        let timeout_ms = begin.timeout_ms.unwrap_or(crate::client::TRANSACTION_TIMEOUT_MS);
        match handfast.begin(begin).await? {
            Outcome::Unknown(Unknown { gid, transaction: Some(_), .. }) => {
                Ok(Self { handfast, gid, timeout_ms })
            }
            outcome => Err(NotDone::of(outcome)),
        }
    }

    /// Its name.
    pub fn gid(&self) -> &str {
        &self.gid
    }

    /// Does a step at a service now: await it, for its output. Say first how it is undone, with
    /// [`undo`](Adding::undo).
    pub fn step(&self, branch: &str, resource: &str, act: impl Into<Call>) -> Adding<'_> {
        self.add(Branch::step(branch, resource, act))
    }

    /// Adds a reservation at a service, made when the transaction is to commit.
    pub fn reserve(
        &self,
        branch: &str,
        resource: &str,
        attempt: impl Into<Call>,
        confirm: impl Into<Call>,
        cancel: impl Into<Call>,
    ) -> Adding<'_> {
        self.add(Branch::reserve(branch, resource, attempt, confirm, cancel))
    }

    /// Adds a statement at a database, run when the transaction is to commit.
    pub fn sql(&self, branch: &str, resource: &str, text: &str, params: Vec<Value>) -> Adding<'_> {
        self.add(Branch::sql(branch, resource, text, params))
    }

    /// Adds operations on keys of a shard, run when the transaction is to commit.
    pub fn keys(&self, branch: &str, resource: &str, operations: Vec<KeyOp>) -> Adding<'_> {
        let (name, resource, keys) = (branch.into(), resource.into(), Some(operations));
        self.add(Branch { name, resource, keys, ..Branch::default() })
    }

    /// Adds a call that is made after the decision to commit, until it succeeds.
    pub fn deliver(&self, branch: &str, resource: &str, act: impl Into<Call>) -> Adding<'_> {
        self.add(Branch::deliver(branch, resource, act))
    }

    /// Adds a message that is sent after the decision to commit, until it arrives.
    pub fn message(&self, branch: &str, resource: &str, message: Message) -> Adding<'_> {
        self.add(Branch::message(branch, resource, message))
    }

    /// Adds a branch in the wire's words.
    pub fn add(&self, branch: Branch) -> Adding<'_> {
        Adding { open: self, branch }
    }

    /// Commits: what prepares does so now, and then it is decided.
    ///
    /// # Errors
    /// It was not told: it is not open any more, or the node was not reached.
    pub async fn commit(&self) -> Result<Outcome, Error> {
        let within = Duration::from_millis(self.timeout_ms);
        self.handfast.decide(&self.gid, "commit", "", within).await
    }

    /// Commits a two-phase message: the local transaction has committed.
    ///
    /// # Errors
    /// As [`commit`](Self::commit). Nothing is lost then: Handfast will ask.
    pub async fn submit(&self) -> Result<Outcome, Error> {
        self.commit().await
    }

    /// Aborts: its steps are undone.
    ///
    /// # Errors
    /// It was not told: it is decided already, or the node was not reached.
    pub async fn abort(&self, reason: &str) -> Result<Outcome, Error> {
        self.handfast.abort(&self.gid, reason).await
    }
}

/// A branch that is added to an open transaction when this is awaited.
///
/// The output of a step is there when it is done, so that what comes next can use it; that of
/// every other branch is null, and means that the branch is taken. Added again under the same name
/// with the same content, it is the same branch.
#[must_use = "a branch is added when this is awaited"]
pub struct Adding<'o> {
    open: &'o Open,
    branch: Branch,
}

impl Adding<'_> {
    fn last_branch(&mut self) -> Option<&mut Branch> {
        Some(&mut self.branch)
    }

    async fn done(self) -> Result<Value, NotDone> {
        let Self { open: Open { handfast, gid, .. }, branch } = self;
        let within = branch.within();
        let deadline = Instant::now() + within + handfast.link.timeout;
        let path = format!("/v1/transactions/{}/branches", escape(gid));
        let body = Some(json(&branch));
        let call = handfast.link.call_within(Method::POST, path, body, within).await;
        let mut seen = handfast.outcome_of(gid, call)?;
        let mut pause = POLL_FIRST;
        while let Outcome::Unknown(unknown) = &seen {
            if let Some(output) = unknown.transaction.as_ref().and_then(|t| output(t, &branch)) {
                return Ok(output);
            }
            if Instant::now() + pause >= deadline {
                break;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_LONGEST);
            match handfast.outcome(gid).await {
                Ok(outcome) => seen = outcome,
                // A node that is away may have taken it all the same.
                Err(Error::Unreachable { .. } | Error::NoAnswer { .. } | Error::Busy(_)) => {}
                Err(_) => break,
            }
        }
        Err(NotDone::of(seen))
    }
}

branch_words!(Adding<'_>);

impl<'o> IntoFuture for Adding<'o> {
    type Output = Result<Value, NotDone>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'o>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.done())
    }
}

impl NotDone {
    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Committed(transaction) => Self::Committed(transaction.into()),
            Outcome::Aborted(abort) => Self::Aborted(abort.into()),
            Outcome::Unknown(unknown) => Self::Unknown(unknown.into()),
        }
    }
}

/// The branch's output, if it is as far as the caller waits for: a step done, another taken.
fn output(transaction: &wire::Transaction, branch: &Branch) -> Option<Value> {
    let view = transaction.branches.iter().find(|view| view.name == branch.name)?;
    let is_step = branch.kind == Some(BranchKind::Step);
    let done = matches!(view.state, BranchState::Done | BranchState::Resolved);
    (done || !is_step).then(|| put_out(view))
}
