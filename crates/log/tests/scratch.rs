//! Data directories of tests, and images of them as a crash would leave them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use handfast_log::{Entry, Log, LogError, Sqlite, SqliteOptions};
use tempfile::TempDir;

use crate::counter::batch;

/// A data directory that lives as long as this.
pub struct Scratch {
    _parent: TempDir,
    pub dir: PathBuf,
}

impl Scratch {
    /// A name for a directory that is not there yet.
    pub fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        Self { dir: parent.path().join("data"), _parent: parent }
    }

    /// A copy of every file, as the system would hold them if the owner of `dir` died now.
    pub fn image(dir: &Path) -> Self {
        let image = Self::new();
        fs::create_dir(&image.dir).unwrap();
        for file in fs::read_dir(dir).unwrap() {
            let file = file.unwrap();
            // SQLite rebuilds its shared memory after a death.
            if file.file_name() != "log.db-shm" {
                fs::copy(file.path(), image.dir.join(file.file_name())).unwrap();
            }
        }
        image
    }

    pub fn open(&self) -> Result<Sqlite, LogError> {
        self.open_with(SqliteOptions::default())
    }

    pub fn open_with(&self, options: SqliteOptions) -> Result<Sqlite, LogError> {
        Sqlite::open(&self.dir, options)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Name and content of every file that a refusal must leave alone. An empty file is none.
    pub fn content(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let mut files: Vec<_> = (fs::read_dir(&self.dir).unwrap())
            .map(|file| file.unwrap().path())
            .filter(|path| !path.ends_with("owner") && !path.ends_with("log.db-shm"))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .filter(|(_, content)| !content.is_empty())
            .collect();
        files.sort();
        files
    }
}

/// A log with records in the database and, after a crash now, many only in the write-ahead file.
pub fn busy_log(scratch: &Scratch) -> Sqlite {
    let mut log = scratch.open().unwrap();
    write(&mut log, 0..100);
    log.close().unwrap();
    let mut log = scratch.open().unwrap();
    write(&mut log, 100..400);
    log
}

/// One record a batch, over 40 streams.
pub fn write(log: &mut Sqlite, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let body = format!("{{\"number\":{number},\"filling\":\"{}\"}}", "x".repeat(200));
        let name = format!("stream-{}", number % 40);
        log.append(&batch(&name, &[&body], number % 40 < 10), 1_000).unwrap();
    }
}

/// Everything of the 40 streams.
pub fn read_all(log: &mut Sqlite) -> Result<Vec<Vec<Entry>>, LogError> {
    (0..40).map(|stream| log.read(&format!("stream-{stream}"))).collect()
}
