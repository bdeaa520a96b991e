//! How patiently a branch is tried.

use handfast_client::wire::{self, BranchKind, Retry};
use handfast_core::{plan::Patience, retry};

use super::{codes, plan::kind};
use crate::api::Problem;

const ATTEMPTS_MAX: u32 = 1000;
/// Most time of one call.
const CALL_MS_MAX: u64 = 60_000;
/// Longest wait, and most time of all tries: a day.
const WAIT_MS_MAX: u64 = 24 * 3_600_000;

/// A database or shard that is told the decision again: as where there is no plan.
const DATABASE: Patience = Patience {
    attempts: None,
    within_ms: None,
    first_ms: retry::FIRST_MS,
    cap_ms: retry::CAP_MS,
    call_ms: Patience::UNTIL_DONE.call_ms,
};

/// For doing it, and for undoing it, making it final, or delivering it.
pub(super) fn patience(branch: &wire::Branch) -> Result<(Patience, Patience), Problem> {
    let wire::Branch { retry, undo_retry, .. } = branch;
    let is_called = branch.sql.is_none() && branch.keys.is_none();
    match kind(branch) {
        BranchKind::Prepare if !is_called => Ok((Patience::STEP, DATABASE)),
        BranchKind::Prepare | BranchKind::Step => Ok((
            over("retry", retry.as_ref(), Patience::STEP)?,
            over("undo_retry", undo_retry.as_ref(), Patience::UNTIL_DONE)?,
        )),
        BranchKind::Deliver => {
            Ok((Patience::STEP, over("retry", retry.as_ref(), Patience::UNTIL_DONE)?))
        }
    }
}

/// What is asked for, over the defaults.
fn over(field: &str, asked: Option<&Retry>, mut patience: Patience) -> Result<Patience, Problem> {
    let Some(Retry { attempts, within_ms, first_ms, cap_ms, call_ms }) = asked.copied() else {
        return Ok(patience);
    };
    let check = |name: &str, number: Option<u64>, max: u64| match number {
        Some(number) if !(1..=max).contains(&number) => Err(Problem::new(
            &codes::RETRY_OUT_OF_RANGE,
            format!("`{field}.{name}` is {number}; the range is 1 to {max}"),
        )),
        _ => Ok(number),
    };
    check("attempts", attempts.map(u64::from), u64::from(ATTEMPTS_MAX))?;
    patience.attempts = attempts.or(patience.attempts);
    patience.within_ms = check("within_ms", within_ms, WAIT_MS_MAX)?.or(patience.within_ms);
    let first_ms = check("first_ms", first_ms, WAIT_MS_MAX)?;
    let cap_ms = check("cap_ms", cap_ms, WAIT_MS_MAX)?;
    // Where only one is given, the other's default makes room for it.
    (patience.first_ms, patience.cap_ms) = match (first_ms, cap_ms) {
        (Some(first_ms), Some(cap_ms)) => (first_ms, cap_ms),
        (Some(first_ms), None) => (first_ms, patience.cap_ms.max(first_ms)),
        (None, Some(cap_ms)) => (patience.first_ms.min(cap_ms), cap_ms),
        (None, None) => (patience.first_ms, patience.cap_ms),
    };
    patience.call_ms = check("call_ms", call_ms, CALL_MS_MAX)?.unwrap_or(patience.call_ms);
    if patience.cap_ms < patience.first_ms {
        let detail = format!("`{field}.cap_ms` is less than `{field}.first_ms`");
        return Err(Problem::new(&codes::RETRY_OUT_OF_RANGE, detail));
    }
    Ok(patience)
}
