//! The table.

/// A database's way of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
    /// SQLite.
    Sqlite,
}

/// The statements that make the barrier's table. Run them once, with rights to make tables; they
/// do nothing if it is there.
pub fn schema(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Postgres => include_str!("schema/postgres.sql"),
        Dialect::Mysql => include_str!("schema/mysql.sql"),
        Dialect::Sqlite => include_str!("schema/sqlite.sql"),
    }
}
