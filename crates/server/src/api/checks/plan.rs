//! A plan: which branch comes after which, whose outputs it uses, and what concerns all of it.

use std::collections::BTreeSet;

use handfast_client::{
    template::Name,
    wire::{self, BeginTransaction, BranchKind},
};
use handfast_core::{
    limits::OUTPUT_BYTES_MAX,
    plan::{Ask, Kind, Part, Terms},
    transaction::Index,
};
use handfast_saga::{
    Misplaced, Order, known,
    template::{self, Use},
};
use serde_json::Value as Json;

use super::{Rules, codes, retry, within};
use crate::{api::Problem, config::Speaks};

/// Most time in which a transaction must be decided: 30 days.
pub(super) const DEADLINE_MS_MAX: u64 = 30 * 24 * 3_600_000;
/// Where a transaction that waits for its caller's word says nothing.
const DEADLINE_MS: u64 = 60_000;

/// Whether a request asks for more than branches that prepare, so that it needs a plan.
pub(super) fn is_needed(request: &BeginTransaction) -> bool {
    let BeginTransaction { open, deadline_ms, input, ask, branches, .. } = request;
    let is_more = |branch: &wire::Branch| {
        let outputs = || template::uses(branch).map_or(true, |uses| !uses.is_empty());
        kind(branch) != BranchKind::Prepare
            || branch.attempt.is_some()
            || branch.after.as_ref().is_some_and(|after| !after.is_empty())
            || outputs()
    };
    *open
        || deadline_ms.is_some()
        || input.is_some()
        || ask.is_some()
        || branches.iter().any(is_more)
}

pub(super) fn kind(branch: &wire::Branch) -> BranchKind {
    branch.kind.unwrap_or_default()
}

/// The order of branches, if they have one.
pub(super) fn order(branches: &[wire::Branch]) -> Result<Order, Problem> {
    Order::of(branches).map_err(|faults| {
        let fault = faults.first().expect("there is no order for a reason");
        let code = match fault {
            Misplaced::TooMany(_) => codes::TOO_MANY_BRANCHES,
            Misplaced::SameName(_) => codes::DUPLICATE_BRANCH,
            Misplaced::Unknown { .. } => codes::UNKNOWN_AFTER,
            Misplaced::AfterDelivery { .. } => codes::AFTER_DELIVERY,
            Misplaced::Cycle(_) | Misplaced::Unreachable { .. } => codes::CYCLE,
        };
        let problem = Problem::new(&code, fault.to_string());
        match fault.branch() {
            Some(branch) => problem.branch(branch),
            None => problem,
        }
    })
}

/// The place of one branch in the plan. `input` is the transaction's, as JSON.
pub(super) fn part(
    branches: &[wire::Branch],
    at: usize,
    order: &Order,
    input: &str,
) -> Result<Part, Problem> {
    let branch = &branches[at];
    let kind = match kind(branch) {
        BranchKind::Prepare => Kind::Prepare,
        BranchKind::Step => Kind::Step,
        BranchKind::Deliver => Kind::Deliver,
    };
    // That a delivery comes after what is done before the decision goes without saying.
    let counts = |before: &usize| {
        kind != Kind::Deliver || self::kind(&branches[*before]) == BranchKind::Deliver
    };
    let (patience, persistence) = retry::patience(branch)?;
    Ok(Part {
        kind,
        after: order.before(at).filter(counts).map(index).collect(),
        uses: uses(branches, at, order, input)?,
        patience,
        persistence,
    })
}

/// Whose outputs a branch uses; all that it names is known by then.
fn uses(
    branches: &[wire::Branch],
    at: usize,
    order: &Order,
    input: &str,
) -> Result<Vec<Index>, Problem> {
    let named = template::uses(&branches[at])
        .map_err(|(field, why)| Problem::new(&codes::BAD_TEMPLATE, format!("`{field}`: {why}")))?;
    let input = serde_json::from_str::<Json>(input).ok();
    let mut uses = BTreeSet::new();
    for used in &named {
        if used.name.root == Name::INPUT {
            check_input(used, input.as_ref())?;
            continue;
        }
        known(branches, order, at, used).map_err(|(code, why)| {
            let code = match code {
                "no_output" => codes::NO_OUTPUT,
                "used_too_early" => codes::USED_TOO_EARLY,
                _ => codes::UNKNOWN_NAME,
            };
            let Use { field, name } = used;
            Problem::new(&code, format!("`{field}` uses {{{{{name}}}}}, but {why}"))
        })?;
        uses.extend(branches.iter().position(|branch| branch.name == used.name.root));
    }
    Ok(uses.into_iter().map(index).collect())
}

fn check_input(used: &Use<'_>, input: Option<&Json>) -> Result<(), Problem> {
    if has(input, &used.name) {
        return Ok(());
    }
    let Use { field, name } = used;
    let detail = format!("`{field}` uses {{{{{name}}}}}, and the input has no such field");
    Err(Problem::new(&codes::MISSING_INPUT, detail))
}

/// Whether what a branch uses of others is there, as far as that can be known. `output` tells what
/// a branch has put out, as JSON, if it will not put out anything else.
pub(super) fn check_outputs<'o>(
    branch: &wire::Branch,
    output: impl Fn(&str) -> Option<&'o str>,
) -> Result<(), Problem> {
    let named = template::uses(branch).unwrap_or_default();
    for Use { field, name } in named.iter().filter(|used| used.name.root != Name::INPUT) {
        let Some(output) = output(name.root) else { continue };
        if !has(serde_json::from_str(output).ok().as_ref(), name) {
            let detail = format!("`{field}` uses {{{{{name}}}}}, which was not put out");
            return Err(Problem::new(&codes::MISSING_OUTPUT, detail));
        }
    }
    Ok(())
}

fn has(value: Option<&Json>, name: &Name<'_>) -> bool {
    let found = name.path.iter().try_fold(value, |value, part| {
        Some(match value? {
            Json::Array(list) => part.parse().ok().and_then(|at: usize| list.get(at)),
            other => other.get(part),
        })
    });
    found.flatten().is_some()
}

fn index(at: usize) -> Index {
    Index::try_from(at).expect("there are at most 64 branches")
}

impl Rules {
    /// What concerns the whole of a plan.
    pub(super) fn terms(
        &self,
        request: &BeginTransaction,
        timeout_ms: u64,
        trace: &str,
        now_ms: u64,
    ) -> Result<Terms, Problem> {
        if !request.decide.is_log() {
            let detail =
                "steps, deliveries, reservations and open transactions are decided by `log`";
            return Err(Problem::new(&codes::DECIDE_UNSUPPORTED, detail));
        }
        let BeginTransaction { open, hold, .. } = *request;
        let waits = (open || hold).then_some(DEADLINE_MS);
        let deadline_ms = within("deadline_ms", request.deadline_ms, DEADLINE_MS_MAX)?.or(waits);
        Ok(Terms {
            open,
            hold,
            timeout_ms,
            deadline_ms: deadline_ms.map(|ms| now_ms.saturating_add(ms)),
            ask: request.ask.as_ref().map(|ask| self.ask(ask, request)).transpose()?,
            input: request.input.as_ref().map(input).transpose()?.unwrap_or_default(),
            saga: None,
            trace: if is_trace(trace) { trace.into() } else { String::new() },
        })
    }

    fn ask(&self, ask: &wire::Ask, request: &BeginTransaction) -> Result<Box<Ask>, Problem> {
        let wrong = |detail: &str| Err(Problem::new(&codes::BAD_ASK, detail));
        if !request.open {
            return wrong("`ask` goes with `open`: others do not wait for a word");
        }
        check_asking(&request.branches)?;
        match self.resources.get(&ask.resource) {
            None => return Err(self.unknown_resource(&ask.resource)),
            Some(Speaks::Service) => {}
            Some(Speaks::Sql | Speaks::Keys) => return wrong("only a service can be asked"),
        }
        let asks = wire::Branch { act: Some(ask.call.clone()), ..wire::Branch::default() };
        let named = template::uses(&asks)
            .map_err(|(_, why)| Problem::new(&codes::BAD_TEMPLATE, format!("`ask`: {why}")))?;
        if named.iter().any(|used| used.name.root != Name::INPUT) {
            return wrong("its call may use the input and nothing else");
        }
        let mut inputs = named.into_iter().map(|used| Use { field: "ask", ..used });
        inputs.try_for_each(|used| check_input(&used, request.input.as_ref()))?;
        let call = self.call("ask", &ask.call)?;
        Ok(Ask { resource: ask.resource.clone(), call }.into())
    }
}

/// A transaction that asks back goes on by itself once it is answered. Nobody is there then to run
/// again what did not prepare.
pub(super) fn check_asking(branches: &[wire::Branch]) -> Result<(), Problem> {
    match branches.iter().find(|branch| kind(branch) == BranchKind::Prepare) {
        None => Ok(()),
        Some(branch) => {
            let detail = "`ask` goes with steps and deliveries: a branch that prepares may fail \
                          after the caller's own transaction has committed";
            Err(Problem::new(&codes::BAD_ASK, detail).branch(&branch.name))
        }
    }
}

/// The input as JSON.
fn input(input: &Json) -> Result<String, Problem> {
    let bad = |detail: String| Err(Problem::new(&codes::BAD_INPUT, detail));
    if !input.is_object() {
        return bad("`input` is not an object".into());
    }
    let text = input.to_string();
    match text.len() {
        ..=OUTPUT_BYTES_MAX => Ok(text),
        length => bad(format!("`input` has {length} bytes; the limit is {OUTPUT_BYTES_MAX}")),
    }
}

/// Whether a text is a `traceparent` of W3C Trace Context, version 00. What is not is left out, as
/// the standard has it.
fn is_trace(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_set = |part: &str| part.bytes().any(|b| b != b'0');
    match parts[..] {
        ["00", trace, parent, flags] => {
            is_hex(trace, 32)
                && is_hex(parent, 16)
                && is_hex(flags, 2)
                && is_set(trace)
                && is_set(parent)
        }
        _ => false,
    }
}
