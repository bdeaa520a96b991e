//! The work of a branch: which locks it needs, and what it would write.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    format,
    string::String,
    vec::Vec,
};

use super::{Mode, Prepared, Writes, refusal};
use crate::{
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    vote::{Cause, Refusal},
    work::{KeyOp, Value},
};

/// The committed values.
pub(super) struct View<'a> {
    pub keys: &'a BTreeMap<String, Value>,
    /// Committed in this very step, not in `keys` yet.
    pub over: Option<&'a Writes>,
}

impl View<'_> {
    fn value(&self, key: &str) -> Option<&Value> {
        match self.over.and_then(|over| over.get(key)) {
            Some(written) => written.as_ref(),
            None => self.keys.get(key),
        }
    }
}

/// The locks that the operations need, in the order of the keys, each in its strongest mode.
pub(super) fn locks(ops: &[KeyOp]) -> Vec<(String, Mode)> {
    let mut wants = BTreeMap::new();
    for op in ops {
        let (key, mode) = match op {
            KeyOp::Get { key } | KeyOp::Expect { key, .. } => (key, Mode::Shared),
            KeyOp::Put { key, .. } | KeyOp::Add { key, .. } | KeyOp::Delete { key } => {
                (key, Mode::Exclusive)
            }
        };
        let strongest = wants.entry(key.clone()).or_insert(mode);
        *strongest = mode.max(*strongest);
    }
    wants.into_iter().collect()
}

/// Does the operations in order, each on what those before it left.
///
/// # Errors
/// A condition does not hold, or an operation cannot be done; the branch votes no with this.
pub(super) fn run(view: &View<'_>, ops: &[KeyOp]) -> Result<Prepared, Refusal> {
    let mut writes = Writes::new();
    let mut reads = BTreeSet::new();
    let mut returned = Vec::new();
    for op in ops {
        match op {
            KeyOp::Get { key } => {
                check_key(key)?;
                returned.push((key.clone(), seen(view, &writes, key).cloned()));
                reads.insert(key);
            }
            KeyOp::Expect { key, value } => {
                check_key(key)?;
                expect(key, value.as_ref(), seen(view, &writes, key))?;
                reads.insert(key);
            }
            KeyOp::Put { key, value } => {
                check_key(key)?;
                check_value(key, value)?;
                writes.insert(key.clone(), Some(value.clone()));
            }
            KeyOp::Add { key, by, min, max } => {
                check_key(key)?;
                let sum = add(key, seen(view, &writes, key), *by, *min, *max)?;
                writes.insert(key.clone(), Some(Value::Int(sum)));
            }
            KeyOp::Delete { key } => {
                check_key(key)?;
                writes.insert(key.clone(), None);
            }
        }
    }
    let reads = reads.into_iter().filter(|key| !writes.contains_key(*key)).cloned().collect();
    Ok(Prepared { writes, reads, returned, ..Prepared::default() })
}

fn seen<'a>(view: &'a View<'_>, writes: &'a Writes, key: &str) -> Option<&'a Value> {
    match writes.get(key) {
        Some(written) => written.as_ref(),
        None => view.value(key),
    }
}

fn expect(key: &str, wanted: Option<&Value>, found: Option<&Value>) -> Result<(), Refusal> {
    if wanted == found {
        return Ok(());
    }
    let message = format!("key `{key}` holds {}, not {}", shown(found), shown(wanted));
    Err(refusal("condition_failed", message, Cause::Business))
}

fn add(
    key: &str,
    found: Option<&Value>,
    by: i64,
    min: Option<i64>,
    max: Option<i64>,
) -> Result<i64, Refusal> {
    let before = match found {
        None => 0,
        Some(Value::Int(int)) => *int,
        Some(Value::Bytes(_)) => {
            let message = format!("key `{key}` holds bytes, which cannot be added to");
            return Err(refusal("not_an_integer", message, Cause::Request));
        }
    };
    let Some(sum) = before.checked_add(by) else {
        let message = format!("key `{key}`: {before} and {by} do not fit 64 bits");
        return Err(refusal("overflow", message, Cause::Request));
    };
    let bound = match (min, max) {
        (Some(min), _) if sum < min => format!("less than {min}"),
        (_, Some(max)) if sum > max => format!("more than {max}"),
        _ => return Ok(sum),
    };
    let message = format!("key `{key}` holds {before}; adding {by} makes {sum}, {bound}");
    Err(refusal("condition_failed", message, Cause::Business))
}

fn check_key(key: &str) -> Result<(), Refusal> {
    if (1..=KEY_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    let message = format!("a key has {} bytes; 1 to {KEY_BYTES_MAX} are allowed", key.len());
    Err(refusal("bad_key", message, Cause::Request))
}

fn check_value(key: &str, value: &Value) -> Result<(), Refusal> {
    match value {
        Value::Bytes(bytes) if bytes.len() > VALUE_BYTES_MAX => {
            let message = format!("key `{key}`: a value holds at most {VALUE_BYTES_MAX} bytes");
            Err(refusal("bad_key", message, Cause::Request))
        }
        _ => Ok(()),
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".into(),
        Some(Value::Int(int)) => format!("{int}"),
        Some(Value::Bytes(bytes)) => format!("{} bytes", bytes.len()),
    }
}
