//! What must hold of a definition, or it cannot run.

use std::collections::BTreeSet;

use handfast_client::{
    template::Name,
    wire::{Branch, BranchKind, Call, FindingLevel, SagaDefinition, SagaFinding},
};

use crate::{
    finding,
    order::{Misplaced, Order, kind},
    schema::Schema,
    template::{self, Use},
};

const NAME_BYTES_MAX: usize = 64;
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// All that keeps a definition from running: errors only, none if it can. Whether its resources
/// are configured, and what they take, only a node can tell.
pub fn validate(definition: &SagaDefinition) -> Vec<SagaFinding> {
    let mut errors = head(definition);
    errors.extend(definition.branches.iter().filter_map(name_of_branch));
    errors.extend(definition.branches.iter().filter_map(|branch| {
        let why = shape(branch).err()?;
        Some(error("bad_branch", Some(branch), why))
    }));
    match Order::of(&definition.branches) {
        Ok(order) => errors.extend(names(definition, &order)),
        Err(faults) => errors.extend(faults.iter().map(misplaced)),
    }
    errors
}

fn error(code: &str, branch: Option<&Branch>, message: impl Into<String>) -> SagaFinding {
    finding(FindingLevel::Error, code, branch.map(|b| b.name.as_str()), message)
}

/// What is wrong with the order, as a finding.
pub(crate) fn misplaced(fault: &Misplaced) -> SagaFinding {
    let code = match fault {
        Misplaced::TooMany(_) => "too_many_branches",
        Misplaced::SameName(_) => "duplicate_branch",
        Misplaced::Unknown { .. } => "unknown_after",
        Misplaced::AfterDelivery { .. } => "after_delivery",
        Misplaced::Cycle(_) => "cycle",
        Misplaced::Unreachable { .. } => "unreachable",
    };
    finding(FindingLevel::Error, code, fault.branch(), fault.to_string())
}

fn head(definition: &SagaDefinition) -> Vec<SagaFinding> {
    let mut errors = Vec::new();
    let mut wrong = |code, why: String| errors.push(error(code, None, why));
    if !is_name(&definition.name, "._-") {
        let name = &definition.name;
        wrong(
            "bad_name",
            format!("a saga cannot be called {name:?}: 1 to 64 letters, digits, ._-"),
        );
    }
    if definition.version == 0 {
        wrong("bad_version", "versions begin with 1".into());
    }
    if definition.branches.is_empty() {
        wrong("no_branches", "there is no branch".into());
    }
    for (field, ms) in
        [("timeout_ms", definition.timeout_ms), ("deadline_ms", definition.deadline_ms)]
    {
        if ms == Some(0) {
            wrong("bad_timeout", format!("`{field}` is 0"));
        }
    }
    errors.extend(Schema::of(definition).err());
    errors
}

fn is_name(name: &str, beside: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || beside.contains(c);
    (1..=NAME_BYTES_MAX).contains(&name.len()) && name.chars().all(good)
}

fn name_of_branch(branch: &Branch) -> Option<SagaFinding> {
    let name = &branch.name;
    let why = match name.as_str() {
        Name::INPUT => "`{{input.…}}` is what the run was given".into(),
        _ if !is_name(name, "._-:") => "1 to 64 letters, digits, ._-:".to_owned(),
        _ => return None,
    };
    Some(error("bad_name", Some(branch), format!("a branch cannot be called {name:?}: {why}")))
}

/// Whether a branch says what its kind needs, and nothing that its kind does not have.
fn shape(branch: &Branch) -> Result<(), String> {
    let has = |fields: &[(&'static str, bool)]| -> Vec<&'static str> {
        fields.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect()
    };
    let work = has(&[
        ("sql", branch.sql.is_some()),
        ("keys", branch.keys.is_some()),
        ("do", branch.act.is_some()),
        ("try", branch.attempt.is_some()),
        ("message", branch.message.is_some()),
    ]);
    let ends = has(&[
        ("undo", branch.undo.is_some()),
        ("confirm", branch.confirm.is_some()),
        ("cancel", branch.cancel.is_some()),
    ]);
    let allowed: (&[&[&str]], &str) = match (kind(branch), work.as_slice()) {
        (BranchKind::Step, ["do"]) => (&[&[], &["undo"]], "a step may have an `undo`"),
        (BranchKind::Deliver, ["do"] | ["message"]) => (&[&[]], "a delivery is never undone"),
        (BranchKind::Prepare, ["sql"] | ["keys"]) => (&[&[]], "`sql` and `keys` need nothing else"),
        (BranchKind::Prepare, ["try"]) => {
            (&[&["confirm", "cancel"]], "a `try` needs `confirm` and `cancel`")
        }
        (kind, work) => {
            let needs = match kind {
                BranchKind::Step => "a step needs `do`",
                BranchKind::Deliver => "a delivery needs `do` or `message`",
                BranchKind::Prepare => "a branch that prepares needs `sql`, `keys` or `try`",
            };
            return Err(format!("{needs} and nothing else of the kind; it has {work:?}"));
        }
    };
    if !allowed.0.contains(&ends.as_slice()) {
        return Err(format!("{}; it has {ends:?}", allowed.1));
    }
    let calls = [&branch.act, &branch.undo, &branch.attempt, &branch.confirm, &branch.cancel];
    calls.into_iter().flatten().try_for_each(request_line)
}

fn request_line(call: &Call) -> Result<(), String> {
    let good = call.call.split_once(' ').is_some_and(|(method, path)| {
        METHODS.contains(&method) && path.starts_with('/') && !path.contains(char::is_control)
    });
    let wrong = || format!("{:?} is not a method, a space and a path: `POST /bookings`", call.call);
    if good { Ok(()) } else { Err(wrong()) }
}

/// Whether all that is named is known by the time it is used.
fn names(definition: &SagaDefinition, order: &Order) -> Vec<SagaFinding> {
    let mut errors = Vec::new();
    for (index, branch) in definition.branches.iter().enumerate() {
        let uses = match template::uses(branch) {
            Ok(uses) => uses,
            Err((field, why)) => {
                errors.push(error("bad_template", Some(branch), format!("`{field}`: {why}")));
                continue;
            }
        };
        let mut told = BTreeSet::new();
        for used in uses.iter().filter(|used| used.name.root != Name::INPUT) {
            if let Err((code, why)) = known(&definition.branches, order, index, used)
                && told.insert((used.field, used.name.root))
            {
                let message = format!("`{}` uses {{{{{}}}}}, but {why}", used.field, used.name);
                errors.push(error(code, Some(branch), message));
            }
        }
    }
    errors
}

/// Whether what one branch names in another is known then.
///
/// # Errors
/// A code, and why it is not.
pub fn known(
    branches: &[Branch],
    order: &Order,
    index: usize,
    used: &Use<'_>,
) -> Result<(), (&'static str, String)> {
    let root = used.name.root;
    let Some(at) = branches.iter().position(|branch| branch.name == root) else {
        return Err(("unknown_name", format!("no branch is called {root:?}")));
    };
    let named = &branches[at];
    if kind(named) == BranchKind::Deliver || named.act.is_none() && named.attempt.is_none() {
        return Err(("no_output", format!("{root} puts nothing out: no step, no reservation")));
    }
    let late = || ("used_too_early", format!("{root} does not come before: put it into `after`"));
    match (at == index, kind(&branches[index])) {
        (true, _) if used.comes_later() => Ok(()),
        (true, _) => Err(("used_too_early", "that is its own output".into())),
        (false, BranchKind::Deliver) => Ok(()),
        (false, _) if order.is_before(at, index) => Ok(()),
        (false, _) => Err(late()),
    }
}
