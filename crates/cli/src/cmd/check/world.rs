//! The world that the command line describes.

use handfast_core::pact::Way;
use handfast_sim::world::{Budget, Cast, Patience, Place, Plan, Wish};

use crate::{
    args::{Check, What},
    exit::{Exit, Failure},
};

/// After how many effects of a turn, at most, a node may die.
const TORN_MAX: u8 = 2;
/// In one of so many states it is asked whether all ends once nothing goes wrong any more.
const CALM_EVERY: u64 = 64;

pub fn plan(args: &Check) -> Result<Plan, Failure> {
    let at_databases = args.what == What::TwoPhase;
    if args.branches == 1 && !at_databases {
        return Err(Failure::new(
            Exit::Usage,
            "a transfer between shards has two branches or more",
        ));
    }
    if args.what == What::Paxos && 2 * args.faults > args.branches {
        let what = format!("{} faults need {} shards as acceptors", args.faults, 2 * args.faults);
        return Err(Failure::new(Exit::Usage, what).cure("give more --branches"));
    }
    let place = if at_databases { Place::Database } else { Place::Shard };
    let places: Vec<_> = (0..args.branches).map(place).collect();
    let wish = Wish { begins: args.begins, aborts: args.aborts, ..Wish::over(&places) };
    let mut plan = Plan::new(vec![decided(args, wish)]);
    let Check { crashes, drops, duplicates, delays, cuts, .. } = *args;
    let ballots = args.ballots.unwrap_or(match args.what {
        What::ThreePhase => 6,
        What::Paxos => 1,
        What::TwoPhase | What::Shards | What::Published => 0,
    });
    plan.budget = Budget { crashes, drops, duplicates, delays, cuts, ballots, ..plan.budget };
    plan.torn_max = (crashes > 0).then_some(TORN_MAX);
    if at_databases {
        plan.casts = vec![Cast::Yes, Cast::No, Cast::ReadOnly];
    }
    plan.patience = match args.what {
        // Three-phase commit takes silence for death. Where that is so, it must hold.
        What::ThreePhase if drops + delays + cuts == 0 => Patience::All,
        What::Paxos => Patience::Inquiries,
        _ => Patience::None,
    };
    if has_pact(args.what) {
        plan.calm_every = Some(CALM_EVERY);
        // More dead than acceptors can bear must come back first.
        plan.dead_for_good = args.what == What::ThreePhase || crashes <= args.faults.into();
    }
    Ok(plan)
}

/// Whether those who live must end without the dead. How often they claim to lead is bounded in
/// such a world, so not every state has a way to the end: it is asked after calm instead.
pub fn has_pact(what: What) -> bool {
    matches!(what, What::ThreePhase | What::Paxos)
}

fn decided(args: &Check, wish: Wish) -> Wish {
    match args.what {
        What::TwoPhase | What::Shards | What::Published => wish,
        What::ThreePhase => Wish { decide: Some(Way::ThreePhase), ..wish },
        What::Paxos => {
            let acceptors = (0..2 * args.faults).map(Place::Shard).collect();
            Wish { decide: Some(Way::Paxos), acceptors, ..wish }
        }
    }
}
