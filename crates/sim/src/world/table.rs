//! Numbers for values that differ.

use std::hash::{BuildHasher as _, Hash};

use foldhash::fast::FixedState;
use hashbrown::{HashTable, hash_table::Entry};

/// Values, each with the number under which it is found again.
pub(crate) struct Table<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
    hashes: Vec<u64>,
    numbers: HashTable<u32>,
    hasher: FixedState,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            values: Vec::new(),
            hashes: Vec::new(),
            numbers: HashTable::new(),
            hasher: FixedState::with_seed(0),
        }
    }
}

impl<K: Clone + Eq + Hash, V> Table<K, V> {
    /// The number of `key`, which is a new one if no equal key was seen; then `make` says what is
    /// kept under it.
    pub fn number(&mut self, key: &K, make: impl FnOnce(&K) -> V) -> u32 {
        let hash = self.hasher.hash_one(key);
        let (keys, hashes) = (&self.keys, &self.hashes);
        let same = |at: &u32| hashes[*at as usize] == hash && keys[*at as usize] == *key;
        match self.numbers.entry(hash, same, |at| hashes[*at as usize]) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let at = u32::try_from(keys.len()).expect("memory is full long before");
                entry.insert(at);
                self.values.push(make(key));
                self.keys.push(key.clone());
                self.hashes.push(hash);
                at
            }
        }
    }

    pub fn get(&self, number: u32) -> &V {
        &self.values[number as usize]
    }
}
