//! What can happen in a world.

use handfast_core::{shard, transaction};

use super::{Branch, Cast, Death, Packet, Place};

/// One thing that can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Something that is no fault.
    Step(Step),
    /// The same, and the node it happens to dies in it.
    Torn(Step, Death),
    /// Somebody gives up waiting, or a timer is over, while an answer may still come.
    Delayed(Step),
    /// A node dies at rest.
    Crash(Place),
    /// A message to one who is dead or cut off is lost.
    Lose(Packet),
    /// A message is lost.
    Drop(Packet),
    /// A message is doubled.
    Duplicate(Packet),
    /// One is cut off from all others.
    CutOff(Place),
    /// And can be reached again.
    Heal,
    /// Somebody finishes a prepared branch by hand.
    Meddle(Branch, bool),
    /// The session of a branch that is held open is gone.
    SessionDies(Branch),
    /// A database comes back from a crash that has forgotten a rollback.
    Revive(Branch),
    /// A participant answers what only an operator can mend.
    Break(Branch),
}

/// Something that is no fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A message arrives. A database that sees the branch for the first time votes like that.
    Deliver(Packet, Cast),
    /// A timer is over.
    Fire(Place, Timer),
    /// What waits for a sync is taken along by a timer.
    Flush(Place),
    /// A dead node is started.
    Restart(Place),
    /// A coordinator's driver stops waiting for a branch.
    GiveUp(Branch),
    /// A shard's driver stops waiting for the answer to an inquiry.
    Silence(Branch),
    /// A caller or an operator says something about a transaction.
    Ask(usize, Person),
    /// A coordinator's search for orphans goes on.
    Search(u8),
}

/// What a caller or an operator says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Person {
    /// Do this.
    Begins,
    /// Nothing: commits its local transaction, if that is not barred.
    CommitsLocally,
    /// Go on with what you hold.
    Commits,
    /// I give up.
    Aborts,
    /// I looked at this branch, and saw it committed (or rolled back).
    Resolves(Branch, bool),
}

/// A timer of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Timer {
    /// Of a transaction.
    Transaction(usize, transaction::Timer),
    /// Of a shard.
    Shard(shard::Timer),
}

impl Timer {
    /// Whether somebody asks again what was decided.
    pub fn inquires(&self) -> bool {
        matches!(self, Self::Shard(shard::Timer::Inquire(_)))
    }

    /// Whether somebody who waits for others in order to decide stops waiting.
    pub fn leads(&self) -> bool {
        matches!(
            self,
            Self::Transaction(_, transaction::Timer::Lead(_)) | Self::Shard(shard::Timer::Lead(_))
        )
    }
}

impl Action {
    /// Whether nobody may count on it to happen: a fault, or a caller's choice.
    pub fn is_fault(&self) -> bool {
        match self {
            // Of those cut off somebody hears again; what is lost to the dead is lost.
            Self::Heal | Self::Lose(_) => false,
            // The database sees at last that the other side is gone.
            Self::SessionDies(_) => false,
            Self::Step(Step::Ask(_, person)) => !matches!(person, Person::Resolves(..)),
            Self::Step(_) => false,
            _ => true,
        }
    }
}
