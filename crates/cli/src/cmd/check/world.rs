//! The world that the command line describes.

use handfast_core::pact::Way;
use handfast_sim::world::{Budget, Cast, Patience, Place, Plan, Wish};

use crate::{
    args::{Check, What},
    exit::{Exit, Failure},
};

/// After how many effects of a turn, at most, a node may die.
const TORN_MAX: u8 = 2;

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
    if args.what != What::Paxos && args.leaders > 1 {
        let what = "--leaders is about Paxos commit: nobody else leads beside a coordinator";
        return Err(Failure::new(Exit::Usage, what).cure("check paxos, or leave it out"));
    }
    let place = if at_databases { Place::Database } else { Place::Shard };
    let places: Vec<_> = (0..args.branches).map(place).collect();
    let wish = Wish { begins: args.begins, aborts: args.aborts, ..Wish::over(&places) };
    let mut plan = Plan::new(vec![decided(args, wish)]);
    let Check { crashes, drops, duplicates, delays, cuts, .. } = *args;
    let ballots = args.ballots.unwrap_or(match args.what {
        What::ThreePhase => 6,
        What::Paxos | What::TwoPhase | What::Shards | What::Published => 0,
    });
    // A member that takes a living coordinator for dead does not wait for its answer.
    let takeovers = (args.leaders > 1).then(|| args.leaders - 1);
    let delays = delays + takeovers.unwrap_or_default();
    plan.budget =
        Budget { crashes, drops, duplicates, delays, cuts, ballots, takeovers, ..plan.budget };
    plan.torn_max = (crashes > 0).then_some(TORN_MAX);
    if at_databases {
        plan.casts = vec![Cast::Yes, Cast::No, Cast::ReadOnly];
    }
    plan.patience = match args.what {
        // Three-phase commit takes silence for death. Where that is so, it must hold.
        What::ThreePhase if drops + delays + cuts == 0 => Patience::All,
        What::Paxos if args.leaders > 1 => Patience::Suspicion,
        What::Paxos => Patience::Inquiries,
        _ => Patience::None,
    };
    plan.dead_for_good = !args.restarts && matches!(args.what, What::ThreePhase | What::Paxos);
    Ok(if args.refines { plan } else { plan.folded() })
}

/// What is walked, in a line.
pub fn covers(plan: &Plan) -> String {
    let wishes: Vec<_> = plan.transactions.iter().map(ToString::to_string).collect();
    let Budget { crashes, drops, duplicates, delays, cuts, ballots, takeovers, .. } = plan.budget;
    let faults = [
        (crashes, "crashes"),
        (drops, "lost messages"),
        (duplicates, "doubled messages"),
        (delays, "answers not waited for"),
        (cuts, "cuts"),
        (ballots, "claims again"),
        (takeovers.unwrap_or_default(), "takeovers"),
    ];
    let faults = faults.iter().filter(|(most, _)| *most > 0);
    let faults: Vec<_> = faults.map(|(most, what)| format!("{what} {most}")).collect();
    let dead = if plan.dead_for_good { "the dead stay dead" } else { "the dead start again" };
    let budget = if faults.is_empty() { "no faults".into() } else { faults.join(", ") };
    let folds = if plan.folds { "; like branches are folded" } else { "" };
    format!("{}; at most: {budget}; {dead}{folds}", wishes.join(", "))
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
