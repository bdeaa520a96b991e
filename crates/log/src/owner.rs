//! One process has the data directory: a lock that the system itself gives back at death.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FlockOperation, flock};

use crate::log::LogError;

/// The file's name within the data directory. It stays behind; only the lock on it means anything.
pub const FILE: &str = "owner";

/// The right to a data directory, until dropped.
#[derive(Debug)]
pub struct Owner {
    /// The lock lives as long as this is open; programs started by us do not inherit it.
    _file: File,
}

impl Owner {
    /// Takes the directory.
    ///
    /// # Errors
    /// [`LogError::Owned`] names the process that has it.
    pub fn take(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join(FILE);
        let fault = |doing, error| LogError::from_io(error, doing, path.clone());
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| fault("open", error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                return Err(LogError::Owned { dir: dir.into(), owner: describe(&mut file) });
            }
            Err(errno) => return Err(fault("lock", errno.into())),
        }
        sign(&mut file).map_err(|error| fault("write", error))?;
        Ok(Self { _file: file })
    }
}

fn sign(file: &mut File) -> io::Result<()> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    file.set_len(0)?;
    writeln!(file, "process {}, started at {} s after 1970", std::process::id(), since.as_secs())
}

fn describe(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) if text.ends_with('\n') => text.trim_end().into(),
        // Between its lock and its signature, or written over by someone.
        _ => "another process".into(),
    }
}
