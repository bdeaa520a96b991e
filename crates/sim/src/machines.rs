//! The machines that worlds drive: those of production; in tests with a known mistake, if wanted.

#[cfg(feature = "mutants")]
pub(crate) use crate::mutants::{Shard, Transaction, replaying, wrong};
#[cfg(not(feature = "mutants"))]
pub(crate) use handfast_core::{shard::Shard, transaction::Transaction};

/// Reads a log back.
#[cfg(not(feature = "mutants"))]
pub(crate) fn replaying<T>(read: impl FnOnce() -> T) -> T {
    read()
}

/// Nothing can be made wrong on purpose.
#[cfg(not(feature = "mutants"))]
pub(crate) fn wrong(_: Option<crate::mutants::Mutant>) {}
