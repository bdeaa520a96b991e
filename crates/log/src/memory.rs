//! The engine of simulations and tests: a log in memory that loses exactly what was not synced.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use handfast_core::machine::Summary;

use crate::log::{Batch, Change, Entry, Log, LogError, Position};

/// A log in memory. A clone is a disk image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    streams: BTreeMap<Arc<str>, Stream>,
    last: Position,
    /// What the last append has changed, to take back in a crash.
    undo: Option<Undo>,
    /// Most bytes of records there is room for; no bound if absent.
    bytes_max: Option<usize>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Stream {
    entries: Vec<Kept>,
    head: Head,
}

/// A record. Its text is shared by all disk images.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Kept {
    position: Position,
    version: u64,
    at_ms: u64,
    body: Arc<str>,
}

/// Everything of a stream but its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Head {
    /// Records before this index are never read again.
    start: usize,
    open: bool,
    summary: Summary,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Undo {
    last: Position,
    /// By stream: how many records it had, and its head.
    before: Vec<(Arc<str>, usize, Head)>,
}

impl Memory {
    /// An empty log with room for so many bytes of records, to run full.
    pub fn with_room(bytes_max: usize) -> Self {
        Self { bytes_max: Some(bytes_max), ..Self::default() }
    }

    /// The process dies. Without `keep_last` it died in the sync of the last append, which so was
    /// never acknowledged, and that append is gone; with it, everything appended is there.
    pub fn crash(&mut self, keep_last: bool) {
        let (Some(undo), false) = (self.undo.take(), keep_last) else {
            return;
        };
        self.last = undo.last;
        for (name, count, head) in undo.before {
            if count == 0 {
                self.streams.remove(&name);
            } else if let Some(stream) = self.streams.get_mut(&name) {
                stream.entries.truncate(count);
                stream.head = head;
            }
        }
    }

    /// What lists show of a stream, and whether it is open.
    pub fn summary(&self, stream: &str) -> Option<(&Summary, bool)> {
        self.streams.get(stream).map(|stream| (&stream.head.summary, stream.head.open))
    }

    /// The texts that a fold of a stream reads.
    pub fn texts(&self, stream: &str) -> impl Iterator<Item = &str> {
        self.kept(stream).iter().map(|kept| &*kept.body)
    }

    fn kept(&self, stream: &str) -> &[Kept] {
        let kept = self.streams.get(stream).map(|stream| &stream.entries[stream.head.start..]);
        kept.unwrap_or_default()
    }

    fn bytes(&self) -> usize {
        let entries = self.streams.values().flat_map(|stream| &stream.entries);
        entries.map(|entry| entry.body.len()).sum()
    }

    fn change(&mut self, change: &Change, now_ms: u64, undo: &mut Undo) {
        let stream = self.streams.entry(Arc::clone(&change.stream)).or_default();
        let count = stream.entries.len();
        for body in &change.records {
            self.last += 1;
            let version = stream.entries.last().map_or(1, |last| last.version + 1);
            let (position, body) = (self.last, Arc::from(body.as_str()));
            stream.entries.push(Kept { position, version, at_ms: now_ms, body });
        }
        let start = if change.snapshot { stream.entries.len() - 1 } else { stream.head.start };
        let head = Head { start, open: change.open, summary: change.summary.clone() };
        let before = std::mem::replace(&mut stream.head, head);
        undo.before.push((Arc::clone(&change.stream), count, before));
    }
}

impl Kept {
    fn entry(&self) -> Entry {
        let Self { position, version, at_ms, ref body } = *self;
        Entry { position, version, at_ms, body: String::from(&**body) }
    }
}

impl Stream {
    fn last_position(&self) -> Position {
        self.entries.last().map_or(0, |entry| entry.position)
    }

    fn changed_at_ms(&self) -> u64 {
        self.entries.last().map_or(0, |entry| entry.at_ms)
    }
}

impl Log for Memory {
    fn append(&mut self, batch: &Batch, now_ms: u64) -> Result<Position, LogError> {
        if let Some(bytes_max) = self.bytes_max {
            let records = batch.changes().iter().flat_map(|change| &change.records);
            if self.bytes() + records.map(String::len).sum::<usize>() > bytes_max {
                return Err(LogError::Full { file: PathBuf::from("memory") });
            }
        }
        let mut undo = Undo { last: self.last, before: Vec::new() };
        for change in batch.changes() {
            self.change(change, now_ms, &mut undo);
        }
        self.undo = Some(undo);
        Ok(self.last)
    }

    fn read(&mut self, stream: &str) -> Result<Vec<Entry>, LogError> {
        Ok(self.kept(stream).iter().map(Kept::entry).collect())
    }

    fn open_streams(&mut self) -> Result<Vec<Arc<str>>, LogError> {
        let open = self.streams.iter().filter(|(_, stream)| stream.head.open);
        Ok(open.map(|(name, _)| Arc::clone(name)).collect())
    }

    fn last_position(&self) -> Position {
        self.last
    }

    fn prune(&mut self, cutoff_ms: u64, limit: usize) -> Result<usize, LogError> {
        let old = |stream: &Stream| !stream.head.open && stream.changed_at_ms() < cutoff_ms;
        let mut oldest: Vec<_> = (self.streams.iter().filter(|(_, stream)| old(stream)))
            .map(|(name, stream)| (stream.last_position(), Arc::clone(name)))
            .collect();
        oldest.sort();
        oldest.truncate(limit);
        // As durable as an append: what came before it stays.
        self.undo = None;
        for (_, name) in &oldest {
            self.streams.remove(name);
        }
        Ok(oldest.len())
    }

    fn close(self) -> Result<(), LogError> {
        Ok(())
    }
}
