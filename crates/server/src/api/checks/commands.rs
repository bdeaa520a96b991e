//! What is said to a transaction that runs.

use handfast_client::wire::{self, BranchKind};
use handfast_core::{
    limits::REASON_BYTES_MAX,
    plan::{Kind, Part, Planned},
    transaction::Index,
    work::Work,
};

use super::{Rules, calls, codes, plan, retry, within};
use crate::{
    api::Problem,
    node::{Branch, Command, Present},
};

impl Present {
    /// The first branches as a request would describe them, as far as others depend on them.
    fn described(&self, count: usize) -> Vec<wire::Branch> {
        let one = |((name, resource), planned): (&(String, String), &Planned)| {
            let name_of = |at: &u8| Some(self.branches.get(usize::from(*at))?.0.clone());
            let is_called = matches!(planned.work, Work::Calls(_)).then(wire::Call::default);
            let (kind, act, attempt) = match planned.part.kind {
                Kind::Prepare => (BranchKind::Prepare, None, is_called),
                Kind::Step => (BranchKind::Step, is_called, None),
                Kind::Deliver => (BranchKind::Deliver, is_called, None),
            };
            wire::Branch {
                name: name.clone(),
                resource: resource.clone(),
                kind: Some(kind),
                after: Some(planned.part.after.iter().filter_map(name_of).collect()),
                act,
                attempt,
                ..wire::Branch::default()
            }
        };
        self.branches.iter().zip(&self.plan.branches).take(count).map(one).collect()
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.branches.iter().position(|(other, _)| other == name)
    }
}

impl Rules {
    /// A branch that is added to an open transaction. Without `after`, a step comes after all steps
    /// that are there. One that is there under its name is taken as it was when it was added.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing has happened.
    pub fn add(
        &self,
        present: &Present,
        branch: wire::Branch,
        now_ms: u64,
    ) -> Result<Branch, Problem> {
        let name = branch.name.clone();
        self.added(present, branch, now_ms).map_err(|problem| problem.branch(&name))
    }

    fn added(
        &self,
        present: &Present,
        branch: wire::Branch,
        now_ms: u64,
    ) -> Result<Branch, Problem> {
        self.check_name("a branch name", &branch.name)?;
        let there = present.position(&branch.name);
        let at = there.unwrap_or(present.branches.len());
        let (mut work, part) = self.planned(present, at, &branch, now_ms)?;
        if let Some(Planned { work: before, .. }) = there.map(|at| &present.plan.branches[at])
            && calls::is_same_message(before, &work)
        {
            work = before.clone();
        }
        let wire::Branch { name, resource, .. } = branch;
        Ok(Branch { name, resource, work, part })
    }

    /// Whether this node can run a saga's branches.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn check_saga(&self, definition: &wire::SagaDefinition) -> Result<(), Problem> {
        let wire::SagaDefinition { name, timeout_ms, deadline_ms, branches, .. } = definition;
        self.timeout("timeout_ms", *timeout_ms)?;
        within("deadline_ms", *deadline_ms, plan::DEADLINE_MS_MAX)?;
        self.check_branches(branches, false)?;
        branches.iter().try_for_each(|branch| {
            let checked = self.work(name, branch, 0).and_then(|_| retry::patience(branch));
            checked.map(drop).map_err(|problem| problem.branch(&branch.name))
        })
    }

    /// A branch in the place `at`, with those that were there before it.
    fn planned(
        &self,
        present: &Present,
        at: usize,
        branch: &wire::Branch,
        now_ms: u64,
    ) -> Result<(Work, Part), Problem> {
        let work = self.work(&present.gid, branch, now_ms)?;
        let mut branches = present.described(at);
        let mut branch = branch.clone();
        if branch.after.is_none() && plan::kind(&branch) == BranchKind::Step {
            let steps = branches.iter().filter(|one| plan::kind(one) == BranchKind::Step);
            branch.after = Some(steps.map(|step| step.name.clone()).collect());
        }
        branches.push(branch);
        self.check_branches(&branches, false)?;
        if present.plan.terms.ask.is_some() {
            plan::check_asking(&branches[at..])?;
        }
        let order = plan::order(&branches)?;
        Ok((work, plan::part(&branches, at, &order, &present.plan.terms.input)?))
    }

    /// The command to give a branch other calls.
    ///
    /// # Errors
    /// What is wrong with it; nothing has happened.
    pub fn edit(
        &self,
        present: &Present,
        edit: wire::Edit,
        now_ms: u64,
    ) -> Result<Command, Problem> {
        let wire::Edit { branch, reason } = edit;
        let name = branch.name.clone();
        let edited = || {
            let reason = needed_reason(reason)?;
            let at = present.position(&name).ok_or_else(|| {
                Problem::new(&codes::NO_SUCH_BRANCH, "the transaction has no such branch")
            })?;
            let (work, uses) = self.edited(present, at, branch, now_ms)?;
            Ok(Command::Edit { branch: name.clone(), work, uses, reason })
        };
        edited().map_err(|problem: Problem| problem.branch(&name))
    }

    fn edited(
        &self,
        present: &Present,
        at: usize,
        mut branch: wire::Branch,
        now_ms: u64,
    ) -> Result<(Work, Vec<Index>), Problem> {
        let Planned { part, work } = &present.plan.branches[at];
        let all = present.described(present.branches.len());
        let changed = |what: &str| {
            let detail = format!("an edit cannot change the branch's {what}");
            Err(Problem::new(&codes::NOT_EDITABLE, detail))
        };
        if branch.resource != present.branches[at].1 {
            return changed("resource");
        }
        if plan::kind(&branch) != plan::kind(&all[at]) {
            return changed("kind");
        }
        let Work::Calls(before) = work else {
            return changed("statements: only calls of services can be edited");
        };
        let (retry, undo_retry) = (branch.retry.is_some(), branch.undo_retry.is_some());
        let after = branch.after.take();
        branch.after = after.clone().or_else(|| all[at].after.clone());
        let work = self.work(&present.gid, &branch, now_ms)?;
        if before.undo.is_some() && matches!(&work, Work::Calls(calls) if calls.undo.is_none()) {
            let detail = "an edit cannot take a step's `undo` away: it would stay done for ever";
            return Err(Problem::new(&codes::NOT_EDITABLE, detail).cure("Give the `undo` again."));
        }
        let mut branches = all;
        branches[at] = branch;
        let order = plan::order(&branches)?;
        let wanted = plan::part(&branches, at, &order, &present.plan.terms.input)?;
        if after.is_some() && wanted.after != part.after {
            return changed("place");
        }
        let is_delivery = part.kind == Kind::Deliver;
        let is_tried = if is_delivery { &wanted.persistence } else { &wanted.patience };
        let was_tried = if is_delivery { &part.persistence } else { &part.patience };
        if retry && is_tried != was_tried || undo_retry && wanted.persistence != part.persistence {
            return changed("retries");
        }
        plan::check_outputs(&branches[at], |name| {
            present.position(name).and_then(|at| present.outputs[at].as_deref())
        })?;
        Ok((work, wanted.uses))
    }
}

/// The command to declare a branch finished.
///
/// # Errors
/// What is wrong with it; nothing has happened.
pub fn resolve(resolve: wire::Resolve) -> Result<Command, Problem> {
    let wire::Resolve { branch, outcome, reason } = resolve;
    let checked = needed_reason(reason).and_then(|reason| Ok((seen(outcome)?, reason)));
    let (committed, reason) = checked.map_err(|problem| problem.branch(&branch))?;
    Ok(Command::Resolve { branch, committed, reason })
}

/// Whether an operator saw a branch committed.
///
/// # Errors
/// Nothing was seen.
pub fn seen(outcome: wire::Outcome) -> Result<bool, Problem> {
    match outcome {
        wire::Outcome::Committed => Ok(true),
        wire::Outcome::Aborted => Ok(false),
        wire::Outcome::Unknown => Err(Problem::new(&codes::BAD_OUTCOME, "`outcome` is `unknown`")),
    }
}

/// A reason that can be kept, of a word that is not said without.
///
/// # Errors
/// There is none, or it is too long.
pub fn needed_reason(reason: String) -> Result<String, Problem> {
    if reason.trim().is_empty() {
        return Err(Problem::new(&codes::BAD_REASON, "there is no reason"));
    }
    self::reason(reason)
}

/// A reason that can be kept.
///
/// # Errors
/// It is too long.
pub fn reason(reason: String) -> Result<String, Problem> {
    if reason.len() > REASON_BYTES_MAX {
        let detail = format!("the reason has {} bytes", reason.len());
        return Err(Problem::new(&codes::BAD_REASON, detail));
    }
    Ok(reason)
}
