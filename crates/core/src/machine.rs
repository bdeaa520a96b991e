//! What a machine is, and the write-ahead contract.
//!
//! A machine is one transaction, one shard, one lock. Its state has two halves:
//!
//! * **saved**: what the log knows. It changes only by [`Machine::apply`], so replaying the
//!   records of a stream *is* recovery, and there is no second way.
//! * **live**: what a crash forgets, such as votes not yet decided upon and callers who wait.
//!   A crash is `Live::default()`.
//!
//! [`Machine::step`] reads what is saved, may change what is live, and asks for everything else
//! through [`Output`]: records to be promised and effects to be done. It holds `saved` by shared
//! reference, so a state that is changed but not recorded cannot be written.
//!
//! # The write-ahead contract
//!
//! Effects must not leave before the forced records of the same turn are durable. The fields of
//! [`Output`] are private and a driver gets the effects only by consuming it with
//! [`Output::into_parts`]; `handfast-log`'s partition is the only production code that does.
//!
//! A record is *forced* (an effect depends on it) or *lazy* (losing it in a crash costs work, never
//! truth: it may ride on a later sync).
//!
//! One exception, which a machine must ask for by [`Machine::leaves_ahead`]: an effect that rests
//! on none of the records beside it may leave while they are synced. After a crash in which they
//! are lost, the machine must take it for one that may have left.
//!
//! # The rules of driving
//!
//! * `step` is total: every input is legal in every state. A late, doubled or unknown input
//!   changes nothing.
//! * A step sees `saved` as it was before its own records.
//! * Every effect may be lost in a crash: [`Machine::restart`] derives again those that matter.
//!   Every effect may be done twice: participants must bear that.
//! * Same saved, same live, same input: same output, always.

use alloc::vec::Vec;
use core::fmt::Debug;

/// A deterministic state machine over the log. See the module for the rules.
pub trait Machine {
    /// What survives a crash.
    type Saved: Clone + Debug + Default + Eq;
    /// What does not.
    type Live: Clone + Debug + Default + Eq;
    /// What of that is kept while it sleeps.
    type Asleep: Clone + Debug + Eq;
    /// What happens to it.
    type Input: Clone + Debug + Eq;
    /// What it promises, in the log, for ever.
    type Record: Clone + Debug + Eq;
    /// What it asks the outside to do.
    type Effect: Clone + Debug + Eq;

    /// Decides what follows from `input`.
    fn step(saved: &Self::Saved, live: &mut Self::Live, input: Self::Input, out: &mut Output<Self>);

    /// Takes a record into the saved state: right after the step that made it, and at replay.
    /// The only code that changes saved state.
    fn apply(saved: &mut Self::Saved, record: &Self::Record);

    /// Called once after replay, before any input: re-arms timers, sends decisions again.
    fn restart(saved: &Self::Saved, live: &mut Self::Live, out: &mut Output<Self>);

    /// Whether an effect rests on none of these records, which came of the same step, so that it
    /// may leave before they are durable. All records before them are.
    fn leaves_ahead(_: &[Self::Record], _: &Self::Effect) -> bool {
        false
    }

    /// True while work is left, so that start-up must bring this machine back by itself.
    fn is_open(saved: &Self::Saved) -> bool;

    /// True if a crash would forget nothing: such a machine may leave memory.
    fn is_idle(live: &Self::Live) -> bool;

    /// What must be kept of it so that it can leave memory with work left, which waits for nothing
    /// but a timer; none if it must stay. It is never asked with records that are not in the log.
    fn sleep(saved: &Self::Saved, live: &Self::Live) -> Option<Self::Asleep>;

    /// The live state that slept, exactly, beside what the log gives back. It is no restart:
    /// nothing is asked for again.
    fn wake(saved: &Self::Saved, asleep: Self::Asleep) -> Self::Live;

    /// The state's name and a label to filter lists by, for the log's read side.
    fn summary(saved: &Self::Saved) -> Summary;

    /// One record that rebuilds `saved` from nothing, for machines whose streams grow long.
    fn snapshot(saved: &Self::Saved) -> Option<Self::Record>;
}

/// What lists show of a machine without folding its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The state's name, such as `committing`; the empty string if the machine has none.
    pub state: &'static str,
    /// Words to filter by, separated by single spaces; for a transaction its resources.
    pub label: alloc::string::String,
}

impl Summary {
    /// The label's first word if it starts with `!`. It must never change: the machine is found by
    /// it as by its name.
    pub fn mark(&self) -> Option<&str> {
        self.label.split(' ').next().filter(|word| word.starts_with('!'))
    }
}

/// The records and effects of one or more steps, not yet released.
#[derive(Debug)]
pub struct Output<M: Machine + ?Sized> {
    records: Vec<M::Record>,
    effects: Vec<M::Effect>,
    forced: bool,
}

impl<M: Machine + ?Sized> Output<M> {
    /// Nothing promised, nothing asked for.
    pub fn new() -> Self {
        Self { records: Vec::new(), effects: Vec::new(), forced: false }
    }

    /// Promises `record`; no effect of this turn leaves before it is durable.
    pub fn force(&mut self, record: M::Record) {
        self.records.push(record);
        self.forced = true;
    }

    /// Notes `record`, to be durable at some later sync; a crash before that may forget it.
    pub fn note(&mut self, record: M::Record) {
        self.records.push(record);
    }

    /// Asks for `effect`, once everything forced is durable.
    pub fn effect(&mut self, effect: M::Effect) {
        self.effects.push(effect);
    }

    /// Gives up the seal: records, effects, and whether the records must be durable before the
    /// effects leave. Whoever calls this takes on the write-ahead contract.
    pub fn into_parts(self) -> (Vec<M::Record>, Vec<M::Effect>, bool) {
        (self.records, self.effects, self.forced)
    }
}

impl<M: Machine + ?Sized> Default for Output<M> {
    fn default() -> Self {
        Self::new()
    }
}
