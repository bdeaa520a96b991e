//! A site: a production partition over a memory log, whose sync takes time.

use std::sync::Arc;

use handfast_core::machine::Machine;
use handfast_log::{Addressed, Memory, Partition, Staged};
use serde::{Serialize, de::DeserializeOwned};

const MEMORY: &str = "a memory log without a bound takes everything and gives it back";

/// What a turn asks for, by stream.
pub(super) type Effects<M> = Vec<(Arc<str>, <M as Machine>::Effect)>;

/// A process and its disk.
pub(super) struct Site<M: Machine> {
    up: Option<Partition<M, Memory>>,
    disk: Memory,
    /// What came in while it synced: the next turn.
    inbox: Vec<Addressed<M>>,
    /// The turn that is being synced.
    staged: Option<Staged<M>>,
    /// Counts its starts: timers and syncs of an earlier life mean nothing.
    pub(super) life: u32,
    /// Syncs begun.
    pub(super) syncs: u64,
    /// The sync, counted from 1, that its disk does not survive.
    pub(super) fatal_sync: Option<u64>,
}

/// What comes of giving a site time.
pub(super) enum Turn<M: Machine> {
    /// Nothing to do, or not now.
    Idle,
    /// A sync has begun; see [`Site::synced`].
    Syncs,
    /// This leaves.
    Done(Effects<M>),
}

impl<M: Machine> Site<M>
where
    M::Record: Serialize + DeserializeOwned,
{
    pub(super) fn new() -> Self {
        let (partition, _) = Partition::open(Memory::default()).expect(MEMORY);
        Self {
            up: Some(partition),
            disk: Memory::default(),
            inbox: Vec::new(),
            staged: None,
            life: 0,
            syncs: 0,
            fatal_sync: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.is_some()
    }

    pub(super) fn syncs_now(&self) -> bool {
        self.staged.is_some()
    }

    /// What a machine in memory has saved, as far as it is durable: not while it syncs.
    pub(super) fn saved(&self, stream: &str) -> Option<&M::Saved> {
        let partition = self.up.as_ref().filter(|_| self.staged.is_none())?;
        partition.machine(stream).map(|(saved, _)| saved)
    }

    /// Takes an input, in a turn of its own or in the next one.
    pub(super) fn take(&mut self, input: Addressed<M>) -> Turn<M> {
        self.inbox.push(input);
        self.turn()
    }

    /// Begins a turn with everything that has come in.
    pub(super) fn turn(&mut self) -> Turn<M> {
        let Some(partition) = self.up.as_mut() else { return Turn::Idle };
        if self.staged.is_some() || self.inbox.is_empty() {
            return Turn::Idle;
        }
        let staged = partition.stage(std::mem::take(&mut self.inbox)).expect(MEMORY);
        self.begin(staged)
    }

    fn begin(&mut self, staged: Staged<M>) -> Turn<M> {
        if staged.is_forced() {
            self.syncs += 1;
            self.staged = Some(staged);
            return Turn::Syncs;
        }
        let partition = self.up.as_mut().expect("only what is up takes turns");
        Turn::Done(partition.commit(staged, 0).expect(MEMORY))
    }

    /// The sync is over: what now leaves, or nothing if the process died of it.
    pub(super) fn synced(&mut self) -> Option<Effects<M>> {
        let staged = self.staged.take()?;
        if self.fatal_sync == Some(self.syncs) {
            self.die();
            return None;
        }
        let partition = self.up.as_mut().expect("a process that syncs is up");
        Some(partition.commit(staged, 0).expect(MEMORY))
    }

    /// The process dies. What is not synced is lost, and nothing of it has left.
    pub(super) fn die(&mut self) {
        if let Some(mut partition) = self.up.take() {
            self.disk = std::mem::take(partition.log());
        }
        self.staged = None;
        self.inbox.clear();
        self.life += 1;
    }

    /// The process starts again from its disk.
    pub(super) fn start(&mut self) -> Turn<M> {
        if self.is_up() {
            return Turn::Idle;
        }
        let disk = std::mem::take(&mut self.disk);
        let (partition, staged) = Partition::open(disk).expect(MEMORY);
        self.up = Some(partition);
        self.begin(staged)
    }
}
