//! Where settings come from, and what is said about wrong ones.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use handfast_core::id::Cluster;
use handfast_participants::TlsMode;
use handfast_server::{
    auth::Role,
    config::{Config, ConfigError, Speaks, table},
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

struct Given {
    dir: TempDir,
    file: Option<PathBuf>,
    env: Vec<(String, String)>,
    flags: Vec<(String, String)>,
}

impl Given {
    fn nothing() -> Self {
        let dir = TempDir::new().unwrap();
        Self { dir, file: None, env: Vec::new(), flags: Vec::new() }
    }

    fn file(mut self, text: &str) -> Self {
        let path = self.dir.path().join("handfast.toml");
        fs::write(&path, text).unwrap();
        self.file = Some(path);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    fn flag(mut self, key: &str, value: &str) -> Self {
        self.flags.push((key.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Config, ConfigError> {
        Config::load(self.file.as_deref(), self.env.iter().cloned(), &self.flags)
    }

    fn error(&self) -> String {
        self.load().unwrap_err().to_string()
    }
}

#[test]
fn nothing_given_is_a_valid_configuration() {
    let config = Given::nothing().load().unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:7400");
    assert_eq!(config.data_dir, PathBuf::from("./handfast-data"));
    assert_eq!(config.recovery_interval_ms, 3_000);
    assert_eq!(config.limits.body_bytes_max, 1 << 20);
    assert_eq!(config.retention_ms, 7 * 24 * 60 * 60 * 1000);
    assert!(config.tokens.is_empty() && config.resources.is_empty() && config.tls.is_none());
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let file = "listen = \"127.0.0.1:1\"\nopen_max = 1\n[limits]\nbranches_max = 1\n";
    let given = Given::nothing()
        .file(file)
        .env("HANDFAST_LISTEN", "127.0.0.1:2")
        .env("HANDFAST_LIMITS_BRANCHES_MAX", "2")
        .flag("listen", "127.0.0.1:3");
    let config = given.load().unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.limits.branches_max, 2);
    assert_eq!(config.open_max, 1);
}

#[test]
fn an_unknown_key_names_the_nearest_known_one_wherever_it_stands() {
    let file = "lisen = \"127.0.0.1:1\"\n[resources.bank]\nurl = \"http://127.0.0.1:1\"\nulr = 1\n";
    let error = Given::nothing()
        .file(file)
        .env("HANDFAST_DATADIR", "x")
        .flag("limits.branch_max", "3")
        .error();
    for near in [
        "did you mean `listen`",
        "did you mean `resources.bank.url`",
        "did you mean `HANDFAST_DATA_DIR`",
        "did you mean `limits.branches_max`",
    ] {
        assert!(error.contains(near), "{near:?} is not in:\n{error}");
    }
    let far = Given::nothing().flag("nothing.like.it.at.all", "1").error();
    assert!(far.contains("no such setting; docs/settings.md"), "{far}");
}

#[test]
fn all_errors_are_shown_at_once_with_value_source_and_range() {
    let error = Given::nothing()
        .file("recovery_interval_ms = 5\n[log]\nlevel = \"loud\"\n")
        .env("HANDFAST_OPEN_MAX", "many")
        .flag("listen", "nowhere")
        .error();
    assert!(error.starts_with("the configuration has 4 errors"), "{error}");
    for part in [
        "recovery_interval_ms = \"5\" (in ",
        "out of range; allowed: 100 to 86400000 ms",
        "log.level = \"loud\"",
        "open_max = \"many\" (from HANDFAST_OPEN_MAX): not a whole number",
        "listen = \"nowhere\" (from the command line)",
    ] {
        assert!(error.contains(part), "{part:?} is not in:\n{error}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let secret = "s3cr3t-of-the-bank";
    let wrong_scheme = format!("[resources.bank]\nurl = \"ftp://u:{secret}@h/db\"\n");
    let broken_line = format!("[resources.bank]\nurl = \"postgres://u:{secret}@h/db\n");
    let wrong_kind = format!("[resources.bank]\nurl = [\"{secret}\"]\n");
    let wrong_digest = format!("[auth.tokens.a]\nrole = \"read\"\nsha256 = \"{secret}\"\n");
    for file in [wrong_scheme, broken_line, wrong_kind, wrong_digest] {
        let given = Given::nothing().file(&file);
        let error = given.load().unwrap_err();
        assert!(!format!("{error} {error:?}").contains(secret), "shown: {error} for {file}");
    }
    let config = Given::nothing()
        .file(&format!(
            "[resources.bank]\nurl = \"postgres://u:{secret}@h/db\"\nsecret_env = \
            \"BANK_PASSWORD\"\n"
        ))
        .env("BANK_PASSWORD", secret)
        .load()
        .unwrap();
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn without_tokens_it_listens_on_loopback_only_unless_told_otherwise() {
    let open = || Given::nothing().flag("listen", "0.0.0.0:7400");
    assert!(open().error().contains("not a loopback address"));
    open().flag("allow_remote_without_auth", "true").load().unwrap();
    open()
        .flag("auth.tokens.ops.role", "operate")
        .flag("auth.tokens.ops.sha256", &"ab".repeat(32))
        .load()
        .unwrap();
    Given::nothing().flag("listen", "[::1]:7400").load().unwrap();
    Given::nothing().flag("listen", "localhost:7400").load().unwrap();
}

#[test]
fn a_token_comes_from_a_file_a_variable_or_as_its_digest() {
    let token = "0123456789abcdef";
    let digest: [u8; 32] = Sha256::digest(token).into();
    let hex: String = digest.iter().map(|b| format!("{b:02X}")).collect();
    let given = Given::nothing();
    let path = given.dir.path().join("token");
    fs::write(&path, format!("{token}\n")).unwrap();
    let config = given
        .flag("auth.tokens.a.role", "read")
        .flag("auth.tokens.a.token_file", path.to_str().unwrap())
        .flag("auth.tokens.b.role", "write")
        .flag("auth.tokens.b.token_env", "HANDFAST_OWN_NAME")
        .env("HANDFAST_OWN_NAME", token)
        .flag("auth.tokens.c.role", "operate")
        .flag("auth.tokens.c.sha256", &hex)
        .load()
        .unwrap();
    assert_eq!(config.tokens.len(), 3);
    assert!(config.tokens.iter().all(|t| t.digest == digest));
    assert_eq!(config.tokens[2].role, Role::Operate);
}

#[test]
fn half_a_token_is_an_error_and_opens_nothing() {
    let role_only = Given::nothing().flag("auth.tokens.a.role", "read").error();
    assert!(role_only.contains("one of `token_file`, `token_env`, `sha256`"), "{role_only}");
    let no_role = Given::nothing().flag("auth.tokens.a.sha256", &"ab".repeat(32)).error();
    assert!(no_role.contains("auth.tokens.a.role") && no_role.contains("required"), "{no_role}");
    let short = Given::nothing()
        .flag("auth.tokens.a.role", "read")
        .flag("auth.tokens.a.token_env", "T")
        .env("T", "short")
        .error();
    assert!(short.contains("shorter than 16"), "{short}");
    let absent = Given::nothing()
        .flag("auth.tokens.a.role", "read")
        .flag("auth.tokens.a.token_env", "T")
        .error();
    assert!(absent.contains("there is no such variable"), "{absent}");
    let listed = Given::nothing().file("[[auth.tokens]]\nname = \"a\"\nrole = \"read\"\n").error();
    assert!(listed.contains("auth.tokens"), "{listed}");
}

#[test]
fn a_variable_means_the_resource_that_the_file_names() {
    let config = Given::nothing()
        .file("[resources.Old-Bank]\nurl = \"postgres://db.internal/x\"\n")
        .env("HANDFAST_RESOURCES_OLD_BANK_CONNECT_TIMEOUT_MS", "7")
        .env("HANDFAST_RESOURCES_NEW_URL", "mysql://127.0.0.1/x")
        .env("HANDFAST_RESOURCES_SHOP_URL", "http://127.0.0.1:1")
        .env("HANDFAST_SERVER", "http://elsewhere")
        .env("HANDFAST_TEST_PG", "ignored")
        .load()
        .unwrap();
    let names: Vec<_> = config.resources.iter().map(|r| r.name.as_str()).collect();
    assert_eq!(names, ["Old-Bank", "new", "shop"]);
    let settings = config.resources(&Cluster::new("c").unwrap());
    assert_eq!(settings[0].connect_timeout.as_millis(), 7);
    // Verified towards another machine; not needed on this one.
    assert_eq!(settings[0].tls, TlsMode::Verify);
    assert_eq!(settings[1].tls, TlsMode::Off);
    assert_eq!(config.resources[2].speaks, Speaks::Keys);
    assert_eq!(settings[1].cluster.as_str(), "c");
}

#[test]
fn settings_that_need_each_other_are_checked_together() {
    let alone = Given::nothing().flag("tls.cert_file", "c.pem").error();
    assert!(alone.contains("without `tls.key_file`"), "{alone}");
    let above = Given::nothing().flag("transaction.timeout_ms_max", "10").error();
    assert!(above.contains("transaction.timeout_ms"), "{above}");
    let no_url = Given::nothing().flag("resources.bank.tls", "off").error();
    assert!(no_url.contains("resources.bank.url") && no_url.contains("required"), "{no_url}");
    let gone = Given { file: Some("/no/such/file.toml".into()), ..Given::nothing() }.error();
    assert!(gone.contains("/no/such/file.toml: cannot be read"), "{gone}");
}

#[test]
fn every_setting_has_a_variable_of_its_own() {
    let variables: BTreeSet<_> = table::SETTINGS.iter().map(|s| table::variable(s.key)).collect();
    assert_eq!(variables.len(), table::SETTINGS.len());
    assert!(table::SETTINGS.iter().all(|s| table::find(s.key).is_some()));
}

#[test]
fn the_page_of_settings_is_fresh() {
    crate::assert_fresh("settings.md", &table::markdown());
}

#[test]
fn acceptors_are_an_even_number_of_shards() {
    let with = |acceptors: &str| {
        Given::nothing()
            .flag("resources.a.url", "http://a")
            .flag("resources.b.url", "http://b")
            .flag("resources.bank.url", "postgres://u@h/d")
            .flag("paxos_acceptors", acceptors)
    };
    assert_eq!(with("b, a").load().unwrap().paxos_acceptors, ["b", "a"]);
    assert!(Given::nothing().load().unwrap().paxos_acceptors.is_empty());
    for (acceptors, why) in [
        ("a", "an odd number"),
        ("a,a", "a name stands twice"),
        ("a,c", "no shard among the resources is \"c\""),
        ("a,bank", "no shard among the resources is \"bank\""),
        ("1,2,3,4,5,6,7,8,9,10", "too many"),
    ] {
        let error = with(acceptors).error();
        assert!(error.contains(why), "{acceptors}: {error}");
    }
}

#[test]
fn a_service_has_headers_a_signature_and_a_certificate_and_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let flag = |key: &str, value: &str| (format!("resources.svc.{key}"), value.to_owned());
    let url = flag("url", "service+https://example.org/base");
    let flags = [
        url.clone(),
        flag("headers_file", &file("headers", "X-Tenant: hush-tenant\n\nX-Plain:a:b\n")),
        flag("signing_secret_file", &file("signing", "hush-0123456789abcdef\n")),
        flag("client_cert_file", "cert.pem"),
        flag("client_key_file", "key.pem"),
        flag("call_timeout_ms", "1234"),
        flag("health_path", "/health"),
    ];
    let config = Config::load(None, std::iter::empty(), &flags).unwrap();
    assert!(!format!("{config:?}").contains("hush"), "{config:?}");
    let made = config.resources(&Cluster::new("c").unwrap()).remove(0);
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let headers = [header("X-Tenant", "hush-tenant"), header("X-Plain", "a:b")];
    assert_eq!(made.service.headers, headers);
    assert_eq!(made.service.signing_secret.as_deref(), Some("hush-0123456789abcdef"));
    assert_eq!(made.service.key_file.as_deref(), Some(Path::new("key.pem")));
    assert_eq!(made.service.health_path.as_deref(), Some("/health"));
    assert_eq!(made.statement_timeout.as_millis(), 1234);

    let wrong = [url, flag("headers", "X-Tenant hush"), flag("client_cert_file", "cert.pem")];
    let said = Config::load(None, std::iter::empty(), &wrong).unwrap_err().to_string();
    assert!(said.contains("line 1 is no `name: value`"), "{said}");
    assert!(said.contains("given without `resources.svc.client_key_file`"), "{said}");
    assert!(!said.contains("hush"), "{said}");
}
