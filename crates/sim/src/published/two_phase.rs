//! Two-phase commit, as in the paper: one transaction manager, resource managers, messages.

use std::collections::HashSet;

use super::{RMS_MAX, Rm, Rms, consistent};
use crate::explore::{Model, Progress, Violation};

/// Two-phase commit (the paper's TwoPhase).
#[derive(Clone, Copy, Debug)]
pub struct TwoPhase {
    /// How many resource managers there are.
    pub rms: usize,
    /// Whether states that differ in the managers' names only are taken for one.
    pub folded: bool,
}

/// Everything about the transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    parties: [Party; RMS_MAX],
    tm: Tm,
}

/// A resource manager, and what the transaction manager has from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Party {
    rm: Rm,
    /// It has said that it is prepared.
    said: bool,
    /// The transaction manager has heard so.
    heard: bool,
}

/// The transaction manager. Once decided, its message is there to be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Tm {
    #[default]
    Init,
    Committed,
    Aborted,
}

/// What can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The transaction manager decides to commit.
    TmCommit,
    /// The transaction manager decides to abort, for reasons of its own.
    TmAbort,
    /// The transaction manager hears that one is prepared.
    TmRcvPrepared(usize),
    /// One prepares, and says so.
    RmPrepare(usize),
    /// One aborts by its own choice.
    RmChooseToAbort(usize),
    /// One reads that it is committed.
    RmRcvCommitMsg(usize),
    /// One reads that it is aborted.
    RmRcvAbortMsg(usize),
}

impl TwoPhase {
    /// What the resource managers are: the view of `TCommit`.
    pub fn rms(state: &State) -> Rms {
        state.parties.map(|party| party.rm)
    }
}

impl Model for TwoPhase {
    type State = State;
    type Action = Action;

    fn init(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State) -> Vec<Action> {
        let parties = &state.parties[..self.rms];
        let mut actions = Vec::new();
        if state.tm == Tm::Init {
            if parties.iter().all(|party| party.heard) {
                actions.push(Action::TmCommit);
            }
            actions.push(Action::TmAbort);
        }
        for (r, party) in parties.iter().enumerate() {
            if state.tm == Tm::Init && party.said {
                actions.push(Action::TmRcvPrepared(r));
            }
            if party.rm == Rm::Working {
                actions.extend([Action::RmPrepare(r), Action::RmChooseToAbort(r)]);
            }
            match state.tm {
                Tm::Init => {}
                Tm::Committed => actions.push(Action::RmRcvCommitMsg(r)),
                Tm::Aborted => actions.push(Action::RmRcvAbortMsg(r)),
            }
        }
        actions
    }

    fn next(&self, state: &State, action: &Action) -> State {
        let mut state = *state;
        match *action {
            Action::TmCommit => state.tm = Tm::Committed,
            Action::TmAbort => state.tm = Tm::Aborted,
            Action::TmRcvPrepared(r) => state.parties[r].heard = true,
            Action::RmPrepare(r) => {
                state.parties[r].rm = Rm::Prepared;
                state.parties[r].said = true;
            }
            Action::RmRcvCommitMsg(r) => state.parties[r].rm = Rm::Committed,
            Action::RmChooseToAbort(r) | Action::RmRcvAbortMsg(r) => {
                state.parties[r].rm = Rm::Aborted;
            }
        }
        state
    }

    fn canonical(&self, mut state: State) -> State {
        if self.folded {
            state.parties[..self.rms].sort_unstable();
        }
        state
    }

    fn check(&self, _: &State, _: &Action, after: &State) -> Result<(), Violation> {
        consistent(&Self::rms(after))
    }
}

/// Counts as stateright does where it gives 665 for five managers.
///
/// That is not the number of folds, which is 314 (56 before the decision, 252 after an abort, 6
/// after a commit). It folds by the managers' states alone, so that one fold has several faces, and
/// walks on from the first state of each face: how many faces are seen then depends on the order of
/// the walk. It is the number for this order, depth first.
pub fn folded_by_state_depth_first(rms: usize) -> (Progress, Result<(), String>) {
    let model = TwoPhase { rms, folded: false };
    let face = |mut state: State| {
        state.parties[..rms].sort_by_key(|party| party.rm);
        state
    };
    let mut progress = Progress { generated: 1, ..Progress::default() };
    let mut stack = model.init();
    let mut seen: HashSet<State> = stack.iter().copied().map(face).collect();
    while let Some(state) = stack.pop() {
        for action in model.actions(&state) {
            progress.generated += 1;
            let after = model.next(&state, &action);
            if let Err(violation) = model.check(&state, &action, &after) {
                return (progress, Err(violation.to_string()));
            }
            if seen.insert(face(after)) {
                stack.push(after);
            }
        }
    }
    progress.distinct = seen.len();
    (progress, Ok(()))
}
