//! The Rust client of Handfast, and the wire types that it shares with the server.
//!
//! ```no_run
//! use handfast_client::{Handfast, Outcome, params};
//!
//! # async fn transfer() -> Result<(), handfast_client::Error> {
//! let hf = Handfast::connect("http://127.0.0.1:7400").await?;
//! let outcome = hf
//!     .transaction("order-42")
//!     .sql("debit", "checking", "UPDATE account SET balance = balance - $1 WHERE id = $2",
//!          params![100, "alice"])
//!     .expect_rows(1)
//!     .sql("credit", "savings", "UPDATE account SET balance = balance + ? WHERE id = ?",
//!          params![100, "alice"])
//!     .expect_rows(1)
//!     .run()
//!     .await?;
//! match outcome {
//!     Outcome::Committed(_) => println!("moved"),
//!     Outcome::Aborted(abort) if abort.retryable => println!("try again: {}", abort.message),
//!     Outcome::Aborted(abort) => println!("nothing moved: {}", abort.message),
//!     Outcome::Unknown(unknown) => println!("ask later: {}", unknown.ask_at),
//! }
//! # Ok(())
//! # }
//! ```
//!
//! An [`Error`] means that the transaction did not start, so nothing of it can happen. Whatever
//! may have happened is an [`Outcome`]; [`Outcome::Unknown`] is one of them, never an error.

pub mod barrier;
mod branch;
mod client;
mod http;
mod link;
mod open;
mod operate;
mod outcome;
mod params;
mod saga;
mod shard;
#[cfg(feature = "signature")]
pub mod signature;
pub mod template;
#[cfg(feature = "testing")]
pub mod testing;
mod transaction;
pub mod wire;

pub use client::Handfast;
pub use link::Builder;
pub use open::{Adding, NotDone, Open};
pub use operate::Command;
pub use outcome::{Abort, Error, NoOutput, Outcome, Unknown};
pub use params::{Value, bytes, output};
pub use saga::Sagas;
pub use shard::{Shard, ShardValue};
pub use transaction::Transaction;
pub use wire::{Call, Message, Retry};
