//! Programs of others that sagas are measured against: found, or installed under `target`.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use xtask::install::find_in_path;

use crate::{
    Result,
    process::{Interrupt, follow, output},
    repo,
};

const DTMRS_VERSION: &str = "0.13.0";
const INSTALL_WITHIN: Duration = Duration::from_secs(30 * 60);

/// The programs that are there.
#[derive(Default)]
pub struct Yardsticks {
    dtmrs: Option<PathBuf>,
    redis: Option<PathBuf>,
}

impl Yardsticks {
    /// Finds them. What cannot be had is told, and not measured.
    pub fn find(target: &Path, interrupt: &Interrupt) -> Result<Self> {
        let dtmrs = match dtmrs(target, interrupt) {
            Ok(program) => Some(program),
            Err(error) => {
                interrupt.check()?;
                eprintln!("NO YARDSTICK: dtmrs is not measured: {error}");
                None
            }
        };
        let redis = find_in_path("redis-server");
        if redis.is_none() {
            eprintln!(
                "NO YARDSTICK: dtmrs with Redis is not measured: redis-server is not on the PATH; \
                 on Debian: apt-get install redis-server"
            );
        }
        Ok(Self { dtmrs, redis })
    }

    /// What `handfast-bench` takes them by.
    pub fn flags(&self) -> Vec<PathBuf> {
        [("--dtmrs", &self.dtmrs), ("--redis", &self.redis)]
            .into_iter()
            .filter_map(|(flag, program)| Some([flag.into(), program.clone()?]))
            .flatten()
            .collect()
    }

    /// Their names and versions.
    pub fn versions(&self) -> Result<Vec<String>> {
        let mut versions = Vec::new();
        versions.extend(self.dtmrs.as_ref().map(|_| format!("dtmrs {DTMRS_VERSION}")));
        if let Some(redis) = &self.redis {
            let said = output(Command::new(redis).arg("--version"))?;
            let version = said.split_whitespace().find_map(|word| word.strip_prefix("v="));
            versions.push(format!("Redis {}", version.unwrap_or("of unknown version")));
        }
        Ok(versions)
    }
}

/// dtmrs as its authors publish it, in a directory for its version; the first time it is built.
fn dtmrs(target: &Path, interrupt: &Interrupt) -> Result<PathBuf> {
    let root = target.join("yardsticks").join(format!("dtmrs-{DTMRS_VERSION}"));
    let program = root.join("bin/dtmrs");
    if !program.is_file() {
        let mut install = repo::cargo();
        install.args(["install", "dtmrs", "--locked", "--version", DTMRS_VERSION]);
        install.args(["--features", "full", "--root"]).arg(&root);
        // Beside our own build, which it would otherwise mix with.
        install.arg("--target-dir").arg(target.join("yardsticks/build"));
        let done = follow(&mut install, interrupt, INSTALL_WITHIN, |_, line| eprintln!("{line}"))?;
        if !done.success() {
            return Err("its installation failed".into());
        }
    }
    Ok(program)
}
