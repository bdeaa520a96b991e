//! What operators say to transactions.

use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use serde::Serialize;

use crate::{
    Error, Handfast, Outcome, http,
    link::{escape, json},
    wire::{self, Because, Bulk, BulkDone, BulkEdit, BulkResolve, DryRun, Edit, Resolve, RetryNow},
};

/// A word to a transaction, of which [`Handfast::dry_run`] tells what would follow.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Commit one that is held or open.
    Commit(Because),
    /// Abort one that is not decided.
    Abort(Because),
    /// Try unfinished branches now.
    Retry(RetryNow),
    /// Declare a branch finished, as it was seen at the participant.
    Resolve(Resolve),
    /// Give a branch other calls.
    Edit(Box<Edit>),
}

impl Handfast {
    /// Commits a transaction that is held or open.
    ///
    /// # Errors
    /// It was not told: it is not held, or the node was not reached.
    pub async fn commit(&self, gid: &str, reason: &str) -> Result<Outcome, Error> {
        self.decide(gid, "commit", reason, Duration::ZERO).await
    }

    /// Aborts a transaction that is not decided.
    ///
    /// # Errors
    /// It was not told: it is decided already, or the node was not reached.
    pub async fn abort(&self, gid: &str, reason: &str) -> Result<Outcome, Error> {
        self.decide(gid, "abort", reason, Duration::ZERO).await
    }

    /// Tries the unfinished branches again now.
    ///
    /// # Errors
    /// The node did not confirm it; saying it again is safe.
    pub async fn retry(&self, gid: &str, reason: &str) -> Result<wire::Transaction, Error> {
        self.told(gid, "retry", &RetryNow { branch: None, reason: reason.into() }).await
    }

    /// Tries one branch again now.
    ///
    /// # Errors
    /// The node did not confirm it; saying it again is safe.
    pub async fn retry_branch(
        &self,
        gid: &str,
        branch: &str,
        reason: &str,
    ) -> Result<wire::Transaction, Error> {
        let retry = RetryNow { branch: Some(branch.into()), reason: reason.into() };
        self.told(gid, "retry", &retry).await
    }

    /// Gives a branch other calls, and tries it again.
    ///
    /// # Errors
    /// The node did not confirm it; saying it again is safe.
    pub async fn edit(&self, gid: &str, edit: &Edit) -> Result<wire::Transaction, Error> {
        self.told(gid, "edit", edit).await
    }

    /// Declares a branch finished, as an operator saw it at the participant.
    ///
    /// # Errors
    /// The node did not confirm it; saying it again is safe.
    pub async fn resolve(&self, gid: &str, resolve: &Resolve) -> Result<wire::Transaction, Error> {
        self.told(gid, "resolve", resolve).await
    }

    /// What would follow from a word. Nothing happens.
    ///
    /// # Errors
    /// The word would be refused, or the node did not answer.
    pub async fn dry_run(&self, gid: &str, command: &Command) -> Result<DryRun, Error> {
        let (verb, body) = match command {
            Command::Commit(because) => ("commit", json(because)),
            Command::Abort(because) => ("abort", json(because)),
            Command::Retry(retry) => ("retry", json(retry)),
            Command::Resolve(resolve) => ("resolve", json(resolve)),
            Command::Edit(edit) => ("edit", json(edit)),
        };
        self.asked(format!("{}?dry_run=true", word(gid, verb)), body).await
    }

    /// Tries the unfinished branches of many transactions again now.
    ///
    /// # Errors
    /// The node did not confirm it; some may have been told. Saying it again is safe.
    pub async fn retry_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.asked("/v1/transactions:retry".into(), json(bulk)).await
    }

    /// Commits many transactions that are held or open.
    ///
    /// # Errors
    /// As [`retry_all`](Self::retry_all).
    pub async fn commit_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.asked("/v1/transactions:commit".into(), json(bulk)).await
    }

    /// Aborts many transactions that are not decided.
    ///
    /// # Errors
    /// As [`retry_all`](Self::retry_all).
    pub async fn abort_all(&self, bulk: &Bulk) -> Result<BulkDone, Error> {
        self.asked("/v1/transactions:abort".into(), json(bulk)).await
    }

    /// Gives one branch of many transactions other calls, the same in each.
    ///
    /// # Errors
    /// As [`retry_all`](Self::retry_all).
    pub async fn edit_all(&self, bulk: &BulkEdit) -> Result<BulkDone, Error> {
        self.asked("/v1/transactions:edit".into(), json(bulk)).await
    }

    /// Declares branches of many transactions finished, as an operator saw them.
    ///
    /// # Errors
    /// As [`retry_all`](Self::retry_all).
    pub async fn resolve_all(&self, bulk: &BulkResolve) -> Result<BulkDone, Error> {
        self.asked("/v1/transactions:resolve".into(), json(bulk)).await
    }

    /// `own` is how long the node may take by itself.
    pub(crate) async fn decide(
        &self,
        gid: &str,
        verb: &str,
        reason: &str,
        own: Duration,
    ) -> Result<Outcome, Error> {
        let because = json(&Because { reason: reason.into() });
        let call = self.tell(word(gid, verb), because, own).await;
        self.outcome_of(gid, call)
    }

    async fn told<B: Serialize>(
        &self,
        gid: &str,
        verb: &str,
        body: &B,
    ) -> Result<wire::Transaction, Error> {
        self.asked(word(gid, verb), json(body)).await
    }

    async fn asked<T>(&self, path: String, body: Bytes) -> Result<T, Error>
    where
        T: serde::de::DeserializeOwned,
    {
        self.link.parsed(self.tell(path, body, Duration::ZERO).await)
    }

    async fn tell(&self, path: String, body: Bytes, own: Duration) -> http::Call {
        self.link.call_within(Method::POST, path, Some(body), own).await
    }
}

fn word(gid: &str, verb: &str) -> String {
    format!("/v1/transactions/{}:{verb}", escape(gid))
}
