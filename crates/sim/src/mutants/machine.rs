//! The production machines, in a wrapper that spoils what they say if that is wanted.

use std::{cell::Cell, marker::PhantomData};

use handfast_core::{
    machine::{Machine, Output, Summary},
    pact::{
        Message, Word,
        paxos::{Proposal, Value},
    },
    plan::Verb,
    shard::{self, Inquired},
    transaction::{self, Answer, Decision, Effect, Record},
    vote::Vote,
};

use super::{Mutant, steps};

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

/// A machine of production, perhaps a wrong one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wrong<M>(PhantomData<M>);

/// A transaction, perhaps a wrong one.
pub(crate) type Transaction = Wrong<transaction::Transaction>;
/// A shard, perhaps a wrong one.
pub(crate) type Shard = Wrong<shard::Shard>;

/// What can be wrong in a machine.
pub(crate) trait Spoilt: Machine {
    /// What it takes an input for.
    fn misheard(input: Self::Input) -> Self::Input;
    /// Changes what came of a step, before which `before` was live.
    fn spoil(
        mutant: Mutant,
        saved: &Self::Saved,
        before: Self::Live,
        live: &mut Self::Live,
        said: &mut Said<Self>,
    );
    /// Whether a replay leaves out this record.
    fn forgets(_: &Self::Record) -> bool {
        false
    }
    /// Changes what was live when it wakes.
    fn spoil_awake(_: &mut Self::Live) {}
    /// Whether it does nothing when it is started.
    fn is_silent_at_start() -> bool {
        false
    }
    /// What it has forgotten when it is started, as a record that says so.
    fn forgotten_at_start(_: &Self::Saved) -> Option<Self::Record> {
        None
    }
    /// Changes what is live when it is started.
    fn spoil_started(_: &mut Self::Live) {}
    /// Whether an effect leaves ahead that must not.
    fn leaves_amiss(_: &[Self::Record], _: &Self::Effect) -> bool {
        false
    }
}

/// What a machine said.
pub(crate) struct Said<M: Machine + ?Sized> {
    records: Vec<M::Record>,
    effects: Vec<M::Effect>,
    forced: bool,
}

impl<M: Machine> Said<M> {
    fn of(own: Output<M>) -> Self {
        let (records, effects, forced) = own.into_parts();
        Self { records, effects, forced }
    }

    fn pass_on(self, out: &mut Output<Wrong<M>>)
    where
        M: Spoilt,
    {
        for record in self.records {
            if self.forced { out.force(record) } else { out.note(record) }
        }
        self.effects.into_iter().for_each(|effect| out.effect(effect));
    }
}

impl<M: Spoilt> Machine for Wrong<M> {
    type Saved = M::Saved;
    type Live = M::Live;
    type Asleep = M::Asleep;
    type Input = M::Input;
    type Record = M::Record;
    type Effect = M::Effect;

    fn step(saved: &M::Saved, live: &mut M::Live, input: M::Input, out: &mut Output<Self>) {
        let mut own = Output::new();
        let Some(mutant) = WRONG.get() else {
            M::step(saved, live, input, &mut own);
            return Said::of(own).pass_on(out);
        };
        let before = live.clone();
        M::step(saved, live, M::misheard(input), &mut own);
        let mut said = Said::of(own);
        M::spoil(mutant, saved, before, live, &mut said);
        said.pass_on(out);
    }

    fn apply(saved: &mut M::Saved, record: &M::Record) {
        if !M::forgets(record) {
            M::apply(saved, record);
        }
    }

    fn restart(saved: &M::Saved, live: &mut M::Live, out: &mut Output<Self>) {
        if !M::is_silent_at_start() {
            let mut own = Output::new();
            match M::forgotten_at_start(saved) {
                Some(record) => {
                    let mut saved = saved.clone();
                    M::apply(&mut saved, &record);
                    own.note(record);
                    M::restart(&saved, live, &mut own);
                }
                None => M::restart(saved, live, &mut own),
            }
            M::spoil_started(live);
            Said::of(own).pass_on(out);
        }
    }

    fn leaves_ahead(records: &[M::Record], effect: &M::Effect) -> bool {
        M::leaves_ahead(records, effect) || M::leaves_amiss(records, effect)
    }

    fn is_open(saved: &M::Saved) -> bool {
        M::is_open(saved)
    }

    fn is_idle(live: &M::Live) -> bool {
        M::is_idle(live)
    }

    fn sleep(saved: &M::Saved, live: &M::Live) -> Option<M::Asleep> {
        M::sleep(saved, live)
    }

    fn wake(saved: &M::Saved, asleep: M::Asleep) -> M::Live {
        let mut live = M::wake(saved, asleep);
        M::spoil_awake(&mut live);
        live
    }

    fn summary(saved: &M::Saved) -> Summary {
        M::summary(saved)
    }

    fn snapshot(saved: &M::Saved) -> Option<M::Record> {
        M::snapshot(saved)
    }
}

impl Spoilt for transaction::Transaction {
    fn misheard(input: Self::Input) -> Self::Input {
        match input {
            transaction::Input::Fired(transaction::Timer::Deadline(_))
                if is(Mutant::SilenceTakenForNo) =>
            {
                let (request, reason) = (handfast_core::id::RequestId(0), String::new());
                transaction::Input::AbortAsked { request, reason }
            }
            transaction::Input::Fired(transaction::Timer::Votes(_)) if is(Mutant::LateTimeout) => {
                let (request, reason) = (handfast_core::id::RequestId(0), String::new());
                transaction::Input::AbortAsked { request, reason }
            }
            transaction::Input::Voted { run, branch: 1, vote: Vote::Yes(_), .. }
                if is(Mutant::AbortsForNothing) =>
            {
                transaction::Input::Fired(transaction::Timer::Votes(run))
            }
            transaction::Input::Received { message } => {
                transaction::Input::Received { message: misheard(message) }
            }
            input => input,
        }
    }

    fn spoil(
        mutant: Mutant,
        saved: &Self::Saved,
        _: Self::Live,
        live: &mut Self::Live,
        said: &mut Said<Self>,
    ) {
        let Said { records, effects, forced } = said;
        spoil(mutant, records, effects, forced);
        steps::spoil(mutant, (saved, live), records, effects, forced);
        if mutant == Mutant::WaitsIgnored && live.voting.is_none() {
            live.telling.iter_mut().for_each(|branch| branch.waits = false);
        }
    }

    fn forgets(record: &Record) -> bool {
        is(Mutant::ForgetfulReplay) && *record == Record::Finished && REPLAYS.get()
    }

    fn spoil_awake(live: &mut Self::Live) {
        if is(Mutant::ForgetfulSleep) {
            live.telling.iter_mut().for_each(|branch| branch.tries = 0);
        }
    }

    fn is_silent_at_start() -> bool {
        is(Mutant::SilentRestart)
    }

    fn spoil_started(live: &mut Self::Live) {
        if is(Mutant::AheadForgotten) {
            for telling in live.telling.iter_mut().filter(|telling| !telling.is_begun) {
                (telling.may_be_done, telling.may_be_late) = (false, false);
            }
        }
    }

    fn leaves_amiss(records: &[Record], effect: &Effect) -> bool {
        let is_done = matches!(records, [Record::Done { .. }]);
        let is_do = matches!(effect, Effect::Call { verb: Verb::Do, .. });
        is(Mutant::ResultUsedUnsynced) && is_done && is_do
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
    let orders = records.iter().any(|record| matches!(record, Record::PreCommitted { .. }));
    let delegates = records.iter().any(|record| matches!(record, Record::Delegated(_)));
    match mutant {
        Mutant::UnsyncedDecision => *forced &= !decides,
        Mutant::UnsyncedDelegation => *forced &= !delegates,
        Mutant::UnsyncedPreCommit => *forced &= !orders,
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

/// An acceptor that has accepted nothing seems to have accepted commit; a member that was down
/// seems not to have been.
fn misheard(mut message: Message) -> Message {
    match &mut message.word {
        Word::Promise { accepted, .. } if is(Mutant::TakeoverCommits) => {
            accepted.get_or_insert(Proposal::OWN);
        }
        Word::Told { recovering, .. } if is(Mutant::RecoveringCounts) => *recovering = false,
        _ => {}
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

impl Spoilt for shard::Shard {
    fn misheard(input: shard::Input) -> shard::Input {
        match input {
            shard::Input::Answered { branch, answer: Inquired::Silent }
                if is(Mutant::DecidesAlone) =>
            {
                shard::Input::Answered { branch, answer: Inquired::Abort }
            }
            shard::Input::Answered { branch, answer: Inquired::Abort }
                if is(Mutant::UnaskedAnswer) =>
            {
                let request = handfast_core::id::RequestId(0);
                shard::Input::Abort { request, branch }
            }
            shard::Input::Received { message } => {
                shard::Input::Received { message: misheard(message) }
            }
            input => input,
        }
    }

    fn spoil(
        mutant: Mutant,
        _: &Self::Saved,
        before: Self::Live,
        live: &mut Self::Live,
        said: &mut Said<Self>,
    ) {
        let Said { records, effects, forced } = said;
        let prepares = records.iter().any(|r| matches!(r, shard::Record::Prepared { .. }));
        let ends = records.iter().any(|r| matches!(r, shard::Record::Committed { .. }));
        match mutant {
            Mutant::UnsyncedPrepared => *forced &= !prepares,
            Mutant::LocksKept if ends => live.locks = before.locks,
            Mutant::LocksLetGoEarly if prepares => live.locks = Default::default(),
            Mutant::TwoProposals => {
                let messages = effects.iter_mut().filter_map(|effect| match effect {
                    shard::Effect::Send { message, .. } => Some(message),
                    _ => None,
                });
                messages.for_each(propose_otherwise);
            }
            Mutant::AcceptorForgets => records.retain(|record| {
                let promised = matches!(record, shard::Record::Promised { .. });
                !promised && !matches!(record, shard::Record::Accepted { .. })
            }),
            Mutant::UnsyncedPreCommitted => {
                let obeys = |r: &shard::Record| matches!(r, shard::Record::PreCommitted { .. });
                *forced &= !records.iter().any(obeys);
            }
            Mutant::WritesEarly => {
                let writes = records.iter().filter_map(written);
                let writes: Vec<_> = writes.collect();
                records.extend(writes);
            }
            _ => {}
        }
    }

    fn forgotten_at_start(saved: &shard::Saved) -> Option<shard::Record> {
        if !is(Mutant::VoteForgotten) || saved.prepared.is_empty() {
            return None;
        }
        Self::snapshot(&shard::Saved { prepared: Default::default(), ..saved.clone() })
    }

    fn spoil_started(live: &mut shard::Live) {
        if is(Mutant::RecoveringCounts) {
            live.inquiries.values_mut().for_each(|inquiry| inquiry.is_recovering = false);
        }
    }
}

/// What a branch writes, at once.
fn written(record: &shard::Record) -> Option<shard::Record> {
    let shard::Record::Prepared { prepared, .. } = record else { return None };
    let keys = prepared.writes.iter();
    let keys = keys.filter_map(|(key, value)| Some((key.clone(), value.clone()?))).collect();
    Some(shard::Record::Loaded { keys })
}
