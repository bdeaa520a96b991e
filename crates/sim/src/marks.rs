//! What a walk must come by, or it proves nothing about it.

macro_rules! marks {
    ($($(#[doc = $doc:literal])* $mark:ident = $name:literal,)*) => {
        /// Something worth coming by.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Mark { $($(#[doc = $doc])* $mark,)* }

        impl Mark {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$mark,)*];

            /// What it is, in words.
            pub fn name(self) -> &'static str {
                match self { $(Self::$mark => $name,)* }
            }
        }
    };
}

marks! {
    /// A caller was told so.
    ToldCommitted = "told committed",
    /// A caller was told so.
    ToldAborted = "told aborted",
    /// A caller was told so.
    ToldMixed = "told mixed",
    /// A caller was told that everything waits for its word.
    Held = "held",
    /// A node died at rest.
    Crash = "a crash",
    /// A node died within a turn.
    Torn = "a crash within a turn",
    /// A node died in a sync; what had left ahead of it is called, and is in no log.
    LeftAhead = "a crash in a sync, of which a call had left ahead",
    /// A commit of which one branch wrote nothing.
    CommittedReadOnly = "committed with a read-only branch",
    /// The decision was left to the only branch.
    Delegated = "delegated",
    /// And it was commit.
    DelegatedCommitted = "delegated, and committed",
    /// And it was abort.
    DelegatedAborted = "delegated, and aborted",
    /// A branch is prepared, its coordinator is down and has decided commit.
    InDoubtToCommit = "in doubt while the coordinator is down, to commit",
    /// A branch is prepared, its coordinator is down and knows nothing.
    InDoubtUnknown = "in doubt while the coordinator is down, unknown",
    /// A search finished what nobody else would have.
    OrphanFinished = "an orphan finished",
    /// A shard asked, and was answered.
    InquiryCommit = "an inquiry answered commit",
    /// A shard asked, and was answered.
    InquiryAbort = "an inquiry answered abort",
    /// A shard asked, and was told to ask again.
    InquiryPending = "an inquiry answered pending",
    /// The second or a later run of a gid committed.
    LaterRunCommitted = "committed at a later attempt",
    /// A branch was finished against the decision.
    Mixed = "mixed",
    /// And an operator has seen it.
    MixedFinished = "mixed, and acknowledged",
    /// A branch waits for an operator.
    Stuck = "stuck",
    /// And was mended.
    StuckFinished = "stuck, and finished",
    /// A branch waits for a lock of another one.
    Waits = "a branch waits for a lock",
    /// Two transactions of two coordinators met on a shard.
    BothCommitted = "two transactions committed",
    /// A member of a pact is prepared and its coordinator is down.
    Blocked = "in doubt",
    /// It was finished while the coordinator was down.
    Unblocked = "finished without the coordinator",
    /// Somebody else than the coordinator led.
    TakenOver = "a leader takeover",
    /// A transaction with a plan committed, and its steps are done.
    StepsDone = "committed with steps",
    /// A step was undone.
    Undone = "a step undone",
    /// An undo came before its do, which never runs.
    Barred = "an undo before its do",
    /// A message left after the commit.
    Delivered = "delivered",
    /// A node started again while a plan was carried out, and went on.
    Resumed = "went on after a restart",
    /// Whether a caller's local transaction committed was asked.
    AskedBack = "asked back",
    /// An undo or a delivery waits for an operator.
    StepStuck = "a step or delivery stuck",
}

const _: () = assert!(Mark::ALL.len() <= 64);

/// A set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u64);

impl Marks {
    /// Adds one.
    pub fn reach(&mut self, mark: Mark) {
        self.0 |= 1 << mark as u64;
    }

    /// Adds one if it is so.
    pub fn reach_if(&mut self, is_so: bool, mark: Mark) {
        self.0 |= u64::from(is_so) << mark as u64;
    }

    /// Adds all of another set.
    pub fn extend(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether one is there.
    pub fn has(self, mark: Mark) -> bool {
        self.0 & (1 << mark as u64) != 0
    }

    /// Those that are there.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::ALL.iter().copied().filter(move |mark| self.has(*mark))
    }
}
