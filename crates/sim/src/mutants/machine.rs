//! The production machines, each in a wrapper that spoils what they say if that is wanted.

use std::cell::Cell;

use handfast_core::{
    machine::{Machine, Output, Summary},
    pact::{
        Message, Word,
        paxos::{Proposal, Value},
    },
    shard::{self, Inquired},
    transaction::{self, Answer, Decision, Effect, Record},
};

use super::Mutant;

thread_local! {
    static WRONG: Cell<Option<Mutant>> = const { Cell::new(None) };
    /// Whether a log is being read back.
    static REPLAYS: Cell<bool> = const { Cell::new(false) };
}

/// What the machines of this thread do wrong from now on.
pub(crate) fn wrong(mutant: Option<Mutant>) {
    WRONG.set(mutant);
}

fn is(mutant: Mutant) -> bool {
    WRONG.get() == Some(mutant)
}

/// A transaction, perhaps a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction;

/// A shard, perhaps a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard;

impl Machine for Transaction {
    type Saved = transaction::Saved;
    type Live = transaction::Live;
    type Input = transaction::Input;
    type Record = Record;
    type Effect = Effect;

    fn step(
        saved: &Self::Saved,
        live: &mut Self::Live,
        input: Self::Input,
        out: &mut Output<Self>,
    ) {
        let input = match input {
            transaction::Input::Received { message } => {
                transaction::Input::Received { message: misheard(message) }
            }
            input => input,
        };
        let mut own = Output::new();
        transaction::Transaction::step(saved, live, input, &mut own);
        let (mut records, mut effects, mut forced) = own.into_parts();
        if let Some(mutant) = WRONG.get() {
            spoil(mutant, &mut records, &mut effects, &mut forced);
        }
        pass_on(records, effects, forced, out);
    }

    fn apply(saved: &mut Self::Saved, record: &Record) {
        if is(Mutant::ForgetfulReplay) && *record == Record::Finished && REPLAYS.get() {
            return;
        }
        transaction::Transaction::apply(saved, record);
    }

    fn restart(saved: &Self::Saved, live: &mut Self::Live, out: &mut Output<Self>) {
        if is(Mutant::SilentRestart) {
            return;
        }
        let mut own = Output::new();
        transaction::Transaction::restart(saved, live, &mut own);
        let (records, effects, forced) = own.into_parts();
        pass_on(records, effects, forced, out);
    }

    fn is_open(saved: &Self::Saved) -> bool {
        transaction::Transaction::is_open(saved)
    }

    fn is_idle(live: &Self::Live) -> bool {
        transaction::Transaction::is_idle(live)
    }

    fn summary(saved: &Self::Saved) -> Summary {
        transaction::Transaction::summary(saved)
    }

    fn snapshot(saved: &Self::Saved) -> Option<Record> {
        transaction::Transaction::snapshot(saved)
    }
}

/// Says that what is applied in `read` is read back from a log.
pub(crate) fn replaying<T>(read: impl FnOnce() -> T) -> T {
    REPLAYS.set(true);
    let read = read();
    REPLAYS.set(false);
    read
}

fn spoil(mutant: Mutant, records: &mut Vec<Record>, effects: &mut Vec<Effect>, forced: &mut bool) {
    let decides = records.iter().any(|record| matches!(record, Record::Decided { .. }));
    let delegates = records.iter().any(|record| matches!(record, Record::Delegated(_)));
    match mutant {
        Mutant::UnsyncedDecision => *forced &= !decides,
        Mutant::UnsyncedDelegation => *forced &= !delegates,
        Mutant::ForgottenAbort => records.retain(|record| {
            !matches!(record, Record::Decided { decision: Decision::Abort(_), .. })
        }),
        Mutant::EarlyFinish if decides => records.push(Record::Finished),
        Mutant::EarlyInquiryAbort => {
            for effect in effects {
                if let Effect::Reply { answer, .. } = effect
                    && *answer == Answer::InquiryPending
                {
                    *answer = Answer::InquiryAbort;
                }
            }
        }
        Mutant::NoTimers => effects.retain(|effect| !matches!(effect, Effect::Arm { .. })),
        Mutant::MissingClose => effects.retain(|effect| !matches!(effect, Effect::Close { .. })),
        Mutant::TwoProposals => {
            let messages = effects.iter_mut().filter_map(|effect| match effect {
                Effect::Send { message, .. } => Some(message),
                _ => None,
            });
            messages.for_each(propose_otherwise);
        }
        // The others are wrong elsewhere.
        _ => {}
    }
}

/// An acceptor that has accepted nothing seems to have accepted commit.
fn misheard(mut message: Message) -> Message {
    if let Word::Promise { accepted, .. } = &mut message.word
        && is(Mutant::TakeoverCommits)
    {
        accepted.get_or_insert(Proposal::OWN);
    }
    message
}

fn propose_otherwise(message: &mut Message) {
    if let Word::Accept { proposal, acceptor } = &mut message.word
        && usize::from(*acceptor) == message.pact.acceptors.len()
    {
        proposal.value = match proposal.value {
            Value::Prepared => Value::Aborted,
            Value::Aborted => Value::Prepared,
        };
    }
}

impl Machine for Shard {
    type Saved = shard::Saved;
    type Live = shard::Live;
    type Input = shard::Input;
    type Record = shard::Record;
    type Effect = shard::Effect;

    fn step(
        saved: &Self::Saved,
        live: &mut Self::Live,
        input: Self::Input,
        out: &mut Output<Self>,
    ) {
        let input = match input {
            shard::Input::Answered { branch, answer: Inquired::Silent }
                if is(Mutant::DecidesAlone) =>
            {
                shard::Input::Answered { branch, answer: Inquired::Abort }
            }
            input => input,
        };
        let input = match input {
            shard::Input::Received { message } => {
                shard::Input::Received { message: misheard(message) }
            }
            input => input,
        };
        let locks = live.locks.clone();
        let mut own = Output::new();
        shard::Shard::step(saved, live, input, &mut own);
        let (mut records, mut effects, mut forced) = own.into_parts();
        let prepares = records.iter().any(|r| matches!(r, shard::Record::Prepared { .. }));
        let ends = records.iter().any(|r| matches!(r, shard::Record::Committed { .. }));
        match WRONG.get() {
            Some(Mutant::UnsyncedPrepared) => forced &= !prepares,
            Some(Mutant::LocksKept) if ends => live.locks = locks,
            Some(Mutant::LocksLetGoEarly) if prepares => live.locks = Default::default(),
            Some(Mutant::TwoProposals) => {
                let messages = effects.iter_mut().filter_map(|effect| match effect {
                    shard::Effect::Send { message, .. } => Some(message),
                    _ => None,
                });
                messages.for_each(propose_otherwise);
            }
            Some(Mutant::AcceptorForgets) => records.retain(|record| {
                let promised = matches!(record, shard::Record::Promised { .. });
                !promised && !matches!(record, shard::Record::Accepted { .. })
            }),
            Some(Mutant::VoteNotRecorded) => {
                records.retain(|record| !matches!(record, shard::Record::Prepared { .. }));
            }
            _ => {}
        }
        pass_on(records, effects, forced, out);
    }

    fn apply(saved: &mut Self::Saved, record: &Self::Record) {
        shard::Shard::apply(saved, record);
    }

    fn restart(saved: &Self::Saved, live: &mut Self::Live, out: &mut Output<Self>) {
        let mut own = Output::new();
        shard::Shard::restart(saved, live, &mut own);
        let (records, effects, forced) = own.into_parts();
        pass_on(records, effects, forced, out);
    }

    fn is_open(saved: &Self::Saved) -> bool {
        shard::Shard::is_open(saved)
    }

    fn is_idle(live: &Self::Live) -> bool {
        shard::Shard::is_idle(live)
    }

    fn summary(saved: &Self::Saved) -> Summary {
        shard::Shard::summary(saved)
    }

    fn snapshot(saved: &Self::Saved) -> Option<Self::Record> {
        shard::Shard::snapshot(saved)
    }
}

fn pass_on<M: Machine>(
    records: Vec<M::Record>,
    effects: Vec<M::Effect>,
    forced: bool,
    out: &mut Output<M>,
) {
    for record in records {
        if forced { out.force(record) } else { out.note(record) }
    }
    for effect in effects {
        out.effect(effect);
    }
}
