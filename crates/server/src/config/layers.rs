//! Flags over variables over file: which value each key has, and where it came from.

use std::{collections::BTreeMap, fmt, path::Path};

use super::{
    ConfigError, Fault,
    table::{self, Kind, NAMED, SETTINGS},
};
use crate::nearest::nearest;

/// Variables with our prefix that are not settings: the command line's own, and those of tests.
const OTHERS: [&str; 6] = [
    "HANDFAST_SERVER",
    "HANDFAST_TOKEN",
    "HANDFAST_TOKEN_FILE",
    "HANDFAST_CONFIG",
    "HANDFAST_KILL_AT",
    "HANDFAST_KILL_PID",
];
const OTHERS_PREFIX: &str = "HANDFAST_TEST_";
const PREFIX: &str = "HANDFAST_";
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A value as it was given.
struct Given {
    text: String,
    origin: Origin,
}

/// Where a value came from.
#[derive(Clone)]
enum Origin {
    File(String),
    Variable(String),
    Flag,
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "in {path}"),
            Self::Variable(name) => write!(f, "from {name}"),
            Self::Flag => f.write_str("from the command line"),
            Self::Default => f.write_str("by default"),
        }
    }
}

/// All values, and all that was found wrong with them so far.
pub(super) struct Layers {
    given: BTreeMap<String, Given>,
    variables: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Layers {
    pub(super) fn collect(
        file: Option<&Path>,
        env: impl Iterator<Item = (String, String)>,
        flags: &[(String, String)],
    ) -> Self {
        let variables: BTreeMap<String, String> = env.collect();
        let mut layers = Self { given: BTreeMap::new(), variables, faults: Vec::new() };
        if let Some(path) = file {
            layers.read_file(path);
        }
        // Flags go in before the variables, for the names they may hold, and again after them.
        layers.read_flags(flags);
        layers.read_variables();
        let known = flags.iter().filter(|(key, _)| table::find(key).is_some());
        for (key, text) in known {
            layers.put(key.clone(), text.clone(), Origin::Flag);
        }
        layers
    }

    /// All faults found; nothing if there are none.
    pub(super) fn finish(self) -> Result<(), ConfigError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigError(self.faults)) }
    }

    /// The names under a prefix, such as those of all resources.
    pub(super) fn names(&self, prefix: &str) -> Vec<String> {
        let named = self.given.keys().filter_map(|key| table::split_named(key));
        let mut names: Vec<String> =
            named.filter(|(p, ..)| *p == prefix).map(|(_, name, _)| name.into()).collect();
        names.dedup();
        names.sort();
        names.dedup();
        names
    }

    /// The value as text; `None` if not given and without default.
    pub(super) fn text(&self, key: &str) -> Option<String> {
        let default = || table::find(key).map(|s| s.default).unwrap_or_default();
        match self.given.get(key) {
            Some(given) => Some(given.text.clone()),
            None => Some(default().to_owned()).filter(|text| !text.is_empty()),
        }
    }

    /// The value, read by `parse`; a fault and `T::default()` if that fails.
    pub(super) fn parsed<T: Default, E: fmt::Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> T {
        let Some(text) = self.text(key) else { return T::default() };
        match parse(&text) {
            Ok(value) => value,
            Err(problem) => {
                self.fault(key, problem.to_string());
                T::default()
            }
        }
    }

    /// A whole number within its range.
    pub(super) fn number(&mut self, key: &str) -> u64 {
        let Some(Kind::Number { min, max, .. }) = table::find(key).map(|s| s.kind) else {
            unreachable!("{key} is not a number in the table of settings")
        };
        self.parsed(key, |text| match text.parse::<u64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(number),
            Ok(_) => Err("out of range"),
            Err(_) => Err("not a whole number"),
        })
    }

    /// True or false.
    pub(super) fn switch(&mut self, key: &str) -> bool {
        self.parsed(key, |text| match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err("neither true nor false"),
        })
    }

    /// One of the allowed words; `None` if not given and without default, or wrong.
    pub(super) fn choice(&mut self, key: &str) -> Option<String> {
        let Some(Kind::Choice(words)) = table::find(key).map(|s| s.kind) else {
            unreachable!("{key} is not a choice in the table of settings")
        };
        self.parsed(key, |text| match words.contains(&text) {
            true => Ok(Some(text.to_owned())),
            false => Err("not one of the allowed words"),
        })
    }

    /// The value of an environment variable that a setting names.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Notes what is wrong with the value of `key`.
    pub(super) fn fault(&mut self, key: &str, problem: impl Into<String>) {
        let setting = table::find(key);
        let (text, origin) = match self.given.get(key) {
            Some(given) => (Some(given.text.clone()), given.origin.clone()),
            None => (None, Origin::Default),
        };
        self.faults.push(Fault {
            key: key.into(),
            value: text.filter(|_| setting.is_none_or(|s| !s.secret)),
            origin: origin.to_string(),
            problem: problem.into(),
            allowed: setting.map(|s| s.kind.allowed()).unwrap_or_default(),
        });
    }

    fn put(&mut self, key: String, text: String, origin: Origin) {
        self.given.insert(key, Given { text, origin });
    }

    fn read_file(&mut self, path: &Path) {
        let place = path.display().to_string();
        let table = match read_text(path) {
            Ok(text) => text.parse::<toml::Table>().map_err(|e| {
                // Not the error's own text: it quotes the line, which may hold a secret.
                let at = e.span().map_or(0, |s| text[..s.start.min(text.len())].lines().count());
                format!("not TOML, near line {}: {}", at.max(1), e.message())
            }),
            Err(problem) => Err(problem),
        };
        match table {
            Ok(table) => self.read_table("", table, &place),
            Err(problem) => self.faults.push(Fault::of_source(place, problem)),
        }
    }

    fn read_table(&mut self, prefix: &str, table: toml::Table, place: &str) {
        for (word, value) in table {
            let key = format!("{prefix}{word}");
            let text = match value {
                toml::Value::Table(inner) => {
                    self.read_table(&format!("{key}."), inner, place);
                    continue;
                }
                toml::Value::String(text) => Some(text),
                toml::Value::Integer(number) => Some(number.to_string()),
                toml::Value::Boolean(switch) => Some(switch.to_string()),
                _ => None,
            };
            let origin = Origin::File(place.into());
            match (table::find(&key), text) {
                (None, _) => self.unknown(&key, origin),
                (Some(_), Some(text)) => self.put(key, text, origin),
                (Some(setting), None) => self.faults.push(Fault {
                    key,
                    value: None,
                    origin: origin.to_string(),
                    problem: "neither text, nor a whole number, nor true or false".into(),
                    allowed: setting.kind.allowed(),
                }),
            }
        }
    }

    fn read_flags(&mut self, flags: &[(String, String)]) {
        for (key, text) in flags {
            match table::find(key) {
                Some(_) => self.put(key.clone(), text.clone(), Origin::Flag),
                None => self.unknown(key, Origin::Flag),
            }
        }
    }

    fn read_variables(&mut self) {
        let names = NAMED.map(|prefix| (prefix, self.names(prefix)));
        let ours: Vec<(String, String)> = self
            .variables
            .iter()
            .filter(|(variable, _)| variable.starts_with(PREFIX))
            .filter(|(variable, _)| !OTHERS.contains(&variable.as_str()))
            .filter(|(variable, _)| !variable.starts_with(OTHERS_PREFIX))
            .map(|(variable, text)| (variable.clone(), text.clone()))
            .collect();
        let mut strangers = Vec::new();
        for (variable, text) in ours {
            match key_of(&variable, &names) {
                Some(key) => self.put(key, text, Origin::Variable(variable)),
                None => strangers.push(variable),
            }
        }
        // A variable that another setting names, for a secret, may be called anything.
        let named: Vec<String> = self
            .given
            .iter()
            .filter(|(key, _)| key.ends_with("_env"))
            .map(|(_, given)| given.text.clone())
            .collect();
        for variable in strangers.into_iter().filter(|v| !named.contains(v)) {
            let spelled: Vec<String> = SETTINGS.iter().map(|s| table::variable(s.key)).collect();
            let near = nearest(&variable, spelled.iter().map(String::as_str));
            self.faults.push(Fault::unknown(&variable, "in the environment".into(), near));
        }
    }

    fn unknown(&mut self, key: &str, origin: Origin) {
        let name = NAMED.iter().find_map(|p| key.strip_prefix(p)?.split('.').next());
        let spelled: Vec<String> =
            SETTINGS.iter().map(|s| s.key.replace("<name>", name.unwrap_or("<name>"))).collect();
        let near = nearest(key, spelled.iter().map(String::as_str));
        self.faults.push(Fault::unknown(key, origin.to_string(), near));
    }
}

/// The key that a variable sets, given the names of the user's that are known.
fn key_of(variable: &str, names: &[(&'static str, Vec<String>)]) -> Option<String> {
    let exact = SETTINGS.iter().find(|s| table::variable(s.key) == variable);
    if let Some(setting) = exact {
        return Some(setting.key.into());
    }
    let fits = |pattern: &'static str| {
        let (prefix, field) = pattern.split_once("<name>.")?;
        let rest = variable.strip_prefix(&table::variable(prefix))?;
        let middle =
            rest.strip_suffix(&table::variable(field)[PREFIX.len()..])?.strip_suffix('_')?;
        (!middle.is_empty()).then_some((prefix, middle, field))
    };
    // The longest field: `…_CONNECT_TIMEOUT_MS` is no `TIMEOUT_MS` of a resource `…_CONNECT`.
    let (prefix, middle, field) =
        SETTINGS.iter().filter_map(|s| fits(s.key)).max_by_key(|(.., field)| field.len())?;
    let known = names.iter().filter(|(p, _)| *p == prefix).flat_map(|(_, names)| names);
    let spelled = format!("{PREFIX}{middle}");
    let name = known.into_iter().find(|name| table::variable(name) == spelled).cloned();
    Some(format!("{prefix}{}.{field}", name.unwrap_or_else(|| middle.to_ascii_lowercase())))
}

/// A file's text, unless it is unreasonably long.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let size = std::fs::metadata(path).map_err(|e| format!("cannot be read: {e}"))?.len();
    if size > FILE_BYTES_MAX {
        return Err(format!("longer than {FILE_BYTES_MAX} bytes"));
    }
    std::fs::read_to_string(path).map_err(|e| format!("cannot be read: {e}"))
}
