//! How long to wait before trying again: exponential, capped, without chance.
//!
//! Jitter is the runtime's: it adds up to a quarter to every wait, so that branches that failed
//! together do not come back together.

/// Wait before the first retry, in milliseconds.
pub const FIRST_MS: u64 = 20;
/// Longest wait between two tries, in milliseconds.
pub const CAP_MS: u64 = 2_000;

/// The wait after the `tries`-th failed try (1 = after the first), in milliseconds.
pub fn backoff_ms(tries: u32) -> u64 {
    let doublings = tries.saturating_sub(1).min(16);
    (FIRST_MS << doublings).min(CAP_MS)
}
