//! What branches name.

use handfast_saga::template::uses;

use crate::example;

#[test]
fn every_field_that_may_hold_names_is_looked_into() {
    let saga = example();
    let found: Vec<_> = saga.branches.iter().flat_map(|branch| uses(branch).unwrap()).collect();
    let found: Vec<_> = found.iter().map(|used| format!("{} {}", used.field, used.name)).collect();
    for wanted in [
        "do input.traveller",
        "undo input.trip",
        "do flight.id",
        "sql payment.id",
        "sql input.amount",
        "message input.traveller",
        "message hotel.id",
    ] {
        assert!(found.iter().any(|use_| use_ == wanted), "{wanted} is not in {found:?}");
    }
}
