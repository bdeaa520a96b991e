//! Refinement: one model does nothing that another, simpler one does not allow.

use super::{Model, Violation};

/// A model, watched by its specification: `view` shows each of its states as one of the
/// specification's, and each of its steps must be a step there, or change nothing that is seen.
///
/// This is refinement by a function from states to states (Abadi and Lamport 1991, section 2.3),
/// for safety alone.
pub struct Refines<'a, M, S, F> {
    model: &'a M,
    specification: &'a S,
    view: F,
}

impl<'a, M, S, F> Refines<'a, M, S, F>
where
    M: Model,
    S: Model,
    F: Fn(&M::State) -> S::State,
{
    /// The name of what is checked.
    pub const INVARIANT: &'static str = "refinement";

    /// Begins to watch.
    ///
    /// # Errors
    /// The model begins where the specification does not.
    pub fn new(model: &'a M, specification: &'a S, view: F) -> Result<Self, Violation> {
        let allowed = specification.init();
        if model.init().iter().all(|state| allowed.contains(&view(state))) {
            Ok(Self { model, specification, view })
        } else {
            Err(Violation::new(Self::INVARIANT, "it begins where its specification does not"))
        }
    }
}

impl<M, S, F> Model for Refines<'_, M, S, F>
where
    M: Model,
    S: Model,
    F: Fn(&M::State) -> S::State,
{
    type State = M::State;
    type Action = M::Action;

    fn init(&self) -> Vec<M::State> {
        self.model.init()
    }

    fn actions(&self, state: &M::State) -> Vec<M::Action> {
        self.model.actions(state)
    }

    fn next(&self, state: &M::State, action: &M::Action) -> M::State {
        self.model.next(state, action)
    }

    fn canonical(&self, state: M::State) -> M::State {
        self.model.canonical(state)
    }

    fn check(
        &self,
        before: &M::State,
        action: &M::Action,
        after: &M::State,
    ) -> Result<(), Violation> {
        self.model.check(before, action, after)?;
        let (seen_before, seen_after) = ((self.view)(before), (self.view)(after));
        if seen_before == seen_after {
            return Ok(());
        }
        let spec = self.specification;
        let mut steps = spec.actions(&seen_before).into_iter();
        let Some(step) = steps.find(|step| spec.next(&seen_before, step) == seen_after) else {
            let detail = format!("{action:?} is no step of the specification");
            return Err(Violation::new(Self::INVARIANT, detail));
        };
        spec.check(&seen_before, &step, &seen_after)
    }

    fn check_state(&self, state: &M::State) -> Result<(), Violation> {
        self.model.check_state(state)
    }

    fn is_settled(&self, state: &M::State) -> bool {
        self.model.is_settled(state)
    }

    fn is_fault(&self, action: &M::Action) -> bool {
        self.model.is_fault(action)
    }
}
