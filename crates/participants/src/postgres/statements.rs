//! The prepared statements of one connection: a bounded cache, least recently used out first.

use std::collections::HashMap;

use tokio_postgres::Statement;

/// Most statements that one connection keeps prepared.
const STATEMENTS_MAX: usize = 128;
const _: () = assert!(STATEMENTS_MAX >= super::work::TOGETHER_MAX);

/// Prepared statements by their text.
#[derive(Default)]
pub(super) struct Statements {
    known: HashMap<String, (Statement, u64)>,
    /// Counts uses.
    clock: u64,
}

impl Statements {
    /// Finds a statement and marks it as used.
    pub(super) fn touch(&mut self, text: &str) -> Option<Statement> {
        self.clock += 1;
        let (statement, used) = self.known.get_mut(text)?;
        *used = self.clock;
        Some(statement.clone())
    }

    /// Keeps a statement; dropping the one that gives way closes it on the server.
    pub(super) fn put(&mut self, text: &str, statement: Statement) {
        if self.known.len() >= STATEMENTS_MAX {
            let oldest = self.known.iter().min_by_key(|(_, (_, used))| *used);
            let oldest = oldest.map(|(text, _)| text.clone()).expect("the cache is full");
            self.known.remove(&oldest);
        }
        self.clock += 1;
        self.known.insert(text.into(), (statement, self.clock));
    }
}
