//! The one table of settings: what can be set, in what unit and range, and what it does.
//!
//! Defaults are text like any given value and go through the same checks. The reference page,
//! docs/settings.md, is generated from here.

use std::fmt::Write as _;

use handfast_core::limits::{BRANCHES_MAX, NAME_BYTES_MAX};

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key; `<name>` in it stands for a name of the user's.
    pub key: &'static str,
    /// What it may hold.
    pub kind: Kind,
    /// What it holds if nobody says otherwise; empty for nothing.
    pub default: &'static str,
    /// Whether its value may hold a secret and is never shown.
    pub secret: bool,
    /// What it does.
    pub doc: &'static str,
}

/// What a setting may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text; the words say what it must be.
    Text(&'static str),
    /// `true` or `false`.
    Switch,
    /// A whole number of `unit` from `min` to `max`.
    Number {
        /// What is counted.
        unit: &'static str,
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these words.
    Choice(&'static [&'static str]),
}

impl Kind {
    /// What is allowed, in words.
    pub fn allowed(self) -> String {
        match self {
            Self::Text(words) => words.into(),
            Self::Switch => "`true` or `false`".into(),
            Self::Number { unit, min, max } => format!("{min} to {max} {unit}"),
            Self::Choice(words) => {
                words.iter().map(|w| format!("`{w}`")).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

/// The keys that hold a name of the user's start with one of these.
pub const NAMED: [&str; 2] = ["resources.", "auth.tokens."];

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

const fn text(
    key: &'static str,
    of: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, kind: Kind::Text(of), default, secret: false, doc }
}

const fn secret(key: &'static str, of: &'static str, doc: &'static str) -> Setting {
    Setting { key, kind: Kind::Text(of), default: "", secret: true, doc }
}

const fn choice(
    key: &'static str,
    of: &'static [&'static str],
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, kind: Kind::Choice(of), default, secret: false, doc }
}

const fn number(
    key: &'static str,
    (min, max, unit): (u64, u64, &'static str),
    default: &'static str,
    doc: &'static str,
) -> Setting {
    Setting { key, kind: Kind::Number { unit, min, max }, default, secret: false, doc }
}

/// Every setting, in the order of the reference page.
pub const SETTINGS: &[Setting] = &[
    text(
        "data_dir",
        "a directory",
        "./handfast-data",
        "Where the log is kept. Made if missing. One process owns it at a time.",
    ),
    text(
        "listen",
        "an address and port",
        "127.0.0.1:7400",
        "Where the API listens. Port 0 takes a free one.",
    ),
    Setting {
        key: "allow_remote_without_auth",
        kind: Kind::Switch,
        default: "false",
        secret: false,
        doc: "Without tokens the node listens on loopback only; `true` lifts that: then everybody \
        who \
              reaches the port can run statements on every resource.",
    },
    text(
        "cluster",
        "1 to 16 of `a-z 0-9 -`",
        "",
        "Whose branches are ours: part of every branch's name in the databases. Made at random \
        and kept \
         in the data directory if not given. Two nodes with different logs must never share it.",
    ),
    number(
        "recovery_interval_ms",
        (100, DAY_MS, "ms"),
        "3000",
        "How often every resource is searched for prepared branches of ours that nobody finishes.",
    ),
    number(
        "open_max",
        (1, 1_000_000, "transactions"),
        "16384",
        "Most transactions that are open at once. Above it, new ones get 503 at once.",
    ),
    number(
        "retention_ms",
        (0, 3650 * DAY_MS, "ms"),
        "604800000",
        "How long a finished transaction is kept. For that long, the same gid gets the same \
        answer.",
    ),
    number(
        "stop_grace_ms",
        (0, 600_000, "ms"),
        "10000",
        "How long a stopping node lets running requests finish. What is unfinished then goes on \
        at the next start.",
    ),
    text(
        "paxos_acceptors",
        "an even number of shards' names, separated by commas; at most 8",
        "",
        "Resources that vote with the node on transactions decided by `paxos`: 2F of them can lose \
         any F, the node counted among them. If not given, the first two shards that speak with \
         peers.",
    ),
    number(
        "transaction.timeout_ms",
        (1, DAY_MS, "ms"),
        "5000",
        "Within this time all branches must have voted, where the request says nothing.",
    ),
    number(
        "transaction.timeout_ms_max",
        (1, DAY_MS, "ms"),
        "300000",
        "The most that a request may ask for as its timeout, or as a branch's statement or lock \
        timeout.",
    ),
    number(
        "limits.body_bytes_max",
        (1024, 64 << 20, "bytes"),
        "1048576",
        "Longest body of a request.",
    ),
    number(
        "limits.branches_max",
        (1, BRANCHES_MAX as u64, "branches"),
        "64",
        "Most branches in one transaction.",
    ),
    number(
        "limits.statements_max",
        (1, 65_536, "statements"),
        "256",
        "Most statements, or key operations, in one branch.",
    ),
    number(
        "limits.params_max",
        (1, 65_535, "parameters"),
        "1024",
        "Most parameters of one statement.",
    ),
    number(
        "limits.text_bytes_max",
        (1, 64 << 20, "bytes"),
        "65536",
        "Longest text of one statement; parameters are limited by the body alone.",
    ),
    number(
        "limits.name_bytes_max",
        (1, NAME_BYTES_MAX as u64, "bytes"),
        "64",
        "Longest gid and branch name.",
    ),
    number("limits.list_limit_max", (1, 10_000, "lines"), "500", "Most lines on a page of a list."),
    number(
        "limits.wait_ms_max",
        (0, DAY_MS, "ms"),
        "310000",
        "The most that a request waits for an outcome; then it gets 202 and the place to ask.",
    ),
    number(
        "limits.requests_max",
        (1, 100_000, "requests"),
        "4096",
        "Most requests that are served at once. Above it, requests get 503 at once.",
    ),
    number(
        "limits.connections_max",
        (1, 100_000, "connections"),
        "8192",
        "Most connections at once. Above it, new ones wait in the system's queue.",
    ),
    choice(
        "log.format",
        &["auto", "text", "json"],
        "auto",
        "How lines are written to stderr; `auto` is text on a terminal and JSON otherwise.",
    ),
    choice(
        "log.level",
        &["error", "warn", "info", "debug", "trace"],
        "info",
        "The least level that is written. Access to the API is logged at `debug`, refusals at \
        `info`.",
    ),
    text(
        "tls.cert_file",
        "a PEM file",
        "",
        "The listener's certificate, with its chain. Given together with `tls.key_file`, the API \
        speaks \
         only TLS.",
    ),
    text("tls.key_file", "a PEM file", "", "The private key of `tls.cert_file`."),
    choice(
        "auth.tokens.<name>.role",
        &["read", "write", "operate"],
        "",
        "What the token may do. `read`: look. `write`: also run, commit and abort transactions. \
        `operate`: \
         also retry, resolve and check, and say what shards say to each other. With at least one \
         token, every request needs one.",
    ),
    text("auth.tokens.<name>.token_file", "a file", "", "The file that holds the token."),
    text(
        "auth.tokens.<name>.token_env",
        "a variable's name",
        "",
        "The environment variable that holds the token.",
    ),
    secret(
        "auth.tokens.<name>.sha256",
        "64 hexadecimal digits",
        "The token's SHA-256, so that the token itself is nowhere on this machine.",
    ),
    secret(
        "resources.<name>.url",
        "`postgres://`, `mysql://`, `mariadb://`, `http://` or `https://` for a shard, \
         `service+http://` or `service+https://` for a service",
        "Where the resource is. Required. A password is better kept in `secret_file` or \
        `secret_env`.",
    ),
    text(
        "resources.<name>.secret_file",
        "a file",
        "",
        "The file that holds the password, or for HTTP the bearer token.",
    ),
    text(
        "resources.<name>.secret_env",
        "a variable's name",
        "",
        "The environment variable that holds the password or token.",
    ),
    text(
        "resources.<name>.ca_file",
        "a PEM file",
        "",
        "The authorities to trust for this resource, instead of the public ones.",
    ),
    choice(
        "resources.<name>.tls",
        &["auto", "off", "verify"],
        "auto",
        "Whether a database connection is encrypted and the server's certificate verified. \
        `auto`: not to \
         a loopback address, otherwise verified. HTTP goes by its address.",
    ),
    number(
        "resources.<name>.connections_max",
        (1, 10_000, "connections"),
        "32",
        "Most connections to it at once; of a service, most calls: others wait in line.",
    ),
    number(
        "resources.<name>.connect_timeout_ms",
        (1, 600_000, "ms"),
        "2000",
        "Most time to make a connection.",
    ),
    number(
        "resources.<name>.statement_timeout_ms",
        (1, DAY_MS, "ms"),
        "10000",
        "Most time of one statement, where the branch says nothing.",
    ),
    number(
        "resources.<name>.lock_timeout_ms",
        (1, DAY_MS, "ms"),
        "5000",
        "Most time to wait for one lock, where the branch says nothing.",
    ),
    text(
        "resources.<name>.marker_table",
        "a table's name",
        "handfast_marker",
        "MariaDB and MySQL: the table where every branch leaves its mark, so that what became of \
        it can be \
         proved. Made if missing.",
    ),
    number(
        "resources.<name>.call_timeout_ms",
        (1, DAY_MS, "ms"),
        "10000",
        "Services: most time of one call, also where the branch allows more.",
    ),
    secret(
        "resources.<name>.headers",
        "lines of `name: value`",
        "Services: headers of every call. Such as hold a secret are better kept in `headers_file`.",
    ),
    text(
        "resources.<name>.headers_file",
        "a file",
        "",
        "Services: the file that holds `headers`, instead of them.",
    ),
    text(
        "resources.<name>.signing_secret_file",
        "a file",
        "",
        "Services: the file that holds the secret, of at least 16 bytes, with which every call is \
         signed.",
    ),
    text(
        "resources.<name>.signing_secret_env",
        "a variable's name",
        "",
        "Services: the environment variable that holds the secret with which every call is signed.",
    ),
    text(
        "resources.<name>.client_cert_file",
        "a PEM file",
        "",
        "Services: the certificate that this node shows, with its chain. Given together with \
         `client_key_file`.",
    ),
    text(
        "resources.<name>.client_key_file",
        "a PEM file",
        "",
        "Services: the private key of `client_cert_file`.",
    ),
    text(
        "resources.<name>.health_path",
        "a path that starts with `/`",
        "",
        "Services: what is asked with `GET`, unsigned, to see whether the service is well; while \
         it is not, nothing is called there. Without, it is enough that it takes a connection, \
         and calls of a service that hangs each wait for their whole time: better set it.",
    ),
];

/// The setting that `key` belongs to, where names of the user's stand for `<name>`.
pub fn find(key: &str) -> Option<&'static Setting> {
    let pattern = match split_named(key) {
        Some((prefix, _, field)) => format!("{prefix}<name>.{field}"),
        None => key.into(),
    };
    SETTINGS.iter().find(|s| s.key == pattern)
}

/// `resources.checking.url` as (`resources.`, `checking`, `url`); `None` for keys without a name.
pub fn split_named(key: &str) -> Option<(&'static str, &str, &str)> {
    NAMED.iter().find_map(|prefix| {
        let (name, field) = key.strip_prefix(prefix)?.rsplit_once('.')?;
        (!name.is_empty()).then_some((*prefix, name, field))
    })
}

/// The variable that sets `key`.
pub fn variable(key: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("HANDFAST_{}", key.chars().map(letter).collect::<String>())
}

/// The reference page, docs/settings.md.
pub fn markdown() -> String {
    let mut page = String::from(PREFACE);
    let mut section = "";
    for setting in SETTINGS {
        let of = match setting.key.rsplit_once('.') {
            Some((section, _)) => section,
            None => "The node",
        };
        if of != section {
            section = of;
            let heading = if of.contains(' ') { of.into() } else { format!("`{of}`") };
            let _ = write!(page, "\n## {heading}\n\n");
            page.push_str("| setting | default | allowed | what it does |\n|---|---|---|---|\n");
        }
        let default = match setting.default {
            "" => "–".into(),
            value => format!("`{value}`"),
        };
        let name = setting.key.rsplit('.').next().unwrap_or(setting.key);
        let allowed = setting.kind.allowed();
        let _ = writeln!(page, "| `{name}` | {default} | {allowed} | {} |", setting.doc);
    }
    page
}

const PREFACE: &str = "# Settings

<!-- Generated from crates/server/src/config/table.rs. \
Do not edit; run its tests with HANDFAST_BLESS=1. -->

A setting is given as a flag, as a variable, or in a TOML file, and otherwise has its default.
Where it is given twice, the flag wins over the variable, and the variable over the file.
A key that is not listed here is an error that names the nearest one.
All errors are shown at once, with what is allowed; values that may hold a secret are never shown.

```toml
listen = \"127.0.0.1:7400\"

[limits]
body_bytes_max = 2097152

[resources.checking]
url = \"postgres://handfast@db1.internal:5432/bank\"
secret_file = \"/run/secrets/checking\"

[auth.tokens.shop]
role = \"write\"
token_env = \"SHOP_TOKEN\"
```

The variable of a setting is its key in capitals after `HANDFAST_`, with `_` for everything that \
is \
neither a letter nor a digit: \
`HANDFAST_LISTEN`, `HANDFAST_LIMITS_BODY_BYTES_MAX`, `HANDFAST_RESOURCES_CHECKING_URL`.
Where the flags or the file name a resource or token that fits, the variable means that one; \
otherwise \
its name is in small letters.
As a flag, any setting is `--set key=value`.

Secrets are read once, at the start, from a file (its last line break is dropped) or a variable.
A token has at least 16 characters.
";
