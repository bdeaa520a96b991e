//! The Rust client of Handfast, and the wire types that it shares with the server.
pub mod wire;
