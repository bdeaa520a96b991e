//! The watermark: how far the log was ever synced, kept beside it.
//!
//! SQLite replays its write-ahead file up to the first frame that does not check, and takes the
//! rest for a write that never finished. If the file was damaged in the middle, synced records are
//! gone in silence. The watermark makes that loud: an open that finds less refuses.
//!
//! It is written *after* each sync of the log and so is never ahead of what is durable. It is not
//! itself synced each time: the system keeps written bytes when the process is killed, which is
//! when damage would otherwise pass for a torn end; after a loss of power it may be up to
//! [`SYNC_EVERY_MS`] of work behind, and then notices that much less.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::log::{LogError, Position};

/// The file's name within the data directory.
pub const FILE: &str = "watermark";
/// It is synced by the first write that comes so long after the last sync, in milliseconds.
pub const SYNC_EVERY_MS: u64 = 1_000;

/// What was synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// The log's last position.
    pub position: Position,
    /// The node's starts.
    pub epoch: u32,
}

impl Mark {
    /// One line of fixed length, within one sector, so that it is replaced as a whole.
    fn to_line(self) -> String {
        let text = format!("position {:020} epoch {:010}", self.position, self.epoch);
        format!("{text} check {:016x}\n", checksum(text.as_bytes()))
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_ascii_whitespace();
        let mark =
            Self { position: words.nth(1)?.parse().ok()?, epoch: words.nth(1)?.parse().ok()? };
        (mark.to_line() == line).then_some(mark)
    }
}

/// The file.
#[derive(Debug)]
pub struct Watermark {
    file: File,
    path: PathBuf,
    synced_at_ms: u64,
}

impl Watermark {
    /// Reads the mark; `None` if there is none.
    ///
    /// # Errors
    /// There is one and it cannot be read or does not check.
    pub fn read(dir: &Path) -> Result<Option<Mark>, LogError> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LogError::from_io(error, "read", path)),
        };
        let mark = std::str::from_utf8(&bytes).ok().and_then(Mark::parse);
        mark.map(Some).ok_or_else(|| LogError::Damaged {
            file: path,
            what: "its checksum does not match, so nobody can tell whether the log is whole \
                   (removing it accepts whatever the log still holds)"
                .into(),
        })
    }

    /// Opens or makes the file with this mark, durably.
    ///
    /// # Errors
    /// It could not be written.
    pub fn start(dir: &Path, mark: Mark) -> Result<Self, LogError> {
        let path = dir.join(FILE);
        let write = || {
            let options = OpenOptions::new().write(true).create(true).truncate(false).clone();
            let file = options.open(&path)?;
            file.write_all_at(mark.to_line().as_bytes(), 0)?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok(file)
        };
        let file = write().map_err(|error| LogError::from_io(error, "write", path.clone()))?;
        Ok(Self { file, path, synced_at_ms: 0 })
    }

    /// Raises the mark. The log must have been synced up to it.
    ///
    /// # Errors
    /// It could not be written: the log holds what it was told all the same.
    pub fn raise(&mut self, mark: Mark, now_ms: u64) -> Result<(), LogError> {
        let written = self.file.write_all_at(mark.to_line().as_bytes(), 0);
        written.map_err(|error| LogError::from_io(error, "write", self.path.clone()))?;
        if now_ms.abs_diff(self.synced_at_ms) >= SYNC_EVERY_MS {
            self.synced_at_ms = now_ms;
            self.sync()?;
        }
        Ok(())
    }

    /// Makes the mark durable.
    ///
    /// # Errors
    /// It may be behind after a loss of power.
    pub fn sync(&self) -> Result<(), LogError> {
        let synced = self.file.sync_data();
        synced.map_err(|error| LogError::from_io(error, "sync", self.path.clone()))
    }
}

/// FNV-1a, 64 bits: against rot and torn writes, not against an enemy.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
