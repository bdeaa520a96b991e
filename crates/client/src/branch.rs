//! The words about one branch, said in the same way of one by itself, of the last one of a
//! [`Transaction`](crate::Transaction), and of one that is [added](crate::Adding) to an open one.

use std::time::Duration;

use crate::{
    Value,
    wire::{Branch, BranchKind, Call, Message, Statement},
};

/// How long a step is tried if nothing else is said.
const STEP_WITHIN_MS: u64 = 30_000;

impl Branch {
    /// A branch that is done before the decision, and undone if that is to abort.
    pub fn step(name: &str, resource: &str, act: impl Into<Call>) -> Self {
        Self { act: Some(act.into()), ..Self::new(name, resource, BranchKind::Step) }
    }

    /// A reservation: try before the decision, then confirm or cancel.
    pub fn reserve(
        name: &str,
        resource: &str,
        attempt: impl Into<Call>,
        confirm: impl Into<Call>,
        cancel: impl Into<Call>,
    ) -> Self {
        Self {
            attempt: Some(attempt.into()),
            confirm: Some(confirm.into()),
            cancel: Some(cancel.into()),
            ..Self::new(name, resource, BranchKind::Prepare)
        }
    }

    /// A branch that is done after the decision to commit, until it succeeds.
    pub fn deliver(name: &str, resource: &str, act: impl Into<Call>) -> Self {
        Self { act: Some(act.into()), ..Self::new(name, resource, BranchKind::Deliver) }
    }

    /// A delivery that posts a CloudEvent.
    pub fn message(name: &str, resource: &str, message: Message) -> Self {
        Self { message: Some(message), ..Self::new(name, resource, BranchKind::Deliver) }
    }

    /// One statement, at a database.
    pub fn sql(name: &str, resource: &str, text: &str, params: Vec<Value>) -> Self {
        let statement = Statement(text.into(), params, Default::default());
        Self { sql: Some(vec![statement]), ..Self::new(name, resource, BranchKind::Prepare) }
    }

    /// How long it may take until it is done or given up: nothing for what is not a step.
    pub(crate) fn within(&self) -> Duration {
        let most = self.retry.and_then(|retry| retry.within_ms).unwrap_or(STEP_WITHIN_MS);
        Duration::from_millis(if self.kind == Some(BranchKind::Step) { most } else { 0 })
    }

    fn last_branch(&mut self) -> Option<&mut Self> {
        Some(self)
    }

    pub(crate) fn last_statement(&mut self) -> Option<&mut Statement> {
        self.sql.as_mut()?.last_mut()
    }

    fn new(name: &str, resource: &str, kind: BranchKind) -> Self {
        let kind = Some(kind).filter(|kind| *kind != BranchKind::Prepare);
        Self { name: name.into(), resource: resource.into(), kind, ..Self::default() }
    }
}

/// The words, for a type whose `last_branch` lends the branch that they are about, if there is one.
macro_rules! branch_words {
    ($builder:ty) => {
        impl $builder {
            /// What takes the step before back if the transaction aborts. It may be called though
            /// the step was never done, or not completely.
            pub fn undo(mut self, call: impl Into<$crate::wire::Call>) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.undo = Some(call.into());
                }
                self
            }

            /// Which branches come before this one. Without it, a step comes after the step before
            /// it, what prepares after all steps, and a delivery after none.
            pub fn after<'n>(mut self, names: impl IntoIterator<Item = &'n str>) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.after = Some(names.into_iter().map(Into::into).collect());
                }
                self
            }

            /// How the step, or the delivery, is tried again.
            pub fn retry(mut self, retry: $crate::wire::Retry) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.retry = Some(retry);
                }
                self
            }

            /// How the step's undo is tried again.
            pub fn undo_retry(mut self, retry: $crate::wire::Retry) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.undo_retry = Some(retry);
                }
                self
            }

            /// 404 or 410 to undo or cancel means that there is nothing to undo.
            pub fn absent_is_undone(mut self) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.absent_is_undone = true;
                }
                self
            }

            /// Deliveries with this key to this resource arrive in the order of their decisions.
            pub fn order_key(mut self, key: &str) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.order_key = Some(key.into());
                }
                self
            }

            /// How many rows the statement before must affect or return; otherwise all is aborted.
            pub fn expect_rows(mut self, rows: u64) -> Self {
                if let Some(statement) = self.last_branch().and_then(|b| b.last_statement()) {
                    statement.2.rows = Some(rows);
                }
                self
            }

            /// Hands back the rows of the statement before, in `results` of the committed
            /// transaction.
            pub fn returning(mut self) -> Self {
                if let Some(statement) = self.last_branch().and_then(|b| b.last_statement()) {
                    statement.2.returns = true;
                }
                self
            }

            /// The isolation level of the branch before, in its database.
            pub fn isolation(mut self, isolation: $crate::wire::Isolation) -> Self {
                if let Some(branch) = self.last_branch() {
                    branch.isolation = Some(isolation);
                }
                self
            }
        }
    };
}

pub(crate) use branch_words;

branch_words!(Branch);
