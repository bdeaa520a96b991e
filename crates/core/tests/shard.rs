//! The shard machine: golden traces, and what pruning keeps. Every schedule of small worlds is
//! walked by `handfast-sim`.

mod pruning;
mod traces;

use handfast_core::{
    id::BranchId,
    machine::{Machine, Output},
    shard::{Effect, Input, Live, Record, Saved, Shard},
};

/// The branch of run `number`.
fn branch(number: u64) -> BranchId {
    BranchId::parse(&format!("hf1_t_1_{number}_0")).unwrap()
}

/// One step, its records applied as a partition does.
fn step(saved: &mut Saved, live: &mut Live, input: Input) -> (Vec<Record>, Vec<Effect>, bool) {
    let mut out = Output::new();
    Shard::step(saved, live, input, &mut out);
    let (records, effects, forced) = out.into_parts();
    for record in &records {
        Shard::apply(saved, record);
    }
    (records, effects, forced)
}

/// What a start makes of the records.
fn replay(records: &[Record]) -> Saved {
    let mut saved = Saved::default();
    for record in records {
        Shard::apply(&mut saved, record);
    }
    saved
}
