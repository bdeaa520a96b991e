//! What was said to callers and participants, as somebody would know it who heard everything.

use std::collections::BTreeSet;

use handfast_core::{
    id::RunId,
    pact::paxos::{Proposal, Value},
    transaction::Index,
};

/// One for each transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ledger {
    /// By transaction.
    pub facts: Vec<Facts>,
}

/// What was said about one transaction.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts {
    /// Its runs, in the order they were begun.
    pub runs: Vec<RunId>,
    /// How often it was begun.
    pub begins: u8,
    /// How often somebody wanted it aborted.
    pub aborts: u8,
    /// The runs that were held when their caller gave the word.
    pub asked: Vec<RunId>,
    /// The runs about which an inquiry was answered "abort".
    pub abort_answered: Vec<RunId>,
    /// What callers were told.
    pub told: Told,
    /// The first decision that was durable, and on which run.
    pub decided: Option<(RunId, bool)>,
    /// Paxos commit: what leaders proposed to acceptors, and in which ballot.
    pub proposed: BTreeSet<(RunId, Proposal)>,
    /// Paxos commit: what acceptors accepted, and which ones.
    pub accepted: BTreeSet<(RunId, Proposal, usize)>,
    /// Paxos commit: what a majority of acceptors accepted in one ballot.
    pub chosen: BTreeSet<(RunId, Value)>,
    /// Runs closed twice, or closed and never begun.
    pub closed_amiss: bool,
    /// A run was aborted by what is no reason to.
    pub aborted_amiss: bool,
    /// Two-phase message: its caller's local transaction committed, or was barred from it.
    pub local: Option<bool>,
    /// A branch that was called when it must not be, and why it must not.
    pub called_amiss: Option<(Index, &'static str)>,
    /// A branch that was called again before its wait was over.
    pub called_early: Option<Index>,
}

/// What callers were told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Told {
    /// It happens.
    pub committed: bool,
    /// It has happened everywhere.
    pub applied: bool,
    /// It does not happen.
    pub aborted: bool,
    /// A branch ended otherwise.
    pub mixed: bool,
}

impl Ledger {
    pub(super) fn new(transactions: usize) -> Self {
        Self { facts: vec![Facts::default(); transactions] }
    }
}
