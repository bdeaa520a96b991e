//! The log of Handfast, and the partition that owns it.
//!
//! The log is the only durable thing: records in one order, each of one stream, a stream for each
//! machine. Read in this order:
//!
//! 1. [`partition`]: the turn. Step, append, sync, release; the write-ahead rule in types.
//! 2. [`log`]: the [`Log`] trait, what an engine promises, and [`LogError`], what may go wrong.
//! 3. [`sqlite`]: the engine of a node. It stands on [`owner`] (one process has the data
//!    directory) and on [`watermark`] (a log that lost its end is noticed).
//! 4. [`memory`]: the engine of simulations, which loses exactly what was not synced.
//! 5. [`conformance`]: the suite that every engine passes.
//!
//! Blocking by design: a partition has a thread of its own. Nothing here knows async code.
#![forbid(unsafe_code)]

pub mod partition;

pub mod log;

pub mod sqlite;

pub mod memory;

pub mod conformance;

pub mod owner;
pub mod watermark;

pub use log::{Batch, Change, Entry, Log, LogError, Position};
pub use memory::Memory;
pub use partition::{Addressed, Partition, Refused, Staged};
pub use sqlite::{Line, ListQuery, Page, Reader, Sqlite, SqliteOptions};
