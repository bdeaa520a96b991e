//! The small worlds that are walked exhaustively.

use handfast_core::{pact::Way, plan::Kind, transaction::AckWhen};
use handfast_sim::world::{Budget, Cast, Patience, Place, Plan, Wish};

const D0: Place = Place::Database(0);
const D1: Place = Place::Database(1);
const S0: Place = Place::Shard(0);
const S1: Place = Place::Shard(1);

/// Nothing goes wrong.
pub const NONE: Budget = Budget {
    crashes: 0,
    drops: 0,
    duplicates: 0,
    delays: 0,
    cuts: 0,
    meddles: 0,
    breaks: 0,
    revivals: 0,
    ballots: 0,
    takeovers: None,
};

/// Two databases, and whatever they may vote.
pub fn votes() -> Plan {
    Plan {
        casts: vec![Cast::Yes, Cast::No, Cast::ReadOnly],
        ..Plan::new(vec![Wish::over(&[D0, D1])])
    }
}

/// Two databases that vote yes.
pub fn two() -> Plan {
    Plan::new(vec![Wish::over(&[D0, D1])])
}

/// The same transactions over three databases.
pub fn over_three(plan: Plan) -> Plan {
    let places: Vec<_> = (0..3).map(Place::Database).collect();
    let branches = Wish::over(&places).branches;
    let wishes = plan.transactions.iter();
    let wishes = wishes.map(|wish| Wish { branches: branches.clone(), ..wish.clone() }).collect();
    Plan { databases: 3, transactions: wishes, ..plan }
}

/// One database that can commit in one phase.
pub fn one_phase() -> Plan {
    Plan {
        casts: vec![Cast::Yes, Cast::No, Cast::ReadOnly],
        ..Plan::new(vec![Wish { one_phase: true, ..Wish::over(&[D0]) }])
    }
}

/// A caller who looks before it commits.
pub fn held() -> Plan {
    Plan::new(vec![Wish { hold: true, ..Wish::over(&[D0, D1]) }])
}

/// A caller who waits until all is applied.
pub fn applied() -> Plan {
    let wish = Wish { ack: AckWhen::Applied, ..Wish::over(&[D0, D1]) };
    Plan { casts: vec![Cast::Yes, Cast::No, Cast::ReadOnly], ..Plan::new(vec![wish]) }
}

/// A transfer between two shards.
pub fn shards() -> Plan {
    Plan::new(vec![Wish::over(&[S0, S1])])
}

/// Transactions of so many coordinators that each take from one key of one shard, and there is not
/// enough for all.
pub fn one_key(takers: u8) -> Plan {
    let wish = |coordinator| Wish { coordinator, ..Wish::over(&[S0]) };
    Plan { loaded: 30 * (i64::from(takers) - 1), ..Plan::new((0..takers).map(wish).collect()) }
}

/// Two transfers between the same two shards, there and back.
pub fn there_and_back() -> Plan {
    let back = Wish { coordinator: 1, ..Wish::over(&[S1, S0]) };
    Plan::new(vec![Wish::over(&[S0, S1]), back])
}

/// Services and databases: branches of these kinds, each after those before it, at services that
/// may refuse.
pub fn steps(kinds: &[Kind]) -> Plan {
    Plan { casts: vec![Cast::Yes, Cast::No], ..Plan::new(vec![Wish::of_kinds(kinds)]) }
}

/// Two steps, of which the second uses what the first puts out.
pub fn using() -> Plan {
    let mut plan = steps(&[Kind::Step, Kind::Step]);
    plan.transactions[0].branches[1].uses = true;
    plan
}

/// Branches of these kinds, and nobody comes after anybody.
pub fn beside(kinds: &[Kind]) -> Plan {
    let mut plan = steps(kinds);
    for branch in &mut plan.transactions[0].branches {
        branch.after.clear();
    }
    plan
}

/// A two-phase message: its caller commits locally, or not, and then says so, or not.
pub fn message() -> Plan {
    let wish = Wish { asks: true, ..Wish::of_kinds(&[Kind::Deliver]) };
    Plan::new(vec![wish])
}

/// With callers who begin so often, and want it aborted so often.
pub fn with_callers(plan: Plan, begins: u8, aborts: u8) -> Plan {
    let wishes = plan.transactions.iter().cloned();
    let transactions = wishes.map(|wish| Wish { begins, aborts, ..wish }).collect();
    Plan { transactions, ..plan }
}

/// With what may go wrong.
pub fn with(plan: Plan, budget: Budget) -> Plan {
    Plan { budget, torn_max: (budget.crashes > 0).then_some(2), ..plan }
}

/// A transfer between two shards that is decided by Paxos commit with three acceptors: the
/// coordinator and the shards.
pub fn paxos() -> Plan {
    let decide = Some(Way::Paxos);
    let wish = Wish { decide, acceptors: vec![S0, S1], ..Wish::over(&[S0, S1]) };
    Plan { patience: Patience::Inquiries, ..Plan::new(vec![wish]) }
}

/// The same with acceptors that have no branch, so that members may die and acceptors live.
pub fn paxos_apart() -> Plan {
    let plan = paxos();
    let acceptors = vec![Place::Shard(2), Place::Shard(3)];
    let wish = Wish { acceptors, ..plan.transactions[0].clone() };
    Plan { patience: plan.patience, ..Plan::new(vec![wish]) }
}

/// A transfer between so many shards that is decided by three-phase commit, in a network that keeps
/// to its longest delay.
pub fn three_phase(shards: u8) -> Plan {
    let places: Vec<_> = (0..shards).map(Place::Shard).collect();
    let wish = Wish { decide: Some(Way::ThreePhase), ..Wish::over(&places) };
    Plan { patience: Patience::All, ..Plan::new(vec![wish]) }
}
