//! What a transaction of steps and deliveries is to do: its plan, and the calls of its services.
//!
//! | kind | before the decision | if commit | if abort |
//! |---|---|---|---|
//! | `prepare` | prepare, vote | commit | abort |
//! | `step` | do | – | undo |
//! | `deliver` | – | do, until it succeeds | – |
//!
//! A transaction that only prepares needs no plan: nothing is recorded before its decision, since
//! participants that prepare can be asked what they hold. Services cannot, so a plan is durable
//! before the first call leaves.

use alloc::{boxed::Box, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::{transaction::Index, vote::Proof, work::Work};

/// What a branch does before and after the decision.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Prepares and votes; then commits or aborts as decided.
    #[default]
    Prepare,
    /// Is done before the decision, and undone if that is to abort.
    Step,
    /// Is done after the decision to commit, until it succeeds.
    Deliver,
}

/// The plan of a transaction, durable before anything of it leaves.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// What concerns all of it.
    pub terms: Terms,
    /// By branch.
    pub branches: Vec<Planned>,
}

/// What concerns the whole of a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// Branches may be added until the caller says commit or abort.
    #[serde(default, skip_serializing_if = "is_false")]
    pub open: bool,
    /// All votes yes, and it waits for the caller's word.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hold: bool,
    /// Within this time a branch that prepares must vote, in ms.
    pub timeout_ms: u64,
    /// If it is not decided by then, it is aborted: ms since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Two-phase message: whom to ask, when the caller's word has not come by the deadline,
    /// whether its local transaction committed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ask: Option<Box<Ask>>,
    /// What the caller gave for its calls to use: JSON; empty for nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub input: String,
    /// The saga it is a run of, with its version: `order@3`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saga: Option<String>,
    /// The caller's trace, passed on with every call (W3C `traceparent`); empty for none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub trace: String,
}

/// Where to ask whether a caller's local transaction committed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ask {
    /// The service.
    pub resource: String,
    /// What to call there: done means committed, refused means that it never will be.
    pub call: Call,
}

/// A branch in a plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Flat")]
pub struct Planned {
    /// When, and how patiently.
    #[serde(flatten)]
    pub part: Part,
    /// What.
    pub work: Work,
}

/// The same as it is written, which serde reads in one pass.
#[derive(Deserialize)]
struct Flat {
    kind: Kind,
    #[serde(default)]
    after: Vec<Index>,
    #[serde(default)]
    uses: Vec<Index>,
    #[serde(default)]
    patience: Patience,
    #[serde(default = "Patience::until_done")]
    persistence: Patience,
    work: Work,
}

impl From<Flat> for Planned {
    fn from(flat: Flat) -> Self {
        let Flat { kind, after, uses, patience, persistence, work } = flat;
        Self { part: Part { kind, after, uses, patience, persistence }, work }
    }
}

/// When a branch's turn is, and how patiently it is tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Part {
    /// What it does before and after the decision.
    pub kind: Kind,
    /// **All** branches that come before it, directly or not, in ascending order. For a delivery:
    /// the deliveries before it. It is undone after all that come after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<Index>,
    /// Whose outputs its calls use.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<Index>,
    /// For a step or reservation: how often, and how long, it is tried until the transaction is
    /// given up.
    #[serde(default, skip_serializing_if = "Patience::is_for_steps")]
    pub patience: Patience,
    /// For undo and delivery: how often it is tried until it is stuck, which goes on trying.
    #[serde(default = "Patience::until_done", skip_serializing_if = "Patience::is_until_done")]
    pub persistence: Patience,
}

/// How often, how long, and how fast something is tried.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Patience {
    /// Most tries whose result stayed unknown; `None`: no limit.
    pub attempts: Option<u32>,
    /// Most time, in ms, of all calls and waits since the node started; `None`: no limit.
    pub within_ms: Option<u64>,
    /// Wait after the first try, in ms; doubled after each.
    pub first_ms: u64,
    /// Longest wait, in ms.
    pub cap_ms: u64,
    /// Most time of one call, in ms.
    pub call_ms: u64,
}

impl Patience {
    /// A step: 5 tries, 30 s.
    pub const STEP: Self = Self {
        attempts: Some(5),
        within_ms: Some(30_000),
        first_ms: 500,
        cap_ms: 10_000,
        call_ms: 10_000,
    };
    /// Undo and delivery: stuck after 15 tries, which is about half an hour; 5 min between tries.
    pub const UNTIL_DONE: Self = Self {
        attempts: Some(15),
        within_ms: None,
        first_ms: 500,
        cap_ms: 300_000,
        call_ms: 10_000,
    };

    fn until_done() -> Self {
        Self::UNTIL_DONE
    }

    /// The log does not say what is the default: that is most of a plan's length.
    fn is_for_steps(&self) -> bool {
        *self == Self::STEP
    }

    fn is_until_done(&self) -> bool {
        *self == Self::UNTIL_DONE
    }

    /// The wait after the `tries`-th try, in ms.
    pub fn wait_ms(&self, tries: u32) -> u64 {
        let doublings = tries.saturating_sub(1).min(32);
        self.first_ms.saturating_mul(1 << doublings).min(self.cap_ms)
    }

    /// Whether so many tries, or so much time, are enough.
    pub fn is_over(&self, tries: u32, spent_ms: u64) -> bool {
        self.attempts.is_some_and(|most| tries >= most)
            || self.within_ms.is_some_and(|most| spent_ms >= most)
    }

    /// The wait before the next try, in ms: shortened so that a tenth of all time is left for one
    /// last try, but not below what the service asked for; `None` if there is no time for one.
    pub fn wait_within_ms(&self, spent_ms: u64, wait_ms: u64, least_ms: u64) -> Option<u64> {
        let wait_ms = wait_ms.max(least_ms);
        let Some(most) = self.within_ms else { return Some(wait_ms) };
        let last_ms = (most - most / 10).saturating_sub(spent_ms).max(least_ms);
        let wait_ms = wait_ms.min(last_ms);
        (last_ms > 0 && !self.is_over(0, spent_ms.saturating_add(wait_ms))).then_some(wait_ms)
    }

    /// How long the next call may take, in ms.
    pub fn call_within_ms(&self, spent_ms: u64) -> u64 {
        let left = self.within_ms.map_or(u64::MAX, |most| most.saturating_sub(spent_ms));
        self.call_ms.min(left).max(1)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::STEP
    }
}

/// What a service does for a branch.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Calls {
    /// A step's do, a reservation's try, or the delivery.
    pub act: Call,
    /// What makes a reservation final.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Call>,
    /// A step's undo, or a reservation's cancel. A step without one stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undo: Option<Call>,
    /// Whether 404 or 410 to undo or cancel means that there is nothing to undo.
    #[serde(default, skip_serializing_if = "is_false")]
    pub absent_is_undone: bool,
    /// A delivery: those with one key at one resource arrive in the order of their decisions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_key: Option<String>,
}

/// One HTTP request. Path, headers and body may name outputs, `{{branch.field}}`, and the
/// transaction's input, `{{input.field}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Such as `POST`.
    pub method: String,
    /// Added to the resource's address; starts with `/`.
    pub path: String,
    /// Beside those that the resource has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// JSON; empty for no body.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// What is asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// A step.
    Do,
    /// Its compensation.
    Undo,
    /// A delivery.
    Deliver,
    /// A reservation.
    Try,
    /// What makes it final.
    Confirm,
    /// What gives it back.
    Cancel,
    /// Whether a local transaction committed.
    Ask,
}

impl Verb {
    /// As a service is told it. A delivery is a `do` that nothing undoes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Do | Self::Deliver => "do",
            Self::Undo => "undo",
            Self::Try => "try",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Ask => "ask",
        }
    }
}

/// What a call of a branch may use: the plan, and what other branches have put out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Given {
    /// The plan.
    pub plan: alloc::sync::Arc<Plan>,
    /// Outputs of the branches it uses, as far as there are any.
    pub outputs: Vec<(Index, Proof)>,
    /// Which try it is, from 1, since the node started.
    pub attempt: u32,
    /// To undo or cancel: a do or try of the branch may arrive even after this call. So that there
    /// is nothing to undo now says nothing of the end.
    pub is_early: bool,
}

impl Plan {
    /// What a branch does before and after the decision.
    pub fn kind(&self, branch: Index) -> Kind {
        self.branches.get(usize::from(branch)).map_or(Kind::Prepare, |planned| planned.part.kind)
    }

    /// Whether a branch is a reservation: it prepares at a service, by a try.
    pub fn reserves(&self, branch: Index) -> bool {
        let planned = self.branches.get(usize::from(branch));
        planned.is_some_and(|planned| {
            planned.part.kind == Kind::Prepare && matches!(planned.work, Work::Calls(_))
        })
    }

    /// How patiently a step is done or a reservation made: that has no more time than the votes.
    pub fn patience(&self, branch: Index) -> Patience {
        let mut patience = self.branches[usize::from(branch)].part.patience.clone();
        if self.reserves(branch) {
            let within_ms = patience.within_ms.unwrap_or(u64::MAX);
            patience.within_ms = Some(within_ms.min(self.terms.timeout_ms));
        }
        patience
    }

    /// Whether a branch is a step that can be undone by one who does not know whether it was ever
    /// called: its undo needs nothing that a do put out, and a service that finds nothing to undo
    /// says that it is done. Nor may its do need what others put out.
    pub fn may_leave_ahead(&self, branch: Index) -> bool {
        let planned = self.branches.get(usize::from(branch));
        planned.is_some_and(|Planned { part, work }| {
            let Work::Calls(calls) = work else { return false };
            let can_be_undone = calls.undo.is_some() && !calls.absent_is_undone;
            part.kind == Kind::Step && part.uses.is_empty() && can_be_undone
        })
    }

    /// Whether a step can be undone.
    pub fn has_undo(&self, branch: Index) -> bool {
        let work = self.branches.get(usize::from(branch)).map(|planned| &planned.work);
        matches!(work, Some(Work::Calls(calls)) if calls.undo.is_some())
    }

    /// Those that come after a branch.
    pub fn followers(&self, branch: Index) -> impl Iterator<Item = Index> + '_ {
        let follows = move |planned: &Planned| planned.part.after.binary_search(&branch).is_ok();
        (0..).zip(&self.branches).filter(move |(_, planned)| follows(planned)).map(|(at, _)| at)
    }
}

fn is_false(flag: &bool) -> bool {
    !flag
}
