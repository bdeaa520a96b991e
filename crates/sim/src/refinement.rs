//! Refinement: a world's branches do nothing that transaction commit does not allow.
//!
//! The view shows each branch as a resource manager of `TCommit` (Gray and Lamport 2006, section
//! 3), as its participant has it durably. Whatever the coordinator, its log, the acceptors and the
//! network do, each step must be a step of `TCommit` there, or change nothing.

use std::ops::ControlFlow;

use crate::{
    check::Worlds,
    explore::{self, Explored, Options, Progress, Refines, Violation},
    published::{Rm, Rms, TCommit},
    world::{Action, Branch, Place, Plan, SHARD, State, World},
};
use handfast_core::shard::End;

/// Walks every schedule of a plan's world, which must have one transaction of one run: each run is
/// a transaction commit of its own.
///
/// # Errors
/// The world begins where `TCommit` does not.
pub fn run(
    plan: Plan,
    options: Options,
    watch: impl FnMut(&Progress) -> ControlFlow<()>,
) -> Result<Explored<Action>, Violation> {
    let specification = TCommit { rms: plan.transactions[0].branches.len() };
    let worlds = Worlds::new(plan);
    let refines = Refines::new(&worlds, &specification, |row| view(&worlds.world(row)))?;
    Ok(explore::explore(&refines, options, watch))
}

/// The branches, as resource managers.
fn view(world: &World) -> Rms {
    let mut rms = Rms::default();
    for branch in world.branches() {
        rms[usize::from(branch.index)] = rm(world, branch);
    }
    rms
}

fn rm(world: &World, branch: Branch) -> Rm {
    let Place::Shard(number) = world.plan.branch(branch).at else {
        return match world.state(branch) {
            State::Fresh | State::Held => Rm::Working,
            // One that wrote nothing has no objection, whatever is decided.
            State::Prepared | State::ReadOnly | State::Done => Rm::Prepared,
            State::Committed | State::Meddled { committed: true } => Rm::Committed,
            State::Aborted | State::RolledBack | State::Meddled { committed: false } => Rm::Aborted,
        };
    };
    // A shard's refusal may be forgotten in a crash: it is one when it is durable.
    let Some(saved) = world.shard(number).node.durable(SHARD) else { return Rm::Working };
    let id = world.plan.id(branch);
    match saved.finished.end(&id) {
        Some(End::Committed) => Rm::Committed,
        Some(End::Aborted) => Rm::Aborted,
        None if saved.prepared.contains_key(&id) => Rm::Prepared,
        None => Rm::Working,
    }
}
