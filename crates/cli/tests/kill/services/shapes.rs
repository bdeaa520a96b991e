//! The transactions in which somebody dies, and the stops of each.

mod open;

use super::branch::Branch::{self, Deliver, Ledger, Message, Overdraft, Refused, Reserve, Step};

/// A transaction.
pub struct Shape {
    /// For the table.
    pub name: &'static str,
    pub branches: &'static [Branch],
    pub sender: Sender,
    /// Whether it is committed if nobody dies while votes are under way.
    pub commits: bool,
    pub stops: &'static [Stop],
}

/// What its caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Runs it and waits.
    Runs,
    /// Opens it, adds its branches one after the other, and then:
    Adds(Then),
    /// Prepares a two-phase message, commits its own local transaction, and submits.
    Submits,
    /// The same, but is not heard of after the local transaction.
    Marks,
    /// Prepares, and is not heard of again.
    Forgets,
}

/// What the caller of an open transaction does in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Commits,
    Aborts,
    /// Is not heard of again before the deadline.
    Leaves,
}

/// Where somebody dies; the numbers of branches and of passings are those of [`Shape`].
pub struct Stop {
    /// Where the node does.
    pub node: Option<&'static str>,
    /// Where the service does.
    pub service: Option<&'static str>,
    /// The node may have asked for votes, and has no decision: votes are not recorded, so it
    /// aborts whatever they were.
    pub in_votes: bool,
}

impl Shape {
    pub fn uses_ledger(&self) -> bool {
        self.branches.iter().any(|branch| matches!(branch, Ledger | Overdraft))
    }
}

impl Sender {
    pub fn has_message(self) -> bool {
        match self {
            Self::Submits | Self::Marks | Self::Forgets => true,
            Self::Runs | Self::Adds(_) => false,
        }
    }
}

impl Stop {
    /// Whether the service certainly took a try before.
    pub fn was_tried(&self) -> bool {
        let knows = |node: &str| node.starts_with("after_try") || node.starts_with("before_sync");
        !self.in_votes || self.node.is_some_and(knows)
    }

    /// For the table.
    pub fn text(&self) -> String {
        match (self.node, self.service) {
            (Some(node), None) => format!("node: `{node}`"),
            (None, Some(service)) => format!("service: `{service}`"),
            (Some(node), Some(service)) => format!("service: `{service}`, node: `{node}`"),
            (None, None) => String::from("nobody"),
        }
    }
}

const fn node(at: &'static str) -> Stop {
    Stop { node: Some(at), service: None, in_votes: false }
}

const fn votes(at: &'static str) -> Stop {
    Stop { in_votes: true, ..node(at) }
}

const fn service(at: &'static str) -> Stop {
    Stop { node: None, service: Some(at), in_votes: false }
}

/// The service after its local commit and before its answer, the node when it learns that no
/// answer comes.
const fn both(at: &'static str, and: &'static str) -> Stop {
    Stop { node: Some(and), service: Some(at), in_votes: false }
}

const fn both_in_votes(at: &'static str, and: &'static str) -> Stop {
    Stop { in_votes: true, ..both(at, and) }
}

/// All of them.
pub static SHAPES: [&Shape; 15] = [
    &SAGA,
    &SAGA_REFUSED,
    &RESERVATION,
    &RESERVATION_REFUSED,
    &MIXED,
    &MIXED_REFUSED,
    &open::COMMITTED,
    &open::ABORTED,
    &open::REFUSED,
    &open::LEFT,
    &SUBMITTED,
    &MARKED,
    &FORGOTTEN,
    &CUT_OFF,
    &UNDONE,
];

static SAGA: Shape = Shape {
    name: "two steps and a delivery",
    branches: &[Step("a"), Step("b"), Deliver("tell")],
    sender: Sender::Runs,
    commits: true,
    stops: &[
        node("request_taken"),
        node("before_sync:1"),
        node("after_sync:1"),
        node("before_do.0"),
        node("after_do.0"),
        node("before_sync:2"),
        node("after_sync:2"),
        node("before_do.1"),
        node("after_do.1"),
        node("before_sync:3"),
        node("after_sync:3"),
        node("before_reply"),
        node("before_deliver.2"),
        node("after_deliver.2"),
        node("before_flush"),
        node("after_flush"),
        service("before_local.do"),
        service("in_local.do"),
        service("after_local.do"),
        service("before_local.do:3"),
        service("in_local.do:3"),
        service("after_local.do:3"),
        both("after_local.do", "after_do.0"),
        both("after_local.do:3", "after_deliver.2"),
    ],
};

static SAGA_REFUSED: Shape = Shape {
    name: "two steps, and a third that is refused",
    branches: &[Step("a"), Step("b"), Step("refused")],
    sender: Sender::Runs,
    commits: false,
    stops: &[
        node("before_do.2"),
        node("after_do.2"),
        node("before_sync:4"),
        node("after_sync:4"),
        node("before_reply"),
        node("before_undo.1"),
        node("after_undo.1"),
        node("before_undo.0"),
        node("after_undo.0"),
        node("before_flush"),
        node("after_flush"),
        service("before_local.do:3"),
        service("in_local.do:3"),
        service("after_local.do:3"),
        service("before_local.undo"),
        service("in_local.undo"),
        service("after_local.undo"),
        both("after_local.do:3", "after_do.2"),
        both("after_local.undo", "after_undo.1"),
    ],
};

static RESERVATION: Shape = Shape {
    name: "a reservation",
    branches: &[Reserve("room")],
    sender: Sender::Runs,
    commits: true,
    stops: &[
        node("request_taken"),
        node("before_sync:1"),
        votes("after_sync:1"),
        votes("before_try.0"),
        votes("after_try.0"),
        votes("before_sync:2"),
        node("after_sync:2"),
        node("before_reply"),
        node("before_confirm.0"),
        node("after_confirm.0"),
        node("before_flush"),
        node("after_flush"),
        service("before_local.try"),
        service("in_local.try"),
        service("after_local.try"),
        service("before_local.confirm"),
        service("in_local.confirm"),
        service("after_local.confirm"),
        both_in_votes("after_local.try", "after_try.0"),
        both("after_local.confirm", "after_confirm.0"),
    ],
};

static RESERVATION_REFUSED: Shape = Shape {
    name: "a reservation, and one that is refused",
    branches: &[Reserve("room"), Refused],
    sender: Sender::Runs,
    commits: false,
    stops: &[
        node("before_try.1"),
        node("after_try.1"),
        node("before_sync:2"),
        node("after_sync:2"),
        node("before_reply"),
        node("before_cancel.0"),
        node("after_cancel.0"),
        node("before_flush"),
        node("after_flush"),
        service("before_local.try:2"),
        service("in_local.try:2"),
        service("after_local.try:2"),
        service("before_local.cancel"),
        service("in_local.cancel"),
        service("after_local.cancel"),
        both("after_local.try:2", "after_try.1"),
        both("after_local.cancel", "after_cancel.0"),
    ],
};

static MIXED: Shape = Shape {
    name: "a step, a reservation, a database and a delivery",
    branches: &[Step("a"), Reserve("room"), Ledger, Deliver("tell")],
    sender: Sender::Runs,
    commits: true,
    stops: &[
        node("after_do.0"),
        node("before_sync:2"),
        votes("after_sync:2"),
        votes("before_try.1"),
        votes("after_try.1"),
        votes("before_prepare.2"),
        votes("after_prepare.2"),
        votes("before_sync:3"),
        node("after_sync:3"),
        node("before_confirm.1"),
        node("after_confirm.1"),
        node("before_commit.2"),
        node("after_commit.2"),
        node("before_deliver.3"),
        node("after_deliver.3"),
        service("after_local.do"),
        service("before_local.try"),
        service("in_local.try"),
        service("after_local.try"),
        service("before_local.confirm"),
        service("after_local.confirm"),
        service("after_local.do:2"),
        both("after_local.do", "after_do.0"),
        both_in_votes("after_local.try", "after_try.1"),
        both("after_local.confirm", "after_confirm.1"),
        both("after_local.do:2", "after_deliver.3"),
    ],
};

static MIXED_REFUSED: Shape = Shape {
    name: "a step, a reservation, and a database that refuses",
    branches: &[Step("a"), Reserve("room"), Overdraft, Deliver("tell")],
    sender: Sender::Runs,
    commits: false,
    stops: &[
        node("after_prepare.2"),
        node("before_sync:3"),
        node("after_sync:3"),
        node("before_cancel.1"),
        node("after_cancel.1"),
        node("before_undo.0"),
        node("after_undo.0"),
        service("before_local.cancel"),
        service("after_local.cancel"),
        service("before_local.undo"),
        service("after_local.undo"),
        both("after_local.cancel", "after_cancel.1"),
        both("after_local.undo", "after_undo.0"),
    ],
};

static SUBMITTED: Shape = Shape {
    name: "a two-phase message, submitted",
    branches: &[Message("tell")],
    sender: Sender::Submits,
    commits: true,
    stops: &[
        node("before_sync:2"),
        node("after_sync:2"),
        node("before_reply:2"),
        node("before_deliver.0"),
        node("after_deliver.0"),
        service("after_local.mark"),
    ],
};

static MARKED: Shape = Shape {
    name: "a step and a two-phase message, its sender lost after its commit",
    branches: &[Step("a"), Message("tell")],
    sender: Sender::Marks,
    commits: true,
    stops: &[
        node("before_ask.0"),
        node("after_ask.0"),
        node("before_sync:3"),
        node("after_sync:3"),
        node("before_deliver.1"),
        node("after_deliver.1"),
        service("before_local.ask"),
        service("in_local.ask"),
        service("after_local.ask"),
        service("before_local.do:2"),
        service("in_local.do:2"),
        service("after_local.do:2"),
        both("after_local.ask", "after_ask.0"),
        both("after_local.do:2", "after_deliver.1"),
    ],
};

static FORGOTTEN: Shape = Shape {
    name: "a two-phase message, its sender lost before its commit",
    branches: &[Message("tell")],
    sender: Sender::Forgets,
    commits: false,
    stops: &[
        node("before_ask.0"),
        node("after_ask.0"),
        node("before_sync:2"),
        node("after_sync:2"),
        service("before_local.ask"),
        service("in_local.ask"),
        service("after_local.ask"),
        both("after_local.ask", "after_ask.0"),
    ],
};

static CUT_OFF: Shape = Shape {
    name: "a two-phase message, its sender's commit cut off",
    branches: &[Message("tell")],
    sender: Sender::Submits,
    commits: false,
    stops: &[service("before_local.mark"), service("in_local.mark")],
};

static UNDONE: Shape = Shape {
    name: "a step and a two-phase message, its sender lost before its commit",
    branches: &[Step("a"), Message("tell")],
    sender: Sender::Forgets,
    commits: false,
    stops: &[
        node("after_ask.0"),
        node("before_undo.0"),
        node("after_undo.0"),
        service("after_local.undo"),
        both("after_local.undo", "after_undo.0"),
    ],
};
