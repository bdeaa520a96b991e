//! A search rolls back only branches of its own cluster, of runs that are over: that nobody votes
//! on, and that are not decided otherwise. After Citus' transaction recovery.

use handfast_core::transaction::Decision;

use crate::world::{Call, Message, World};

pub const INVARIANT: &str = "a search touches only what is dead";

pub fn check(world: &World, message: &Message) -> Result<(), String> {
    let Message::Call(branch, Call::Orphan { committed }) = *message else { return Ok(()) };
    let known = world.known(branch.transaction()).filter(|known| known.run == branch.run);
    let commits = known.is_some_and(|known| known.decision == Some(Decision::Commit));
    if world.is_voting(branch.run) {
        return Err(format!("{message}, and it is voted on"));
    }
    if commits != committed {
        return Err(format!("{message}, and it was decided otherwise"));
    }
    Ok(())
}
