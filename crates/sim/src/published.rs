//! Published models, whose numbers of states are known: does this checker count as others do?
//!
//! They are the three specifications of Gray and Lamport, "Consensus on Transaction Commit" (2006),
//! written once more as small test machines. Messages are a set that only grows: a message may be
//! read late, again, or never. They check the checker, not Handfast.

mod paxos_commit;
mod two_phase;

use std::ops::ControlFlow;

use crate::explore::{Model, Options, Progress, Refines, Verdict, Violation, explore};

pub use paxos_commit::PaxosCommit;
pub use two_phase::{TwoPhase, folded_by_state_depth_first};

/// Most resource managers in one of these models.
pub const RMS_MAX: usize = 6;

/// A resource manager: what a participant is called in the paper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rm {
    /// It may still do as it likes.
    #[default]
    Working,
    /// It can do either, and waits.
    Prepared,
    /// It is done.
    Committed,
    /// It is undone.
    Aborted,
}

/// All resource managers; those that the model does not have are `Working`.
pub type Rms = [Rm; RMS_MAX];

/// What transaction commit is, whatever the protocol (the paper's TCommit).
#[derive(Clone, Copy, Debug)]
pub struct TCommit {
    /// How many resource managers there are.
    pub rms: usize,
}

/// What a resource manager does in [`TCommit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It prepares.
    Prepare(usize),
    /// It commits, all others being prepared or committed.
    Commit(usize),
    /// It aborts, nobody having committed.
    Abort(usize),
}

impl Model for TCommit {
    type State = Rms;
    type Action = Step;

    fn init(&self) -> Vec<Rms> {
        vec![Rms::default()]
    }

    fn actions(&self, rms: &Rms) -> Vec<Step> {
        let all = &rms[..self.rms];
        let may_commit = all.iter().all(|rm| matches!(rm, Rm::Prepared | Rm::Committed));
        let may_abort = !all.contains(&Rm::Committed);
        let mut actions = Vec::new();
        for (r, rm) in all.iter().enumerate() {
            if *rm == Rm::Working {
                actions.push(Step::Prepare(r));
            }
            if *rm == Rm::Prepared && may_commit {
                actions.push(Step::Commit(r));
            }
            if matches!(rm, Rm::Working | Rm::Prepared) && may_abort {
                actions.push(Step::Abort(r));
            }
        }
        actions
    }

    fn next(&self, rms: &Rms, step: &Step) -> Rms {
        let mut rms = *rms;
        match *step {
            Step::Prepare(r) => rms[r] = Rm::Prepared,
            Step::Commit(r) => rms[r] = Rm::Committed,
            Step::Abort(r) => rms[r] = Rm::Aborted,
        }
        rms
    }

    fn check(&self, _: &Rms, _: &Step, after: &Rms) -> Result<(), Violation> {
        consistent(after)
    }
}

/// No two resource managers end differently (the paper's TCConsistent).
fn consistent(rms: &Rms) -> Result<(), Violation> {
    if rms.contains(&Rm::Committed) && rms.contains(&Rm::Aborted) {
        return Err(Violation::new("agreement", format!("{rms:?}")));
    }
    Ok(())
}

/// A model with known numbers.
pub struct Case {
    /// Its name in the paper.
    pub model: &'static str,
    /// How large it is.
    pub parameters: &'static str,
    /// How many states differ.
    pub distinct: usize,
    /// States on the longest of all shortest ways, where that is published.
    pub depth: Option<usize>,
    /// Whether it takes more than a moment.
    pub is_long: bool,
    walk: Walk,
}

type Watch<'a> = &'a mut dyn FnMut(&Progress) -> ControlFlow<()>;
type Walk = fn(Watch<'_>) -> (Progress, Result<(), String>);

impl Case {
    /// Walks the model, watching that it is consistent and does nothing that `TCommit` does not.
    ///
    /// # Errors
    /// Says what does not hold, or which number is another one than the known one.
    pub fn check(&self, watch: Watch<'_>) -> Result<Progress, String> {
        let (progress, verdict) = (self.walk)(watch);
        verdict?;
        if progress.distinct != self.distinct {
            return Err(format!("{} states, not {}", progress.distinct, self.distinct));
        }
        match self.depth.filter(|depth| *depth != progress.depth) {
            Some(depth) => Err(format!("{} deep, not {depth}", progress.depth)),
            None => Ok(progress),
        }
    }
}

/// Every model whose numbers are known, the smallest first. Those of `TCommit` with 3, `TwoPhase`
/// with 3 and `PaxosCommit` with 2 and 3 are published with the specifications, 8,832 and 665 with
/// the model checker stateright; the others were counted by a second program for this purpose.
#[rustfmt::skip]
pub const CASES: &[Case] = &[
    case("TCommit", "1 RM", 4, None, |w| walk(&TCommit { rms: 1 }, w)),
    case("TCommit", "2 RMs", 12, None, |w| walk(&TCommit { rms: 2 }, w)),
    case("TCommit", "3 RMs", 34, Some(7), |w| walk(&TCommit { rms: 3 }, w)),
    case("TCommit", "4 RMs", 96, None, |w| walk(&TCommit { rms: 4 }, w)),
    case("TCommit", "5 RMs", 274, None, |w| walk(&TCommit { rms: 5 }, w)),
    case("TwoPhase", "1 RM", 12, None, |w| two_phase(1, false, w)),
    case("TwoPhase", "2 RMs", 56, None, |w| two_phase(2, false, w)),
    case("TwoPhase", "3 RMs", 288, Some(11), |w| two_phase(3, false, w)),
    case("TwoPhase", "4 RMs", 1_568, None, |w| two_phase(4, false, w)),
    case("TwoPhase", "5 RMs", 8_832, None, |w| two_phase(5, false, w)),
    case("TwoPhase", "5 RMs, folded by state", 665, None, |_| folded_by_state_depth_first(5)),
    case("TwoPhase", "5 RMs, folded", 314, None, |w| two_phase(5, true, w)),
    case("TwoPhase", "6 RMs", 50_816, None, |w| two_phase(6, false, w)),
    case("PaxosCommit", "1 RM, 1 acceptor", 45, None, |w| paxos_commit(1, 1, w)),
    case("PaxosCommit", "2 RMs, 1 acceptor", 1_425, None, |w| paxos_commit(2, 1, w)),
    case("PaxosCommit", "1 RM, 3 acceptors", 1_461, None, |w| paxos_commit(1, 3, w)),
    case("PaxosCommit", "3 RMs, 1 acceptor", 53_625, None, |w| paxos_commit(3, 1, w)),
    Case { is_long: true, ..case("PaxosCommit", "2 RMs, 3 acceptors", 1_321_761, Some(28),
        |w| paxos_commit(2, 3, w)) },
];

const fn case(
    model: &'static str,
    parameters: &'static str,
    distinct: usize,
    depth: Option<usize>,
    walk: Walk,
) -> Case {
    Case { model, parameters, distinct, depth, is_long: false, walk }
}

fn two_phase(rms: usize, folded: bool, watch: Watch<'_>) -> (Progress, Result<(), String>) {
    walk_refined(&TwoPhase { rms, folded }, rms, TwoPhase::rms, watch)
}

fn paxos_commit(rms: usize, acceptors: usize, watch: Watch<'_>) -> (Progress, Result<(), String>) {
    walk_refined(&PaxosCommit { rms, acceptors }, rms, |state| state.rms, watch)
}

fn walk_refined<M: Model>(
    model: &M,
    rms: usize,
    view: impl Fn(&M::State) -> Rms,
    watch: Watch<'_>,
) -> (Progress, Result<(), String>) {
    match Refines::new(model, &TCommit { rms }, view) {
        Ok(refined) => walk(&refined, watch),
        Err(violation) => (Progress::default(), Err(violation.to_string())),
    }
}

fn walk<M: Model>(model: &M, watch: Watch<'_>) -> (Progress, Result<(), String>) {
    let explored = explore(model, Options::default(), watch);
    let verdict = match explored.verdict {
        Verdict::Holds => Ok(()),
        Verdict::Violated(found) => Err(format!("{}, by {:?}", found.violation, found.actions)),
        Verdict::NotFinished => Err("not finished".into()),
    };
    (explored.progress, verdict)
}
