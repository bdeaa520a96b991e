//! What can run and had better be otherwise.

use std::collections::BTreeSet;

use handfast_client::{
    template::Name,
    wire::{Branch, BranchKind, Compensation, FindingLevel, SagaDefinition, SagaFinding},
};
use serde_json::Value;

use crate::{
    check::validate,
    finding,
    order::{Order, kind},
    template::{self, Use},
};

/// The errors of [`validate`], or if there are none, the warnings.
pub fn lint(definition: &SagaDefinition) -> Vec<SagaFinding> {
    let errors = validate(definition);
    let Ok(order) = Order::of(&definition.branches) else { return errors };
    if !errors.is_empty() {
        return errors;
    }
    let mut warnings = times(definition);
    warnings.extend(risks(&definition.branches, &order));
    warnings.extend(definition.branches.iter().filter_map(needs_output));
    warnings.extend(held(&definition.branches, &order));
    warnings.extend(deliveries(&definition.branches));
    warnings.extend(input(definition));
    warnings
}

fn warning(
    code: &str,
    branch: Option<&Branch>,
    message: impl Into<String>,
    better: impl Into<String>,
) -> SagaFinding {
    let branch = branch.map(|branch| branch.name.as_str());
    SagaFinding { better: better.into(), ..finding(FindingLevel::Warning, code, branch, message) }
}

fn times(definition: &SagaDefinition) -> Vec<SagaFinding> {
    let has = |wanted| definition.branches.iter().any(|branch| kind(branch) == wanted);
    let mut warnings = Vec::new();
    if has(BranchKind::Step) && definition.deadline_ms.is_none() {
        let message =
            "no `deadline_ms`: a step that is stuck keeps a run open until a person comes";
        let better = "say how long a run may take, such as `deadline_ms: 60000`";
        warnings.push(warning("no_deadline", None, message, better));
    }
    if has(BranchKind::Prepare) && definition.timeout_ms.is_none() {
        let message = "no `timeout_ms`: how long rows may be locked is left to the node";
        let better = "say how long voting may take, such as `timeout_ms: 5000`";
        warnings.push(warning("no_timeout", None, message, better));
    }
    warnings
}

/// How bad it is if a branch is done and another one fails after it.
fn burden(branch: &Branch) -> u8 {
    match (kind(branch), branch.compensation) {
        (BranchKind::Step, Some(Compensation::None)) => 2,
        (BranchKind::Step, Some(Compensation::Hard)) => 1,
        (BranchKind::Step, None) if branch.undo.is_none() => 2,
        // A branch that prepares has done nothing yet; deliveries leave when nothing can fail.
        _ => 0,
    }
}

/// What helps where no order does.
const NO_UNDO: &str =
    "give it an `undo`; or make it a delivery, which leaves when nothing can fail any more";
const HARD: &str = "what needs it comes after it: let a reservation (`try`, `confirm`, `cancel`) \
                    take its place, if it can";

/// Steps that are bad to take back, and those that can fail when they are done already.
fn risks(branches: &[Branch], order: &Order) -> Vec<SagaFinding> {
    let better = better(branches, order);
    let mut warnings = Vec::new();
    for (index, branch) in branches.iter().enumerate() {
        let risky = |other: &usize| {
            let can_fail = match kind(&branches[*other]) {
                // What is as hard to take back, or harder, has no better place either.
                BranchKind::Step => burden(branch) == 2 || burden(&branches[*other]) == 0,
                // Its rows are locked shortest if it comes last, so a hard undo is the price.
                BranchKind::Prepare => burden(branch) == 2,
                BranchKind::Deliver => false,
            };
            can_fail && *other != index && !order.is_before(*other, index)
        };
        let after: Vec<usize> = (0..branches.len()).filter(risky).collect();
        if burden(branch) == 0 || after.is_empty() {
            continue;
        }
        let names: Vec<_> = after.iter().map(|at| branches[*at].name.as_str()).collect();
        let place = better.iter().position(|at| *at == index).expect("it holds every branch");
        let left: Vec<_> = better[place..].iter().filter(|at| after.contains(at)).collect();
        let otherwise = match burden(branch) {
            2 => NO_UNDO,
            _ => HARD,
        };
        let advice = match left[..] {
            [] => improved(branches, &better, place),
            _ if left.len() == after.len() => otherwise.into(),
            _ => {
                let left: Vec<_> = left.iter().map(|at| branches[**at].name.as_str()).collect();
                let order = improved(branches, &better, place);
                format!("partly, {order}, but {} can fail then, too; {otherwise}", left.join(", "))
            }
        };
        let (code, what) = match burden(branch) {
            1 => ("hard_early", "it is hard to take back"),
            _ => ("no_undo", "it cannot be taken back"),
        };
        let message = format!("{what}, and when it is done {} can still fail", names.join(", "));
        warnings.push(warning(code, Some(branch), message, advice));
    }
    warnings
}

/// The order, and what the branch at `place` of it must say if it says something else now.
fn improved(branches: &[Branch], better: &[usize], place: usize) -> String {
    let names: Vec<_> = better.iter().map(|at| branches[*at].name.as_str()).collect();
    let order = format!("this order: {}", names.join(", "));
    match (&branches[better[place]].after, place.checked_sub(1)) {
        (Some(_), Some(before)) => format!("{order}; with `after: [{}]`", names[before]),
        _ => order,
    }
}

/// An order in which the worst to take back come last, as far as what they need allows. Built from
/// its end: of all that nothing else needs any more, the worst is the last. Between equals it is
/// the one that needs the worse, which can then come later too.
fn better(branches: &[Branch], order: &Order) -> Vec<usize> {
    let needed: Vec<BTreeSet<usize>> =
        (0..branches.len()).map(|index| needed(branches, order, index)).collect();
    let mut needs_burden = vec![0; branches.len()];
    for index in order.sequence() {
        let burdens = needed[index].iter().map(|at| burden(&branches[*at]).max(needs_burden[*at]));
        needs_burden[index] = burdens.max().unwrap_or(0);
    }
    let rank = |at: &usize| (turn(&branches[*at]), burden(&branches[*at]), needs_burden[*at], *at);
    let mut left: BTreeSet<usize> = (0..branches.len()).collect();
    let mut backwards = Vec::new();
    while !left.is_empty() {
        let free = left.iter().filter(|at| !left.iter().any(|other| needed[*other].contains(at)));
        let last = free.copied().max_by_key(rank).expect("what is needed has no cycle");
        left.remove(&last);
        backwards.push(last);
    }
    backwards.reverse();
    backwards
}

/// Steps, then what is locked until the decision, then what leaves after it.
fn turn(branch: &Branch) -> u8 {
    match kind(branch) {
        BranchKind::Step => 0,
        BranchKind::Prepare => 1,
        BranchKind::Deliver => 2,
    }
}

/// What a branch cannot do without: what its `after` says, and what it names. That a step comes
/// after the one above it is only how it was written down.
fn needed(branches: &[Branch], order: &Order, index: usize) -> BTreeSet<usize> {
    let branch = &branches[index];
    let uses = template::uses(branch).unwrap_or_default();
    let named: BTreeSet<&str> = uses.iter().map(|used| used.name.root).collect();
    let said = |at: &usize| match (&branch.after, kind(branch)) {
        (Some(after), _) => after.contains(&branches[*at].name),
        (None, kind) => kind != BranchKind::Step,
    };
    let wanted = |at: &usize| said(at) || named.contains(branches[*at].name.as_str());
    order.before(index).filter(wanted).collect()
}

/// A compensation that names the output of its own branch: there is none when the answer was lost,
/// which is when it is needed most.
fn needs_output(branch: &Branch) -> Option<SagaFinding> {
    let uses = template::uses(branch).unwrap_or_default();
    let is_own = |used: &&Use<'_>| used.name.root == branch.name;
    let used = uses.iter().filter(is_own).find(|used| matches!(used.field, "undo" | "cancel"))?;
    let asked = if used.field == "undo" { "do" } else { "try" };
    let message = format!(
        "`{}` uses {{{{{}}}}}: when the answer to `{asked}` is lost there is none, and it is stuck",
        used.field, used.name
    );
    let better = format!(
        "use a name that the caller makes up in both, such as `{{{{input.id}}}}`; or let the \
         service find what `{asked}` did by the header Handfast-Branch"
    );
    Some(warning("undo_needs_output", Some(branch), message, better))
}

/// Steps that run while rows are locked.
fn held(branches: &[Branch], order: &Order) -> Vec<SagaFinding> {
    let is = |index: &usize, wanted| kind(&branches[*index]) == wanted;
    let steps = (0..branches.len()).filter(|index| is(index, BranchKind::Step));
    let waits = steps.filter_map(|step| {
        let lock = order.before(step).find(|at| is(at, BranchKind::Prepare))?;
        let name = &branches[lock].name;
        let message = format!("{name} is prepared already and holds its locks while this runs");
        let better = format!("let {name} come after it, if it does not need what {name} has done");
        Some(warning("step_under_locks", Some(&branches[step]), message, better))
    });
    waits.collect()
}

fn deliveries(branches: &[Branch]) -> Vec<SagaFinding> {
    let delivers = |branch: &&Branch| kind(branch) == BranchKind::Deliver;
    let mut warnings = Vec::new();
    if branches.iter().all(|branch| delivers(&branch)) {
        let message = "there are deliveries only: nothing is decided, so nothing can be refused";
        let better = "let them depend on a step or on a branch that prepares";
        warnings.push(warning("only_deliveries", None, message, better));
    }
    for branch in branches.iter().filter(delivers) {
        if template::uses(branch).is_ok_and(|uses| uses.is_empty()) {
            let message = "it is the same in every run: it names no input and no output";
            let better = "tell whom it concerns, such as `subject: \"{{input.id}}\"`";
            warnings.push(warning("constant_delivery", Some(branch), message, better));
        }
    }
    warnings
}

/// What is used of the input, and what its schema says of that.
fn input(definition: &SagaDefinition) -> Vec<SagaFinding> {
    let mut warnings = Vec::new();
    let mut told = BTreeSet::new();
    for branch in &definition.branches {
        let uses = template::uses(branch).unwrap_or_default();
        for used in uses.iter().filter(|used| used.name.root == Name::INPUT) {
            let Some(field) = used.name.path.first() else { continue };
            if !told.insert(field.to_string()) {
                continue;
            }
            let Some((code, message)) = promised(definition.input.as_ref(), field) else {
                continue;
            };
            let better = format!("put {field:?} into `properties` and `required` of `input`");
            warnings.push(warning(code, Some(branch), message, better));
        }
    }
    warnings
}

/// What is wrong with relying on a field; `None` if the schema makes sure of it, or leaves its own
/// fields to parts that are not looked into.
fn promised(schema: Option<&Value>, field: &str) -> Option<(&'static str, String)> {
    let Some(schema) = schema else {
        return Some(("input_unchecked", format!("it uses {field:?} of an input without schema")));
    };
    let properties = schema.get("properties")?.as_object()?;
    if !properties.contains_key(field) {
        return Some(("input_unchecked", format!("the schema of `input` has no {field:?}")));
    }
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = required.into_iter().flatten().any(|name| name.as_str() == Some(field));
    let message = || format!("{field:?} may be missing in an input, and such a run is refused");
    (!is_required).then(|| ("input_optional", message()))
}
