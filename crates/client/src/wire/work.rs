//! What branches of databases and shards do.

use serde::{Deserialize, Serialize};

#[cfg(feature = "openapi")]
use utoipa::ToSchema;

/// `["text", [parameters], {"rows": 1, "returns": true}]`; the last two may be left out.
///
/// Parameters are null, booleans, numbers, strings, or `{"bytes": "<base64>"}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
pub struct Statement(
    /// The text, with the database's own placeholders.
    pub String,
    /// The parameters, in order.
    #[serde(default)]
    pub Vec<serde_json::Value>,
    /// What is expected of it.
    #[serde(default)]
    pub StatementOptions,
);

/// What is expected of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StatementOptions {
    /// How many rows it must affect or return; otherwise the transaction is aborted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Whether its rows are handed back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub returns: bool,
}

/// An isolation level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// READ COMMITTED.
    ReadCommitted,
    /// REPEATABLE READ.
    RepeatableRead,
    /// SERIALIZABLE.
    Serializable,
}

/// One operation on a key of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(ToSchema))]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub enum KeyOp {
    /// Reads and returns the value.
    Get {
        /// The key.
        key: String,
    },
    /// Writes a value: an integer or a string.
    Put {
        /// The key.
        key: String,
        /// The value.
        value: serde_json::Value,
    },
    /// Adds to an integer; refused when the sum leaves the bounds.
    Add {
        /// The key.
        key: String,
        /// What to add.
        by: i64,
        /// The least the sum may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<i64>,
        /// The most the sum may be.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<i64>,
    },
    /// Removes a key.
    Delete {
        /// The key.
        key: String,
    },
    /// Requires a value (null: that the key is absent).
    Expect {
        /// The key.
        key: String,
        /// The value.
        value: serde_json::Value,
    },
}
