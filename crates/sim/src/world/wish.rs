//! What the callers of a world want done.

use handfast_core::{
    pact::Way,
    plan::{Ask, Call, Calls, Kind, Part, Patience, Terms},
    transaction::{AckWhen, Index},
    work::{KeyOp, Work},
};
use serde::{Deserialize, Serialize};

use super::Place;

/// How often a step is tried until its transaction is given up, or an undo until it is stuck.
pub const STEP_TRIES_MAX: u32 = 2;

/// A transaction that a caller wants.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Wish {
    /// Who is asked.
    pub coordinator: u8,
    /// Its branches.
    pub branches: Vec<BranchWish>,
    /// When the caller is answered.
    #[serde(with = "AckWhenText")]
    pub ack: AckWhen,
    /// Whether the caller looks before it commits.
    pub hold: bool,
    /// Whether its one branch can commit in one phase.
    pub one_phase: bool,
    /// How it is decided if not by the coordinator's log alone.
    pub decide: Option<Way>,
    /// Paxos commit: the shards that are acceptors beside the coordinator.
    pub acceptors: Vec<Place>,
    /// How often callers begin it: the first time, doubled, again after a crash.
    pub begins: u8,
    /// How often somebody wants it aborted.
    pub aborts: u8,
    /// Whether it must be decided by some time.
    #[serde(default)]
    pub deadline: bool,
    /// A two-phase message: it is open, its caller commits locally and then says so; at the
    /// deadline it is asked at the place of the first branch.
    #[serde(default)]
    pub asks: bool,
}

/// How an [`AckWhen`] is written.
#[derive(Serialize, Deserialize)]
#[serde(remote = "AckWhen")]
enum AckWhenText {
    Decided,
    Applied,
}

/// A branch that a caller wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BranchWish {
    /// Where.
    pub at: Place,
    /// What to add to which key; nothing at a database.
    pub adds: Vec<(String, i64)>,
    /// What it does before and after the decision: more than prepare only at a database, which then
    /// stands for a service.
    #[serde(default)]
    pub kind: Kind,
    /// The branches before it, directly or not.
    #[serde(default)]
    pub after: Vec<Index>,
    /// Whether its calls use what those before it put out.
    #[serde(default)]
    pub uses: bool,
}

impl BranchWish {
    /// What its participant is asked to do.
    pub fn work(&self) -> Work {
        let undo = (self.kind == Kind::Step).then(Call::default);
        match self.kind {
            Kind::Prepare => Work::Keys(self.ops()),
            Kind::Step | Kind::Deliver => Work::Calls(Box::new(Calls { undo, ..Calls::default() })),
        }
    }

    /// Whether it can be done while that one before it is done is not durable yet.
    pub fn leaves_ahead(&self) -> bool {
        self.kind == Kind::Step && !self.after.is_empty() && !self.uses
    }

    /// What it does at a shard.
    pub fn ops(&self) -> Vec<KeyOp> {
        let op = |(key, by): &(String, i64)| match by {
            0 => KeyOp::Get { key: key.clone() },
            _ => KeyOp::Add { key: key.clone(), by: *by, min: Some(0), max: None },
        };
        self.adds.iter().map(op).collect()
    }
}

impl std::fmt::Display for Wish {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "c{} begins", self.coordinator)?;
        for (branch, name) in self.branches.iter().zip('A'..) {
            write!(f, " {name}@{}", branch.at)?;
            match branch.kind {
                Kind::Prepare => {}
                Kind::Step if branch.uses => f.write_str(" step that uses")?,
                Kind::Step => f.write_str(" step")?,
                Kind::Deliver => f.write_str(" deliver")?,
            }
            branch.adds.iter().try_for_each(|(key, by)| write!(f, " {key} {by:+}"))?;
        }
        let words = [
            (self.ack == AckWhen::Applied, " applied"),
            (self.hold, " hold"),
            (self.one_phase, " one-phase"),
        ];
        let words = words.iter().filter(|(is_so, _)| *is_so);
        words.map(|(_, word)| word).try_for_each(|word| f.write_str(word))?;
        self.decide.map_or(Ok(()), |way| write!(f, " {way:?}"))
    }
}

impl Wish {
    /// Branches of these kinds, each at a place of its own, and each after those before it.
    pub fn of_kinds(kinds: &[Kind]) -> Self {
        let places: Vec<_> = (0..kinds.len() as u8).map(Place::Database).collect();
        let mut wish = Self::over(&places);
        for (at, kind) in kinds.iter().enumerate() {
            let is_before =
                |other: &usize| (kinds[*other] == Kind::Deliver) == (*kind == Kind::Deliver);
            wish.branches[at].kind = *kind;
            wish.branches[at].after = (0..at).filter(is_before).map(|at| at as Index).collect();
        }
        wish
    }

    /// Whether a branch of it is of that kind.
    pub fn has(&self, kind: Kind) -> bool {
        self.branches.iter().any(|branch| branch.kind == kind)
    }

    /// Whether nothing is recorded of it before its branches prepare.
    pub fn begins_unrecorded(&self) -> bool {
        self.terms().is_none() && (self.decide != Some(Way::Paxos) || self.acceptors.is_empty())
    }

    /// What concerns the whole of its plan, if it has one.
    pub fn terms(&self) -> Option<Terms> {
        let is_plain = |branch: &BranchWish| branch.kind == Kind::Prepare;
        let deadline_ms = (self.deadline || self.asks).then_some(60_000);
        let (open, hold, timeout_ms) = (self.asks, self.hold, 5_000);
        let ask = self.asks.then(|| {
            let resource = self.branches[0].at.to_string();
            Ask { resource, call: Call::default() }.into()
        });
        let terms = Terms { open, hold, timeout_ms, deadline_ms, ask, ..Terms::default() };
        (deadline_ms.is_some() || !self.branches.iter().all(is_plain)).then_some(terms)
    }

    /// When a branch's turn is.
    pub fn part(&self, branch: usize) -> Part {
        let BranchWish { kind, after, uses, .. } = &self.branches[branch];
        let few =
            |patience| Patience { attempts: Some(STEP_TRIES_MAX), within_ms: None, ..patience };
        Part {
            kind: *kind,
            after: after.clone(),
            uses: if *uses { after.clone() } else { Vec::new() },
            // Nothing else is tried before the decision.
            patience: if *kind == Kind::Step { few(Patience::STEP) } else { Patience::STEP },
            persistence: few(Patience::UNTIL_DONE),
        }
    }

    /// A transaction over these places: the first gives to the others what they get, at shards.
    pub fn over(places: &[Place]) -> Self {
        let adds = |at: &Place, by| match at {
            Place::Shard(_) => vec![("alice".to_owned(), by)],
            _ => Vec::new(),
        };
        let given = |(index, at): (usize, &Place)| {
            let by = if index == 0 { -30 * (places.len().max(2) as i64 - 1) } else { 30 };
            let (kind, after) = (Kind::Prepare, Vec::new());
            BranchWish { at: *at, adds: adds(at, by), kind, after, uses: false }
        };
        Self {
            coordinator: 0,
            branches: places.iter().enumerate().map(given).collect(),
            ack: AckWhen::Decided,
            hold: false,
            one_phase: false,
            decide: None,
            acceptors: Vec::new(),
            begins: 1,
            aborts: 0,
            deadline: false,
            asks: false,
        }
    }
}
