//! The builder of one transaction.

use std::time::Duration;

use crate::{
    Error, Handfast, Outcome, Value,
    wire::{AckWhen, BeginTransaction, Branch, Decide, Isolation, KeyOp, Statement, Wait},
};

/// A transaction to run: branches first, then [`run`](Self::run).
///
/// Cloned and run again, it is the same transaction, with the same answer.
#[derive(Clone)]
#[must_use = "a transaction does nothing until it is run"]
pub struct Transaction {
    handfast: Handfast,
    begin: BeginTransaction,
}

impl Transaction {
    pub(crate) fn new(handfast: Handfast, gid: String) -> Self {
        let begin = BeginTransaction { gid: Some(gid), ..BeginTransaction::default() };
        Self { handfast, begin }
    }

    /// Its name.
    pub fn gid(&self) -> &str {
        self.begin.gid.as_deref().expect("set when it was made")
    }

    /// A statement with bound parameters, in the database's own notation, in branch `branch` at
    /// `resource`. Repeat the branch to run several statements in it, in order.
    pub fn sql(self, branch: &str, resource: &str, text: &str, params: Vec<Value>) -> Self {
        self.statement(branch, resource, Statement(text.into(), params, Default::default()))
    }

    /// How many rows the statement before must affect or return; otherwise all is aborted.
    pub fn expect_rows(mut self, rows: u64) -> Self {
        if let Some(statement) = self.last_statement() {
            statement.2.rows = Some(rows);
        }
        self
    }

    /// Hands back the rows of the statement before, in `results` of the committed transaction.
    pub fn returning(mut self) -> Self {
        if let Some(statement) = self.last_statement() {
            statement.2.returns = true;
        }
        self
    }

    /// Operations on keys of a shard, in order.
    pub fn keys(mut self, branch: &str, resource: &str, operations: Vec<KeyOp>) -> Self {
        self.branch(branch, resource).keys.get_or_insert_default().extend(operations);
        self
    }

    /// The isolation level of the branch before, in its database.
    pub fn isolation(mut self, isolation: Isolation) -> Self {
        if let Some(branch) = self.begin.branches.last_mut() {
            branch.isolation = Some(isolation);
        }
        self
    }

    /// When the answer comes: at the decision (default), or when every branch has applied it.
    pub fn ack(mut self, ack: AckWhen) -> Self {
        self.begin.ack = Some(ack);
        self
    }

    /// How commit or abort is decided: by the node's log (default), or by the shards together, so
    /// that they finish without the node. See [`Decide`] for what each can stand.
    pub fn decide(mut self, decide: Decide) -> Self {
        self.begin.decide = decide;
        self
    }

    /// Within this time every branch must have voted, or it is aborted. Default 5 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.begin.timeout_ms = Some(timeout.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// Prepares everything, then waits for [`Handfast::commit`] or [`Handfast::abort`]: the
    /// answer to `run` then is an unknown one that [is held](crate::Unknown::is_held).
    pub fn hold(mut self) -> Self {
        self.begin.hold = true;
        self
    }

    /// Answers as soon as the node took it: the outcome is unknown then, to be asked for.
    pub fn no_wait(mut self) -> Self {
        self.begin.wait = Some(Wait::None);
        self
    }

    /// Runs it.
    ///
    /// Connect errors, a busy node and lost answers are retried under the same gid, for the
    /// client's timeout on top of the transaction's own. If it may have been sent and no answer
    /// came, the outcome is [`Outcome::Unknown`].
    ///
    /// # Errors
    /// The transaction did not start, so nothing of it can happen.
    pub async fn run(self) -> Result<Outcome, Error> {
        self.handfast.begin(&self.begin).await
    }

    fn statement(mut self, branch: &str, resource: &str, statement: Statement) -> Self {
        self.branch(branch, resource).sql.get_or_insert_default().push(statement);
        self
    }

    fn last_statement(&mut self) -> Option<&mut Statement> {
        self.begin.branches.last_mut()?.sql.as_mut()?.last_mut()
    }

    /// The branch of that name, moved to the end: what follows speaks of it.
    fn branch(&mut self, name: &str, resource: &str) -> &mut Branch {
        let branches = &mut self.begin.branches;
        // One name at two resources stays two branches: the node refuses that, with words.
        let known = branches.iter().position(|b| b.name == name && b.resource == resource);
        let branch = known.map(|at| branches.remove(at)).unwrap_or_else(|| Branch {
            name: name.into(),
            resource: resource.into(),
            ..Branch::default()
        });
        branches.push(branch);
        branches.last_mut().expect("just pushed")
    }
}
