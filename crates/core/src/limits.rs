//! Every bound of the core, in one place. The server may set lower ones, never higher ones.

/// Most branches in one transaction.
pub const BRANCHES_MAX: usize = 64;
/// Longest gid, branch name, resource name, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest cluster name, in bytes; it is part of every branch id.
pub const CLUSTER_BYTES_MAX: usize = 16;
/// Longest branch id, in bytes: the gtrid of XA holds no more.
pub const BRANCH_ID_BYTES_MAX: usize = 64;
/// Longest text of a reason or of a participant's answer that is kept, in bytes.
pub const REASON_BYTES_MAX: usize = 1024;
/// Longest key of a shard, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest byte value of a shard, in bytes.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of what a step puts out.
pub const OUTPUT_BYTES_MAX: usize = 64 * 1024;

// `hf1_` + cluster + `_` + epoch (7 digits of base 36) + `_` + number (13) + `_` + index (2).
const _: () = assert!(4 + CLUSTER_BYTES_MAX + 1 + 7 + 1 + 13 + 1 + 2 <= BRANCH_ID_BYTES_MAX);
