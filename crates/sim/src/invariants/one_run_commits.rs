//! A request that is sent again never does its work twice: at most one run of a gid commits, and
//! only the run that was decided.

use crate::world::{Touched, World};

pub const INVARIANT: &str = "at most one run of a gid commits";

pub fn check(world: &World, touched: Touched) -> Result<(), String> {
    for (transaction, facts) in touched.facts(world) {
        let commits = facts.runs.iter().filter(|run| super::has_committed(world, **run)).count();
        if commits > 1 {
            return Err(format!("{commits} runs of t{transaction} committed"));
        }
    }
    Ok(())
}
