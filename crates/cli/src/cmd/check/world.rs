//! The world that the command line describes.

use handfast_core::{pact::Way, transaction::AckWhen};
use handfast_sim::world::{BranchWish, Budget, Cast, Place, Plan, Wish};

use crate::{
    args::{Check, What},
    exit::{Exit, Failure},
};

/// After how many effects of a turn, at most, a node may die.
const TORN_MAX: u8 = 2;

pub fn plan(args: &Check) -> Result<Plan, Failure> {
    let decide = match args.what {
        What::TwoPhase | What::Shards | What::Published => None,
        What::ThreePhase => Some(Way::ThreePhase),
        What::Paxos => Some(Way::Paxos),
    };
    let at_databases = args.what == What::TwoPhase;
    let place = if at_databases { Place::Database } else { Place::Shard };
    // One gives what the others get, so that money can be counted.
    let gives = 10 * i64::from(args.branches - 1);
    let by = |index: u8| if index == 0 { -gives } else { 10 };
    let branch = |index: u8| BranchWish {
        at: place(index),
        adds: if at_databases { Vec::new() } else { vec![("k".into(), by(index))] },
    };
    let acceptors = match args.what {
        What::Paxos => (0..2 * args.faults).map(Place::Shard).collect(),
        _ => Vec::new(),
    };
    let mut plan = Plan::new(vec![Wish {
        coordinator: 0,
        branches: (0..args.branches).map(branch).collect(),
        ack: AckWhen::Decided,
        hold: false,
        one_phase: false,
        decide,
        acceptors,
        begins: args.begins,
        aborts: args.aborts,
    }]);
    if at_databases {
        plan.casts = vec![Cast::Yes, Cast::No, Cast::ReadOnly];
    }
    plan.torn_max = Some(TORN_MAX);
    let Check { crashes, drops, duplicates, delays, cuts, .. } = *args;
    plan.budget = Budget { crashes, drops, duplicates, delays, cuts, ..plan.budget };
    // Three-phase commit takes silence for death. Where that is so, it must hold.
    plan.bounded_delay = args.what == What::ThreePhase && drops + delays + cuts == 0;
    if args.branches == 1 && !at_databases {
        return Err(Failure::new(
            Exit::Usage,
            "a transfer between shards has at least two branches",
        ));
    }
    Ok(plan)
}
