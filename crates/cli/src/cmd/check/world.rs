//! The world that the command line describes.

use handfast_core::pact::Way;
use handfast_sim::world::{Budget, Cast, Patience, Place, Plan, Wish};

use crate::{
    args::{Check, What},
    exit::{Exit, Failure},
};

/// After how many effects of a turn, at most, a node may die.
const TORN_MAX: u8 = 2;

/// Refuses what says nothing about what is checked: it would be taken for checked.
pub fn all_flags_matter(args: &Check) -> Result<(), Failure> {
    use What::{Paxos, Published, Shards, ThreePhase, TwoPhase};
    const WORLDS: &[What] = &[TwoPhase, Shards, ThreePhase, Paxos];
    let absent = Check::absent(args.what);
    let flags: [(&str, bool, &[What]); 16] = [
        ("branches", args.branches != absent.branches, WORLDS),
        ("faults", args.faults.is_some(), &[Paxos]),
        ("begins", args.begins != absent.begins, WORLDS),
        ("aborts", args.aborts != absent.aborts, WORLDS),
        ("crashes", args.crashes != absent.crashes, WORLDS),
        ("drops", args.drops != absent.drops, WORLDS),
        ("duplicates", args.duplicates != absent.duplicates, WORLDS),
        ("delays", args.delays != absent.delays, WORLDS),
        ("cuts", args.cuts != absent.cuts, WORLDS),
        ("ballots", args.ballots.is_some(), &[ThreePhase, Paxos]),
        ("leaders", args.leaders != absent.leaders, &[Paxos]),
        ("restarts", args.restarts, &[ThreePhase, Paxos]),
        ("refines", args.refines, WORLDS),
        ("save", args.save.is_some(), WORLDS),
        ("states", args.states != absent.states, WORLDS),
        ("all", args.all, &[Published]),
    ];
    let odd = flags.iter().find(|(_, is_said, of)| *is_said && !of.contains(&args.what));
    odd.map_or(Ok(()), |(flag, _, of)| {
        let of: Vec<_> = of.iter().map(ToString::to_string).collect();
        let what = format!("--{flag} says nothing about {}", args.what);
        let cure = format!("leave it out, or check {}", of.join(" or "));
        Err(Failure::new(Exit::Usage, what).cure(cure))
    })
}

/// How many acceptors may be lost.
fn faults(args: &Check) -> u8 {
    args.faults.unwrap_or(1)
}

pub fn plan(args: &Check) -> Result<Plan, Failure> {
    let at_databases = args.what == What::TwoPhase;
    if args.branches == 1 && !at_databases {
        return Err(Failure::new(
            Exit::Usage,
            "a transfer between shards has two branches or more",
        ));
    }
    let faults = faults(args);
    if args.what == What::Paxos && 2 * faults > args.branches {
        let what = format!("{faults} faults need {} shards as acceptors", 2 * faults);
        return Err(Failure::new(Exit::Usage, what).cure("give more --branches"));
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
            let acceptors = (0..2 * faults(args)).map(Place::Shard).collect();
            Wish { decide: Some(Way::Paxos), acceptors, ..wish }
        }
    }
}
