//! Garcia-Molina and Salem 1987: the saga's log is what a crash leaves of it; and the write-ahead
//! rule (GR, chapter 9). A crash forgets no step that something rests on: a plan is durable before
//! the first call leaves, and that a step is done before any call leaves that uses what it put out.
//! One result may be on its way to the log while a call leaves that only comes after it.

use handfast_core::{plan::Kind, transaction::Voted};

use crate::world::{Call, Message, World, transaction};

pub const INVARIANT: &str = "what a call rests on is durable before it leaves";

pub fn check(world: &World, message: &Message) -> Result<(), String> {
    let Message::Call(branch, Call::Do | Call::Undo | Call::Take) = message else { return Ok(()) };
    let known = world.durably_known(transaction(branch.run));
    let Some(known) = known.filter(|known| known.run == branch.run) else {
        return Err(format!("{message} is under way, and no plan of it is durable"));
    };
    // That a branch is prepared is not recorded: after a crash it is aborted.
    let is_done = |before: &&u8| {
        let told = &known.branches[usize::from(**before)];
        told.vote == Voted::Yes || known.kind(**before) == Kind::Prepare
    };
    let wish = world.plan.branch(*branch);
    let missing = wish.after.iter().filter(|before| !is_done(before)).count();
    if matches!(message, Message::Call(_, Call::Do))
        && known.decision.is_none()
        && missing > usize::from(wish.leaves_ahead())
    {
        return Err(format!("{message} is under way, and it is not durable that those before are"));
    }
    Ok(())
}
