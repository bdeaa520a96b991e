//! A node: the production partition over a memory log, and the ways in which it dies.

use std::{collections::BTreeMap, sync::Arc};

use crate::machines;
use handfast_core::machine::Machine;
use handfast_log::{Addressed, Memory, Partition};
use serde::{Serialize, de::DeserializeOwned};

/// Where a node dies within a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Death {
    /// In the sync: what the turn recorded is lost, and nothing has left.
    Unsynced,
    /// In the sync: the same, but what leaves ahead of it has left.
    Ahead,
    /// After the sync, when so many of the turn's effects have left.
    After(u8),
    /// After the sync, when some of what was to leave has left, in whatever order: the answers to
    /// callers if the first bit is set, and each message if its bit is.
    AfterSome(u16),
}

/// A partition that is up, or the disk of one that is down.
#[derive(Clone)]
pub struct Node<M: Machine> {
    up: Option<Partition<M, Memory>>,
    disk: Memory,
    /// What a crash now would leave of each machine. The world keeps it beside the log, so that the
    /// two can be compared.
    durable: BTreeMap<Arc<str>, M::Saved>,
    /// What a sync would add to that.
    unsynced: Vec<(Arc<str>, M::Saved)>,
    /// How often a turn has promised something.
    changes: u32,
}

/// What a turn asked for.
pub type Effects<M> = Vec<(Arc<str>, <M as Machine>::Effect)>;

const OPENS: &str = "a memory log gives back what was appended to it";

impl<M: Machine> Node<M>
where
    M::Record: Serialize + DeserializeOwned,
{
    /// Whether it runs.
    pub fn is_up(&self) -> bool {
        self.up.is_some()
    }

    /// Whether there are records that no sync has taken along.
    pub fn has_notes(&self) -> bool {
        self.up.as_ref().is_some_and(Partition::has_notes)
    }

    /// How often a turn has promised something.
    pub fn changes(&self) -> u32 {
        self.changes
    }

    /// What a machine has promised, durable or not.
    pub fn saved(&self, stream: &str) -> Option<&M::Saved> {
        let machine = self.up.as_ref().and_then(|up| up.machine(stream));
        machine.map(|(saved, _)| saved).or_else(|| self.durable.get(stream))
    }

    /// What a crash now would leave of a machine.
    pub fn durable(&self, stream: &str) -> Option<&M::Saved> {
        self.durable.get(stream)
    }

    /// What a machine in memory has promised, and would forget in a crash.
    pub fn machine(&self, stream: &str) -> Option<(&M::Saved, &M::Live)> {
        self.up.as_ref()?.machine(stream)
    }

    /// What a machine in memory would forget in a crash.
    pub fn live(&self, stream: &str) -> Option<&M::Live> {
        self.machine(stream).map(|(_, live)| live)
    }

    /// Every machine of which something is durable.
    pub fn all_durable(&self) -> impl Iterator<Item = (&Arc<str>, &M::Saved)> {
        self.durable.iter()
    }

    /// Every machine in memory.
    pub fn in_memory(&self) -> impl Iterator<Item = (&Arc<str>, &M::Saved, &M::Live)> {
        self.up.iter().flat_map(Partition::machines)
    }

    /// One turn of one input; if the node dies in it, only what left before is answered. `fresh`
    /// as in [`Addressed`].
    pub fn turn(
        &mut self,
        stream: &Arc<str>,
        input: M::Input,
        fresh: bool,
        death: Option<Death>,
    ) -> Effects<M> {
        let up = self.up.as_mut().expect("a node that is down takes no turn");
        let staged = up.stage([Addressed { stream: Arc::clone(stream), input, fresh }]);
        let staged = staged.expect(OPENS);
        if staged.promises()
            && let Some((saved, _)) = up.machine(stream)
        {
            let mut unsynced = self.unsynced.iter_mut();
            match unsynced.find(|(other, _)| other == stream) {
                Some((_, last)) if last == saved => {}
                Some((_, last)) => {
                    last.clone_from(saved);
                    self.changes += 1;
                }
                None => {
                    let is_new = match self.durable.get(stream) {
                        Some(last) => last != saved,
                        None => *saved != M::Saved::default(),
                    };
                    if is_new {
                        self.changes += 1;
                        self.unsynced.push((Arc::clone(stream), saved.clone()));
                    }
                }
            }
        }
        self.release(staged, death)
    }

    /// Writes what waits for a sync.
    pub fn flush(&mut self) {
        let up = self.up.as_mut().expect("a node that is down writes nothing");
        up.flush(0).expect("a memory log without a bound takes everything");
        up.retire();
        self.durable.extend(self.unsynced.drain(..));
    }

    /// Dies at rest.
    pub fn crash(&mut self) {
        self.die(true);
    }

    /// Starts again: what it asks for at once.
    pub fn restart(&mut self, death: Option<Death>) -> Effects<M> {
        let disk = std::mem::take(&mut self.disk);
        let (partition, staged) = machines::replaying(|| Partition::open(disk)).expect(OPENS);
        let up = self.up.insert(partition);
        if up.has_notes() {
            let saved = up.machines().map(|(stream, saved, _)| (Arc::clone(stream), saved.clone()));
            self.unsynced = saved.collect();
        }
        self.release(staged, death)
    }

    /// What the log says of a machine, read back: it must be what is durable.
    pub fn replayed(&self, stream: &str) -> M::Saved {
        let disk = self.up.as_ref().map_or(&self.disk, Partition::log_ref);
        let mut saved = M::Saved::default();
        for text in disk.texts(stream) {
            let record = serde_json::from_str(text).expect("it was written as JSON");
            machines::replaying(|| M::apply(&mut saved, &record));
        }
        saved
    }

    fn release(&mut self, mut staged: handfast_log::Staged<M>, death: Option<Death>) -> Effects<M> {
        let up = self.up.as_mut().expect("it was staged just now");
        let is_lost = matches!(death, Some(Death::Unsynced | Death::Ahead));
        let before = is_lost.then(|| (up.log().clone(), self.durable.clone()));
        let mut left = staged.take_ahead();
        let mut effects =
            up.commit(staged, 0).expect("a memory log without a bound takes everything");
        up.retire();
        if !up.has_notes() {
            self.durable.extend(self.unsynced.drain(..));
        }
        match (death, before) {
            (_, Some((disk, durable))) => {
                let wrote = *self.up.as_mut().expect("it is up").log() != disk;
                // The log itself takes back what was in the sync.
                self.die(!wrote);
                self.durable = durable;
                effects.clear();
                if death == Some(Death::Unsynced) {
                    left.clear();
                }
            }
            (Some(Death::After(count)), _) => {
                self.die(true);
                effects.truncate(count.into());
            }
            // What leaves is the driver's matter.
            (Some(Death::AfterSome(_)), _) => self.die(true),
            _ => {}
        }
        left.append(&mut effects);
        left
    }

    fn die(&mut self, keep_last: bool) {
        let mut up = self.up.take().expect("only what is up dies");
        self.disk = std::mem::take(up.log());
        self.disk.crash(keep_last);
        self.unsynced.clear();
    }
}

impl<M: Machine> Default for Node<M>
where
    M::Record: Serialize + DeserializeOwned,
{
    /// A node that has never run and is up.
    fn default() -> Self {
        let (partition, _) = Partition::open(Memory::default()).expect(OPENS);
        let (durable, unsynced) = (BTreeMap::new(), Vec::new());
        Self { up: Some(partition), disk: Memory::default(), durable, unsynced, changes: 0 }
    }
}
