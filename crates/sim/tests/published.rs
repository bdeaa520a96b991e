//! The checker counts as others do, and finds what is wrong in a model that is.

use std::ops::ControlFlow;

use handfast_sim::{
    explore::{Model, Options, Refines, Verdict, Violation, explore},
    published::{CASES, Rm, Rms, Step, TCommit, TwoPhase},
};

#[test]
fn published_models_have_the_published_numbers_of_states() {
    for case in CASES.iter().filter(|case| !case.is_long) {
        let counted = case.check(&mut |_| ControlFlow::Continue(()));
        assert!(counted.is_ok(), "{} of {}: {counted:?}", case.model, case.parameters);
    }
}

/// `TCommit`, and one manager who may abort whenever it is prepared, whatever the others did.
struct Hasty;

impl Model for Hasty {
    type State = Rms;
    type Action = Step;

    fn init(&self) -> Vec<Rms> {
        SPEC.init()
    }

    fn actions(&self, rms: &Rms) -> Vec<Step> {
        let mut actions = SPEC.actions(rms);
        if rms[1] == Rm::Prepared {
            actions.push(Step::Abort(1));
        }
        actions
    }

    fn next(&self, rms: &Rms, step: &Step) -> Rms {
        SPEC.next(rms, step)
    }

    fn is_settled(&self, rms: &Rms) -> bool {
        !rms[..2].contains(&Rm::Prepared)
    }

    fn is_fault(&self, step: &Step) -> bool {
        // Nobody may count on it that one changes its mind.
        matches!(step, Step::Abort(_))
    }
}

const SPEC: TCommit = TCommit { rms: 2 };

#[test]
fn a_step_that_the_specification_forbids_is_found_by_a_shortest_way() {
    let refined = Refines::new(&Hasty, &SPEC, |rms: &Rms| *rms).unwrap();
    let explored = explore(&refined, Options::default(), |_| ControlFlow::Continue(()));
    let Verdict::Violated(found) = explored.verdict else { panic!("{:?}", explored.verdict) };
    assert_eq!(found.violation.invariant, "refinement");
    let ways: [&[Step]; 2] = [
        &[Step::Prepare(0), Step::Prepare(1), Step::Commit(0), Step::Abort(1)],
        &[Step::Prepare(1), Step::Prepare(0), Step::Commit(0), Step::Abort(1)],
    ];
    assert!(ways.contains(&found.actions.as_slice()), "{:?}", found.actions);
}

#[test]
fn a_state_from_which_only_a_fault_leads_on_is_found() {
    let options = Options { settles: true, ..Options::default() };
    let explored = explore(&Hasty, options, |_| ControlFlow::Continue(()));
    let Verdict::Violated(found) = explored.verdict else { panic!("{:?}", explored.verdict) };
    assert_eq!(found.violation.invariant, Violation::SETTLES);
    // One is prepared, the other has aborted: it waits for ever, unless it aborts too.
    assert_eq!(found.actions.len(), 2, "{:?}", found.actions);
    let settled = explore(&SPEC, options, |_| ControlFlow::Continue(()));
    assert!(matches!(settled.verdict, Verdict::Holds));
}

/// Two-phase commit, folded, of which somebody claims that nobody ever commits.
struct NobodyCommits(TwoPhase);

impl Model for NobodyCommits {
    type State = <TwoPhase as Model>::State;
    type Action = <TwoPhase as Model>::Action;

    fn init(&self) -> Vec<Self::State> {
        self.0.init()
    }

    fn actions(&self, state: &Self::State) -> Vec<Self::Action> {
        self.0.actions(state)
    }

    fn next(&self, state: &Self::State, action: &Self::Action) -> Self::State {
        self.0.next(state, action)
    }

    fn canonical(&self, state: Self::State) -> Self::State {
        self.0.canonical(state)
    }

    fn check(&self, _: &Self::State, _: &Self::Action, end: &Self::State) -> Result<(), Violation> {
        match TwoPhase::rms(end).contains(&Rm::Committed) {
            true => Err(Violation::new("nobody commits", "somebody does")),
            false => Ok(()),
        }
    }
}

#[test]
fn a_counterexample_found_among_folded_states_can_happen_as_it_is_told() {
    let model = NobodyCommits(TwoPhase { rms: 3, folded: true });
    let explored = explore(&model, Options::default(), |_| ControlFlow::Continue(()));
    let Verdict::Violated(found) = explored.verdict else { panic!("{:?}", explored.verdict) };
    // Three prepare, three are heard, it is decided, one hears of it.
    assert_eq!(found.actions.len(), 8, "{:?}", found.actions);
    let mut state = model.init().remove(0);
    for action in &found.actions {
        assert!(model.actions(&state).contains(action), "{:?}", found.actions);
        state = model.next(&state, action);
    }
    assert!(TwoPhase::rms(&state).contains(&Rm::Committed));
}

#[test]
fn a_walk_that_may_not_see_everything_says_so() {
    let options = Options { states_max: 10, ..Options::default() };
    let explored = explore(&SPEC, options, |_| ControlFlow::Continue(()));
    assert!(matches!(explored.verdict, Verdict::NotFinished));
    assert_eq!(explored.progress.distinct, 11);
}
