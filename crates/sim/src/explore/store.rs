//! The states that were seen: each once, numbered in the order in which they were seen.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table::Entry};

/// No state came before.
const NONE: u32 = u32::MAX;

pub(super) struct Store<S> {
    states: Vec<S>,
    /// By state: its hash, so that the table can grow without looking at states again.
    hashes: Vec<u64>,
    /// By state: the state from which it was first seen.
    parents: Vec<u32>,
    /// The numbers of the states, by hash.
    table: HashTable<u32>,
    /// Of a fixed seed. The order of the table decides nothing, but a walk should take the same
    /// time every time.
    hasher: FixedState,
}

impl<S: Eq + Hash> Store<S> {
    pub(super) fn new() -> Self {
        Self {
            states: Vec::new(),
            hashes: Vec::new(),
            parents: Vec::new(),
            table: HashTable::new(),
            hasher: FixedState::with_seed(0),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.states.len()
    }

    pub(super) fn state(&self, at: usize) -> &S {
        &self.states[at]
    }

    /// The number of `state`, which is a new one if no equal state was seen.
    pub(super) fn insert(&mut self, state: S, parent: Option<usize>) -> u32 {
        let hash = self.hasher.hash_one(&state);
        let (states, hashes) = (&self.states, &self.hashes);
        let same = |at: &u32| hashes[*at as usize] == hash && states[*at as usize] == state;
        match self.table.entry(hash, same, |at| hashes[*at as usize]) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let at = number(states.len());
                entry.insert(at);
                self.states.push(state);
                self.hashes.push(hash);
                self.parents.push(parent.map_or(NONE, number));
                at
            }
        }
    }

    /// The states on the way by which a state was first seen, itself the last.
    pub(super) fn way(&self, to: usize) -> Vec<usize> {
        let parent = |at: &usize| match self.parents[*at] {
            NONE => None,
            parent => Some(parent as usize),
        };
        let mut way: Vec<_> = std::iter::successors(Some(to), parent).collect();
        way.reverse();
        way
    }
}

fn number(at: usize) -> u32 {
    let number = u32::try_from(at).ok().filter(|number| *number != NONE);
    number.expect("memory is full long before there are four billion states")
}
