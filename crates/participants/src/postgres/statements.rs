//! The prepared statements of one connection: a bounded cache, least recently used out first.

use std::collections::HashMap;

use tokio_postgres::Statement;

/// Most statements that one connection keeps prepared.
const STATEMENTS_MAX: usize = 128;
const _: () = assert!(STATEMENTS_MAX >= super::work::TOGETHER_MAX);

/// Prepared statements by their text.
#[derive(Default)]
pub(super) struct Statements {
    known: HashMap<String, Known>,
    /// Counts uses.
    clock: u64,
}

struct Known {
    statement: Statement,
    used: u64,
    /// Whether its last run gave what was not expected of it.
    missed: bool,
}

impl Statements {
    /// Finds a statement and marks it as used.
    pub(super) fn touch(&mut self, text: &str) -> Option<Statement> {
        self.clock += 1;
        let known = self.known.get_mut(text)?;
        known.used = self.clock;
        Some(known.statement.clone())
    }

    /// Whether the statement gave what was expected when it last ran, or never ran.
    pub(super) fn is_trusted(&self, text: &str) -> bool {
        self.known.get(text).is_none_or(|known| !known.missed)
    }

    /// Remembers whether the statement gave what was not expected.
    pub(super) fn note(&mut self, text: &str, missed: bool) {
        if let Some(known) = self.known.get_mut(text) {
            known.missed = missed;
        }
    }

    /// Keeps a statement; dropping the one that gives way closes it on the server.
    pub(super) fn put(&mut self, text: &str, statement: Statement) {
        if self.known.len() >= STATEMENTS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.used);
            let oldest = oldest.map(|(text, _)| text.clone()).expect("the cache is full");
            self.known.remove(&oldest);
        }
        self.clock += 1;
        let known = Known { statement, used: self.clock, missed: false };
        self.known.insert(text.into(), known);
    }
}
