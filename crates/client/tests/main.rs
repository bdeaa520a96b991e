//! The client against a scripted node, and the barrier on real databases.
#![allow(clippy::unwrap_used)]

mod ask;
mod barrier;
mod open;
mod run;
mod saga;
mod script;
mod signature;
mod template;
mod testing;
