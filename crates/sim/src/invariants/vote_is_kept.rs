//! R*, section 2: prepared is forced before the vote leaves. So while a vote yes is under way, or
//! was counted, a crash of the shard would leave the branch prepared, or ended.

use handfast_core::{shard, vote::Vote};

use crate::world::{Branch, Message, Place, SHARD, World};

pub const INVARIANT: &str = "a vote is kept over a crash";

pub fn check(world: &World, message: &Message) -> Result<(), String> {
    if let Message::Vote(branch, Vote::Yes(_)) = *message
        && !is_kept(world, branch)
    {
        return Err(format!("{message} is under way, and a crash would forget it"));
    }
    Ok(())
}

fn is_kept(world: &World, branch: Branch) -> bool {
    let Place::Shard(number) = world.plan.branch(branch).at else { return true };
    let Some(saved) = world.shard(number).node.durable(SHARD) else { return false };
    let Some(id) = world.id(branch) else { return false };
    let end: Option<shard::End> = saved.finished.end(id);
    saved.prepared.contains_key(id) || end.is_some()
}
