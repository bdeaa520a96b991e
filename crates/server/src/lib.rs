//! A Handfast node: the runtime around the core, its API and its configuration.
#![allow(missing_docs)]
pub mod node;
