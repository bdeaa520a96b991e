//! Names and ids. Each is its own type, checked where it is made.

use core::{cmp::Ordering, fmt};

use serde::{
    Deserialize, Serialize,
    de::{Error, Unexpected, Visitor},
};

use crate::limits::{BRANCHES_MAX, CLUSTER_BYTES_MAX, NAME_BYTES_MAX};

/// Why a name was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadName {
    /// It is empty.
    Empty,
    /// It has more bytes than the bound given.
    TooLong(usize),
    /// It holds a character that is not allowed.
    Character(char),
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty"),
            Self::TooLong(max) => write!(f, "it is longer than {max} bytes"),
            Self::Character(c) => {
                write!(f, "it holds {c:?}; allowed are letters, digits and . _ - :")
            }
        }
    }
}

/// Checks a gid, branch name or resource name: 1 to 64 bytes of letters, digits and `. _ - :`.
///
/// # Errors
/// Says what is wrong with the name; nothing has happened.
pub fn check_name(name: &str) -> Result<(), BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(BadName::TooLong(NAME_BYTES_MAX));
    }
    match name.chars().find(|c| !(c.is_ascii_alphanumeric() || "._-:".contains(*c))) {
        Some(c) => Err(BadName::Character(c)),
        None => Ok(()),
    }
}

/// A caller who waits for an answer. Given out by the runtime, unique in one run of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One run of a transaction: never used again, not even after a crash.
///
/// A gid is the caller's word; this is ours. It names the branches in the databases. When a node
/// dies before it decided, the gid may be run again, under a new epoch and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId {
    /// Counts the starts of the node; durable before the first run of the epoch.
    pub epoch: u32,
    /// Counts the runs within the epoch.
    pub number: u64,
}

/// The name of a branch at its participant: cluster, run, and place in the transaction.
///
/// Its text, `hf1_<cluster>_<epoch>_<number>_<index>` with base-36 numbers, is the gid of
/// `PREPARE TRANSACTION` and the gtrid of XA: ASCII, 64 bytes at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BranchId {
    /// Which cluster of nodes owns it; others never touch it.
    pub cluster: Cluster,
    /// Which run of which transaction.
    pub run: RunId,
    /// Which branch of it, from 0.
    pub index: u8,
}

impl BranchId {
    /// What every text of a Handfast branch id starts with.
    pub const PREFIX: &str = "hf1_";

    /// Reads the text form; `None` for anything else, which then is not ours.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(Self::PREFIX)?.split('_');
        let cluster = Cluster::new(parts.next()?).ok()?;
        let epoch = u32::try_from(base36(parts.next()?)?).ok()?;
        let number = base36(parts.next()?)?;
        let index = u8::try_from(base36(parts.next()?)?).ok()?;
        let whole = parts.next().is_none() && usize::from(index) < BRANCHES_MAX;
        whole.then_some(Self { cluster, run: RunId { epoch, number }, index })
    }
}

impl fmt::Display for BranchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}_", Self::PREFIX, self.cluster)?;
        write_base36(f, self.run.epoch.into())?;
        f.write_str("_")?;
        write_base36(f, self.run.number)?;
        f.write_str("_")?;
        write_base36(f, self.index.into())
    }
}

impl Serialize for BranchId {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for BranchId {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a branch id", Self::parse))
    }
}

/// The name of a cluster: 1 to 16 of `a-z 0-9 -`. Made once, with the data directory.
///
/// It is part of every branch's name, so it is kept in place: its bytes, and behind them zeros,
/// which no name holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Cluster([u8; CLUSTER_BYTES_MAX]);

impl Cluster {
    /// Checks and wraps a name.
    ///
    /// # Errors
    /// Says what is wrong with the name; nothing has happened.
    pub fn new(name: &str) -> Result<Self, BadName> {
        if name.is_empty() {
            return Err(BadName::Empty);
        }
        if name.len() > CLUSTER_BYTES_MAX {
            return Err(BadName::TooLong(CLUSTER_BYTES_MAX));
        }
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        match name.chars().find(|c| !allowed(*c)) {
            Some(c) => Err(BadName::Character(c)),
            None => {
                let mut bytes = [0; CLUSTER_BYTES_MAX];
                bytes[..name.len()].copy_from_slice(name.as_bytes());
                Ok(Self(bytes))
            }
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(CLUSTER_BYTES_MAX);
        core::str::from_utf8(&self.0[..length]).expect("all of it is ASCII")
    }
}

impl Ord for Cluster {
    /// As their texts: compared as one number, of which the first byte counts most.
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for Cluster {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Cluster").field(&self.as_str()).finish()
    }
}

impl Serialize for Cluster {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Cluster {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_str(Text("a cluster's name", |text| Self::new(text).ok()))
    }
}

impl fmt::Display for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads what is not copied before: what it should be, and how it is read.
struct Text<T>(&'static str, fn(&str) -> Option<T>);

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.1)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// Only the one canonical spelling is ours: `01` and `1` must not name the same branch.
fn base36(text: &str) -> Option<u64> {
    let valid =
        !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_lowercase());
    let is_canonical = valid && (text == "0" || !text.starts_with('0'));
    if is_canonical { u64::from_str_radix(text, 36).ok() } else { None }
}

fn write_base36(f: &mut fmt::Formatter<'_>, mut number: u64) -> fmt::Result {
    // 13 digits hold every u64.
    let mut digits = [0u8; 13];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdefghijklmnopqrstuvwxyz"[(number % 36) as usize];
        number /= 36;
        if number == 0 {
            break;
        }
    }
    f.write_str(core::str::from_utf8(&digits[at..]).expect("base 36 is ASCII"))
}
