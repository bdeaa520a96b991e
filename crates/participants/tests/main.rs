//! The adapters on real servers. `HANDFAST_TEST_POSTGRES` (two addresses, separated by a comma)
//! and `HANDFAST_TEST_MYSQL` (one) say where they are; `cargo xtask test` starts them.
#![allow(clippy::unwrap_used, missing_docs)]

mod http;
mod mysql;
mod postgres;
mod service;
