//! The programs of the database servers: found, or installed with the system's own packages.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Result;

/// Where the programs are.
pub struct Programs {
    /// Makes a PostgreSQL data directory.
    pub initdb: PathBuf,
    /// The PostgreSQL server.
    pub postgres: PathBuf,
    /// Its client.
    pub psql: PathBuf,
    /// Makes a MariaDB data directory.
    pub mariadb_install_db: PathBuf,
    /// The MariaDB server.
    pub mariadbd: PathBuf,
    /// Its client.
    pub mariadb: PathBuf,
}

/// Installs what its arguments name, as root, on Debian and its children. The packages must not
/// start services of their own: a policy forbids it, for as long as the installation lasts.
const APT: &str = r#"
set -e
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
install() { apt-get install -y --no-install-recommends "$@"; }
install "$@" || { apt-get update; install "$@"; }
"#;

/// Finds every program, and installs the packages of those that are missing.
pub fn programs() -> Result<Programs> {
    let missing = match find() {
        Ok(programs) => return Ok(programs),
        Err(missing) => missing,
    };
    if find_in_path("apt-get").is_none() {
        return Err(by_hand(&missing).into());
    }
    let packages: Vec<&str> = [postgres_program, mariadb_program]
        .iter()
        .zip(["postgresql", "mariadb-server"])
        .filter(|(belongs, _)| missing.iter().any(|name| belongs(name)))
        .map(|(_, package)| package)
        .collect();
    eprintln!("installing {} (missing: {})", packages.join(", "), missing.join(", "));
    let status = as_root("sh")?.args(["-c", APT, "sh"]).args(&packages).status()?;
    if !status.success() {
        return Err(format!("the installation failed: {status}\n{}", by_hand(&missing)).into());
    }
    find().map_err(|missing| by_hand(&missing).into())
}

/// A command that runs as root, through sudo if need be.
fn as_root(program: &str) -> Result<Command> {
    if rustix::process::geteuid().is_root() {
        return Ok(Command::new(program));
    }
    let sudo = find_in_path("sudo").ok_or("not root, and there is no sudo")?;
    let mut command = Command::new(sudo);
    command.arg(program);
    Ok(command)
}

fn by_hand(missing: &[&str]) -> String {
    format!(
        "these programs are missing: {}\n\
         install PostgreSQL 13 or newer (server and psql) and MariaDB 10.6 or newer (server and \
         client), for example\n\
         \x20 Debian, Ubuntu: apt-get install --no-install-recommends postgresql mariadb-server\n\
         \x20 Fedora:         dnf install postgresql-server mariadb-server\n\
         \x20 Arch:           pacman -S postgresql mariadb\n\
         \x20 macOS:          brew install postgresql@17 mariadb\n\
         and see that the programs are on the PATH",
        missing.join(", ")
    )
}

/// Every program, or the names of those that are missing.
fn find() -> std::result::Result<Programs, Vec<&'static str>> {
    let mut missing = Vec::new();
    let mut need = |name: &'static str| {
        let found = if postgres_program(name) {
            find_in(&postgres_directories(), name).or_else(|| find_in_path(name))
        } else {
            find_in_path(name)
        };
        found.unwrap_or_else(|| {
            missing.push(name);
            PathBuf::new()
        })
    };
    let programs = Programs {
        initdb: need("initdb"),
        postgres: need("postgres"),
        psql: need("psql"),
        mariadb_install_db: need("mariadb-install-db"),
        mariadbd: need("mariadbd"),
        mariadb: need("mariadb"),
    };
    if missing.is_empty() { Ok(programs) } else { Err(missing) }
}

fn postgres_program(name: &str) -> bool {
    matches!(name, "initdb" | "postgres" | "psql")
}

fn mariadb_program(name: &str) -> bool {
    !postgres_program(name)
}

/// Debian keeps the programs of each version apart and off the PATH; the newest comes first.
fn postgres_directories() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, directory)| directory).collect()
}

/// Looks on the PATH, and where servers lie that an ordinary user's PATH leaves out.
pub fn find_in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = env::split_paths(&path).collect();
    directories.extend(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    find_in(&directories, name)
}

fn find_in(directories: &[PathBuf], name: &str) -> Option<PathBuf> {
    directories.iter().map(|directory| directory.join(name)).find(|path: &PathBuf| is_file(path))
}

fn is_file(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.is_file())
}
