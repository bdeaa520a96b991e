//! What has a name of the user's: tokens and resources.

use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use handfast_core::id::{Cluster, check_name};
use handfast_participants::{ServiceSettings, Settings, TlsMode};
use sha2::{Digest, Sha256};

use super::{
    Secret, TlsFiles, count,
    layers::{Layers, read_text},
};
use crate::auth::Role;

const TOKEN_CHARS_MIN: usize = 16;

/// Who may use the API. The token itself is not kept.
#[derive(Clone, Debug)]
pub struct Token {
    /// The configured name; stands in the audit trail.
    pub name: String,
    /// What it may do.
    pub role: Role,
    /// The token's SHA-256.
    pub digest: [u8; 32],
}

/// A system that takes part.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The configured name.
    pub name: String,
    /// What it speaks.
    pub speaks: Speaks,
    /// Its address.
    pub url: Secret,
    /// The password or bearer token.
    pub secret: Option<Secret>,
    /// The authorities to trust, instead of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Whether a database connection is encrypted.
    pub tls: TlsMode,
    /// Most connections to it at once.
    pub connections_max: usize,
    /// Most time to make a connection.
    pub connect_timeout_ms: u64,
    /// Most time of one statement, where the branch says nothing.
    pub statement_timeout_ms: u64,
    /// Most time to wait for one lock, where the branch says nothing.
    pub lock_timeout_ms: u64,
    /// MariaDB and MySQL: where branches leave their marks.
    pub marker_table: String,
    /// Services: most time of one call.
    pub call_timeout_ms: u64,
    /// Services: sent with every call.
    pub headers: Vec<(String, Secret)>,
    /// Services: signs every call.
    pub signing_secret: Option<Secret>,
    /// Services: what we show, and its key.
    pub client_tls: Option<TlsFiles>,
    /// Services: what tells whether it is well.
    pub health_path: Option<String>,
}

/// What a resource understands, and so what its branches may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Speaks {
    /// `sql`: it is a database.
    #[default]
    Sql,
    /// `keys`: it is a shard.
    Keys,
    /// Calls: it is a service.
    Service,
}

impl Token {
    pub(super) fn read(from: &mut Layers, name: &str) -> Option<Self> {
        let key = |field: &str| format!("auth.tokens.{name}.{field}");
        check_user_name(from, &key("role"), name);
        let role = from.choice(&key("role")).and_then(|word| Role::parse(&word));
        if role.is_none() && from.text(&key("role")).is_none() {
            from.fault(&key("role"), "required");
        }
        let digest = from.parsed(&key("sha256"), hex_digest);
        let token = read_secret(from, &key("token_file"), &key("token_env"));
        let digest = match (digest, token) {
            (Some(digest), None) => digest,
            (None, Some(token)) if token.expose().len() < TOKEN_CHARS_MIN => {
                let place = [key("token_file"), key("token_env")];
                let given = place.iter().find(|key| from.text(key).is_some())?.clone();
                from.fault(
                    &given,
                    format!("the token is shorter than {TOKEN_CHARS_MIN} characters"),
                );
                return None;
            }
            (None, Some(token)) => Sha256::digest(token.expose()).into(),
            (Some(_), Some(_)) => {
                from.fault(&key("sha256"), "given together with `token_file` or `token_env`");
                return None;
            }
            (None, None) => {
                if ["sha256", "token_file", "token_env"]
                    .iter()
                    .all(|f| from.text(&key(f)).is_none())
                {
                    from.fault(
                        &key("token_file"),
                        "one of `token_file`, `token_env`, `sha256` is required",
                    );
                }
                return None;
            }
        };
        Some(Self { name: name.into(), role: role?, digest })
    }
}

impl Resource {
    pub(super) fn read(from: &mut Layers, name: &str) -> Self {
        let key = |field: &str| format!("resources.{name}.{field}");
        check_user_name(from, &key("url"), name);
        let url = from.text(&key("url")).unwrap_or_default();
        if url.is_empty() {
            from.fault(&key("url"), "required");
        }
        let tls = match from.choice(&key("tls")).as_deref() {
            Some("verify") => TlsMode::Verify,
            Some("auto") if !is_loopback(&url) => TlsMode::Verify,
            _ => TlsMode::Off,
        };
        Self {
            name: name.into(),
            speaks: from.parsed(&key("url"), speaks),
            tls,
            secret: read_secret(from, &key("secret_file"), &key("secret_env")),
            ca_file: from.text(&key("ca_file")).map(PathBuf::from),
            connections_max: count(from, &key("connections_max")),
            connect_timeout_ms: from.number(&key("connect_timeout_ms")),
            statement_timeout_ms: from.number(&key("statement_timeout_ms")),
            lock_timeout_ms: from.number(&key("lock_timeout_ms")),
            marker_table: from.text(&key("marker_table")).unwrap_or_default(),
            call_timeout_ms: from.number(&key("call_timeout_ms")),
            headers: read_headers(from, &key("headers"), &key("headers_file")),
            signing_secret: read_secret(
                from,
                &key("signing_secret_file"),
                &key("signing_secret_env"),
            ),
            client_tls: TlsFiles::read(from, &key("client_cert_file"), &key("client_key_file")),
            health_path: from.text(&key("health_path")),
            url: Secret::new(url),
        }
    }

    pub(super) fn settings(&self, cluster: &Cluster) -> Settings {
        let statement_timeout_ms = match self.speaks {
            Speaks::Service => self.call_timeout_ms,
            Speaks::Sql | Speaks::Keys => self.statement_timeout_ms,
        };
        Settings {
            name: self.name.clone(),
            url: self.url.expose().into(),
            secret: self.secret.as_ref().map(|secret| secret.expose().into()),
            ca_file: self.ca_file.clone(),
            tls: self.tls,
            connections_max: self.connections_max,
            connect_timeout: Duration::from_millis(self.connect_timeout_ms),
            statement_timeout: Duration::from_millis(statement_timeout_ms),
            lock_timeout: Duration::from_millis(self.lock_timeout_ms),
            marker_table: self.marker_table.clone(),
            service: self.service(),
            cluster: cluster.clone(),
        }
    }

    fn service(&self) -> ServiceSettings {
        let header = |(name, value): &(String, Secret)| (name.clone(), value.expose().into());
        let shown = self.client_tls.as_ref();
        ServiceSettings {
            headers: self.headers.iter().map(header).collect(),
            signing_secret: self.signing_secret.as_ref().map(|secret| secret.expose().into()),
            certificate_file: shown.map(|files| files.cert.clone()),
            key_file: shown.map(|files| files.key.clone()),
            health_path: self.health_path.clone(),
        }
    }
}

fn speaks(url: &str) -> Result<Speaks, &'static str> {
    match url.split_once("://") {
        Some(("postgres" | "postgresql" | "mysql" | "mariadb", _)) => Ok(Speaks::Sql),
        Some(("http" | "https", _)) => Ok(Speaks::Keys),
        Some(("service+http" | "service+https", _)) => Ok(Speaks::Service),
        _ => Err("not an address with a known scheme"),
    }
}

/// Whether the host of an address is this machine; a wrong address is not.
fn is_loopback(url: &str) -> bool {
    let rest = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn check_user_name(from: &mut Layers, key: &str, name: &str) {
    if let Err(problem) = check_name(name) {
        from.fault(key, format!("the name {name:?} cannot be used: {problem}"));
    }
}

fn hex_digest(text: &str) -> Result<Option<[u8; 32]>, &'static str> {
    let wrong = "not 64 hexadecimal digits";
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(wrong);
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| wrong)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong)?;
    }
    Ok(Some(digest))
}

/// The secret that a file or a variable holds; `None`, perhaps with a fault, if there is none.
fn read_secret(from: &mut Layers, file_key: &str, variable_key: &str) -> Option<Secret> {
    let found = match (from.text(file_key), from.text(variable_key)) {
        (None, None) => return None,
        (Some(_), Some(_)) => Err((file_key, format!("given together with `{variable_key}`"))),
        (Some(path), None) => read_text(Path::new(&path))
            .map(|text| {
                text.strip_suffix('\n').map_or(text.clone(), |t| t.trim_end_matches('\r').into())
            })
            .map_err(|problem| (file_key, problem)),
        (None, Some(name)) => match from.variable(&name) {
            Some(text) => Ok(text.to_owned()),
            None => Err((variable_key, "there is no such variable".into())),
        },
    };
    match found {
        Ok(text) if text.is_empty() => {
            let key = if from.text(file_key).is_some() { file_key } else { variable_key };
            from.fault(key, "holds nothing");
            None
        }
        Ok(text) => Some(Secret::new(text)),
        Err((key, problem)) => {
            from.fault(key, problem);
            None
        }
    }
}

/// Lines of `name: value`, from the setting or from a file. What they hold is never shown.
fn read_headers(from: &mut Layers, key: &str, file_key: &str) -> Vec<(String, Secret)> {
    let (origin, text) = match (from.text(key), from.text(file_key)) {
        (None, None) => return Vec::new(),
        (Some(_), Some(_)) => {
            from.fault(file_key, format!("given together with `{key}`"));
            return Vec::new();
        }
        (Some(text), None) => (key, Ok(text)),
        (None, Some(path)) => (file_key, read_text(Path::new(&path))),
    };
    let text = text.unwrap_or_else(|problem| {
        from.fault(origin, problem);
        String::new()
    });
    let mut headers = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match line.split_once(':') {
            Some((name, value)) => {
                headers.push((name.trim().to_owned(), Secret::new(value.trim().to_owned())));
            }
            None => from.fault(origin, format!("line {} is no `name: value`", at + 1)),
        }
    }
    headers
}
