//! Who may do what: bearer tokens with roles, and the guard against pages in a browser.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Method, header};
use sha2::{Digest, Sha256};

use crate::config::{Config, Token};

/// What a token may do; each role includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Look: every GET.
    Read,
    /// Run, extend, commit and abort transactions; run sagas.
    Write,
    /// Retry, edit, resolve and check; say a word to many transactions; describe sagas.
    Operate,
}

impl Role {
    /// The role of that name.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "read" => Some(Self::Read),
            "write" => Some(Self::Write),
            "operate" => Some(Self::Operate),
            _ => None,
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Operate => "operate",
        }
    }

    /// What a request needs. Whatever is not known to need less needs the highest role.
    pub fn needed(method: &Method, path: &str) -> Self {
        match *method {
            Method::GET | Method::HEAD => Self::Read,
            Method::POST if path == "/v1/transactions" => Self::Write,
            // A word to many is an operator's.
            Method::POST if path.starts_with("/v1/transactions:") => Self::Operate,
            Method::POST if path.ends_with(":commit") || path.ends_with(":abort") => Self::Write,
            Method::POST
                if path.starts_with("/v1/transactions/") && path.ends_with("/branches") =>
            {
                Self::Write
            }
            Method::POST if path.starts_with("/v1/sagas/") && path.ends_with(":run") => Self::Write,
            _ => Self::Operate,
        }
    }
}

/// Who sends a request: the token's name, or `anonymous` where there are no tokens.
#[derive(Clone, Debug)]
pub struct Caller(pub String);

/// Why a request is not let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No token, or a wrong one.
    Unauthorized,
    /// A token whose role is too low.
    Forbidden {
        /// The role that is needed.
        needed: Role,
    },
    /// A page of another origin sends it, through a person's browser.
    CrossOrigin,
}

/// The door of the API.
#[derive(Clone)]
pub struct Auth {
    tokens: Vec<Token>,
    /// Without tokens, only those on this machine may come in; and not through a browser that
    /// was made to believe that another name is this machine's.
    local_only: bool,
}

impl Auth {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let local_only = config.tokens.is_empty() && !config.allow_remote_without_auth;
        Self { tokens: config.tokens.clone(), local_only }
    }

    /// Lets a request in, or not.
    ///
    /// # Errors
    /// Why not; nothing has happened.
    pub fn admit(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Caller, Denied> {
        self.check_origin(headers)?;
        if self.tokens.is_empty() {
            return Ok(Caller("anonymous".into()));
        }
        let token = self.token(headers).ok_or(Denied::Unauthorized)?;
        let needed = Role::needed(method, path);
        if token.role < needed {
            return Err(Denied::Forbidden { needed });
        }
        Ok(Caller(token.name.clone()))
    }

    fn token(&self, headers: &HeaderMap) -> Option<&Token> {
        let given = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, secret) = given.split_at_checked("Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(secret).into();
        // Every token is compared, so that the time taken does not tell which one was near.
        self.tokens.iter().fold(None, |found, token| {
            if same(&token.digest, &digest) { Some(token) } else { found }
        })
    }

    fn check_origin(&self, headers: &HeaderMap) -> Result<(), Denied> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let host = text(header::HOST);
        if let Some(origin) = text(header::ORIGIN) {
            let origin_host = origin.split_once("://").map(|(_, host)| host);
            if host.is_none() || origin_host != host {
                return Err(Denied::CrossOrigin);
            }
        }
        match host {
            Some(host) if self.local_only && !is_local_name(host) => Err(Denied::CrossOrigin),
            _ => Ok(()),
        }
    }
}

fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let differing = a.iter().zip(b).fold(0, |acc, (a, b)| acc | (a ^ b));
    std::hint::black_box(differing) == 0
}

fn is_local_name(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    let is_loopback = |ip: IpAddr| ip.is_loopback();
    name == "localhost"
        || host == "localhost"
        || host.parse::<SocketAddr>().is_ok_and(|a| is_loopback(a.ip()))
        || name.parse::<IpAddr>().is_ok_and(is_loopback)
        || host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok_and(is_loopback)
}
