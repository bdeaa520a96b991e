//! The kill tests: a node, a shard, a database or a service dies by SIGKILL at every stop of a
//! transaction, and afterwards the books balance, every answer is true, and nothing is left
//! prepared.

mod bank;
mod case;
mod graceful;
mod lanes;
mod load;
mod matrix;
mod pact;
mod process;
mod services;
mod stops;
mod table;
mod world;

use std::time::Duration;

/// Most time from the moment when everything is up to the one when nothing is in doubt.
const SETTLED_WITHIN: Duration = Duration::from_secs(5);
/// Most time for a stop to be reached.
const REACHED_WITHIN: Duration = Duration::from_secs(30);
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

/// Words for whoever reads the failed test.
type Result<T> = std::result::Result<T, String>;

/// Another's error, in words.
fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}
