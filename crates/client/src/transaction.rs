//! The builder of one transaction.

use std::time::Duration;

use crate::{
    Error, Handfast, NotDone, Open, Outcome, Value,
    branch::branch_words,
    wire::{AckWhen, Ask, BeginTransaction, Branch, Call, Decide, KeyOp, Message, Statement, Wait},
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

    /// Operations on keys of a shard, in order.
    pub fn keys(mut self, branch: &str, resource: &str, operations: Vec<KeyOp>) -> Self {
        self.branch(branch, resource).keys.get_or_insert_default().extend(operations);
        self
    }

    /// A step at a service: done before the decision, and undone if that is to abort. Say how with
    /// [`undo`](Self::undo).
    pub fn step(self, branch: &str, resource: &str, act: impl Into<Call>) -> Self {
        self.with(Branch::step(branch, resource, act))
    }

    /// A reservation at a service: try before the decision, then confirm or cancel.
    pub fn reserve(
        self,
        branch: &str,
        resource: &str,
        attempt: impl Into<Call>,
        confirm: impl Into<Call>,
        cancel: impl Into<Call>,
    ) -> Self {
        self.with(Branch::reserve(branch, resource, attempt, confirm, cancel))
    }

    /// A call that is made after the decision to commit, until it succeeds.
    pub fn deliver(self, branch: &str, resource: &str, act: impl Into<Call>) -> Self {
        self.with(Branch::deliver(branch, resource, act))
    }

    /// A message that is sent after the decision to commit, until it arrives.
    pub fn message(self, branch: &str, resource: &str, message: Message) -> Self {
        self.with(Branch::message(branch, resource, message))
    }

    /// A branch in the wire's words.
    pub fn with(mut self, branch: Branch) -> Self {
        self.begin.branches.push(branch);
        self
    }

    /// What its calls may use as `{{input.field}}`: an object.
    pub fn input(mut self, input: impl Into<Value>) -> Self {
        self.begin.input = Some(input.into());
        self
    }

    /// Within this time it must be decided, or it is aborted. [`ask`](Self::ask) is asked first.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.begin.deadline_ms = Some(ms(deadline));
        self
    }

    /// Whom to ask, when an open transaction's deadline is over, whether the caller's local
    /// transaction has committed; [`barrier::ask`](crate::barrier::ask) answers it.
    pub fn ask(mut self, resource: &str, call: impl Into<Call>) -> Self {
        self.begin.ask = Some(Ask { resource: resource.into(), call: call.into() });
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
        self.begin.timeout_ms = Some(ms(timeout));
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

    /// Leaves it open: its steps are done now, and others may be added until
    /// [`commit`](Open::commit) or [`abort`](Open::abort), or until its deadline is over (60 s).
    ///
    /// Opened again under the same gid with the same content, it is the same open transaction.
    ///
    /// # Errors
    /// It is not open; [`NotDone`] says what it is.
    pub async fn open(mut self) -> Result<Open, NotDone> {
        self.begin.open = true;
        Open::begin(self.handfast, &self.begin).await
    }

    /// Prepares a two-phase message: its deliveries happen if and only if the local transaction
    /// commits that [`barrier::mark`](crate::barrier::mark) marks with the same gid.
    ///
    /// Commit that transaction, then [`submit`](Open::submit). If no word comes by the deadline,
    /// Handfast [asks](Self::ask).
    ///
    /// # Errors
    /// As [`open`](Self::open), and if it has nobody to ask.
    pub async fn prepare(self) -> Result<Open, NotDone> {
        match self.begin.ask {
            Some(_) => self.open().await,
            None => Err(Error::Setup("a two-phase message needs somebody to `ask`".into()).into()),
        }
    }

    fn statement(mut self, branch: &str, resource: &str, statement: Statement) -> Self {
        self.branch(branch, resource).sql.get_or_insert_default().push(statement);
        self
    }

    fn last_branch(&mut self) -> Option<&mut Branch> {
        self.begin.branches.last_mut()
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

branch_words!(Transaction);

fn ms(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
