//! Sagas as definitions: read, checked, begun and drawn.
//!
//! All of it is pure: text and wire types in, wire types and text out. The node and the command
//! line give it what they have, and so say the same of the same definition.

mod begin;
mod check;
mod graph;
mod lint;
mod order;
mod parse;
mod schema;
pub mod template;

pub use begin::begin;
pub use check::{known, validate};
pub use graph::{graph, graph_of};
pub use lint::lint;
pub use order::{BRANCHES_MAX, Misplaced, Order};
pub use parse::{Format, Unreadable, parse, parse_as};
pub use schema::Schema;

use handfast_client::wire::{FindingLevel, SagaFinding};

fn finding(
    level: FindingLevel,
    code: &str,
    branch: Option<&str>,
    message: impl Into<String>,
) -> SagaFinding {
    SagaFinding {
        level,
        code: code.into(),
        branch: branch.map(Into::into),
        message: message.into(),
        better: String::new(),
    }
}
