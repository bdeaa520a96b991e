//! How long a stream is, and when it is folded from a snapshot.

/// A stream is folded from a snapshot when at least so many records came after the last one.
pub const SNAPSHOT_RECORDS_MIN: u64 = 10_000;
/// ... and these are at least so many times as large as that snapshot, so that writing snapshots
/// costs at most a quarter of what is written.
pub const SNAPSHOT_FACTOR: u64 = 4;

/// How much of a stream a fold reads.
#[derive(Clone, Default)]
pub(super) struct Length {
    records: u64,
    bytes: u64,
    snapshot_bytes: u64,
}

impl Length {
    pub fn add(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if self.records == 0 {
            // A fold begins with the snapshot, or with a first record of no great size.
            self.snapshot_bytes = bytes;
        }
        self.records += 1;
        self.bytes += bytes;
    }

    pub fn is_long(&self) -> bool {
        self.records > SNAPSHOT_RECORDS_MIN
            && self.bytes - self.snapshot_bytes >= SNAPSHOT_FACTOR * self.snapshot_bytes
    }
}
