//! The exhaustive walk: every state that a model can reach, breadth first.
//!
//! States are told apart by equality; a hash only finds the candidates. So a state is never taken
//! for another one, and a verdict is one about all of them. Since the walk is breadth first, the
//! first counterexample is a shortest one.
//!
//! A model may fold states that differ only in names (see [`Model::canonical`]). The walk then
//! visits one state of each fold, and a counterexample is translated back to one that can happen.

mod refines;
mod settling;
mod store;

use std::{
    fmt::{self, Debug},
    hash::Hash,
    ops::ControlFlow,
};

pub use refines::Refines;

use self::{settling::Edges, store::Store};

/// What can be walked: states, what can happen in them, and what must hold.
pub trait Model {
    /// Everything that decides what can happen next, and nothing else.
    type State: Clone + Eq + Hash;
    /// One thing that can happen.
    type Action: Clone + Debug;

    /// The states to begin with; at least one.
    fn init(&self) -> Vec<Self::State>;

    /// What can happen in `state`.
    fn actions(&self, state: &Self::State) -> Vec<Self::Action>;

    /// What becomes of `state`. Must depend on nothing else than these two.
    fn next(&self, state: &Self::State, action: &Self::Action) -> Self::State;

    /// The state that stands for all those which differ from `state` in names only. What can
    /// happen, what must hold and what is settled must be the same for all of them.
    fn canonical(&self, state: Self::State) -> Self::State {
        state
    }

    /// What must hold, seen at the step that may have broken it.
    ///
    /// # Errors
    /// Says what does not hold.
    fn check(
        &self,
        _before: &Self::State,
        _action: &Self::Action,
        _after: &Self::State,
    ) -> Result<(), Violation> {
        Ok(())
    }

    /// What must hold in each state by itself; asked once for each that differs.
    ///
    /// # Errors
    /// Says what does not hold.
    fn check_state(&self, _state: &Self::State) -> Result<(), Violation> {
        Ok(())
    }

    /// Whether nothing is left to do in `state`; asked only if [`Options::settles`].
    fn is_settled(&self, _state: &Self::State) -> bool {
        true
    }

    /// Asked about a state from which the walk has found no way to a settled one: all is well if
    /// there is one on which the walk was not allowed to go.
    ///
    /// # Errors
    /// There is none.
    fn settles_beyond(&self, _state: &Self::State) -> Result<(), Violation> {
        let detail = "from here nothing but a fault leads to where nothing is left to do";
        Err(Violation::new(Violation::SETTLES, detail))
    }

    /// Whether nobody may count on `action` to happen, when it is asked how things settle: a crash,
    /// a loss, a caller's change of mind.
    fn is_fault(&self, _action: &Self::Action) -> bool {
        false
    }
}

/// What did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: &'static str,
    /// What was found instead.
    pub detail: String,
}

impl Violation {
    /// The violation of [`Options::settles`].
    pub const SETTLES: &str = "settles";

    /// Names the invariant and what was found instead of it.
    pub fn new(invariant: &'static str, detail: impl Into<String>) -> Self {
        Self { invariant, detail: detail.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.detail)
    }
}

/// How far to walk, and for what.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The walk stops, not finished, when it would keep more states than this.
    pub states_max: usize,
    /// Whether to check too that from every state a settled one can be reached without faults.
    pub settles: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { states_max: 50_000_000, settles: false }
    }
}

/// How far a walk has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// States seen that differ.
    pub distinct: usize,
    /// Steps taken, and states begun with.
    pub generated: u64,
    /// States on the longest of all shortest ways to a state, counted as TLC does: 1 for a model in
    /// which nothing can happen.
    pub depth: usize,
    /// States seen, and not yet walked on from.
    pub waiting: usize,
}

/// What came of a walk.
#[derive(Clone, Debug)]
pub struct Explored<A> {
    /// How far it came.
    pub progress: Progress,
    /// What it found.
    pub verdict: Verdict<A>,
}

/// What a walk found.
#[derive(Clone, Debug)]
pub enum Verdict<A> {
    /// Everything was seen, and all of it holds.
    Holds,
    /// Something does not hold.
    Violated(Counterexample<A>),
    /// There is more than the walk was allowed to see; in what it saw, all holds.
    NotFinished,
}

/// A shortest way to what does not hold.
#[derive(Clone, Debug)]
pub struct Counterexample<A> {
    /// What does not hold.
    pub violation: Violation,
    /// What must happen, from the first of the model's initial states with which it does.
    pub actions: Vec<A>,
}

/// How many states are walked on from between two calls of the progress callback.
const REPORT_STATES: usize = 4096;

/// Walks `model` to its end, to the first violation, or until it may not go on. `watch` is told how
/// far the walk has come, again and again, and can end it.
pub fn explore<M: Model>(
    model: &M,
    options: Options,
    mut watch: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Explored<M::Action> {
    let mut walk = Walk::new(model, options);
    let mut at = 0;
    let mut level_end = 0;
    while at < walk.store.len() {
        if at == level_end {
            level_end = walk.store.len();
            walk.progress.depth += 1;
        }
        if let Err(violation) = walk.expand(at) {
            let actions = walk.path(at, Some(&violation));
            return walk.ended(at, Verdict::Violated(Counterexample { violation, actions }));
        }
        at += 1;
        let stop = at.is_multiple_of(REPORT_STATES) && watch(&walk.now(at)).is_break();
        if stop || walk.store.len() > options.states_max {
            return walk.ended(at, Verdict::NotFinished);
        }
    }
    let verdict = match walk.unsettled() {
        None => Verdict::Holds,
        Some(counterexample) => Verdict::Violated(counterexample),
    };
    walk.ended(at, verdict)
}

struct Walk<'a, M: Model> {
    model: &'a M,
    store: Store<M::State>,
    /// The steps between the states that are no faults, if it matters how things settle.
    edges: Option<Edges>,
    progress: Progress,
}

impl<'a, M: Model> Walk<'a, M> {
    fn new(model: &'a M, options: Options) -> Self {
        let mut store = Store::new();
        let mut generated = 0;
        for state in model.init() {
            generated += 1;
            store.insert(model.canonical(state), None);
        }
        let edges = options.settles.then(Edges::new);
        Self { model, store, edges, progress: Progress { generated, ..Progress::default() } }
    }

    /// Takes every step that leads on from a state.
    fn expand(&mut self, at: usize) -> Result<(), Violation> {
        for action in self.model.actions(self.store.state(at)) {
            self.progress.generated += 1;
            let before = self.store.state(at);
            let after = self.model.next(before, &action);
            self.model.check(before, &action, &after)?;
            let known = self.store.len();
            let to = self.store.insert(self.model.canonical(after), Some(at));
            if self.store.len() > known {
                self.model.check_state(self.store.state(known))?;
            }
            if let Some(edges) = &mut self.edges
                && !self.model.is_fault(&action)
            {
                edges.push(to);
            }
        }
        if let Some(edges) = &mut self.edges {
            edges.end_of_state();
        }
        Ok(())
    }

    fn unsettled(&self) -> Option<Counterexample<M::Action>> {
        let edges = self.edges.as_ref()?;
        let at = edges.first_unsettled(
            |at| self.model.is_settled(self.store.state(at)),
            |at| self.model.settles_beyond(self.store.state(at)).is_ok(),
        )?;
        let violation = self.model.settles_beyond(self.store.state(at)).err()?;
        Some(Counterexample { violation, actions: self.path(at, None) })
    }

    /// A shortest way to a state, and on to the step that breaks what `violation` names.
    ///
    /// Neither actions are kept, nor the names that folding has exchanged. Both are found again by
    /// looking, at each state of the way, for an action that leads to the next one.
    fn path(&self, at: usize, violation: Option<&Violation>) -> Vec<M::Action> {
        let is_at = |state: &M::State, place: usize| {
            self.model.canonical(state.clone()) == *self.store.state(place)
        };
        let mut way = self.store.way(at).into_iter();
        let start = way.next().expect("a way holds at least the state that it leads to");
        let mut init = self.model.init().into_iter();
        let mut state = init.find(|state| is_at(state, start)).expect("ways begin at such states");
        let mut actions = Vec::new();
        for place in way {
            let (action, after) = self.step(&state, |_, after| is_at(after, place));
            actions.push(action);
            state = after;
        }
        if let Some(violation) = violation {
            let breaks = |action: &M::Action, after: &M::State| {
                let found = self.model.check(&state, action, after);
                let found = found.and_then(|()| self.model.check_state(after));
                found.is_err_and(|found| found.invariant == violation.invariant)
            };
            actions.push(self.step(&state, breaks).0);
        }
        actions
    }

    /// The first step from `state` that is as wanted.
    fn step(
        &self,
        state: &M::State,
        wanted: impl Fn(&M::Action, &M::State) -> bool,
    ) -> (M::Action, M::State) {
        let actions = self.model.actions(state).into_iter();
        actions
            .map(|action| (action.clone(), self.model.next(state, &action)))
            .find(|(action, after)| wanted(action, after))
            .expect("the walk took such a step, and a model does not depend on anything else")
    }

    /// How far it has come, when all states before `at` have been walked on from.
    fn now(&self, at: usize) -> Progress {
        let distinct = self.store.len();
        Progress { distinct, waiting: distinct - at, ..self.progress }
    }

    fn ended(&self, at: usize, verdict: Verdict<M::Action>) -> Explored<M::Action> {
        Explored { progress: self.now(at), verdict }
    }
}
