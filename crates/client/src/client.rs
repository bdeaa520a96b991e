//! A node, as its callers see it.

use std::time::Duration;

use hyper::Method;
use tokio::time::Instant;

use crate::{
    Builder, Error, Outcome, Transaction, Unknown,
    http::{Call, Fault},
    link::{Link, escape, json},
    wire::{self, BeginTransaction, Finding, ListFilter, Resource, TransactionPage},
};

pub(crate) const TRANSACTION_TIMEOUT_MS: u64 = 5_000;
pub(crate) const POLL_FIRST: Duration = Duration::from_millis(20);
pub(crate) const POLL_LONGEST: Duration = Duration::from_secs(1);

/// A node, reached over HTTP. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct Handfast {
    pub(crate) link: Link,
}

impl Handfast {
    pub(crate) fn new(link: Link) -> Self {
        Self { link }
    }

    /// Connects to a node and checks that it answers.
    ///
    /// # Errors
    /// The address cannot be used, or nothing answers there.
    pub async fn connect(url: &str) -> Result<Self, Error> {
        let handfast = Self::builder(url).build()?;
        handfast.link.probe("/healthz").await?;
        Ok(handfast)
    }

    /// Whether the node has recovered and takes transactions.
    ///
    /// # Errors
    /// It does not, or nothing answers there. One attempt is made.
    pub async fn ready(&self) -> Result<(), Error> {
        self.link.probe("/readyz").await
    }

    /// Says how to reach a node, in more words than [`connect`](Self::connect).
    pub fn builder(url: &str) -> Builder {
        Builder::new(url)
    }

    /// A transaction with the caller's name for it: the same name with the same content is the
    /// same transaction, also after a crash of either side.
    pub fn transaction(&self, gid: impl Into<String>) -> Transaction {
        Transaction::new(self.clone(), gid.into())
    }

    /// A two-phase message: deliveries, whom to [`ask`](Transaction::ask), then
    /// [`prepare`](Transaction::prepare).
    pub fn message(&self, gid: impl Into<String>) -> Transaction {
        self.transaction(gid)
    }

    /// A transaction with a new name.
    pub fn new_transaction(&self) -> Transaction {
        self.transaction(uuid::Uuid::now_v7().to_string())
    }

    /// What is known of a transaction, with its branches and timeline.
    ///
    /// # Errors
    /// [`Error::NotFound`]: no node decided it. It may not have arrived yet, or have been
    /// forgotten after its retention.
    pub async fn get(&self, gid: &str) -> Result<wire::Transaction, Error> {
        self.link.read(format!("/v1/transactions/{}", escape(gid))).await
    }

    /// What became of a transaction. Errors as [`get`](Self::get).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn outcome(&self, gid: &str) -> Result<Outcome, Error> {
        Ok(Outcome::of(self.get(gid).await?, self.ask_at(gid)))
    }

    /// Asks for the outcome until it is known or `timeout` is over; a node that is away is asked
    /// again.
    ///
    /// # Errors
    /// As [`get`](Self::get), except that silence gives [`Outcome::Unknown`].
    pub async fn wait(&self, gid: &str, timeout: Duration) -> Result<Outcome, Error> {
        let deadline = Instant::now() + timeout;
        let mut pause = POLL_FIRST;
        loop {
            let seen = match self.outcome(gid).await {
                Ok(Outcome::Unknown(unknown)) => unknown,
                Err(e @ (Error::Unreachable { .. } | Error::NoAnswer { .. } | Error::Busy(_))) => {
                    self.unknown(gid, e.to_string())
                }
                known => return known,
            };
            if Instant::now() + pause >= deadline {
                return Ok(Outcome::Unknown(seen));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_LONGEST);
        }
    }

    /// A page of transactions, newest first.
    ///
    /// # Errors
    /// The list could not be read.
    pub async fn list(&self, filter: &ListFilter) -> Result<TransactionPage, Error> {
        let mut query = String::new();
        let limit = filter.limit.map(|limit| limit.to_string());
        for (name, value) in [
            ("state", &filter.state),
            ("resource", &filter.resource),
            ("saga", &filter.saga),
            ("prefix", &filter.prefix),
            ("limit", &limit),
            ("after", &filter.after),
        ] {
            if let Some(value) = value {
                let mark = if query.is_empty() { '?' } else { '&' };
                query.push_str(&format!("{mark}{name}={}", escape(value)));
            }
        }
        self.link.read(format!("/v1/transactions{query}")).await
    }

    /// All resources as the node sees them.
    ///
    /// # Errors
    /// They could not be read.
    pub async fn resources(&self) -> Result<Vec<Resource>, Error> {
        self.link.read("/v1/resources".into()).await
    }

    /// Looks for what keeps a resource from taking part.
    ///
    /// # Errors
    /// There is no such resource, or the node did not answer.
    pub async fn check(&self, resource: &str) -> Result<Vec<Finding>, Error> {
        #[derive(serde::Deserialize)]
        struct Findings {
            findings: Vec<Finding>,
        }
        let path = format!("/v1/resources/{}:check", escape(resource));
        let call = self.link.call(Method::POST, path, None, self.link.timeout).await;
        self.link.parsed::<Findings>(call).map(|found| found.findings)
    }

    /// Runs a transaction that is already in the wire's words; a gid is made if it has none.
    /// What this promises is written at [`Transaction::run`].
    ///
    /// # Errors
    /// The transaction did not start, so nothing of it can happen.
    pub async fn begin(&self, begin: &BeginTransaction) -> Result<Outcome, Error> {
        let mut begin = begin.clone();
        let gid = begin.gid.get_or_insert_with(|| uuid::Uuid::now_v7().to_string()).clone();
        let path = "/v1/transactions".into();
        let call = self
            .link
            .call_within(Method::POST, path, Some(json(&begin)), until_decided(&begin))
            .await;
        self.outcome_of(&gid, call)
    }

    /// The answer to something that may have changed a transaction: what may have happened is an
    /// outcome, and only what certainly did not is an error.
    pub(crate) fn outcome_of(&self, gid: &str, call: Call) -> Result<Outcome, Error> {
        let answer = match call.last {
            Ok(answer) => answer,
            Err(Fault::NotSent(why)) if !call.may_have_arrived => {
                return Err(Error::Unreachable { url: self.link.transport.base.clone(), why });
            }
            Err(Fault::NotSent(why) | Fault::Lost(why)) => {
                return Ok(Outcome::Unknown(self.unknown(gid, why)));
            }
        };
        if let 200..300 = answer.status {
            return Ok(match serde_json::from_slice(&answer.body) {
                Ok(transaction) => Outcome::of(transaction, self.ask_at(gid)),
                Err(e) => Outcome::Unknown(self.unknown(gid, format!("odd answer: {e}"))),
            });
        }
        let problem = answer.problem();
        if let Some(transaction) = problem.and_then(|p| p.transaction) {
            return Ok(Outcome::of(*transaction, self.ask_at(gid)));
        }
        let error = self.link.error(&answer, answer.status);
        match call.may_have_arrived {
            true => Ok(Outcome::Unknown(self.unknown(gid, error.to_string()))),
            false => Err(error),
        }
    }

    fn unknown(&self, gid: &str, why: String) -> Unknown {
        Unknown { gid: gid.into(), ask_at: self.ask_at(gid), why, transaction: None }
    }

    fn ask_at(&self, gid: &str) -> String {
        format!("{}/v1/transactions/{}", self.link.transport.base, escape(gid))
    }
}

/// How long it may take until it is decided: its steps one after the other, then the votes.
fn until_decided(begin: &BeginTransaction) -> Duration {
    let votes = Duration::from_millis(begin.timeout_ms.unwrap_or(TRANSACTION_TIMEOUT_MS));
    let all = begin.branches.iter().fold(votes, |sum, branch| sum.saturating_add(branch.within()));
    begin.deadline_ms.map_or(all, |most| all.min(Duration::from_millis(most)))
}
