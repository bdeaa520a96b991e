//! The client against a scripted node.
#![allow(clippy::unwrap_used)]

mod ask;
mod run;
mod script;
