//! A service's database, read by somebody who checks it.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};

/// The books of one service.
pub struct Book(Connection);

impl Book {
    /// Opens those of the service of that name.
    ///
    /// # Errors
    /// In words.
    pub fn open(directory: &Path, name: &str) -> Result<Self, String> {
        let file = directory.join(name).with_extension("db");
        let opened = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
        opened.map(Self).map_err(|e| format!("failed to open the books of {name}: {e}"))
    }

    /// All rows of a query, as tuples.
    ///
    /// # Errors
    /// In words.
    pub fn rows<T>(&self, query: &str) -> Result<Vec<T>, String>
    where
        T: for<'r> TryFrom<&'r Row<'r>, Error = rusqlite::Error>,
    {
        let read = || {
            let mut statement = self.0.prepare(query)?;
            let rows = statement.query_map([], |row| T::try_from(row))?;
            rows.collect::<Result<_, rusqlite::Error>>()
        };
        read().map_err(|e| format!("failed to read the books ({query}): {e}"))
    }
}
