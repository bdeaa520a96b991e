//! The contract of `handfast_core::machine`; after the virtual actors of Orleans (Bernstein et al.
//! 2014), which nobody can tell to have been away. A machine may leave memory at any time at which
//! it says so: it wakes as it was, beside what the log gives back. That this is what was saved is
//! an invariant of its own.

use handfast_core::machine::Machine;

use crate::{
    machines::Transaction,
    world::{Coordinator, Plan},
};

pub const INVARIANT: &str = "what wakes is what slept";

pub fn check(_: &Plan, coordinator: &Coordinator) -> Result<(), String> {
    let node = &coordinator.node;
    for (stream, saved, live) in node.in_memory() {
        // What is not written yet does not sleep.
        if node.durable(stream) != Some(saved) {
            continue;
        }
        if let Some(asleep) = Transaction::sleep(saved, live) {
            let awake = Transaction::wake(saved, asleep);
            if awake != *live {
                return Err(format!("{stream}: {live:?} slept, {awake:?} woke"));
            }
        }
    }
    Ok(())
}
