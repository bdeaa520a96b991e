//! What a branch does.

use alloc::{boxed::Box, string::String, vec::Vec};
use serde::{Deserialize, Serialize};

use crate::plan::Calls;

/// The work of one branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Statements for a database.
    Sql(Sql),
    /// Operations on keys of a shard.
    Keys(Vec<KeyOp>),
    /// Calls of a service.
    Calls(Box<Calls>),
}

/// Statements, run in order in one local transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Sql {
    /// At least one, at most as many as the server's setting allows.
    pub statements: Vec<Statement>,
    /// The database's default if absent.
    pub isolation: Option<Isolation>,
    /// Most time one statement may take, in milliseconds; the resource's setting if absent.
    pub statement_timeout_ms: Option<u64>,
    /// Most time one statement may wait for a lock, in milliseconds; the resource's if absent.
    pub lock_timeout_ms: Option<u64>,
}

/// One statement with bound parameters in the database's own notation (`$1` or `?`).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Statement {
    /// The text; never built from parameters.
    pub text: String,
    /// Bound in order.
    pub params: Vec<Param>,
    /// How many rows it must affect (or return); otherwise the branch votes no.
    pub rows: Option<u64>,
    /// Whether the rows it returns are handed back to the caller.
    pub returns: bool,
}

/// The isolation level of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Sees what was committed before each statement.
    ReadCommitted,
    /// Sees what was committed before the first statement.
    RepeatableRead,
    /// As if alone, within this database; see `docs/operating.md` for what that costs in doubt.
    Serializable,
}

/// A parameter or a returned value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Param {
    /// SQL null.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A floating-point number.
    Real(Real),
    /// Text; also how decimals, dates, times, UUIDs and JSON are written.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// What another branch has put out, or the transaction's input: `book.id`, `input.amount`.
    Output(String),
}

/// An `f64` with the total order of its bits, so that work can be compared and hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Real(u64);

impl From<f64> for Real {
    fn from(number: f64) -> Self {
        Self(number.to_bits())
    }
}

impl From<Real> for f64 {
    fn from(real: Real) -> Self {
        f64::from_bits(real.0)
    }
}

/// The rows that one statement returned.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Rows {
    /// Column names, in order.
    pub columns: Vec<String>,
    /// Values, row by row.
    pub rows: Vec<Vec<Param>>,
}

/// One operation on a key of a shard. Conditions that do not hold make the branch vote no.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum KeyOp {
    /// Reads the value and returns it; takes a shared lock.
    Get {
        /// The key.
        key: String,
    },
    /// Writes the value.
    Put {
        /// The key.
        key: String,
        /// What it is to hold.
        value: Value,
    },
    /// Adds to an integer (absent counts as 0); refused on bytes, on overflow and out of bounds.
    Add {
        /// The key.
        key: String,
        /// What to add; may be negative.
        by: i64,
        /// The least the sum may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// The most the sum may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
    },
    /// Removes the key; no error if absent.
    Delete {
        /// The key.
        key: String,
    },
    /// Requires that the key holds exactly this (`null`: that it is absent).
    Expect {
        /// The key.
        key: String,
        /// What it must hold.
        value: Option<Value>,
    },
}

/// What a key of a shard holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// A 64-bit integer.
    Int(i64),
    /// Bytes.
    Bytes(Vec<u8>),
}
