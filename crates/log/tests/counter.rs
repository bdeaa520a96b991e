//! The smallest machine that has everything a partition must care about.

use std::sync::Arc;

use handfast_core::machine::{Machine, Output, Summary};
use handfast_log::{
    Addressed, Batch, Change, Entry, Log, LogError, Memory, Partition, Position, partition::Effects,
};
use serde::{Deserialize, Serialize};

/// Adds numbers. Open while its sum is odd; idle while nobody waits; sleeps at any time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Adds durably, then tells the sum.
    Add(i64),
    /// Adds when convenient, and tells the sum at once.
    Note(i64),
    /// Adds durably, and greets meanwhile.
    Greet(i64),
    /// Tells the sum.
    Ask,
    /// Someone waits, or no longer: for a machine that is not idle.
    Wait(bool),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Record {
    Added { by: i64 },
    Counted { sum: i64, additions: u64 },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    Tell(i64),
    Restarted(i64),
    /// Rests on nothing.
    Hello,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    pub sum: i64,
    pub additions: u64,
}

impl Machine for Counter {
    type Saved = Saved;
    type Live = bool;
    type Asleep = bool;
    type Input = Input;
    type Record = Record;
    type Effect = Effect;

    fn step(saved: &Saved, live: &mut bool, input: Input, out: &mut Output<Self>) {
        match input {
            Input::Add(by) => {
                out.force(Record::Added { by });
                out.effect(Effect::Tell(saved.sum + by));
            }
            Input::Note(by) => {
                out.note(Record::Added { by });
                out.effect(Effect::Tell(saved.sum + by));
            }
            Input::Greet(by) => {
                out.force(Record::Added { by });
                out.effect(Effect::Tell(saved.sum + by));
                out.effect(Effect::Hello);
            }
            Input::Ask => out.effect(Effect::Tell(saved.sum)),
            Input::Wait(waits) => *live = waits,
        }
    }

    fn apply(saved: &mut Saved, record: &Record) {
        match *record {
            Record::Added { by } => {
                saved.sum += by;
                saved.additions += 1;
            }
            Record::Counted { sum, additions } => *saved = Saved { sum, additions },
        }
    }

    fn restart(saved: &Saved, _: &mut bool, out: &mut Output<Self>) {
        out.effect(Effect::Restarted(saved.sum));
    }

    fn leaves_ahead(_: &[Record], effect: &Effect) -> bool {
        *effect == Effect::Hello
    }

    fn is_open(saved: &Saved) -> bool {
        saved.sum % 2 != 0
    }

    fn is_idle(live: &bool) -> bool {
        !*live
    }

    fn sleep(_: &Saved, live: &bool) -> Option<bool> {
        Some(*live)
    }

    fn wake(_: &Saved, asleep: bool) -> bool {
        asleep
    }

    fn summary(saved: &Saved) -> Summary {
        let state = if Self::is_open(saved) { "odd" } else { "even" };
        Summary { state, label: format!("sum-{} all", saved.sum) }
    }

    fn snapshot(saved: &Saved) -> Option<Record> {
        Some(Record::Counted { sum: saved.sum, additions: saved.additions })
    }
}

pub fn to(stream: &str, input: Input) -> Addressed<Counter> {
    Addressed { stream: stream.into(), input, fresh: false }
}

/// One turn, with the effects it released.
pub fn turn<L: Log>(
    partition: &mut Partition<Counter, L>,
    inputs: impl IntoIterator<Item = Addressed<Counter>>,
) -> Result<Effects<Counter>, LogError> {
    let staged = partition.stage(inputs)?;
    let effects = partition.commit(staged, 1_000)?;
    partition.retire();
    Ok(effects)
}

/// Opens a partition and commits what recovery asks for.
pub fn open<L: Log>(log: L) -> (Partition<Counter, L>, Effects<Counter>) {
    let (mut partition, staged) = Partition::open(log).unwrap();
    let effects = partition.commit(staged, 1_000).unwrap();
    partition.retire();
    (partition, effects)
}

pub fn sum<L: Log>(partition: &mut Partition<Counter, L>, stream: &str) -> Option<i64> {
    partition.look(stream).unwrap().map(|(saved, _)| saved.sum)
}

/// A batch of one change.
pub fn batch(stream: &str, bodies: &[&str], open: bool) -> Batch {
    let mut batch = Batch::default();
    batch.push(Change {
        stream: stream.into(),
        records: bodies.iter().map(ToString::to_string).collect(),
        snapshot: false,
        open,
        summary: Summary { state: if open { "working" } else { "done" }, label: "a b".into() },
    });
    batch
}

/// A log in memory that does wrong in one way.
#[derive(Default)]
pub struct Faulty {
    pub inner: Memory,
    /// Appends so many batches, then fails.
    pub fails_after: Option<usize>,
    /// The failing append arrives all the same.
    pub fails_late: bool,
    /// Says yes to every append and keeps none: the known-wrong engine.
    pub forgets: bool,
    /// Reading this stream fails.
    pub unreadable: Option<&'static str>,
    pub appends: usize,
}

impl Log for Faulty {
    fn append(&mut self, batch: &Batch, now_ms: u64) -> Result<Position, LogError> {
        self.appends += 1;
        if self.fails_after.is_some_and(|after| self.appends > after) {
            if self.fails_late {
                self.inner.append(batch, now_ms)?;
            }
            return Err(LogError::Full { file: "test".into() });
        }
        if self.forgets { Ok(self.inner.last_position()) } else { self.inner.append(batch, now_ms) }
    }

    fn read(&mut self, stream: &str) -> Result<Vec<Entry>, LogError> {
        match self.unreadable {
            Some(bad) if bad == stream => Err(LogError::Io {
                doing: "read",
                file: "test".into(),
                cause: "the disk does not answer".into(),
            }),
            _ => self.inner.read(stream),
        }
    }

    fn open_streams(&mut self) -> Result<Vec<Arc<str>>, LogError> {
        self.inner.open_streams()
    }

    fn last_position(&self) -> Position {
        self.inner.last_position()
    }

    fn prune(&mut self, cutoff_ms: u64, limit: usize) -> Result<usize, LogError> {
        self.inner.prune(cutoff_ms, limit)
    }

    fn close(self) -> Result<(), LogError> {
        Ok(())
    }
}
