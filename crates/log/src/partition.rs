//! A partition: machines, their log, and the turn.
//!
//! ```text
//! stage:  inputs ──▶ step ──▶ apply records in memory     nothing durable, nothing has left
//! commit:            append + sync ──▶ effects            nothing leaves before
//! ```
//!
//! But for those that leave ahead, see [`Machine::leaves_ahead`].
//!
//! [`Staged`] is the seal between the two: it holds the effects of a turn, and
//! [`Partition::commit`] alone opens it. A commit writes *everything* that is forced and not yet
//! written, so no effect can leave before a record that it depends on, in whatever order turns
//! are committed.
//!
//! A machine that waits for nothing but a timer may **sleep**: the log gives back what is saved,
//! and what is kept here of the rest is small. The next input wakes it, as it was.
//!
//! When the log fails, nothing is known about what it holds, and memory is ahead of it. Then the
//! partition is broken: every later call fails, no effect leaves. Restart, and read back.

use std::{collections::BTreeMap, sync::Arc};

use handfast_core::machine::{Machine, Output};
use serde::{Serialize, de::DeserializeOwned};

use self::length::Length;
pub use self::length::{SNAPSHOT_FACTOR, SNAPSHOT_RECORDS_MIN};
use crate::log::{Batch, Change, Log, LogError};

mod length;

/// Most lazy records that wait for a sync; one more makes the next commit write them.
pub const NOTES_MAX: usize = 4096;
/// Machines that need not sleep: memory is not worth reading them back. With more awake, those that
/// can go to sleep.
pub const AWAKE_MAX: usize = 512;
/// Machines of one kind, and the log that they live in. One thread owns it. A clone has a log of
/// its own, so only a partition over [`crate::Memory`] has one.
#[derive(Clone)]
pub struct Partition<M: Machine, L> {
    log: L,
    /// Those with work left, and those that a crash would make forget something.
    machines: BTreeMap<Arc<str>, Box<Slot<M>>>,
    /// Those with work left that the log gives back, beside this. None of them is in `machines`.
    asleep: BTreeMap<Arc<str>, M::Asleep>,
    /// Streams with records that are not written, in the order of their first.
    unwritten: Vec<Arc<str>>,
    /// How many records that are.
    unwritten_records: usize,
    /// Whether one of them is forced.
    forced: bool,
    /// Machines that may have become fit to leave memory.
    touched: Vec<Arc<str>>,
    /// The log failed: memory is ahead of it, or it of memory.
    broken: bool,
}

#[derive(Clone)]
struct Slot<M: Machine> {
    saved: M::Saved,
    live: M::Live,
    /// Records applied to `saved` and not yet in the log, as JSON. While there are any, the
    /// machine must stay: the log would give it back in an older state.
    unwritten: Vec<String>,
    length: Length,
}

/// What became of the streams of machines that were not in memory.
struct Absent<M: Machine> {
    found: BTreeMap<Arc<str>, Box<Slot<M>>>,
    damaged: BTreeMap<Arc<str>, String>,
}

/// A machine's two halves.
pub type State<M> = (<M as Machine>::Saved, <M as Machine>::Live);

/// What a turn asks for, by stream.
pub type Effects<M> = Vec<(Arc<str>, <M as Machine>::Effect)>;

/// An input and the stream of the machine it is for.
pub struct Addressed<M: Machine> {
    /// The machine's stream.
    pub stream: Arc<str>,
    /// What happens to it.
    pub input: M::Input,
    /// The caller guarantees that no record of this stream was ever written: it is not looked for.
    pub fresh: bool,
}

/// An input that was not taken: what the log holds of its machine is damaged.
pub struct Refused<M: Machine> {
    /// What was not taken.
    pub input: Addressed<M>,
    /// What is wrong with its stream.
    pub why: String,
}

/// What a turn asks for, sealed until its records are durable.
#[must_use = "the effects of a turn are lost unless it is committed"]
pub struct Staged<M: Machine> {
    ahead: Effects<M>,
    effects: Effects<M>,
    records: usize,
    forced: bool,
    refused: Vec<Refused<M>>,
}

impl<M: Machine> Staged<M> {
    /// Takes the inputs that were not taken. Nothing has come of them and nothing ever will, so
    /// whoever sent them may be told at once.
    pub fn take_refused(&mut self) -> Vec<Refused<M>> {
        std::mem::take(&mut self.refused)
    }

    /// Takes what may leave before the commit, see [`Machine::leaves_ahead`].
    pub fn take_ahead(&mut self) -> Effects<M> {
        std::mem::take(&mut self.ahead)
    }

    /// Whether its effects wait for a sync.
    pub fn is_forced(&self) -> bool {
        self.forced
    }

    /// Whether the turn promised anything, durable or not.
    pub fn promises(&self) -> bool {
        self.records > 0
    }

    /// Whether the turn promised nothing and asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.ahead.is_empty() && self.effects.is_empty() && self.records == 0
    }
}

impl<M: Machine, L: Log> Partition<M, L>
where
    M::Record: Serialize + DeserializeOwned,
{
    /// Brings back the open machines: reads their streams, folds them, restarts each. What they
    /// ask for comes out of the first commit.
    ///
    /// # Errors
    /// A stream could not be read; nothing was changed.
    pub fn open(log: L) -> Result<(Self, Staged<M>), LogError> {
        let mut partition = Self {
            log,
            machines: BTreeMap::new(),
            asleep: BTreeMap::new(),
            unwritten: Vec::new(),
            unwritten_records: 0,
            forced: false,
            touched: Vec::new(),
            broken: false,
        };
        let mut staged = Staged::default();
        for stream in partition.log.open_streams()? {
            if let Some(slot) = partition.read(&stream)? {
                partition.restart(stream, slot, &mut staged)?;
            }
        }
        Ok((partition, staged))
    }

    /// Steps the machines. Nothing is durable afterwards and nothing has left.
    ///
    /// A machine that is not in memory is read back from the log first, unless the input is fresh;
    /// then it is woken if it slept, or restarted as after a crash.
    /// If its stream is damaged, its inputs are refused; all others are taken.
    ///
    /// # Errors
    /// The log could not be read: no input was taken, the partition stays as it was.
    pub fn stage(
        &mut self,
        inputs: impl IntoIterator<Item = Addressed<M>>,
    ) -> Result<Staged<M>, LogError> {
        self.check()?;
        let inputs: Vec<_> = inputs.into_iter().collect();
        let mut staged = Staged::default();
        // Everything that may fail for outside reasons comes before the first step.
        let Absent { found, damaged } = self.read_absent(&inputs)?;
        for (stream, mut slot) in found {
            match self.asleep.remove_entry(&stream) {
                Some((stream, asleep)) => {
                    slot.live = M::wake(&slot.saved, asleep);
                    self.machines.insert(stream, slot);
                }
                None => self.restart(stream, slot, &mut staged)?,
            }
        }
        for input in inputs {
            if let Some(why) = damaged.get(&input.stream) {
                staged.refused.push(Refused { input, why: why.clone() });
                continue;
            }
            let Addressed { stream, input, .. } = input;
            let slot = self.machines.entry(Arc::clone(&stream)).or_default();
            let mut out = Output::new();
            M::step(&slot.saved, &mut slot.live, input, &mut out);
            self.take(stream, out, &mut staged)?;
        }
        Ok(staged)
    }

    /// Makes durable what is forced, then releases the effects; also those that might have been
    /// taken ahead, and were not.
    ///
    /// # Errors
    /// The records may or may not be in the log. No effect leaves; the partition is broken.
    pub fn commit(&mut self, mut staged: Staged<M>, now_ms: u64) -> Result<Effects<M>, LogError> {
        self.check()?;
        // Not only this turn's: its steps may have seen forced records of a turn before.
        if self.forced || self.unwritten_records > NOTES_MAX {
            self.write(now_ms)?;
        }
        staged.effects.splice(..0, staged.ahead);
        Ok(staged.effects)
    }

    /// Whether there are records that no sync has taken along yet.
    pub fn has_notes(&self) -> bool {
        self.unwritten_records > 0
    }

    /// Writes the records that wait for a sync.
    ///
    /// # Errors
    /// As for [`Partition::commit`].
    pub fn flush(&mut self, now_ms: u64) -> Result<(), LogError> {
        self.check()?;
        self.write(now_ms)
    }

    /// Lets go of machines that the log gives back as they are, and puts others to sleep. To be
    /// called after each turn, when its effects have been handed out: who hands them out may still
    /// look at their machines.
    pub fn retire(&mut self) {
        for stream in self.touched.drain(..) {
            // What is not written the log would not give back.
            let slot = self.machines.get(&stream).filter(|slot| slot.unwritten.is_empty());
            let Some(Slot { saved, live, .. }) = slot.map(|slot| &**slot) else { continue };
            if !M::is_open(saved) {
                if M::is_idle(live) {
                    self.machines.remove(&stream);
                }
            } else if self.machines.len() > AWAKE_MAX
                && let Some(asleep) = M::sleep(saved, live)
                // The name that others share, which that of the input need not be.
                && let Some((stream, _)) = self.machines.remove_entry(&stream)
            {
                self.asleep.insert(stream, asleep);
            }
        }
        // A start touches all there are.
        self.touched.shrink_to(8 * AWAKE_MAX);
    }

    /// A machine's saved state, and its live state if it is in memory or sleeps; `None` if it never
    /// existed.
    ///
    /// # Errors
    /// Its stream could not be read; nothing was changed.
    pub fn look(&mut self, stream: &str) -> Result<Option<State<M>>, LogError> {
        self.check()?;
        match self.machines.get(stream) {
            Some(slot) => Ok(Some((slot.saved.clone(), slot.live.clone()))),
            None => Ok(self.read(stream)?.map(|slot| {
                let Slot { saved, .. } = *slot;
                let asleep = self.asleep.get(stream).cloned();
                let live = asleep.map(|asleep| M::wake(&saved, asleep)).unwrap_or_default();
                (saved, live)
            })),
        }
    }

    /// The machines in memory, by stream: all that are open and do not sleep, and some others.
    pub fn machines(&self) -> impl Iterator<Item = (&Arc<str>, &M::Saved, &M::Live)> {
        self.machines.iter().map(|(stream, slot)| (stream, &slot.saved, &slot.live))
    }

    /// A machine, if it is in memory.
    pub fn machine(&self, stream: &str) -> Option<(&M::Saved, &M::Live)> {
        self.machines.get(stream).map(|slot| (&slot.saved, &slot.live))
    }

    /// The log, for pruning and reading. Appending to it past the partition breaks the contract,
    /// and so does pruning up to the present: a stream that is closed in the log may have a note
    /// here that waits for a sync.
    pub fn log(&mut self) -> &mut L {
        &mut self.log
    }

    /// The log, to look at.
    pub fn log_ref(&self) -> &L {
        &self.log
    }

    /// Writes what waits and closes the log.
    ///
    /// # Errors
    /// As for [`Partition::commit`].
    pub fn close(mut self, now_ms: u64) -> Result<(), LogError> {
        self.flush(now_ms)?;
        self.log.close()
    }

    fn check(&self) -> Result<(), LogError> {
        if self.broken { Err(LogError::Broken) } else { Ok(()) }
    }

    /// Reads back the machines that `inputs` name and that are not in memory.
    fn read_absent(&mut self, inputs: &[Addressed<M>]) -> Result<Absent<M>, LogError> {
        let (mut found, mut damaged) = (BTreeMap::new(), BTreeMap::new());
        for Addressed { stream, fresh, .. } in inputs {
            let is_read = found.contains_key(stream) || damaged.contains_key(stream);
            let is_new = *fresh && !self.asleep.contains_key(stream);
            if is_new || self.machines.contains_key(stream) || is_read {
                continue;
            }
            match self.read(stream) {
                Ok(None) if self.asleep.contains_key(stream) => {
                    damaged.insert(Arc::clone(stream), "its records are gone".into());
                }
                Ok(None) => {}
                Ok(Some(slot)) => drop(found.insert(Arc::clone(stream), slot)),
                Err(error @ LogError::DamagedStream { .. }) => {
                    damaged.insert(Arc::clone(stream), error.to_string());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(Absent { found, damaged })
    }

    /// Folds a stream; `None` if there is none.
    fn read(&mut self, stream: &str) -> Result<Option<Box<Slot<M>>>, LogError> {
        let entries = self.log.read(stream)?;
        if entries.is_empty() {
            return Ok(None);
        }
        let mut slot = Box::<Slot<M>>::default();
        for entry in entries {
            let record = serde_json::from_str(&entry.body).map_err(|cause| LogError::DamagedStream {
                file: "the log".into(),
                what: format!(
                    "the record at position {}, version {} of stream `{stream}`, makes no sense \
                     ({cause})",
                    entry.position, entry.version
                ),
            })?;
            M::apply(&mut slot.saved, &record);
            slot.length.add(entry.body.len());
        }
        Ok(Some(slot))
    }

    /// Puts a machine back to work after its fold.
    fn restart(
        &mut self,
        stream: Arc<str>,
        slot: Box<Slot<M>>,
        staged: &mut Staged<M>,
    ) -> Result<(), LogError> {
        let slot = self.machines.entry(Arc::clone(&stream)).or_insert(slot);
        let mut out = Output::new();
        M::restart(&slot.saved, &mut slot.live, &mut out);
        self.take(stream, out, staged)
    }

    /// Applies what a step promised, so that the next step sees it, and seals what it asks for.
    fn take(
        &mut self,
        stream: Arc<str>,
        out: Output<M>,
        staged: &mut Staged<M>,
    ) -> Result<(), LogError> {
        let (records, effects, forced) = out.into_parts();
        let slot = self.machines.get_mut(&stream).expect("it was stepped just now");
        // A step before, in this turn or one not committed, may have recorded what it rests on.
        let is_written = slot.unwritten.is_empty();
        for record in &records {
            let body = serde_json::to_string(record).map_err(|cause| {
                // Earlier records of the step are applied already.
                self.broken = true;
                LogError::Unwritable { stream: Arc::clone(&stream), cause }
            })?;
            M::apply(&mut slot.saved, record);
            slot.length.add(body.len());
            if slot.unwritten.is_empty() {
                self.unwritten.push(Arc::clone(&stream));
            }
            slot.unwritten.push(body);
            self.unwritten_records += 1;
            staged.records += 1;
        }
        for effect in effects {
            let leaves_ahead = is_written && M::leaves_ahead(&records, &effect);
            let leaving = if leaves_ahead { &mut staged.ahead } else { &mut staged.effects };
            leaving.push((Arc::clone(&stream), effect));
        }
        staged.forced |= forced;
        self.forced |= forced;
        self.touched.push(stream);
        Ok(())
    }

    fn write(&mut self, now_ms: u64) -> Result<(), LogError> {
        if self.unwritten.is_empty() {
            return Ok(());
        }
        // Broken until the append has come back whole, whatever way it leaves.
        self.broken = true;
        let mut batch = Batch::default();
        for stream in self.unwritten.drain(..) {
            let slot = self.machines.get_mut(&stream).expect("unwritten records keep it here");
            batch.push(slot.change(Arc::clone(&stream))?);
            self.touched.push(stream);
        }
        self.log.append(&batch, now_ms)?;
        self.unwritten_records = 0;
        self.forced = false;
        self.broken = false;
        Ok(())
    }
}

impl<M: Machine> Slot<M>
where
    M::Record: Serialize,
{
    /// Takes the unwritten records, with a snapshot behind them if the stream has grown long.
    fn change(&mut self, stream: Arc<str>) -> Result<Change, LogError> {
        let mut records = std::mem::take(&mut self.unwritten);
        let snapshot = if self.length.is_long() { M::snapshot(&self.saved) } else { None };
        if let Some(record) = &snapshot {
            let mut rebuilt = M::Saved::default();
            M::apply(&mut rebuilt, record);
            assert!(rebuilt == self.saved, "a snapshot of `{stream}` rebuilds another state");
            let body = serde_json::to_string(record)
                .map_err(|cause| LogError::Unwritable { stream: Arc::clone(&stream), cause })?;
            self.length = Length::default();
            self.length.add(body.len());
            records.push(body);
        }
        Ok(Change {
            stream,
            records,
            snapshot: snapshot.is_some(),
            open: M::is_open(&self.saved),
            summary: M::summary(&self.saved),
        })
    }
}

impl<M: Machine> Default for Staged<M> {
    fn default() -> Self {
        let (ahead, effects, refused) = (Vec::new(), Vec::new(), Vec::new());
        Self { ahead, effects, records: 0, forced: false, refused }
    }
}

impl<M: Machine> Default for Slot<M> {
    fn default() -> Self {
        Self {
            saved: M::Saved::default(),
            live: M::Live::default(),
            unwritten: Vec::new(),
            length: Length::default(),
        }
    }
}
