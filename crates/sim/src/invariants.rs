//! What must hold in every state, one file for each, each with where it is from.
//!
//! GL: Gray and Lamport 2006, "Consensus on transaction commit". BHG: Bernstein, Hadzilacos,
//! Goodman 1987, chapter 7 (AC1 to AC5, numbered as in Babaoglu and Toueg 1993). R*: Mohan,
//! Lindsay, Obermarck 1986. GR: Gray and Reuter 1993. The rules of driving, and what a machine
//! promises when it sleeps, are ours: `handfast_core::machine`.

mod agreement;
mod called_in_time;
mod closed_once;
mod decision_is_final;
mod finished_is_proved;
mod held_waits;
mod inquiry_is_kept;
mod late_input;
mod locks;
mod message_follows;
mod money;
mod nontriviality;
mod one_run_commits;
mod one_value;
mod orphans_are_dead;
mod replay;
mod results_are_kept;
mod seen;
mod settled;
mod sleep;
mod told_is_so;
mod unanimity;
mod undone_in_order;
mod vote_is_kept;
mod waits_are_kept;
mod write_ahead;

use handfast_core::transaction::Voted;

pub use self::{
    seen::Seen,
    settled::{INVARIANT as SETTLED, left, unsettled},
};
use crate::{
    explore::Violation,
    world::{Branch, Coordinator, Message, Place, Plan, ShardNode, Touched, World},
};

/// Finds what is wrong with a transaction, if anything.
type LookAtTransaction = fn(&World, &Seen) -> Result<(), String>;
/// The same for what a shard holds.
type LookAtKeys = fn(&World, u8) -> Result<(), String>;
/// The same for a message under way.
type LookAtMessage = fn(&World, &Message) -> Result<(), String>;
/// The same for a node that coordinates, alone.
type LookAtCoordinator = fn(&Plan, &Coordinator) -> Result<(), String>;
/// The same for a shard, alone.
type LookAtShard = fn(&Plan, u8, &ShardNode) -> Result<(), String>;

/// Those about each transaction, wherever it is.
pub const OF_TRANSACTIONS: &[(&str, LookAtTransaction)] = &[
    (unanimity::INVARIANT, unanimity::check),
    (agreement::INVARIANT, agreement::check),
    (nontriviality::INVARIANT, nontriviality::check),
    (one_run_commits::INVARIANT, one_run_commits::check),
    (decision_is_final::INVARIANT, decision_is_final::check),
    (write_ahead::INVARIANT, write_ahead::check),
    (inquiry_is_kept::INVARIANT, inquiry_is_kept::check),
    (finished_is_proved::INVARIANT, finished_is_proved::check),
    (told_is_so::INVARIANT, told_is_so::check),
    (one_value::INVARIANT, one_value::check),
    (held_waits::INVARIANT, held_waits::check),
    (closed_once::INVARIANT, closed_once::check),
    (message_follows::INVARIANT, message_follows::check),
    (called_in_time::INVARIANT, called_in_time::check),
    (undone_in_order::INVARIANT, undone_in_order::check),
    (waits_are_kept::INVARIANT, waits_are_kept::check),
];

/// Those about what each shard holds.
pub const OF_KEYS: &[(&str, LookAtKeys)] = &[(money::INVARIANT, money::check)];

/// Those about each message under way.
pub const OF_MESSAGES: &[(&str, LookAtMessage)] = &[
    (write_ahead::INVARIANT, write_ahead::check_message),
    (results_are_kept::INVARIANT, results_are_kept::check),
    (orphans_are_dead::INVARIANT, orphans_are_dead::check),
    (vote_is_kept::INVARIANT, vote_is_kept::check),
];

/// Those about one node that coordinates.
pub const OF_COORDINATORS: &[(&str, LookAtCoordinator)] = &[
    (replay::INVARIANT, replay::check_coordinator),
    (sleep::INVARIANT, sleep::check),
    (late_input::INVARIANT, late_input::check_coordinator),
];

/// Those about one shard.
pub const OF_SHARDS: &[(&str, LookAtShard)] = &[
    (replay::INVARIANT, replay::check_shard),
    (locks::INVARIANT, locks::check),
    (late_input::INVARIANT, late_input::check_shard),
];

/// Looks at what several have in common.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_world(world: &World) -> Result<(), Violation> {
    check_touched(world, Touched::ALL)
}

/// Looks at what may have changed of that.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_touched(world: &World, touched: Touched) -> Result<(), Violation> {
    for transaction in touched.transactions(world) {
        let seen = Seen::of(world, transaction);
        for (invariant, look) in OF_TRANSACTIONS {
            look(world, &seen).map_err(|detail| Violation::new(invariant, detail))?;
        }
    }
    for shard in touched.shards(world) {
        for (invariant, look) in OF_KEYS {
            look(world, shard).map_err(|detail| Violation::new(invariant, detail))?;
        }
    }
    for message in touched.messages(world) {
        for (invariant, look) in OF_MESSAGES {
            look(world, message).map_err(|detail| Violation::new(invariant, detail))?;
        }
    }
    Ok(())
}

/// Looks at one node that coordinates.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_coordinator(plan: &Plan, coordinator: &Coordinator) -> Result<(), Violation> {
    for (invariant, look) in OF_COORDINATORS {
        look(plan, coordinator).map_err(|detail| Violation::new(invariant, detail))?;
    }
    Ok(())
}

/// Looks at one shard.
///
/// # Errors
/// The first invariant that does not hold.
pub fn check_shard(plan: &Plan, number: u8, shard: &ShardNode) -> Result<(), Violation> {
    for (invariant, look) in OF_SHARDS {
        look(plan, number, shard).map_err(|detail| Violation::new(invariant, detail))?;
    }
    Ok(())
}

/// Whether a branch wrote nothing at a shard, and said so in time. The shard does not remember it,
/// and so may refuse a doubled prepare that comes later, when others hold the locks: what ends then
/// is no part of the transaction any more.
fn has_dropped_out(world: &World, branch: Branch) -> bool {
    let known = world.known(branch.transaction()).filter(|known| known.run == branch.run);
    let told = known.and_then(|known| known.branches.get(usize::from(branch.index)));
    told.is_some_and(|told| told.vote == Voted::ReadOnly)
        && matches!(world.plan.branch(branch).at, Place::Shard(_))
}
