//! What a log is: one order of records, many streams, all or nothing, durable on return.

use std::{io, path::PathBuf, sync::Arc};

use handfast_core::machine::Summary;

/// A record's place in the whole log: from 1, rising by one, never used twice.
pub type Position = u64;

/// An engine that keeps records.
///
/// Every method blocks until it is done. After an error nothing is known of what the call has
/// done: the log must be dropped and opened again, and then says what it holds. [`Partition`]
/// enforces that for its own log.
///
/// Each *must* below has its check in [`conformance`].
///
/// [`Partition`]: crate::Partition
/// [`conformance`]: crate::conformance
pub trait Log {
    /// Adds a batch and returns the position of its last record (for an empty batch: of the log's
    /// last). It must be durable on return, all of it or nothing, with consecutive positions in
    /// the batch's order; the index of open streams must change with it.
    ///
    /// # Errors
    /// Nobody knows whether the batch is in the log. Only opening the log again tells.
    fn append(&mut self, batch: &Batch, now_ms: u64) -> Result<Position, LogError>;

    /// A stream's records in order, from its last snapshot on; empty if there is no such stream.
    ///
    /// # Errors
    /// They could not be read, or not all of them are there; never a part of them in silence.
    fn read(&mut self, stream: &str) -> Result<Vec<Entry>, LogError>;

    /// The streams that were open after their last change, in an order that is always the same.
    ///
    /// # Errors
    /// They could not be read.
    fn open_streams(&mut self) -> Result<Vec<Arc<str>>, LogError>;

    /// The position of the last record that was ever appended, pruned or not; 0 if none was.
    fn last_position(&self) -> Position;

    /// Removes closed streams that last changed before `cutoff_ms`, oldest first and at most
    /// `limit`; returns how many. It must never touch an open stream or free a position.
    ///
    /// # Errors
    /// As for [`Log::append`].
    fn prune(&mut self, cutoff_ms: u64, limit: usize) -> Result<usize, LogError>;

    /// Puts everything in order for the next opening. A log that is only dropped loses nothing
    /// that was acknowledged.
    ///
    /// # Errors
    /// The next opening has more to do; nothing is lost.
    fn close(self) -> Result<(), LogError>
    where
        Self: Sized;
}

/// What becomes durable together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    changes: Vec<Change>,
}

impl Batch {
    /// Adds what is new in one stream. A stream may be named once only in a batch.
    ///
    /// # Panics
    /// If the change has no record: a stream cannot change without one.
    pub fn push(&mut self, change: Change) {
        assert!(!change.records.is_empty(), "a stream changes only by a record");
        self.changes.push(change);
    }

    /// The changes, in order.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }
}

/// What is new in one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Whose.
    pub stream: Arc<str>,
    /// JSON texts, at least one, in order.
    pub records: Vec<String>,
    /// Whether the last of the records rebuilds the machine from nothing. Earlier ones of the
    /// stream are then never read again and may be removed.
    pub snapshot: bool,
    /// Whether the machine has work left after these records.
    pub open: bool,
    /// What lists show of it after these records.
    pub summary: Summary,
}

/// One record, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the whole log.
    pub position: Position,
    /// Its place in its stream, from 1.
    pub version: u64,
    /// When its batch was appended, in milliseconds since 1970, by the node's clock.
    pub at_ms: u64,
    /// The record, as JSON.
    pub body: String,
}

/// What went wrong with a log: what, in which file, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// Another process has the data directory.
    #[error(
        "the data directory {} is in use by {owner}: stop that process, or give this one a \
         directory of its own", .dir.display()
    )]
    Owned {
        /// The data directory.
        dir: PathBuf,
        /// The process, by pid.
        owner: String,
    },
    /// A later program wrote this log.
    #[error(
        "{} has format version {found}, this program knows versions up to {known}: start the newer \
         program again; this one has changed nothing", .file.display()
    )]
    Newer {
        /// The file.
        file: PathBuf,
        /// Its version.
        found: u32,
        /// The newest version known here.
        known: u32,
    },
    /// The log belongs to a cluster of another name.
    #[error(
        "the log in {} belongs to cluster `{found}`, the settings say `{given}`: correct the \
         setting, or give this cluster a data directory of its own", .dir.display()
    )]
    OtherCluster {
        /// The data directory.
        dir: PathBuf,
        /// The cluster in the log.
        found: String,
        /// The cluster in the settings.
        given: String,
    },
    /// Records that were synced once are gone.
    #[error(
        "the log in {} has lost its end: it holds records up to position {found} and starts up to \
         {found_epoch}, but position {synced} and start {synced_epoch} were synced. Decisions may \
         be missing, so nothing was started or changed. Copy the directory away, then restore \
         the files or a backup. Only if the loss is to be accepted: remove the file `watermark`, \
         start, and check every participant by hand", .dir.display()
    )]
    Lost {
        /// The data directory.
        dir: PathBuf,
        /// The last position there is.
        found: Position,
        /// The last position that was synced.
        synced: Position,
        /// The starts that the log knows of.
        found_epoch: u32,
        /// The starts that were synced.
        synced_epoch: u32,
    },
    /// A file does not hold what was written to it.
    #[error(
        "{} is damaged: {what}. Copy the data directory away and restore it from a backup; look \
         for faults of the disk", .file.display()
    )]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong in it.
        what: String,
    },
    /// Records of one stream are not what was written. The rest of the log can be used.
    #[error(
        "{} is damaged: {what}. The rest of it can be used; look for faults of the disk",
        .file.display()
    )]
    DamagedStream {
        /// The file.
        file: PathBuf,
        /// Which stream, and what is wrong with it.
        what: String,
    },
    /// No room is left.
    #[error(
        "no room to write {}: free disk space and restart. Nothing acknowledged is lost, and \
         nothing was acknowledged that is not on disk", .file.display()
    )]
    Full {
        /// The file.
        file: PathBuf,
    },
    /// Writing is not allowed.
    #[error(
        "{} cannot be written: its file system or its permissions are read-only. The user of this \
         process must own the data directory", .file.display()
    )]
    ReadOnly {
        /// The file.
        file: PathBuf,
    },
    /// The system failed to do what it was asked.
    #[error("failed to {doing} {}: {cause}", .file.display())]
    Io {
        /// What was asked, such as `append to`.
        doing: &'static str,
        /// The file.
        file: PathBuf,
        /// The system's or engine's own words.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A record cannot be written as JSON.
    #[error("a record of stream `{stream}` cannot be written as JSON: {cause}; this is a defect")]
    Unwritable {
        /// Whose record.
        stream: Arc<str>,
        /// Why.
        cause: serde_json::Error,
    },
    /// An earlier call failed.
    #[error(
        "the log failed before, and nothing is known of it since: stop the process, mend the cause \
         of the first error, start again"
    )]
    Broken,
}

impl LogError {
    /// What the operating system's error means for a log's file.
    pub(crate) fn from_io(error: io::Error, doing: &'static str, file: PathBuf) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { file },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::ReadOnly { file }
            }
            _ => Self::Io { doing, file, cause: error.into() },
        }
    }
}
