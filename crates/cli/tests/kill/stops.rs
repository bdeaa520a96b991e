//! The stops of a transfer, in order, and who dies at each.
//!
//! Before the transfer, [`HELD`] others are prepared and wait for their caller's word: so
//! something else is always in doubt when the victim dies, and it is known how often each stop was
//! passed already.

/// Transactions that are open while the transfer runs.
pub const HELD: u64 = 2;

/// Who dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Node,
    /// The participant that pays.
    Debit,
    /// The participant that is paid.
    Credit,
}

/// What the transfer comes to if nobody dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Commits,
    /// The payer has not enough.
    Aborts,
}

/// Who comes to the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Where {
    Node,
    /// The victim itself, which is a shard.
    Shard,
}

/// A stop, and who is killed when it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    pub kind: Kind,
    pub at: Where,
    /// The point's name.
    pub point: &'static str,
    /// How often the point is passed before.
    pub passed: u64,
    /// What it is, for the table.
    pub means: &'static str,
    pub victims: &'static [Victim],
}

const ALL: &[Victim] = &[Victim::Node, Victim::Debit, Victim::Credit];
const NODE: &[Victim] = &[Victim::Node];
const DEBIT: &[Victim] = &[Victim::Node, Victim::Debit];
const CREDIT: &[Victim] = &[Victim::Node, Victim::Credit];
const SHARDS: &[Victim] = &[Victim::Debit, Victim::Credit];

const fn node(
    kind: Kind,
    point: &'static str,
    passed: u64,
    means: &'static str,
    victims: &'static [Victim],
) -> Stop {
    Stop { kind, at: Where::Node, point, passed, means, victims }
}

const fn shard(kind: Kind, point: &'static str, passed: u64, means: &'static str) -> Stop {
    let victims = match kind {
        Kind::Commits => SHARDS,
        // The debit votes no and is told nothing.
        Kind::Aborts => &[Victim::Credit],
    };
    Stop { kind, at: Where::Shard, point, passed, means, victims }
}

use Kind::{Aborts, Commits};

/// All of them. A branch's own stops kill the node or that branch's participant: whether the other
/// one has prepared by then is chance, and its own stops cover both.
#[rustfmt::skip]
pub const STOPS: &[Stop] = &[
    node(Commits, "request_taken", HELD, "the request is taken", NODE),
    node(Commits, "before_prepare.0", HELD, "before prepare goes to the debit", DEBIT),
    node(Commits, "before_prepare.1", HELD, "before prepare goes to the credit", CREDIT),
    node(Commits, "after_prepare.0", HELD, "after the debit's vote", DEBIT),
    node(Commits, "after_prepare.1", HELD, "after the credit's vote", CREDIT),
    node(Commits, "before_sync", 0, "before the decision is synced", ALL),
    node(Commits, "after_sync", 0, "after the decision is synced", ALL),
    node(Commits, "before_reply", HELD, "before the caller is answered", ALL),
    node(Commits, "before_commit.0", 0, "before commit goes to the debit", DEBIT),
    node(Commits, "before_commit.1", 0, "before commit goes to the credit", CREDIT),
    node(Commits, "after_commit.0", 0, "after the debit's acknowledgement", DEBIT),
    node(Commits, "after_commit.1", 0, "after the credit's acknowledgement", CREDIT),
    node(Commits, "before_flush", 0, "before the end is synced", NODE),
    node(Commits, "after_flush", 0, "after the end is synced", NODE),
    node(Aborts, "before_sync", 0, "before the abort is synced", ALL),
    node(Aborts, "after_sync", 0, "after the abort is synced", ALL),
    node(Aborts, "before_reply", HELD, "before the caller is answered", ALL),
    node(Aborts, "before_abort.1", 0, "before abort goes to the credit", CREDIT),
    node(Aborts, "after_abort.1", 0, "after the credit's acknowledgement", CREDIT),
    node(Aborts, "before_flush", 0, "before the end is synced", NODE),
    node(Aborts, "after_flush", 0, "after the end is synced", NODE),
    shard(Commits, "prepare_taken", HELD, "the shard takes prepare"),
    // Loading the accounts was synced and answered too.
    shard(Commits, "before_sync", 1 + HELD, "the shard's vote, before its sync"),
    shard(Commits, "after_sync", 1 + HELD, "the shard's vote, after its sync"),
    shard(Commits, "before_reply", 1 + HELD, "the shard's vote, before it leaves"),
    shard(Commits, "commit_taken", 0, "the shard takes commit"),
    shard(Commits, "before_sync", 2 + HELD, "the shard's commit, before its sync"),
    shard(Commits, "after_sync", 2 + HELD, "the shard's commit, after its sync"),
    shard(Commits, "before_reply", 2 + HELD, "the shard's acknowledgement, before it leaves"),
    shard(Aborts, "abort_taken", 0, "the shard takes abort"),
];
