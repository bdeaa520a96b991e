//! The configuration of a node: flags over variables over a file over defaults.
//!
//! [`table`] says what can be set. [`Config::load`] collects every error before it gives up, so
//! that a wrong configuration is mended in one go.

pub mod table;

mod layers;
mod named;
mod secret;

use std::{
    collections::BTreeSet,
    fmt,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use handfast_core::id::Cluster;
use handfast_participants::Settings;

use self::layers::Layers;
pub use self::{
    named::{Resource, Speaks, Token},
    secret::Secret,
};

/// Everything that can be set, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the log is kept.
    pub data_dir: PathBuf,
    /// Where the API listens.
    pub listen: SocketAddr,
    /// Whether to listen beyond loopback without tokens.
    pub allow_remote_without_auth: bool,
    /// Whose branches are ours; from the data directory if absent.
    pub cluster: Option<Cluster>,
    /// Time between two searches for prepared branches of ours.
    pub recovery_interval_ms: u64,
    /// Most transactions that are open at once.
    pub open_max: usize,
    /// How long a finished transaction is kept.
    pub retention_ms: u64,
    /// How long a stopping node lets running requests finish.
    pub stop_grace_ms: u64,
    /// The 2F resources that are acceptors of Paxos commit; empty for the default.
    pub paxos_acceptors: Vec<String>,
    /// A transaction's timeout where the request says nothing.
    pub timeout_ms: u64,
    /// The most that a request may ask for.
    pub timeout_ms_max: u64,
    /// Bounds of what requests may hold.
    pub limits: Limits,
    /// How lines are written.
    pub log_format: LogFormat,
    /// The least level that is written.
    pub log_level: tracing::Level,
    /// The listener's certificate and key; without, it speaks plain HTTP.
    pub tls: Option<TlsFiles>,
    /// Who may use the API; empty: everybody who reaches it.
    pub tokens: Vec<Token>,
    /// The systems that take part.
    pub resources: Vec<Resource>,
}

/// Bounds of what requests may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest body.
    pub body_bytes_max: usize,
    /// Most branches in one transaction.
    pub branches_max: usize,
    /// Most statements or key operations in one branch.
    pub statements_max: usize,
    /// Most parameters of one statement.
    pub params_max: usize,
    /// Longest text of one statement.
    pub text_bytes_max: usize,
    /// Longest gid and branch name.
    pub name_bytes_max: usize,
    /// Most lines on a page.
    pub list_limit_max: u32,
    /// The most that a request waits for an outcome.
    pub wait_ms_max: u64,
    /// Most requests at once.
    pub requests_max: usize,
    /// Most connections at once.
    pub connections_max: usize,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM file of the certificate and its chain.
    pub cert: PathBuf,
    /// PEM file of the private key.
    pub key: PathBuf,
}

/// Everything that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError(pub Vec<Fault>);

/// One thing that is wrong with a configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Fault {
    /// The key, or the file.
    pub key: String,
    /// What it was given; absent if nothing was, or if it may hold a secret.
    pub value: Option<String>,
    /// Where that came from.
    pub origin: String,
    /// What is wrong.
    pub problem: String,
    /// What is allowed; empty if that is not the point.
    pub allowed: String,
}

impl Fault {
    fn of_source(place: String, problem: String) -> Self {
        Self { key: place, value: None, origin: String::new(), problem, allowed: String::new() }
    }

    fn unknown(key: &str, origin: String, near: Option<&str>) -> Self {
        let problem = match near {
            Some(near) => format!("no such setting; did you mean `{near}`?"),
            None => "no such setting; docs/settings.md lists them all".into(),
        };
        Self { key: key.into(), value: None, origin, problem, allowed: String::new() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.0.len();
        write!(f, "the configuration has {count} error{}", if count == 1 { "" } else { "s" })?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key)?;
        if let Some(value) = &self.value {
            write!(f, " = {value:?}")?;
        }
        if !self.origin.is_empty() {
            write!(f, " ({})", self.origin)?;
        }
        write!(f, ": {}", self.problem)?;
        if !self.allowed.is_empty() {
            write!(f, "; allowed: {}", self.allowed)?;
        }
        Ok(())
    }
}

impl Config {
    /// Reads and checks all of it. Secrets are read here too, and only here.
    ///
    /// # Errors
    /// Everything that is wrong, at once. Nothing has been started.
    pub fn load(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Result<Self, ConfigError> {
        let mut layers = Layers::collect(file, env, flags);
        let config = Self::read(&mut layers);
        config.check_together(&mut layers);
        layers.finish().map(|()| config)
    }

    /// What the adapters of all resources need.
    pub fn resources(&self, cluster: &Cluster) -> Vec<Settings> {
        self.resources.iter().map(|resource| resource.settings(cluster)).collect()
    }

    fn read(from: &mut Layers) -> Self {
        let tokens = from.names("auth.tokens.");
        let resources = from.names("resources.");
        Self {
            data_dir: from.text("data_dir").unwrap_or_default().into(),
            listen: from.parsed("listen", address).0,
            allow_remote_without_auth: from.switch("allow_remote_without_auth"),
            cluster: from.parsed("cluster", |text| Cluster::new(text).map(Some)),
            recovery_interval_ms: from.number("recovery_interval_ms"),
            open_max: count(from, "open_max"),
            retention_ms: from.number("retention_ms"),
            stop_grace_ms: from.number("stop_grace_ms"),
            paxos_acceptors: from.parsed("paxos_acceptors", acceptors),
            timeout_ms: from.number("transaction.timeout_ms"),
            timeout_ms_max: from.number("transaction.timeout_ms_max"),
            limits: Limits::read(from),
            log_format: match from.choice("log.format").as_deref() {
                Some("text") => LogFormat::Text,
                Some("json") => LogFormat::Json,
                _ => LogFormat::Auto,
            },
            log_level: from
                .choice("log.level")
                .and_then(|word| word.parse().ok())
                .unwrap_or(tracing::Level::INFO),
            tls: TlsFiles::read(from, "tls.cert_file", "tls.key_file"),
            tokens: tokens.iter().filter_map(|name| Token::read(from, name)).collect(),
            resources: resources.iter().map(|name| Resource::read(from, name)).collect(),
        }
    }

    fn check_together(&self, layers: &mut Layers) {
        if self.timeout_ms > self.timeout_ms_max {
            layers.fault("transaction.timeout_ms", "more than `transaction.timeout_ms_max`");
        }
        let is_shard = |name: &String| {
            self.resources.iter().any(|one| one.name == *name && one.speaks == Speaks::Keys)
        };
        if let Some(other) = self.paxos_acceptors.iter().find(|name| !is_shard(name)) {
            layers.fault("paxos_acceptors", format!("no shard among the resources is {other:?}"));
        }
        let remote = !self.listen.ip().is_loopback();
        if remote && layers.names("auth.tokens.").is_empty() && !self.allow_remote_without_auth {
            layers.fault(
                "listen",
                "not a loopback address, and there are no tokens: configure `auth.tokens`, or set \
                 `allow_remote_without_auth` to let everybody in",
            );
        }
    }
}

impl Limits {
    fn read(from: &mut Layers) -> Self {
        Self {
            body_bytes_max: count(from, "limits.body_bytes_max"),
            branches_max: count(from, "limits.branches_max"),
            statements_max: count(from, "limits.statements_max"),
            params_max: count(from, "limits.params_max"),
            text_bytes_max: count(from, "limits.text_bytes_max"),
            name_bytes_max: count(from, "limits.name_bytes_max"),
            list_limit_max: u32::try_from(from.number("limits.list_limit_max"))
                .expect("its range in the table fits"),
            wait_ms_max: from.number("limits.wait_ms_max"),
            requests_max: count(from, "limits.requests_max"),
            connections_max: count(from, "limits.connections_max"),
        }
    }
}

impl TlsFiles {
    /// Both, or neither.
    fn read(from: &mut Layers, cert_key: &str, key_key: &str) -> Option<Self> {
        match (from.text(cert_key), from.text(key_key)) {
            (Some(cert), Some(key)) => Some(Self { cert: cert.into(), key: key.into() }),
            (None, None) => None,
            (Some(_), None) => {
                from.fault(cert_key, format!("given without `{key_key}`"));
                None
            }
            (None, Some(_)) => {
                from.fault(key_key, format!("given without `{cert_key}`"));
                None
            }
        }
    }
}

/// A socket address with a default, which is never seen: it stands in where there is a fault.
struct Address(SocketAddr);

impl Default for Address {
    fn default() -> Self {
        Self((Ipv4Addr::LOCALHOST, 0).into())
    }
}

fn address(text: &str) -> Result<Address, &'static str> {
    let text = match text.strip_prefix("localhost:") {
        Some(port) => &format!("127.0.0.1:{port}"),
        None => text,
    };
    text.parse().map(Address).map_err(|_| "not an address with a port, such as 127.0.0.1:7400")
}

/// Most acceptors besides the node: with more, every commit costs more than it gains.
const ACCEPTORS_MAX: usize = 8;

fn acceptors(text: &str) -> Result<Vec<String>, &'static str> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    let different: BTreeSet<&String> = names.iter().collect();
    match names.len() {
        count if count != different.len() => Err("a name stands twice"),
        count if count % 2 == 1 => Err("an odd number: with the node there would be no majority"),
        count if count > ACCEPTORS_MAX => Err("too many"),
        _ => Ok(names),
    }
}

fn count(from: &mut Layers, key: &str) -> usize {
    usize::try_from(from.number(key)).expect("ranges in the table fit every machine we run on")
}
