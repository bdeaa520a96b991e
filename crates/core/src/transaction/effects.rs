//! What a transaction asks the outside to do, and what callers are told.

use alloc::string::String;

use super::words::{Index, Reason, Timer};
use crate::{
    id::{RequestId, RunId},
    pact::{Message, Pact, Peer},
    plan::{Given, Verb},
    vote::Proof,
    work::Work,
};

/// What a transaction asks the outside to do.
///
/// The driver must answer every `Prepare` with `Voted` and every `Commit` and `Abort` with `Acked`,
/// in bounded time; silence is answered with `Lost` or `Unknown`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Let a branch do its work and vote.
    Prepare {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What.
        work: Work,
        /// Keep the work open instead of preparing: one-phase commit follows.
        one_phase: bool,
        /// It must vote within this time, in ms.
        within_ms: u64,
        /// What the branch must know to be decided without the coordinator.
        pact: Option<Pact>,
        /// What its work may use, if there is a plan.
        given: Option<Given>,
    },
    /// Tell a branch to commit.
    Commit {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What it said when it voted.
        proof: Proof,
        /// It is open, not prepared: its commit decides.
        one_phase: bool,
    },
    /// Tell a branch to roll back, after stopping what it may still be doing.
    Abort {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What it said when it voted, if it did.
        proof: Proof,
    },
    /// Call a service. A do or try is answered with `Answered`, all else with `Acked`.
    Call {
        /// Which run.
        run: RunId,
        /// Which branch.
        branch: Index,
        /// Where.
        resource: String,
        /// What.
        verb: Verb,
        /// It must answer within this time, in ms.
        within_ms: u64,
        /// What the call may use.
        given: Given,
    },
    /// The run is aborted: steps and reservations of it that were not called yet need not be. They
    /// are answered with `Unsent`.
    Recall {
        /// Which run.
        run: RunId,
    },
    /// Ask whether the caller's local transaction committed; answered with `AskedBack`.
    Ask {
        /// Which run.
        run: RunId,
        /// Where; the plan says what.
        resource: String,
        /// It must answer within this time, in ms.
        within_ms: u64,
        /// What the call may use.
        given: Given,
    },
    /// Give `Fired(timer)` after this time.
    Arm {
        /// Which.
        timer: Timer,
        /// After how long.
        after_ms: u64,
    },
    /// Give `Fired(timer)` at this time, in ms since 1970; at once if that is past.
    ArmAt {
        /// Which.
        timer: Timer,
        /// When.
        at_ms: u64,
    },
    /// Answer a caller.
    Reply {
        /// Whom.
        request: RequestId,
        /// What.
        answer: Answer,
    },
    /// Nothing will be asked for this run any more: it is finished, or was never begun because its
    /// gid was known already.
    Close {
        /// Which run.
        run: RunId,
    },
    /// Wake an operator: a branch was finished against the decision.
    Alarm {
        /// Which branch.
        branch: Index,
        /// What was found.
        detail: String,
    },
    /// Tell a peer; it may be lost.
    Send {
        /// Whom.
        to: Peer,
        /// What.
        message: Message,
    },
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Answer {
    /// It happens. With `AckWhen::Applied`: it has happened everywhere.
    Committed,
    /// It does not happen.
    Aborted(Reason),
    /// All branches voted yes; it waits for the caller's word.
    Held,
    /// The added branch was taken; its turn comes after the caller's word.
    Added,
    /// The added step is done, and put this out.
    Done(Proof),
    /// Decided, but a branch was finished against the decision.
    Mixed,
    /// The gid was used with other content; nothing was done.
    OtherContent,
    /// Too many wait for this one already; nothing was done.
    Busy,
    /// Nothing is known of such a transaction.
    NoSuchTransaction,
    /// It cannot be done in this state, which is named, or for this reason; nothing was done.
    WrongState(&'static str),
    /// It cannot be done while a call of the branch is under way; nothing was done.
    CallUnderWay,
    /// An operator's word was taken.
    Taken,
    /// To a participant: commit.
    InquiryCommit,
    /// To a participant: roll back.
    InquiryAbort,
    /// To a participant: not decided, ask again.
    InquiryPending,
}
