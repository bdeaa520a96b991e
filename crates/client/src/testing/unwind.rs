//! Does a saga come undone, wherever it fails?
//!
//! Every step fails in turn, in two ways: it never came to its service, or it was done and the
//! answer was lost. Handfast cannot tell these apart, so it undoes the step in both. Every do and
//! every undo that is answered comes twice, and at the end all that was done comes once more, as a
//! duplicate that was under way for long.

use std::fmt;

use super::{
    Answer, Reply, Request, Unanswered,
    run::{Run, kinds, named, short, unfit},
};
use crate::wire::{BeginTransaction, Branch, BranchKind};

/// What is not clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dirt {
    /// It is not done though nothing failed yet: what comes after it was not tested.
    NotDone,
    /// The second do answers, or changes, something else.
    DoTwice,
    /// It has no undo, and one that can fail comes after it.
    NoUndo,
    /// Its undo names what is not there when the answer to its do was lost.
    UndoUnfilled,
    /// The undo of what was done is not answered with success.
    UndoFails,
    /// The second undo is not answered with success, or changes something.
    UndoTwice,
    /// The undo of what was never done is not answered with success, or changes something.
    EmptyUndo,
    /// When all was undone, the state is not what it was before.
    Leftover,
    /// A do that comes after its undo changes something.
    LateDo,
}

/// One thing that is not clean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How the saga failed.
    pub failure: String,
    /// The branch, if it is about one.
    pub branch: Option<String>,
    /// What.
    pub dirt: Dirt,
    /// What was answered, or what differs.
    pub detail: String,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// In how many ways the saga was failed.
    pub failures: usize,
    /// What is not clean.
    pub findings: Vec<Finding>,
}

/// Why a saga cannot be tested.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("failed to test the saga: {0}")]
pub struct Unfit(pub String);

impl Report {
    /// Whether nothing was found, and there was something to find.
    pub fn is_clean(&self) -> bool {
        self.failures > 0 && self.findings.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "failed in {} ways, {} findings", self.failures, self.findings.len())?;
        self.findings.iter().try_for_each(|finding| writeln!(f, "{finding}"))
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let branch = self.branch.as_ref().map(|name| format!(" `{name}`")).unwrap_or_default();
        write!(f, "{}:{branch} {}: {}", self.failure, self.dirt, self.detail)
    }
}

impl fmt::Display for Dirt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotDone => "is not done",
            Self::DoTwice => "is done twice",
            Self::NoUndo => "cannot be undone",
            Self::UndoUnfilled => "cannot be undone without its output",
            Self::UndoFails => "is not undone",
            Self::UndoTwice => "is undone twice",
            Self::EmptyUndo => "is undone though it was never done",
            Self::Leftover => "something is left",
            Self::LateDo => "is done after its undo",
        })
    }
}

/// Fails every step and every reservation of a saga in turn, and tells what is not clean then.
///
/// `call` brings a call to its service, such as [`Services::call`](super::Services::call) does, or
/// a function of the test. `snapshot` tells the state that the saga changes; nobody else may change
/// it meanwhile. Steps without an undo, databases and deliveries are not called, but a step without
/// an undo is found if it is not the last.
///
/// 404 to the undo of a branch with `absent_is_undone` is believed as a node believes it: if its do
/// was answered. Without that answer the do may still arrive, so a node would try the undo again.
///
/// # Errors
/// What is asked for is no saga, or there is no step in it.
pub async fn check<F, S, T>(saga: &BeginTransaction, call: F, snapshot: S) -> Result<Report, Unfit>
where
    F: AsyncFn(Request) -> Result<Answer, Unanswered>,
    S: AsyncFn() -> T,
    T: PartialEq + fmt::Debug,
{
    let branches = in_order(saga)?;
    let mut report = Report::default();
    for failing in 0..=branches.len() {
        let (done, rest) = branches.split_at(failing);
        let ways = match rest.first() {
            Some(branch) => vec![
                (format!("`{}` never arrived", branch.name), Some((*branch, false))),
                (format!("`{}` lost its answer", branch.name), Some((*branch, true))),
            ],
            None => vec![("aborted when all was done".into(), None)],
        };
        for (failure, lost) in ways {
            let run = Run::new(&call, &saga.input);
            let mut unwinding = Unwinding { run, snapshot: &snapshot, failure, found: Vec::new() };
            unwinding.unwind(done, lost).await;
            report.failures += 1;
            report.findings.append(&mut unwinding.found);
        }
    }
    Ok(report)
}

struct Unwinding<'a, F, S> {
    run: Run<'a, F>,
    snapshot: &'a S,
    failure: String,
    found: Vec<Finding>,
}

impl<F, S, T> Unwinding<'_, F, S>
where
    F: AsyncFn(Request) -> Result<Answer, Unanswered>,
    S: AsyncFn() -> T,
    T: PartialEq + fmt::Debug,
{
    /// `lost` is the step of which nobody heard, and whether it was done.
    async fn unwind(&mut self, done: &[&Branch], lost: Option<(&Branch, bool)>) {
        let before = (self.snapshot)().await;
        let mut begun = Vec::new();
        for branch in done {
            if !self.do_twice(branch).await {
                break;
            }
            begun.push((*branch, true));
        }
        // A step that is refused where nothing failed ends this run early.
        let lost = lost.filter(|_| begun.len() == done.len());
        if let Some((branch, arrives)) = lost {
            if arrives {
                self.run.send(branch, kinds(branch)[0], 1).await;
            }
            begun.push((branch, arrives));
        }
        for (branch, was_done) in begun.iter().rev() {
            self.undo_twice(branch, *was_done).await;
        }
        let mut after = self.compare(None, Dirt::Leftover, &before).await;
        for (branch, _) in begun {
            self.run.send(branch, kinds(branch)[0], 3).await;
            after = self.compare(Some(branch), Dirt::LateDo, &after).await;
        }
    }

    async fn do_twice(&mut self, branch: &Branch) -> bool {
        let kind = kinds(branch)[0];
        let first = self.run.send(branch, kind, 1).await;
        if !first.is_done() {
            self.find(Some(branch), Dirt::NotDone, first.to_string());
            return false;
        }
        self.run.learn(branch, &first);
        let state = (self.snapshot)().await;
        let second = self.run.send(branch, kind, 2).await;
        if first != second {
            let detail = format!("first {first}, then {second}");
            self.find(Some(branch), Dirt::DoTwice, detail);
        }
        self.compare(Some(branch), Dirt::DoTwice, &state).await;
        true
    }

    async fn undo_twice(&mut self, branch: &Branch, was_done: bool) {
        let kind = kinds(branch)[1];
        if named(branch, kind).is_none() {
            return self.find(Some(branch), Dirt::NoUndo, "and one after it failed".into());
        }
        let before = (self.snapshot)().await;
        let first = self.run.send(branch, kind, 1).await;
        let dirt = match (&first, was_done) {
            (Reply::Done(_), true) => None,
            (Reply::Done(_), false) => {
                self.compare(Some(branch), Dirt::EmptyUndo, &before).await;
                None
            }
            (Reply::Unfilled(_), _) => Some(Dirt::UndoUnfilled),
            (_, true) => Some(Dirt::UndoFails),
            (_, false) => Some(Dirt::EmptyUndo),
        };
        if let Some(dirt) = dirt {
            return self.find(Some(branch), dirt, first.to_string());
        }
        let state = (self.snapshot)().await;
        let second = self.run.send(branch, kind, 2).await;
        if !second.is_done() {
            self.find(Some(branch), Dirt::UndoTwice, second.to_string());
        }
        self.compare(Some(branch), Dirt::UndoTwice, &state).await;
    }

    /// The state must be that; tells what it is.
    async fn compare(&mut self, branch: Option<&Branch>, dirt: Dirt, expected: &T) -> T {
        let state = (self.snapshot)().await;
        if state != *expected {
            let [expected, state] = [expected, &state].map(|s| short(&format!("{s:?}")));
            self.find(branch, dirt, format!("{expected} became {state}"));
        }
        state
    }

    fn find(&mut self, branch: Option<&Branch>, dirt: Dirt, detail: String) {
        let (failure, branch) = (self.failure.clone(), branch.map(|branch| branch.name.clone()));
        self.found.push(Finding { failure, branch, dirt, detail });
    }
}

/// Steps and reservations in an order in which they may run.
fn in_order(saga: &BeginTransaction) -> Result<Vec<&Branch>, Unfit> {
    let is_called = |branch: &&Branch| is_step(branch) || branch.attempt.is_some();
    let called: Vec<&Branch> = saga.branches.iter().filter(is_called).collect();
    if let Some(why) = called.iter().find_map(|branch| unfit(branch)) {
        return Err(Unfit(why));
    }
    let mut names = called.iter().flat_map(|branch| branch.after.iter().flatten());
    let is_there = |name: &&String| saga.branches.iter().any(|branch| branch.name == **name);
    if let Some(unknown) = names.find(|name| !is_there(name)) {
        return Err(Unfit(format!("there is no branch `{unknown}` to come after")));
    }
    let mut waiting: Vec<usize> = (0..called.len()).collect();
    let mut order = Vec::new();
    while !waiting.is_empty() {
        let is_ready = |at: &usize| !waiting.iter().any(|other| comes_after(&called, *at, *other));
        let next = waiting.iter().position(is_ready);
        let next = next.ok_or_else(|| Unfit("its steps wait for each other".into()))?;
        order.push(called[waiting.remove(next)]);
    }
    match order.is_empty() {
        true => Err(Unfit("it has no step and no reservation".into())),
        false => Ok(order),
    }
}

fn comes_after(called: &[&Branch], at: usize, other: usize) -> bool {
    let (branch, before) = (called[at], called[other]);
    match &branch.after {
        Some(names) => names.contains(&before.name),
        // A step comes after the one before it in the list, a reservation after all steps.
        None => is_step(before) && (!is_step(branch) || other < at),
    }
}

fn is_step(branch: &Branch) -> bool {
    branch.kind == Some(BranchKind::Step)
}
