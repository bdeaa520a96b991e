//! Transactions that are open while their branches are added, one after the other.
//!
//! The first sync is of the open transaction. Each branch has one when it is added, and each step
//! another when it is done. What prepares does so after one more.

use super::{
    super::branch::Branch::{Deliver, Fed, Ledger, Step},
    Sender, Shape, Then, both, node, service, votes,
};

pub static COMMITTED: Shape = Shape {
    name: "open: two steps, a database and a delivery are added",
    branches: &[Step("a"), Fed, Ledger, Deliver("tell")],
    sender: Sender::Adds(Then::Commits),
    commits: true,
    stops: &[
        node("request_taken"),
        node("before_sync:1"),
        node("after_sync:1"),
        node("before_sync:2"),
        node("after_sync:2"),
        node("before_do.0"),
        node("after_do.0"),
        node("before_sync:3"),
        node("after_sync:3"),
        node("before_reply:2"),
        node("before_sync:4"),
        node("after_sync:4"),
        node("before_do.1"),
        node("after_do.1"),
        node("before_sync:5"),
        node("after_sync:5"),
        node("before_sync:6"),
        node("after_sync:6"),
        node("before_sync:7"),
        node("after_sync:7"),
        node("before_reply:5"),
        node("before_sync:8"),
        votes("after_sync:8"),
        votes("before_prepare.2"),
        votes("after_prepare.2"),
        votes("before_sync:9"),
        node("after_sync:9"),
        node("before_reply:6"),
        node("before_commit.2"),
        node("after_commit.2"),
        node("before_deliver.3"),
        node("after_deliver.3"),
        node("before_flush"),
        node("after_flush"),
        service("after_local.do"),
        service("in_local.do:2"),
        service("after_local.do:3"),
        both("after_local.do:2", "after_do.1"),
        both("after_local.do:3", "after_deliver.3"),
    ],
};

pub static ABORTED: Shape = Shape {
    name: "open: the same are added, and it is aborted",
    branches: &[Step("a"), Fed, Ledger, Deliver("tell")],
    sender: Sender::Adds(Then::Aborts),
    commits: false,
    stops: &[
        node("after_do.0"),
        node("after_sync:4"),
        node("after_sync:7"),
        node("before_sync:8"),
        node("after_sync:8"),
        node("before_reply:6"),
        node("before_undo.1"),
        node("after_undo.1"),
        node("before_undo.0"),
        node("after_undo.0"),
        node("before_flush"),
        node("after_flush"),
        service("after_local.undo"),
        both("after_local.undo", "after_undo.1"),
    ],
};

pub static REFUSED: Shape = Shape {
    name: "open: a step is added, and one that is refused",
    branches: &[Step("a"), Step("refused")],
    sender: Sender::Adds(Then::Commits),
    commits: false,
    stops: &[
        node("after_sync:4"),
        node("before_do.1"),
        node("after_do.1"),
        node("before_sync:5"),
        node("after_sync:5"),
        node("before_reply:3"),
        node("before_undo.0"),
        node("after_undo.0"),
        service("after_local.undo"),
    ],
};

pub static LEFT: Shape = Shape {
    name: "open: two steps and a delivery are added, and its caller is lost",
    branches: &[Step("a"), Fed, Deliver("tell")],
    sender: Sender::Adds(Then::Leaves),
    commits: false,
    stops: &[
        node("after_sync:4"),
        node("after_do.1"),
        node("before_sync:7"),
        node("after_sync:7"),
        node("before_undo.1"),
        node("after_undo.0"),
        service("after_local.undo"),
        both("after_local.undo", "after_undo.1"),
    ],
};
