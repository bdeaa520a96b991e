//! Worlds in which like branches have changed places: each has the votes, the messages and the
//! participant of another. What everybody then does is the same but for the names.

use std::sync::Arc;

use handfast_core::{
    orphans::Listed,
    transaction::{Index, KnownBranch, Live, Saved, Timer},
};

use super::{Branch, Database, Message, Packet, Place, Plan, Search, Wish, key::CoordinatorKey};

/// For each branch of a transaction, by its index, the index that it gets.
pub(crate) type Names = [Index];

/// All ways to exchange branches that are like each other, of which the first exchanges none.
///
/// Nobody treats one otherwise than another if each is alone at a database of its own and does the
/// same after the same; if the coordinator's log decides, since with a pact some are acceptors or
/// lead before others; and if of the messages of a node that dies none leaves before another.
pub(crate) fn ways(plan: &Plan) -> Vec<Vec<Index>> {
    let databases = usize::from(plan.databases);
    let is_plain = |wish: &Wish| {
        let places = (0..plan.databases).map(Place::Database);
        let is_placed = wish.branches.iter().map(|branch| branch.at).eq(places);
        is_placed && wish.decide.is_none() && !wish.asks
    };
    let is_unordered = plan.torn_max.is_none() || plan.any_left;
    let mut ways = vec![Vec::new()];
    if !is_unordered || !plan.transactions.iter().all(is_plain) {
        return vec![(0..plan.databases).collect()];
    }
    for _ in 0..databases {
        let longer = |way: &Vec<Index>| {
            let way = way.clone();
            let free = (0..plan.databases).filter(|index| !way.contains(index));
            free.map(|index| [&way[..], &[index]].concat()).collect::<Vec<_>>()
        };
        ways = ways.iter().flat_map(longer).collect();
    }
    ways.retain(|way| plan.transactions.iter().all(|wish| are_like(wish, way)));
    ways
}

/// Whether each branch does the same after the same as that whose name it gets.
fn are_like(wish: &Wish, names: &Names) -> bool {
    let mut branches = wish.branches.iter().zip(names);
    branches.all(|(branch, to)| {
        let mut after: Vec<_> = branch.after.iter().map(|before| name(names, *before)).collect();
        after.sort_unstable();
        let other = &wish.branches[usize::from(*to)];
        branch.kind == other.kind && after == other.after
    })
}

/// Something that knows branches by their index.
pub(crate) trait Renamed {
    /// The same with other names.
    fn renamed(&self, names: &Names) -> Self;
}

fn name(names: &Names, index: Index) -> Index {
    names[usize::from(index)]
}

/// What stands at the index of each branch, at its new one.
fn at_their_places<T: Clone>(all: &[T], names: &Names) -> Vec<T> {
    let mut placed = all.to_vec();
    for (one, to) in all.iter().zip(names) {
        placed[usize::from(*to)] = one.clone();
    }
    placed
}

impl Renamed for Branch {
    fn renamed(&self, names: &Names) -> Self {
        Self { index: name(names, self.index), ..*self }
    }
}

impl Renamed for Packet {
    fn renamed(&self, names: &Names) -> Self {
        let of = |branch: &Branch| branch.renamed(names);
        Arc::new(match &**self {
            Message::Call(branch, call) => Message::Call(of(branch), *call),
            Message::Vote(branch, vote) => Message::Vote(of(branch), vote.clone()),
            Message::Reply(branch, reply) => Message::Reply(of(branch), reply.clone()),
            Message::Ack(branch, ack) => Message::Ack(of(branch), ack.clone()),
            Message::Inquiry(branch) => Message::Inquiry(of(branch)),
            Message::Told(branch, told) => Message::Told(of(branch), *told),
            // These are about the whole of a transaction.
            Message::Ask(_) | Message::AskedBack(..) | Message::Peer(..) => (**self).clone(),
        })
    }
}

impl Renamed for Database {
    fn renamed(&self, names: &Names) -> Self {
        Self { branches: self.branches.iter().map(|(of, at)| (of.renamed(names), *at)).collect() }
    }
}

impl Renamed for Search {
    fn renamed(&self, names: &Names) -> Self {
        match self {
            Self::None => Self::None,
            Self::Listed(listed) => {
                Self::Listed(Listed::new(listed.iter().map(|(of, run)| (of.renamed(names), run))))
            }
            Self::Judged(judged) => {
                let judged = judged.iter();
                Self::Judged(
                    judged.map(|(of, decided)| (of.renamed(names), decided.copied())).collect(),
                )
            }
        }
    }
}

impl Renamed for Saved {
    fn renamed(&self, names: &Names) -> Self {
        let mut saved = self.clone();
        if let Some(known) = &mut saved.known {
            let before = at_their_places(&known.branches, names);
            for (branch, before) in known.branches.iter_mut().zip(before) {
                // A name and a resource stay where they are: only what befell them goes over.
                let (name, resource) = (branch.name.clone(), branch.resource.clone());
                *branch = KnownBranch { name, resource, ..before };
            }
        }
        saved
    }
}

impl Renamed for Live {
    fn renamed(&self, names: &Names) -> Self {
        let mut live = self.clone();
        live.telling = at_their_places(&live.telling, names);
        if let Some(voting) = &mut live.voting {
            let before = at_their_places(&voting.branches, names);
            for ((.., vote), (.., before)) in voting.branches.iter_mut().zip(before) {
                *vote = before;
            }
        }
        live
    }
}

impl Renamed for CoordinatorKey {
    fn renamed(&self, names: &Names) -> Self {
        let timer = |(transaction, timer): &(usize, Timer)| match *timer {
            Timer::Retry(run, branch) => (*transaction, Timer::Retry(run, name(names, branch))),
            timer => (*transaction, timer),
        };
        let in_memory = self
            .in_memory
            .iter()
            .map(|(gid, saved, live)| (Arc::clone(gid), saved.renamed(names), live.renamed(names)));
        let durable = self.durable.iter();
        Self {
            timers: self.timers.iter().map(timer).collect(),
            search: self.search.renamed(names),
            durable: durable.map(|(gid, saved)| (Arc::clone(gid), saved.renamed(names))).collect(),
            in_memory: in_memory.collect(),
            active: self.active.clone(),
            ..*self
        }
    }
}
