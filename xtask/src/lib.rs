//! Private database servers, for this crate's tasks and for tests that kill them.

pub mod install;
pub mod process;
pub mod servers;

/// What a task ends with; the error is told to the person who called it.
pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;
