//! What is drawn from the seed: the world, its habits, and each step.

use std::sync::Arc;

use handfast_core::{pact::Way, plan::Kind, transaction::AckWhen};

use super::Options;
use crate::{
    random::Random,
    world::{
        Action, BranchWish, Budget, Cast, Death, Patience, Place, Plan, State, Step, Wish, World,
    },
};

/// Every budget of a walk: chance decides.
const PLENTY: Budget = Budget {
    crashes: u16::MAX,
    drops: u16::MAX,
    duplicates: u16::MAX,
    delays: u16::MAX,
    cuts: u16::MAX,
    meddles: u16::MAX,
    breaks: u16::MAX,
    revivals: u16::MAX,
    ballots: u16::MAX,
    takeovers: None,
};

/// What the nodes of a world may count on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// Nothing.
    Nothing,
    /// Messages have a longest delay and are not lost, as three-phase commit wants it.
    Delays,
    /// At most as many die as Paxos commit bears, and those never come back.
    Majority,
}

/// How many subjects are asked, one after the other, before all are.
const SUBJECTS_ASKED: usize = 6;

/// A world.
pub(super) fn plan(random: &mut Random, options: Options) -> Plan {
    let trust = match random.below(8) {
        0 if options.nodes.is_none_or(|nodes| nodes > 2) => Trust::Majority,
        1 => Trust::Delays,
        _ => Trust::Nothing,
    };
    let (coordinators, shards) = draw_nodes(random, trust, options.nodes);
    let places = draw_places(random, trust, shards);
    let count = random.between(1, 5);
    let transactions: Vec<_> =
        (0..count).map(|_| draw_wish(random, &places, coordinators.into(), trust)).collect();
    let casts = match random.below(4) {
        0 => vec![Cast::Yes, Cast::Yes, Cast::Yes, Cast::No, Cast::ReadOnly],
        1 => vec![Cast::Yes, Cast::Yes, Cast::ReadOnly],
        2 => vec![Cast::Yes, Cast::Yes, Cast::No],
        _ => vec![Cast::Yes],
    };
    let faults = transactions.iter().map(|wish| wish.acceptors.len() / 2).min();
    let mut plan = Plan::new(transactions);
    if options.nodes.is_some() {
        plan = plan.of_nodes(coordinators, shards);
    }
    plan.casts = casts;
    plan.loaded = random.between(0, 3) as i64 * 30;
    plan.fences = random.one_in(2);
    plan.budget = PLENTY;
    match trust {
        Trust::Nothing => {}
        Trust::Delays => {
            plan.patience = Patience::All;
            plan.budget = Budget { drops: 0, delays: 0, cuts: 0, ..PLENTY };
        }
        Trust::Majority => {
            plan.dead_for_good = true;
            plan.budget.crashes = faults.unwrap_or_default() as u16;
        }
    }
    plan.torn_max = Some(3);
    plan.prunes = false;
    plan.mutant = options.mutant;
    plan
}

/// How many nodes coordinate, and how many are shards: as many in all as wanted.
fn draw_nodes(random: &mut Random, trust: Trust, nodes: Option<u8>) -> (u8, u8) {
    let Some(nodes) = nodes else {
        let shards = match trust {
            // Enough acceptors for two that die.
            Trust::Majority => random.between(2, 5),
            _ if random.one_in(8) => random.between(4, 5),
            _ => random.between(0, 3),
        };
        return (random.between(1, 2) as u8, shards as u8);
    };
    let coordinators = if trust == Trust::Majority { 1 } else { random.between(1, 2) as u8 };
    let coordinators = coordinators.min(nodes);
    (coordinators, nodes - coordinators)
}

fn draw_places(random: &mut Random, trust: Trust, shards: u8) -> Vec<Place> {
    let databases = match trust {
        Trust::Majority => 0,
        _ if shards == 0 => random.between(1, 3) as u8,
        _ => random.between(0, 2) as u8,
    };
    (0..shards).map(Place::Shard).chain((0..databases).map(Place::Database)).collect()
}

fn draw_wish(random: &mut Random, places: &[Place], coordinators: usize, trust: Trust) -> Wish {
    let count = if random.one_in(4) { 1 } else { random.between(2, 4) };
    let branches: Vec<_> = (0..count).map(|_| draw_branch(random, places)).collect();
    let one_phase = count == 1 && matches!(branches[0].at, Place::Database(_)) && random.one_in(2);
    let mut wish = Wish {
        coordinator: random.below(coordinators) as u8,
        branches,
        ack: if random.one_in(2) { AckWhen::Applied } else { AckWhen::Decided },
        hold: random.one_in(6),
        one_phase,
        decide: None,
        acceptors: Vec::new(),
        begins: random.between(1, 4) as u8,
        aborts: random.below(3) as u8,
        deadline: false,
        asks: false,
    };
    if !one_phase && random.one_in(3) {
        plan_services(random, &mut wish);
        return wish;
    }
    if trust == Trust::Majority || random.one_in(2) {
        decide_together(random, places, trust, &mut wish);
    }
    wish
}

/// Some of the branches at databases are steps and deliveries of services; those before the
/// decision in order, or side by side.
fn plan_services(random: &mut Random, wish: &mut Wish) {
    let is_ordered = random.one_in(2);
    let mut before = Vec::new();
    for (index, branch) in (0..).zip(&mut wish.branches) {
        if matches!(branch.at, Place::Database(_)) {
            branch.kind = *random.pick(&[Kind::Step, Kind::Step, Kind::Deliver, Kind::Prepare]);
        }
        if is_ordered && branch.kind != Kind::Deliver {
            branch.after.clone_from(&before);
            branch.uses = branch.kind == Kind::Step && random.one_in(3);
            before.push(index);
        }
    }
    let delivers = |branch: &BranchWish| branch.kind == Kind::Deliver;
    wish.asks = !wish.hold && wish.branches.iter().all(delivers);
    wish.deadline = !wish.asks && random.one_in(4);
    if wish.asks {
        // Who says that it has committed does not give up.
        wish.aborts = 0;
    }
}

/// Paxos commit, or three-phase commit, if all branches are at shards and there are enough of them.
fn decide_together(random: &mut Random, places: &[Place], trust: Trust, wish: &mut Wish) {
    let is_shard = |place: &Place| matches!(place, Place::Shard(_));
    let shards: Vec<_> = places.iter().copied().filter(is_shard).collect();
    if shards.len() < 2 || !wish.branches.iter().all(|branch| is_shard(&branch.at)) {
        return;
    }
    wish.hold = false;
    if trust == Trust::Delays && !random.one_in(3) {
        wish.decide = Some(Way::ThreePhase);
        return;
    }
    wish.decide = Some(Way::Paxos);
    let acceptors = if shards.len() >= 4 && random.one_in(2) { 4 } else { 2 };
    // With no acceptors it is two-phase commit, which waits for its coordinator.
    let is_plain = trust != Trust::Majority && random.one_in(4);
    wish.acceptors = if is_plain { Vec::new() } else { shards[..acceptors].to_vec() };
}

/// Takes from a key of few, or gives to it, or only reads it.
fn draw_branch(random: &mut Random, places: &[Place]) -> BranchWish {
    let at = *random.pick(places);
    let keys = ["alice", "bob"];
    let adds = match at {
        Place::Shard(_) => {
            let by = *random.pick(&[-30, -30, 30, 30, 0]);
            vec![((*random.pick(&keys)).to_owned(), by)]
        }
        _ => Vec::new(),
    };
    BranchWish { at, adds, kind: Kind::Prepare, after: Vec::new(), uses: false }
}

/// How a walk goes on, and how often what goes wrong: once in so many steps, or never.
#[derive(Clone, Debug)]
pub struct Habits {
    /// How many steps are taken before the calm.
    pub steps: usize,
    crash: Option<usize>,
    torn: Option<usize>,
    drop: Option<usize>,
    duplicate: Option<usize>,
    delay: Option<usize>,
    cut: Option<usize>,
    odd: Option<usize>,
    /// Of so many steps one is no delivery.
    deliveries: usize,
}

impl Habits {
    pub(super) fn draw(random: &mut Random) -> Self {
        Self {
            steps: random.between(20, 400),
            crash: rate(random, 20, 200),
            torn: rate(random, 10, 100),
            drop: rate(random, 4, 60),
            duplicate: rate(random, 4, 60),
            delay: rate(random, 4, 60),
            cut: rate(random, 30, 200),
            odd: rate(random, 20, 200),
            deliveries: random.between(2, 6),
        }
    }

    /// What happens next; nothing if nothing can.
    pub(super) fn next(&self, world: &World, random: &mut Random) -> Option<Action> {
        if let Some(fault) = self.fault(world, random) {
            return Some(fault);
        }
        let step = self.step(world, random)?;
        let Action::Step(step) = step else { return Some(step) };
        if happens(self.torn, random) && world.left.crashes > 0 && world.turn_at(&step).is_some() {
            let death = match random.below(5) {
                0 => Death::Unsynced,
                1 => Death::Ahead,
                left => Death::After(left as u8 - 2),
            };
            return Some(Action::Torn(step, death));
        }
        Some(Action::Step(step))
    }

    fn step(&self, world: &World, random: &mut Random) -> Option<Action> {
        if !world.network.is_empty() && !random.one_in(self.deliveries) {
            let packet = random.pick(&world.network);
            let (from, to) = (packet.from(&world.plan), packet.to(&world.plan));
            if world.is_reached(from, to) {
                let cast = *random.pick(world.casts(packet));
                return Some(Action::Step(Step::Deliver(Arc::clone(packet), cast)));
            }
            if random.one_in(2) {
                return Some(Action::Lose(Arc::clone(packet)));
            }
        }
        // Somebody first, then one of what can happen there; rarely all must be asked.
        let subjects = world.subjects();
        for _ in 0..SUBJECTS_ASKED {
            let subject = random.below(subjects);
            let chosen = one_of(random, |mut put| world.steps_about(subject, &mut put));
            if chosen.is_some() {
                return chosen;
            }
        }
        let chosen = one_of(random, |mut put| world.steps_but_arrivals(&mut put));
        if chosen.is_some() || world.network.is_empty() {
            return chosen;
        }
        let packet = random.pick(&world.network);
        let arrives = world.is_reached(packet.from(&world.plan), packet.to(&world.plan));
        Some(match arrives {
            true => {
                let cast = *random.pick(world.casts(packet));
                Action::Step(Step::Deliver(Arc::clone(packet), cast))
            }
            false => Action::Lose(Arc::clone(packet)),
        })
    }

    fn fault(&self, world: &World, random: &mut Random) -> Option<Action> {
        if happens(self.crash, random) && world.left.crashes > 0 {
            let up: Vec<_> = world.nodes().filter(|place| world.is_up(*place)).collect();
            if !up.is_empty() {
                return Some(Action::Crash(*random.pick(&up)));
            }
        }
        if happens(self.drop, random) && world.left.drops > 0 && !world.network.is_empty() {
            return Some(Action::Drop(Arc::clone(random.pick(&world.network))));
        }
        if happens(self.duplicate, random) && !world.network.is_empty() {
            return Some(Action::Duplicate(Arc::clone(random.pick(&world.network))));
        }
        if happens(self.cut, random) && world.left.cuts > 0 {
            let nodes: Vec<_> = world.nodes().collect();
            return Some(match world.cut_off {
                Some(_) => Action::Heal,
                None => Action::CutOff(*random.pick(&nodes)),
            });
        }
        if happens(self.delay, random) && world.left.delays > 0 {
            let waits: Vec<_> = world.branches().filter(|b| world.can_give_up(*b)).collect();
            if !waits.is_empty() {
                return Some(Action::Delayed(Step::GiveUp(*random.pick(&waits))));
            }
        }
        if happens(self.odd, random) { self.odd(world, random) } else { None }
    }

    /// What participants and operators do that they should not.
    fn odd(&self, world: &World, random: &mut Random) -> Option<Action> {
        let mut odd = Vec::new();
        for branch in world.branches() {
            let at_database = matches!(world.plan.branch(branch).at, Place::Database(_));
            match world.state(branch) {
                State::Prepared if at_database && world.can_meddle(branch) => {
                    odd.push(Action::Meddle(branch, true));
                    odd.push(Action::Meddle(branch, false));
                }
                State::Held => odd.push(Action::SessionDies(branch)),
                State::RolledBack => odd.push(Action::Revive(branch)),
                _ => {}
            }
            if world.can_give_up(branch) && !world.awaits_vote(branch) {
                odd.push(Action::Break(branch));
            }
        }
        (!odd.is_empty()).then(|| random.pick(&odd).clone())
    }
}

/// One of what is listed, each as likely; but nobody gives up while an answer may come.
fn one_of(random: &mut Random, list: impl FnOnce(&mut dyn FnMut(Action))) -> Option<Action> {
    let mut count = 0;
    let mut chosen = None;
    list(&mut |action| {
        count += 1;
        if !matches!(action, Action::Delayed(_)) && random.one_in(count) {
            chosen = Some(action);
        }
    });
    chosen
}

fn rate(random: &mut Random, from: usize, to: usize) -> Option<usize> {
    if random.one_in(3) { None } else { Some(random.between(from, to)) }
}

fn happens(rate: Option<usize>, random: &mut Random) -> bool {
    rate.is_some_and(|rate| random.one_in(rate))
}
