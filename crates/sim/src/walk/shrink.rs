//! Leaves out of a schedule what is not needed to fail (delta debugging, Zeller 1999).

use std::sync::Arc;

use super::{Failure, calm, check_nodes};
use crate::{
    explore::Violation,
    invariants,
    world::{Action, Plan, World},
};

/// Most replays.
const REPLAYS_MAX: usize = 4_000;

pub(super) fn failure(
    violation: Violation,
    seed: u64,
    plan: Arc<Plan>,
    actions: Vec<Action>,
) -> Failure {
    // The walk looks at single nodes now and then; a replay does after every step, and so may find
    // something else, and earlier.
    let (violation, mut shortened) =
        replay(&plan, &actions).unwrap_or_else(|| (violation, actions.clone()));
    let mut replays = 0;
    let mut part = shortened.len().div_ceil(2);
    while part > 0 && replays < REPLAYS_MAX {
        let mut from = 0;
        let mut found = false;
        while from < shortened.len() && replays < REPLAYS_MAX {
            let to = (from + part).min(shortened.len());
            let rest: Vec<_> = [&shortened[..from], &shortened[to..]].concat();
            replays += 1;
            match replay(&plan, &rest) {
                Some((again, done)) if again.invariant == violation.invariant => {
                    shortened = done;
                    found = true;
                }
                _ => from = to,
            }
        }
        if !found || part > 1 {
            part /= 2;
        }
    }
    Failure { violation, seed, plan, actions, shortened }
}

/// Does what of a schedule can be done; what fails, and what was done until then.
pub(crate) fn replay(plan: &Arc<Plan>, actions: &[Action]) -> Option<(Violation, Vec<Action>)> {
    let mut world = World::new(Arc::clone(plan));
    let mut done = Vec::new();
    for action in actions {
        if !world.still_can(action) {
            continue;
        }
        world.act(action);
        done.push(action.clone());
        // In the order of the exhaustive walk.
        let holds = check_nodes(&world).and_then(|()| invariants::check_world(&world));
        if let Err(violation) = holds {
            return Some((violation, done));
        }
    }
    calm::settle(&mut world).and_then(|_| check_nodes(&world)).err().map(|found| (found, done))
}
