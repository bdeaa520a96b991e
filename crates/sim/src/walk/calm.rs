//! Calm: nothing goes wrong any more.

use crate::{
    explore::Violation,
    invariants,
    world::{Action, Cast, Step, World},
};

/// Most rounds after which all must have ended. A round delivers everything that is under way; if
/// nothing is, it does what else is to do, and fires the timer that has fired least often.
pub const ROUNDS_MAX: usize = 400;

/// Heals everything, starts the dead unless they are dead for good, and waits. Returns how many
/// steps that took.
///
/// # Errors
/// An invariant that does not hold, one of which is that everything ends.
pub fn settle(world: &mut World) -> Result<u64, Violation> {
    world.left.ballots = u16::MAX;
    world.left.takeovers = None;
    let mut calm = Calm { world, steps: 0, fired: Vec::new() };
    if calm.world.cut_off.is_some() {
        calm.act(&Action::Heal)?;
    }
    let revives = !calm.world.plan.dead_for_good;
    for place in calm.world.nodes() {
        if revives && !calm.world.is_up(place) {
            calm.act(&Action::Step(Step::Restart(place)))?;
        }
    }
    for _ in 0..ROUNDS_MAX {
        for packet in calm.world.network.clone() {
            let arrives =
                calm.world.is_reached(packet.from(&calm.world.plan), packet.to(&calm.world.plan));
            calm.act(&match arrives {
                true => Action::Step(Step::Deliver(packet, Cast::Yes)),
                false => Action::Lose(packet),
            })?;
        }
        if calm.world.network.is_empty() {
            if invariants::left(calm.world).is_none() {
                return Ok(calm.steps);
            }
            calm.wait()?;
        }
    }
    let left = invariants::left(calm.world).unwrap_or_else(|| "messages go on".into());
    Err(Violation::new(invariants::SETTLED, left))
}

struct Calm<'a> {
    world: &'a mut World,
    steps: u64,
    /// The timers that have fired, each as often as it has.
    fired: Vec<Action>,
}

impl Calm<'_> {
    fn act(&mut self, action: &Action) -> Result<(), Violation> {
        self.world.act(action);
        self.steps += 1;
        let touched = self.world.take_touched();
        invariants::check_touched(self.world, touched)
    }

    /// Nothing is under way: does all that is no matter of time, and fires one timer.
    fn wait(&mut self) -> Result<(), Violation> {
        let (mut next, mut timers) = (Vec::new(), Vec::new());
        self.world.steps_but_arrivals(&mut |action| match action {
            Action::Step(Step::Fire(..)) => timers.push(action),
            Action::Step(Step::Restart(_)) => {}
            action if !action.is_fault() => next.push(action),
            _ => {}
        });
        for action in &next {
            if self.world.still_can(action) {
                self.act(action)?;
            }
        }
        timers.retain(|timer| self.world.still_can(timer));
        let fired = |timer: &Action| self.fired.iter().filter(|other| *other == timer).count();
        match timers.iter().min_by_key(|timer| fired(timer)).cloned() {
            Some(timer) => {
                self.act(&timer)?;
                self.fired.push(timer);
                Ok(())
            }
            None => Ok(()),
        }
    }
}
