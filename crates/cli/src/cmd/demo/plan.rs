//! Every choice of the demo, made from one seed before anything starts.

use std::time::Duration;

use handfast_example_kit::{Chance, fresh_name};

use crate::args::{Decide, Demo};

/// Accounts in each bank.
pub const ACCOUNTS: u32 = 100;
/// What is in each of them at the start.
pub const BALANCE: i64 = 1_000;

pub struct Plan {
    pub seed: u64,
    /// Makes the gids of this demo different from those of every other.
    pub name: String,
    pub clients: u32,
    pub decide: Decide,
    pub has_two_nodes: bool,
    pub transfers: Vec<Transfer>,
    /// In the order in which they happen.
    pub kills: Vec<Kill>,
}

pub struct Transfer {
    /// The bank that pays: 0 or 1.
    pub payer: usize,
    /// The account in it.
    pub from: u32,
    /// The account in the other bank.
    pub to: u32,
    pub amount: i64,
}

pub struct Kill {
    /// After so many transfers were answered.
    pub after: u32,
    pub victim: Victim,
    /// How long it stays dead.
    pub dead: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The node that is there to the end.
    Node,
    /// The other one, which comes back only if its transfers cannot end without it.
    FirstNode,
    Bank(usize),
}

/// How long the first node is dead where it comes back: as if somebody had to see to it.
pub const FIRST_NODE_DEAD: Duration = Duration::from_secs(5);

impl Plan {
    pub fn new(args: &Demo) -> Self {
        let seed = args.seed.unwrap_or_else(Chance::fresh_seed);
        let mut chance = Chance(seed);
        let name = fresh_name();
        let transfers = (0..args.transfers).map(|_| Transfer::choose(&mut chance)).collect();
        let kills = kills(args, &mut chance);
        let Demo { clients, decide, .. } = *args;
        Self { seed, name, clients, decide, has_two_nodes: false, transfers, kills }
    }

    /// A world of two nodes, of which the first is killed in the middle: for good if `decide` lets
    /// its transfers end without it. Half as many transfers, since they are run in both ways.
    pub fn with_two_nodes(args: &Demo, seed: u64, decide: Decide) -> Self {
        let transfers = args.transfers.div_ceil(2);
        let half = Demo { transfers, seed: Some(seed), decide, ..args.clone() };
        let mut plan = Self { has_two_nodes: true, ..Self::new(&half) };
        let middle = plan.kills.len() / 2;
        if let Some(kill) = plan.kills.get_mut(middle) {
            (kill.victim, kill.dead) = (Victim::FirstNode, FIRST_NODE_DEAD);
        }
        plan
    }

    /// The gid of a transfer.
    pub fn gid(&self, number: usize) -> String {
        format!("{}-{number}", self.name)
    }
}

impl Transfer {
    fn choose(chance: &mut Chance) -> Self {
        let doomed = chance.below(20) == 0;
        Self {
            payer: chance.below(2) as usize,
            from: chance.below(ACCOUNTS.into()) as u32,
            to: chance.below(ACCOUNTS.into()) as u32,
            // More than all the money there is can never be paid.
            amount: if doomed { 1_000_000 } else { 1 + chance.below(100) as i64 },
        }
    }
}

/// Spread over the run, each somewhere in its own part of it; every victim in turn, in an order
/// that differs from turn to turn.
fn kills(args: &Demo, chance: &mut Chance) -> Vec<Kill> {
    let mut turn = Vec::new();
    let part = u64::from(args.transfers) / u64::from(args.kills + 1);
    let mut kills = Vec::new();
    for number in 1..=u64::from(args.kills) {
        if turn.is_empty() {
            turn = vec![Victim::Node, Victim::Bank(0), Victim::Bank(1)];
        }
        let victim = turn.swap_remove(chance.below(turn.len() as u64) as usize);
        let after = number * part - chance.below(part / 2 + 1);
        let dead = Duration::from_millis(chance.below(600));
        kills.push(Kill { after: after as u32, victim, dead });
    }
    kills
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64, kills: u32) -> Plan {
        Plan::new(&demo(seed, kills))
    }

    fn demo(seed: u64, kills: u32) -> Demo {
        let (resource, decide) = (Vec::new(), Decide::Log);
        let (transfers, clients, seed) = (500, 4, Some(seed));
        Demo { transfers, clients, kills, seed, resource, decide, keep: false }
    }

    #[test]
    fn a_seed_makes_the_same_choices() {
        let choices = |plan: &Plan| {
            let transfers = plan.transfers.iter().map(|t| (t.payer, t.from, t.to, t.amount));
            let kills = plan.kills.iter().map(|k| (k.after, k.victim, k.dead));
            (transfers.collect::<Vec<_>>(), kills.collect::<Vec<_>>())
        };
        assert_eq!(choices(&plan(7, 6)), choices(&plan(7, 6)));
        assert_ne!(choices(&plan(7, 6)), choices(&plan(8, 6)));
    }

    #[test]
    fn kills_are_in_order_and_meet_everyone() {
        let plan = plan(7, 6);
        assert!(plan.kills.is_sorted_by_key(|kill| kill.after));
        for victim in [Victim::Node, Victim::Bank(0), Victim::Bank(1)] {
            assert_eq!(plan.kills.iter().filter(|kill| kill.victim == victim).count(), 2);
        }
    }

    #[test]
    fn both_ways_meet_the_same_kills() {
        let kills = |decide| {
            let plan = Plan::with_two_nodes(&demo(7, 5), 7, decide);
            plan.kills.iter().map(|k| (k.after, k.victim, k.dead)).collect::<Vec<_>>()
        };
        let of_paxos = kills(Decide::Paxos);
        assert_eq!(of_paxos, kills(Decide::Log));
        let firsts = of_paxos.iter().filter(|(_, victim, _)| *victim == Victim::FirstNode);
        assert_eq!(firsts.count(), 1);
    }
}
