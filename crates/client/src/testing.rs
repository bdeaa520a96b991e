//! Tests for those who write services and sagas: does it all come undone?
//!
//! No node is needed. [`unwind::check`] runs a saga of yours against your services, or against
//! functions in the test's own process, and fails every step in turn. [`service::check`] calls one
//! branch of one service twice, too late, in the wrong order, and at the same time. Both compare
//! the state that you show them, before and after.
//!
//! ```no_run
//! use handfast_client::{Call, testing::{Services, unwind}, wire::{BeginTransaction, Branch}};
//!
//! # async fn free_rooms() -> u32 { 0 }
//! # async fn test() -> Result<(), Box<dyn std::error::Error>> {
//! let saga = BeginTransaction {
//!     branches: vec![
//!         Branch::step("book", "hotel", Call::post("/bookings")).undo("DELETE /bookings"),
//!         Branch::step("pay", "bank", Call::post("/charges")).undo("DELETE /charges"),
//!     ],
//!     ..BeginTransaction::default()
//! };
//! let services = Services::new()?.at("hotel", "http://127.0.0.1:8001")?;
//! let services = services.at("bank", "http://127.0.0.1:8002")?;
//! let report = unwind::check(&saga, |request| services.call(request), free_rooms).await?;
//! assert!(report.is_clean(), "{report}");
//! # Ok(())
//! # }
//! ```

mod fill;
mod request;
mod run;
pub mod service;
pub mod unwind;

pub use self::{
    request::{Answer, Request, Services, Unanswered},
    run::Reply,
};
