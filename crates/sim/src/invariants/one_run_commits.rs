//! Birrell and Nelson 1984, "Implementing remote procedure calls": at most once. A request that is
//! sent again never does its work twice: at most one run of a gid commits.

use super::Seen;
use crate::world::World;

pub const INVARIANT: &str = "at most one run of a gid commits";

pub fn check(_: &World, seen: &Seen) -> Result<(), String> {
    let commits = seen.committed().count();
    if commits > 1 {
        return Err(format!("{commits} runs of t{} committed", seen.transaction));
    }
    Ok(())
}
