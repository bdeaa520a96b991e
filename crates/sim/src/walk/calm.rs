//! Calm: nothing goes wrong any more.

use crate::{
    explore::Violation,
    invariants,
    world::{Action, Cast, Step, World},
};

/// Most rounds after which all must have ended. A round delivers everything that is under way; if
/// nothing is, timers fire.
pub const ROUNDS_MAX: usize = 400;

/// Heals everything and waits. Returns how many steps that took.
///
/// # Errors
/// An invariant that does not hold, one of which is that everything ends.
pub fn settle(world: &mut World) -> Result<u64, Violation> {
    let mut steps = 0;
    let mut act = |world: &mut World, action: &Action| {
        world.act(action);
        steps += 1;
        invariants::check_world(world)
    };
    if world.cut_off.is_some() {
        act(world, &Action::Heal)?;
    }
    for place in world.nodes() {
        if !world.is_up(place) {
            act(world, &Action::Step(Step::Restart(place)))?;
        }
    }
    for round in 0..ROUNDS_MAX {
        for packet in world.network.clone() {
            act(world, &Action::Step(Step::Deliver(packet, Cast::Yes)))?;
        }
        if invariants::unsettled(world).is_none() && world.network.is_empty() {
            return Ok(steps);
        }
        // Now and then time passes although something is under way.
        if world.network.is_empty() || round % 8 == 7 {
            let mut next = Vec::new();
            world.steps(&mut |action| next.push(action));
            for action in next.iter().filter(|action| is_calm(action)) {
                if world.still_can(action) {
                    act(world, action)?;
                }
            }
        }
    }
    let left = invariants::unsettled(world).unwrap_or_else(|| "messages go on".into());
    Err(Violation::new(invariants::SETTLED, left))
}

fn is_calm(action: &Action) -> bool {
    match action {
        Action::Step(Step::Deliver(..)) => false,
        action => !action.is_fault(),
    }
}
