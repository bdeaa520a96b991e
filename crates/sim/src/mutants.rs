//! Known ways to be wrong. Each must be found, or the walks prove nothing.
//!
//! Those that are wrong in a machine are wrappers around it, see `machine`; the others are wrong in
//! how it is driven, and the world asks for them. Without the feature `mutants` none can be asked
//! for.

#[cfg(feature = "mutants")]
mod machine;
#[cfg(feature = "mutants")]
mod steps;

#[cfg(feature = "mutants")]
pub(crate) use machine::{Shard, Transaction, replaying, wrong};

macro_rules! mutants {
    ($($(#[doc = $doc:literal])* $mutant:ident,)*) => {
        /// A way to be wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mutant { $($(#[doc = $doc])* $mutant,)* }

        impl Mutant {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$mutant,)*];

            /// What is wrong, in words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$mutant => concat!($($doc,)*).trim(),)* }
            }
        }
    };
}

mutants! {
    /// Effects of a decision leave before its sync.
    UnsyncedDecision,
    /// The same for a delegation.
    UnsyncedDelegation,
    /// The same for the order to precommit: three-phase commit.
    UnsyncedPreCommit,
    /// A member says that it is precommitted before its record is durable.
    UnsyncedPreCommitted,
    /// A member that was down counts, and leads, as if it had not been.
    RecoveringCounts,
    /// Aborts are not recorded, as presumed abort would allow if no caller asked twice.
    ForgottenAbort,
    /// The end is recorded with the decision, before the last branch acknowledged it.
    EarlyFinish,
    /// An inquiry is answered "abort" while votes are awaited.
    EarlyInquiryAbort,
    /// The driver is not told that a run is over.
    MissingClose,
    /// A coordinator aborts when the last vote comes, as if it had come too late.
    AbortsForNothing,
    /// The time for votes goes on after the decision.
    LateTimeout,
    /// A yes counts for all branches.
    OneVoteForAll,
    /// What is to be held is not.
    HoldIgnored,
    /// A vote that was lost is taken for a no, which holds nothing and need not be told.
    LostTakenAsNo,
    /// A branch that is gone when it is told to commit is taken for committed.
    GoneTakenAsFinished,
    /// A participant acknowledges the abort of a branch it never saw, and lets it prepare later.
    NoFence,
    /// A search looks at what is active and decided before it looks at what is prepared.
    ActiveBeforePrepared,
    /// Nothing is tried again.
    NoTimers,
    /// The run that a vote names is not looked at.
    AnyRun,
    /// A participant commits what is prepared for a transaction, of whatever run.
    AnyRunCommits,
    /// A replay leaves out the end that was recorded.
    ForgetfulReplay,
    /// What wakes has forgotten how often its services were tried.
    ForgetfulSleep,
    /// A gid that is not in memory is taken for a new one.
    TakenForNew,
    /// A start tells nobody what was decided before.
    SilentRestart,
    /// A gid that is begun again is begun under the run that it had before.
    RunUsedAgain,
    /// A shard votes yes before its record is durable.
    UnsyncedPrepared,
    /// A shard that is started again has forgotten how it voted.
    VoteForgotten,
    /// A shard writes when it votes, before the decision.
    WritesEarly,
    /// A shard acts on an answer that it did not ask for.
    UnaskedAnswer,
    /// A shard keeps the locks of a branch that is over.
    LocksKept,
    /// A shard lets go of its locks when it votes.
    LocksLetGoEarly,
    /// A leader that is free to choose proposes to commit.
    TakeoverCommits,
    /// A leader proposes something else to the last acceptor, in the same ballot.
    TwoProposals,
    /// An acceptor does not record what it promised and accepted.
    AcceptorForgets,
    /// A shard whose coordinator is silent rolls back alone.
    DecidesAlone,
    /// A step is not undone.
    UndoSkipped,
    /// A step is undone while its do is under way.
    UndoBeforeSettled,
    /// Steps are undone in any order.
    UndoUnordered,
    /// A message is delivered before the decision.
    EarlyDelivery,
    /// A step is done after the decision to abort.
    StepAfterAbort,
    /// That a step is done is not recorded.
    ResultLost,
    /// A step that uses what another put out is called before that is durable.
    ResultUsedUnsynced,
    /// A step that was called ahead of a sync is forgotten with what was in the sync.
    AheadForgotten,
    /// A caller who is silent is taken for one who has not committed.
    SilenceTakenForNo,
    /// Services are called before the plan is durable.
    UnsyncedPlan,
    /// A branch that waits is called again when another one is done.
    WaitsIgnored,
}
