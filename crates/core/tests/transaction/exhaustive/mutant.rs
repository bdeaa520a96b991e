//! Known ways to be wrong. Each must be found, or the walk proves nothing.

use handfast_core::transaction::{Answer, Decision, Effect, Record};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mutant {
    /// Effects of a decision leave before its sync.
    UnsyncedDecision,
    /// The same for a delegation.
    UnsyncedDelegation,
    /// Aborts are not recorded, as presumed abort would allow if no caller asked twice.
    ForgottenAbort,
    /// The end is recorded with the decision, before the last branch acknowledged it.
    EarlyFinish,
    /// An inquiry is answered "abort" while votes are awaited.
    EarlyInquiryAbort,
    /// The driver is not told that a run is over.
    MissingClose,
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
    /// The recovery scan looks at what is active before it looks at what is prepared.
    OrphanJudgedTooEarly,
    /// Nothing is tried again.
    NoTimers,
    /// The run that a vote names is not looked at.
    AnyRun,
    /// The end is applied and never logged.
    UnloggedEnd,
    /// A gid that is not in memory is taken for a new one.
    TakenForNew,
    /// A start tells nobody what was decided before.
    SilentRestart,
}

impl Mutant {
    pub fn spoil(self, records: &mut Vec<Record>, effects: &mut Vec<Effect>, forced: &mut bool) {
        let decides = records.iter().any(|record| matches!(record, Record::Decided { .. }));
        let delegates = records.iter().any(|record| matches!(record, Record::Delegated(_)));
        match self {
            Self::UnsyncedDecision => *forced &= !decides,
            Self::UnsyncedDelegation => *forced &= !delegates,
            Self::ForgottenAbort => records.retain(|record| {
                !matches!(record, Record::Decided { decision: Decision::Abort(_), .. })
            }),
            Self::EarlyFinish if decides => records.push(Record::Finished),
            Self::EarlyInquiryAbort => {
                for effect in effects {
                    if let Effect::Reply { answer, .. } = effect
                        && *answer == Answer::InquiryPending
                    {
                        *answer = Answer::InquiryAbort;
                    }
                }
            }
            Self::NoTimers => effects.retain(|effect| !matches!(effect, Effect::Arm { .. })),
            Self::MissingClose => {
                effects.retain(|effect| !matches!(effect, Effect::Close { .. }));
            }
            // The others are wrong elsewhere.
            _ => {}
        }
    }
}
