//! Which call of which branch it is: what Handfast says in the headers of its requests.

use hyper::HeaderMap;

/// Most bytes of a gid or branch.
const NAME_BYTES_MAX: usize = 64;
/// The branch that stands for the local transaction of the one who sends a two-phase message.
pub const LOCAL: &str = "local";
/// Most bytes of an idempotency key.
const KEY_BYTES_MAX: usize = 255;

pub(crate) const TRANSACTION: &str = "handfast-transaction";
pub(crate) const BRANCH: &str = "handfast-branch";
pub(crate) const CALL: &str = "handfast-call";
pub(crate) const ATTEMPT: &str = "handfast-attempt";
const KEY: &str = "idempotency-key";

/// One call of a branch. With the feature `barrier-axum` it is an extractor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    gid: String,
    branch: String,
    kind: CallKind,
    attempt: u32,
    key: String,
}

/// What is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CallKind {
    /// A step.
    Do,
    /// A step's compensation.
    Undo,
    /// A reservation.
    Try,
    /// What makes the reservation final.
    Confirm,
    /// What gives the reservation back.
    Cancel,
    /// Whether the local transaction of a two-phase message committed.
    Ask,
}

/// Why the headers, or the names, are no call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BadCall {
    /// It is not there.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// It is there more than once.
    #[error("the header `{0}` is there more than once")]
    Repeated(&'static str),
    /// It is not what it must be.
    #[error("`{name}` must be {must}")]
    Invalid {
        /// Which header.
        name: &'static str,
        /// What it must be.
        must: &'static str,
    },
}

impl Call {
    /// A call that did not come by HTTP: attempt 1, and a key made of the three. To ask concerns
    /// the branch [`LOCAL`] whatever is given.
    ///
    /// # Errors
    /// `gid` and `branch` must be 1 to 64 of letters, digits and `. _ - :`.
    pub fn new(gid: &str, branch: &str, kind: CallKind) -> Result<Self, BadCall> {
        let branch = kind.concerns(branch);
        let key = format!("{gid}/{branch}/{}", kind.name());
        let (gid, branch) = (name(TRANSACTION, gid)?, name(BRANCH, branch)?);
        Ok(Self { gid, branch, kind, attempt: 1, key })
    }

    /// The call that a request of Handfast's is.
    ///
    /// # Errors
    /// A header is missing, repeated or wrong: the request is not Handfast's.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self, BadCall> {
        let gid = name(TRANSACTION, one(headers, TRANSACTION)?)?;
        let kind = CallKind::named(one(headers, CALL)?);
        let kind = kind.ok_or(BadCall::Invalid { name: CALL, must: CallKind::MUST })?;
        let branch = name(BRANCH, kind.concerns(one(headers, BRANCH)?))?;
        let attempt = one(headers, ATTEMPT)?.parse().ok().filter(|attempt| *attempt > 0);
        let must = "a number from 1 to 4294967295";
        let attempt = attempt.ok_or(BadCall::Invalid { name: ATTEMPT, must })?;
        let key = key(one(headers, KEY)?)?;
        Ok(Self { gid, branch, kind, attempt, key })
    }

    /// The transaction.
    pub fn gid(&self) -> &str {
        &self.gid
    }

    /// The branch.
    pub fn branch(&self) -> &str {
        &self.branch
    }

    /// What is called.
    pub fn kind(&self) -> CallKind {
        self.kind
    }

    /// How many times it was sent, from 1. Only to be shown: attempts may overtake each other.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The same for all attempts: to be passed on to services that want such a key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl CallKind {
    const ALL: [Self; 6] =
        [Self::Do, Self::Undo, Self::Try, Self::Confirm, Self::Cancel, Self::Ask];
    const MUST: &str = "do, undo, try, confirm, cancel or ask";

    /// As it is written in the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Do => "do",
            Self::Undo => "undo",
            Self::Try => "try",
            Self::Confirm => "confirm",
            Self::Cancel => "cancel",
            Self::Ask => "ask",
        }
    }

    /// The branch whose row it is about: who asks does not know the one that is asked for.
    fn concerns(self, branch: &str) -> &str {
        if self == Self::Ask { LOCAL } else { branch }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

pub(crate) fn one<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h str, BadCall> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(BadCall::Missing(name))?;
    if values.next().is_some() {
        return Err(BadCall::Repeated(name));
    }
    value.to_str().map_err(|_| BadCall::Invalid { name, must: "visible ASCII" })
}

fn name(header: &'static str, text: &str) -> Result<String, BadCall> {
    let must = "1 to 64 of letters, digits and . _ - :";
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
    match (1..=NAME_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed) {
        true => Ok(text.into()),
        false => Err(BadCall::Invalid { name: header, must }),
    }
}

/// The draft of the header wants its value in quotes; most clients send it without.
fn key(text: &str) -> Result<String, BadCall> {
    let bare = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let allowed = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
    match (1..=KEY_BYTES_MAX).contains(&bare.len()) && bare.bytes().all(allowed) {
        true => Ok(bare.into()),
        false => Err(BadCall::Invalid { name: KEY, must: "1 to 255 of visible ASCII" }),
    }
}
