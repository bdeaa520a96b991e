//! What a world is made of, and what may go wrong in it.

use std::sync::Arc;

use handfast_core::{
    id::{BranchId, Cluster, RunId},
    pact::Pact,
    plan::Kind,
    transaction::Index,
    work::Value,
};
use serde::{Deserialize, Serialize};

use super::{BranchWish, Death, Wish, rename};

/// Most transactions in one world: a run's number says which one it is of.
pub const TRANSACTIONS_MAX: usize = 16;

/// Most nodes of one kind: what was touched is a bit for each.
const PLACES_MAX: u8 = 32;

/// Most branches of a transaction: each has a letter.
const BRANCHES_MAX: usize = 8;

/// Most that a key holds at first, or a branch adds: sums stay far from overflow.
const AMOUNT_MAX: u64 = 1 << 40;

/// Somebody in a world, by kind and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// A node that coordinates; its cluster is named after it.
    Coordinator(u8),
    /// One of our own shards.
    Shard(u8),
    /// A database, as small as it can be.
    Database(u8),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Coordinator(number) => write!(f, "c{number}"),
            Self::Shard(number) => write!(f, "s{number}"),
            Self::Database(number) => write!(f, "d{number}"),
        }
    }
}

impl Place {
    /// Reads what [`Place`] is written as.
    pub fn parse(text: &str) -> Option<Self> {
        let number = text.get(1..)?.parse().ok()?;
        match text.as_bytes().first()? {
            b'c' => Some(Self::Coordinator(number)),
            b's' => Some(Self::Shard(number)),
            b'd' => Some(Self::Database(number)),
            _ => None,
        }
    }
}

/// One branch of one run of a transaction of one coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Branch {
    /// Whose.
    pub coordinator: u8,
    /// Of which run.
    pub run: RunId,
    /// Which.
    pub index: Index,
}

impl std::fmt::Display for Branch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{} {} #{}", self.coordinator, self.run, self.index)
    }
}

impl Branch {
    /// The branch of that name.
    pub fn of(id: &BranchId) -> Self {
        let Some(Place::Coordinator(coordinator)) = Place::parse(id.cluster.as_str()) else {
            unreachable!("all clusters in a world are coordinators");
        };
        Self { coordinator, run: id.run, index: id.index }
    }

    /// Which transaction it is of.
    pub fn transaction(self) -> usize {
        transaction(self.run)
    }
}

fn clusters(coordinators: u8) -> Vec<Cluster> {
    let name = |number| Place::Coordinator(number).to_string();
    (0..coordinators).map(|number| Cluster::new(&name(number)).expect("a short word")).collect()
}

fn gids(transactions: usize) -> Vec<Arc<str>> {
    (0..transactions).map(|number| format!("t{number}").into()).collect()
}

/// Which transaction a run is of.
pub fn transaction(run: RunId) -> usize {
    usize::try_from(run.number).expect("small") % TRANSACTIONS_MAX
}

/// The number of a transaction's `attempt`-th run.
pub fn run_number(transaction: usize, attempt: usize) -> u64 {
    (transaction + TRANSACTIONS_MAX * (attempt + 1)) as u64
}

/// What a world is made of and what may happen in it. It never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// How many coordinators there are.
    pub coordinators: u8,
    /// How many shards.
    pub shards: u8,
    /// How many databases.
    pub databases: u8,
    /// What callers want done.
    pub transactions: Vec<Wish>,
    /// What a database may vote when it is asked for the first time.
    pub casts: Vec<Cast>,
    /// What each shard holds at first, by key.
    pub loaded: i64,
    /// Whether a database that never saw a branch refuses it after its abort.
    pub fences: bool,
    /// When coordinators search for orphans.
    pub searches: Searches,
    /// How long those wait who wait for messages.
    pub patience: Patience,
    /// Whether to forget what can change nothing any more, so that fewer states differ.
    pub prunes: bool,
    /// After how many effects at most a node may die within a turn, if it may at all.
    pub torn_max: Option<u8>,
    /// Whether of what a node that dies within a turn was to send any part may have left, and not
    /// only the first so many effects.
    #[serde(default)]
    pub any_left: bool,
    /// Whether states of an exhaustive walk that differ only in which of their like branches is
    /// which are one; see [`Plan::folded`].
    #[serde(default)]
    pub folds: bool,
    /// How often what may go wrong.
    pub budget: Budget,
    /// Whether the dead stay dead: those who live must end without them.
    pub dead_for_good: bool,
    /// Who may die; anybody if empty.
    pub mortals: Vec<Place>,
    /// What is wrong on purpose.
    #[serde(skip)]
    pub mutant: Option<crate::mutants::Mutant>,
    /// The transactions' gids.
    #[serde(skip)]
    pub gids: Vec<Arc<str>>,
    /// The names of the coordinators' clusters.
    #[serde(skip)]
    pub clusters: Vec<Cluster>,
}

/// What a database that is asked to prepare may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cast {
    /// It prepares.
    Yes,
    /// It refuses.
    No,
    /// It wrote nothing.
    ReadOnly,
}

/// How long those wait who wait for messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Patience {
    /// Any timer may fire at any time: nobody knows how long a message takes.
    None,
    /// The same, but a branch in doubt asks only when nothing is under way to or from its shard. It
    /// only asks, so little is left out, and far fewer states differ.
    Inquiries,
    /// The same, but a branch in doubt does not ask: it takes its coordinator for dead, at any time
    /// if that is dead, and as a delay if it is not. That is what comes of all inquiries that are
    /// lost or answered too late.
    Suspicion,
    /// Messages have a longest delay, shorter than any timer, and silence is proof of death: a
    /// timer fires only when nothing is under way, and nothing is under way to the dead.
    All,
}

/// When coordinators search for orphans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Searches {
    /// Never.
    Never,
    /// When there is a prepared branch of no active run.
    ForOrphans,
    /// Whenever there is a prepared branch: the search must find out that it is none.
    Always,
}

/// How often what may go wrong. Part of a world's state: what is left.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Budget {
    /// Deaths of nodes.
    pub crashes: u16,
    /// Messages lost between two who live and hear each other.
    pub drops: u16,
    /// Messages doubled.
    pub duplicates: u16,
    /// Times that somebody gives up waiting while an answer may still come.
    pub delays: u16,
    /// Times that a node is cut off from all others.
    pub cuts: u16,
    /// Prepared branches finished by hand.
    pub meddles: u16,
    /// Answers that only an operator can mend.
    pub breaks: u16,
    /// Rollbacks that a database forgets in a crash.
    pub revivals: u16,
    /// Times that somebody who waits for others in order to decide stops waiting.
    pub ballots: u16,
    /// With [`Patience::Suspicion`]: times that a member takes over; any number if absent.
    pub takeovers: Option<u16>,
}

impl Plan {
    /// These transactions among those whom they name, and nothing goes wrong.
    pub fn new(transactions: Vec<Wish>) -> Self {
        assert!(transactions.len() <= TRANSACTIONS_MAX, "a run's number names its transaction");
        let coordinators = transactions.iter().map(|wish| wish.coordinator + 1).max();
        let places = || {
            let branches = transactions.iter().flat_map(|wish| &wish.branches);
            let acceptors = transactions.iter().flat_map(|wish| &wish.acceptors);
            branches.map(|branch| branch.at).chain(acceptors.copied())
        };
        let shards = places().filter_map(|place| match place {
            Place::Shard(number) => Some(number + 1),
            _ => None,
        });
        let databases = places().filter_map(|place| match place {
            Place::Database(number) => Some(number + 1),
            _ => None,
        });
        Self {
            coordinators: coordinators.unwrap_or_default(),
            clusters: clusters(coordinators.unwrap_or_default()),
            shards: shards.max().unwrap_or_default(),
            databases: databases.max().unwrap_or_default(),
            gids: gids(transactions.len()),
            transactions,
            casts: vec![Cast::Yes],
            loaded: 100,
            fences: true,
            searches: Searches::ForOrphans,
            patience: Patience::None,
            prunes: true,
            torn_max: None,
            any_left: false,
            folds: false,
            budget: Budget::default(),
            dead_for_good: false,
            mortals: Vec::new(),
            mutant: None,
        }
    }

    /// With so many nodes of ours, though some may have nothing to do.
    pub(crate) fn of_nodes(self, coordinators: u8, shards: u8) -> Self {
        Self { coordinators, shards, clusters: clusters(coordinators), ..self }
    }

    /// Whether a node may die at all.
    pub fn may_die(&self, place: Place) -> bool {
        self.mortals.is_empty() || self.mortals.contains(&place)
    }

    /// The same with its like branches folded, if it has any. Of what a node that dies within a
    /// turn was to send, any part may then have left.
    pub fn folded(self) -> Self {
        let folded = Self { any_left: true, folds: true, ..self.clone() };
        let is_small = folded.branches() <= BRANCHES_MAX;
        if is_small && rename::ways(&folded).len() > 1 { folded } else { self }
    }

    /// The plan as JSON, which says everything but what is wrong on purpose.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a plan has no maps with odd keys")
    }

    /// Reads what [`Plan::to_json`] has written.
    ///
    /// # Errors
    /// Says why there can be no such world.
    pub fn of_json(json: &str) -> Result<Self, String> {
        let mut plan: Self = serde_json::from_str(json).map_err(|cause| cause.to_string())?;
        plan.check()?;
        plan.clusters = clusters(plan.coordinators);
        plan.gids = gids(plan.transactions.len());
        Ok(plan)
    }

    /// Whether whoever walks may count on the plan. Those that are made are right.
    fn check(&self) -> Result<(), String> {
        let most = PLACES_MAX.max(self.coordinators).max(self.shards).max(self.databases);
        if most > PLACES_MAX || self.transactions.len() > TRANSACTIONS_MAX {
            return Err(format!("at most {PLACES_MAX} places and {TRANSACTIONS_MAX} transactions"));
        }
        for (number, wish) in self.transactions.iter().enumerate() {
            if wish.coordinator >= self.coordinators {
                return Err(format!("t{number} has no coordinator"));
            }
            if !(1..=BRANCHES_MAX).contains(&wish.branches.len()) || wish.acceptors.len() > 8 {
                return Err(format!("t{number} has 1 to {BRANCHES_MAX} branches, and 8 acceptors"));
            }
            let is_there = |place: &Place| match *place {
                Place::Shard(number) => number < self.shards,
                Place::Database(number) => number < self.databases,
                Place::Coordinator(_) => false,
            };
            let places = wish.branches.iter().map(|branch| &branch.at).chain(&wish.acceptors);
            if let Some(place) = places.into_iter().find(|place| !is_there(place)) {
                return Err(format!("t{number} is at {place}, where no branch can be"));
            }
            let adds = wish.branches.iter().flat_map(|branch| &branch.adds).map(|(_, by)| by);
            if adds.chain([&self.loaded]).any(|amount| amount.unsigned_abs() > AMOUNT_MAX) {
                return Err(format!("t{number} adds more than {AMOUNT_MAX}"));
            }
        }
        if self.folds && rename::ways(self).len() < 2 {
            return Err("branches are folded and none is like another".into());
        }
        if self.any_left && self.branches() > BRANCHES_MAX {
            return Err(format!("any part may leave only of at most {BRANCHES_MAX} messages"));
        }
        Ok(())
    }

    fn branches(&self) -> usize {
        self.transactions.iter().map(|wish| wish.branches.len()).sum()
    }

    /// The ways in which a node dies within a turn, if it may.
    pub fn deaths(&self) -> Vec<Death> {
        let left: Vec<_> = match self.any_left {
            // The answers to callers, and a message to each branch.
            true => (0..1 << (self.branches() + 1)).map(Death::AfterSome).collect(),
            false => (0..=self.torn_max.unwrap_or_default()).map(Death::After).collect(),
        };
        let comes_after =
            |branch: &BranchWish| branch.kind == Kind::Step && !branch.after.is_empty();
        let mut branches = self.transactions.iter().flat_map(|wish| &wish.branches);
        let ahead = branches.any(comes_after).then_some(Death::Ahead);
        left.into_iter().chain([Death::Unsynced]).chain(ahead).collect()
    }

    /// The keys at a shard, with what they hold at first.
    pub fn keys(&self, shard: u8) -> std::collections::BTreeMap<String, Value> {
        let here = |branch: &&BranchWish| branch.at == Place::Shard(shard);
        let branches = self.transactions.iter().flat_map(|wish| &wish.branches).filter(here);
        let keys = branches.flat_map(|branch| &branch.adds);
        keys.map(|(key, _)| (key.clone(), Value::Int(self.loaded))).collect()
    }

    /// A branch's name at its participant.
    pub fn id(&self, branch: Branch) -> BranchId {
        let cluster = self.clusters[usize::from(branch.coordinator)].clone();
        BranchId { cluster, run: branch.run, index: branch.index }
    }

    /// What a caller wants of a run.
    pub fn wish(&self, run: RunId) -> &Wish {
        &self.transactions[transaction(run)]
    }

    /// What a branch is to do.
    pub fn branch(&self, branch: Branch) -> &BranchWish {
        &self.wish(branch.run).branches[usize::from(branch.index)]
    }

    /// What the members of a run are told, if they can decide without its coordinator.
    pub fn pact(&self, coordinator: u8, run: RunId) -> Option<Pact> {
        let wish = self.wish(run);
        Some(Pact {
            cluster: self.clusters[usize::from(coordinator)].clone(),
            run,
            gid: self.gid(run).to_string(),
            way: wish.decide?,
            members: wish.branches.iter().map(|branch| branch.at.to_string()).collect(),
            acceptors: wish.acceptors.iter().map(Place::to_string).collect(),
        })
    }

    /// The gid of a run.
    pub fn gid(&self, run: RunId) -> &Arc<str> {
        &self.gids[transaction(run)]
    }
}
