//! Which branch comes before which.

use handfast_client::wire::{Branch, BranchKind};

/// Most branches of one transaction.
pub const BRANCHES_MAX: usize = 64;

/// A set of branches, by their place in the list.
type Set = u64;
const _: () = assert!(BRANCHES_MAX <= Set::BITS as usize);

/// The order of a transaction's branches: what is said by `after`, and else by the list. There a
/// step comes after the step before it, a branch that prepares after all steps that do not come
/// after itself, and a delivery after none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// As said, for each branch.
    direct: Vec<Set>,
    /// And what follows from it.
    before: Vec<Set>,
}

/// Why branches have no order. Branches are named.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misplaced {
    /// More than [`BRANCHES_MAX`].
    #[error("there are {0} branches; the limit is {BRANCHES_MAX}")]
    TooMany(usize),
    /// Two branches have one name.
    #[error("two branches are called {0:?}")]
    SameName(String),
    /// `after` names no branch.
    #[error("it is said to come after {after:?}, and no branch is called so")]
    Unknown {
        /// Who says so.
        branch: String,
        /// The name.
        after: String,
    },
    /// A delivery goes out after the decision, and the branch is done before it.
    #[error("it cannot come after {after:?}: deliveries leave after the decision")]
    AfterDelivery {
        /// Who says so.
        branch: String,
        /// The delivery.
        after: String,
    },
    /// Branches wait for each other.
    #[error("{}", in_a_circle(.0))]
    Cycle(Vec<String>),
    /// A branch that waits for branches that wait for each other.
    #[error("it can never run: it comes after {}, which wait for each other", quoted(.cycle))]
    Unreachable {
        /// Who waits.
        branch: String,
        /// For whom.
        cycle: Vec<String>,
    },
}

impl Misplaced {
    /// The branch that is wrong; `None` if it is not one.
    pub fn branch(&self) -> Option<&str> {
        match self {
            Self::TooMany(_) => None,
            Self::SameName(branch)
            | Self::Unknown { branch, .. }
            | Self::AfterDelivery { branch, .. }
            | Self::Unreachable { branch, .. } => Some(branch),
            Self::Cycle(branches) => branches.first().map(String::as_str),
        }
    }
}

fn in_a_circle(names: &[String]) -> String {
    match names {
        [name] => format!("{name:?} comes after itself"),
        names => format!("{} wait for each other", quoted(names)),
    }
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}

/// The members of a set, ascending.
fn members(set: Set) -> impl Iterator<Item = usize> {
    (0..BRANCHES_MAX).filter(move |index| set >> index & 1 == 1)
}

impl Order {
    /// The order of branches.
    ///
    /// # Errors
    /// All that keeps them from having one.
    pub fn of(branches: &[Branch]) -> Result<Self, Vec<Misplaced>> {
        if branches.len() > BRANCHES_MAX {
            return Err(vec![Misplaced::TooMany(branches.len())]);
        }
        let mut faults = Vec::new();
        let mut direct = said(branches, &mut faults);
        let mut before = closed(&direct);
        faults.extend(cycles(branches, &before));
        if !faults.is_empty() {
            return Err(faults);
        }
        let steps = members_of(branches, BranchKind::Step);
        for (index, branch) in branches.iter().enumerate() {
            if kind(branch) == BranchKind::Prepare && branch.after.is_none() {
                let free = members(steps).filter(|step| before[*step] >> index & 1 == 0);
                direct[index] = free.fold(0, |set, step| set | 1 << step);
                // One default after the other, so that two of them never make a cycle.
                before = closed(&direct);
            }
        }
        Ok(Self { direct, before })
    }

    /// Those that come before a branch, near and far, ascending.
    pub fn before(&self, index: usize) -> impl Iterator<Item = usize> {
        members(self.before[index])
    }

    /// Whether `first` comes before `second`. If neither does, they run side by side.
    pub fn is_before(&self, first: usize, second: usize) -> bool {
        self.before[second] >> first & 1 == 1
    }

    /// Those that come right before a branch, with nothing between, ascending.
    pub fn right_before(&self, index: usize) -> impl Iterator<Item = usize> {
        let far = self.before(index).fold(0, |far, near| far | self.before[near]);
        members(self.direct[index] & !far)
    }

    /// All branches, each after those that come before it, and otherwise as in the list.
    pub fn sequence(&self) -> Vec<usize> {
        let mut sequence: Vec<usize> = (0..self.before.len()).collect();
        // What comes before a branch has fewer that come before it.
        sequence.sort_by_key(|index| self.before[*index].count_ones());
        sequence
    }
}

/// What a branch does before and after the decision.
pub(crate) fn kind(branch: &Branch) -> BranchKind {
    branch.kind.unwrap_or_default()
}

fn members_of(branches: &[Branch], wanted: BranchKind) -> Set {
    let kinds = branches.iter().enumerate();
    kinds.filter(|(_, b)| kind(b) == wanted).fold(0, |set, (index, _)| set | 1 << index)
}

/// What each branch itself says, and what the list says of steps.
fn said(branches: &[Branch], faults: &mut Vec<Misplaced>) -> Vec<Set> {
    let deliveries = members_of(branches, BranchKind::Deliver);
    let mut step_before = None;
    let mut direct = Vec::new();
    for (index, branch) in branches.iter().enumerate() {
        if branches[..index].iter().any(|other| other.name == branch.name) {
            faults.push(Misplaced::SameName(branch.name.clone()));
        }
        let mut set = 0;
        for after in branch.after.iter().flatten() {
            let (branch_name, after_name) = (branch.name.clone(), after.clone());
            match branches.iter().position(|other| other.name == *after) {
                None => faults.push(Misplaced::Unknown { branch: branch_name, after: after_name }),
                Some(at) if deliveries >> at & 1 == 1 && kind(branch) != BranchKind::Deliver => {
                    faults
                        .push(Misplaced::AfterDelivery { branch: branch_name, after: after_name });
                }
                Some(at) => set |= 1 << at,
            }
        }
        if kind(branch) == BranchKind::Step {
            let default = step_before.filter(|_| branch.after.is_none());
            set |= default.map_or(0, |step: usize| 1 << step);
            step_before = Some(index);
        }
        direct.push(set);
    }
    direct
}

/// What follows: whatever comes before what comes before.
fn closed(direct: &[Set]) -> Vec<Set> {
    let mut before = direct.to_vec();
    for middle in 0..before.len() {
        for index in 0..before.len() {
            if before[index] >> middle & 1 == 1 {
                before[index] |= before[middle];
            }
        }
    }
    before
}

/// Each group of branches that wait for each other, and each branch that waits for one.
fn cycles(branches: &[Branch], before: &[Set]) -> Vec<Misplaced> {
    let round = |index: &usize| before[*index] >> index & 1 == 1;
    let group = |index: usize| -> Vec<String> {
        let mutual = |other: &usize| before[*other] >> index & 1 == 1;
        members(before[index]).filter(mutual).map(|at| branches[at].name.clone()).collect()
    };
    let mut faults = Vec::new();
    for index in 0..branches.len() {
        if round(&index) {
            let cycle = Misplaced::Cycle(group(index));
            if !faults.contains(&cycle) {
                faults.push(cycle);
            }
        } else if let Some(at) = members(before[index]).find(round) {
            let branch = branches[index].name.clone();
            faults.push(Misplaced::Unreachable { branch, cycle: group(at) });
        }
    }
    faults
}
