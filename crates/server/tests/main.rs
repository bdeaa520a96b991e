//! The node's API, configuration and documents, from outside.
#![allow(clippy::unwrap_used)]

mod api;
mod bulk;
mod codes;
mod config;
mod driver;
mod foretold;
mod lanes;
mod listen;
mod openapi;
mod operate;
mod pacts;
mod plans;
mod recovery;
mod requests;
mod reservations;
mod sagas;
mod service;
mod services;
mod shard;
mod shown;
mod steps;
mod timeline;
mod transactions;

/// Compares a committed page with what the code makes of it; rewrites it with `HANDFAST_BLESS=1`.
fn assert_fresh(page: &str, made: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
    if std::env::var_os("HANDFAST_BLESS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == made, "docs/{page} is stale: run this test with HANDFAST_BLESS=1");
}
