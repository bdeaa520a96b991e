//! Sagas as definitions, kept in the data directory: one file for each version.
//!
//! A version is written once and never changed. It is there when its file and the directory that
//! names it are synced; one that was cut off in between has another name and is not read.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use handfast_client::wire::{BeginTransaction, Saga, SagaFinding, SagaLine};
use handfast_saga::Schema;
use serde_json::Value as Json;

/// Most versions of all sagas together.
pub const VERSIONS_MAX: usize = 1_000;
/// Longest definition, as JSON.
pub const BYTES_MAX: usize = 256 * 1024;

/// A version that is kept.
pub struct Kept {
    /// As it was applied.
    pub saga: Saga,
    /// Compiled for its first run.
    schema: OnceLock<Result<Schema, SagaFinding>>,
}

impl Kept {
    fn new(saga: Saga) -> Arc<Self> {
        Arc::new(Self { saga, schema: OnceLock::new() })
    }

    /// The transaction that runs it.
    ///
    /// # Errors
    /// What of the input does not fit.
    pub fn begin(
        &self,
        gid: Option<String>,
        input: Option<Json>,
    ) -> Result<BeginTransaction, Vec<SagaFinding>> {
        let definition = &self.saga.definition;
        match self.schema.get_or_init(|| Schema::of(definition)) {
            Ok(schema) => handfast_saga::begin(definition, schema, gid, input),
            Err(bad) => Err(vec![bad.clone()]),
        }
    }
}

/// By version.
type Versions = BTreeMap<u32, Arc<Kept>>;

/// All that are kept.
pub struct Sagas {
    dir: PathBuf,
    kept: Mutex<BTreeMap<String, Versions>>,
}

/// Why a saga is not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// The version is there with another content.
    #[error("this version is there already, with another content")]
    VersionTaken,
    /// There are too many, or it is too long.
    #[error("{0}")]
    TooMuch(String),
    /// Whether it is kept is not known.
    #[error("it was not written: {0}")]
    Io(#[from] io::Error),
}

impl Sagas {
    /// Reads what was kept.
    ///
    /// # Errors
    /// A file could not be read, or is not what was written.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let dir = data_dir.join("sagas");
        fs::create_dir_all(&dir)?;
        File::open(data_dir)?.sync_all()?;
        let mut kept = BTreeMap::<String, Versions>::new();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let odd = |why: String| io::Error::other(format!("{}: {why}", path.display()));
            let saga: Saga = serde_json::from_str(&fs::read_to_string(&path)?)
                .map_err(|error| odd(error.to_string()))?;
            if path.file_name() != Some(file_name(&saga).as_ref()) {
                return Err(odd("it holds another saga or version".into()));
            }
            let versions = kept.entry(saga.definition.name.clone()).or_default();
            versions.insert(saga.definition.version, Kept::new(saga));
        }
        Ok(Self { dir, kept: Mutex::new(kept) })
    }

    /// Keeps a version, durably. Blocks. The same content again changes nothing; what is kept.
    ///
    /// # Errors
    /// It is not kept; after [`NotKept::Io`] it may be.
    pub fn keep(&self, saga: Saga) -> Result<Arc<Kept>, NotKept> {
        let mut kept = self.lock();
        let (name, version) = (saga.definition.name.clone(), saga.definition.version);
        if let Some(there) = kept.get(&name).and_then(|versions| versions.get(&version)) {
            return match there.saga.definition == saga.definition {
                true => Ok(Arc::clone(there)),
                false => Err(NotKept::VersionTaken),
            };
        }
        let text = serde_json::to_string_pretty(&saga).expect("text keys only");
        if text.len() > BYTES_MAX {
            let why = format!("it has {} bytes; the limit is {BYTES_MAX}", text.len());
            return Err(NotKept::TooMuch(why));
        }
        if kept.values().map(BTreeMap::len).sum::<usize>() >= VERSIONS_MAX {
            let why = format!("there are {VERSIONS_MAX} versions of sagas already");
            return Err(NotKept::TooMuch(why));
        }
        self.write(&file_name(&saga), &text)?;
        let saga = Kept::new(saga);
        kept.entry(name).or_default().insert(version, Arc::clone(&saga));
        Ok(saga)
    }

    /// Under its own name only when all of it is on the disk.
    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let unfinished = self.dir.join(format!("{name}.tmp"));
        let mut file = File::create(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&unfinished, self.dir.join(name))?;
        File::open(&self.dir)?.sync_all()
    }

    /// A version of a saga; the last if none is named.
    pub fn get(&self, name: &str, version: Option<u32>) -> Option<Arc<Kept>> {
        let kept = self.lock();
        let versions = kept.get(name)?;
        match version {
            Some(version) => versions.get(&version).cloned(),
            None => versions.last_key_value().map(|(_, saga)| Arc::clone(saga)),
        }
    }

    /// All, by name.
    pub fn list(&self) -> Vec<SagaLine> {
        let line = |(name, versions): (&String, &Versions)| {
            let (_, last) = versions.last_key_value()?;
            Some(SagaLine {
                name: name.clone(),
                versions: versions.keys().copied().collect(),
                description: last.saga.definition.description.clone(),
                applied_at_ms: last.saga.applied_at_ms,
            })
        };
        self.lock().iter().filter_map(line).collect()
    }

    /// A panic elsewhere leaves the map whole: each change is one call.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Versions>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names of sagas hold no slash, and a version no dot: so no two have one file.
fn file_name(saga: &Saga) -> String {
    format!("{}.{}.json", saga.definition.name, saga.definition.version)
}
