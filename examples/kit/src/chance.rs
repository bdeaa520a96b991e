//! Choices: from a seed, so that they can be made again, or new ones.

use std::{collections::hash_map::RandomState, hash::BuildHasher as _};

/// splitmix64: small, and good enough for choices. Holds its seed.
pub struct Chance(pub u64);

impl Chance {
    /// Any number.
    #[allow(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `bound` - 1; the bias is far below what anybody could see.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// True in that share of cases.
    pub fn in_share(&mut self, share: f64) -> bool {
        (self.below(1_000_000) as f64) < share * 1e6
    }

    /// A seed that nobody has used.
    pub fn fresh_seed() -> u64 {
        random() >> 32
    }
}

/// A name that no other demo has, short enough for a cluster.
pub fn fresh_name() -> String {
    format!("demo-{:08x}", random() as u32)
}

fn random() -> u64 {
    // The keys of a new state are random.
    RandomState::new().hash_one(std::process::id())
}
