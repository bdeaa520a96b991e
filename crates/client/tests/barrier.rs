//! The barrier on real databases: the same cases for every driver.
//!
//! `HANDFAST_TEST_POSTGRES` and `HANDFAST_TEST_MYSQL` say where servers are; `cargo xtask test`
//! starts them. SQLite needs none.

mod beds;
mod cases;
mod messages;
mod races;
mod requests;
mod session;

/// One test for each case, on the bed that `$bed` makes, if it can.
macro_rules! suite {
    ($($driver:ident on $bed:path),* $(,)?) => {
        $(mod $driver {
            use super::*;
            suite!(cases of $bed: every_order, failed_work, refused_work, long_answers,
                   old_snapshots, lost_claims, pruning, names);
            suite!(messages of $bed: mark_and_ask, ask_while_marked, mark_while_asked,
                   many_of_both);
            suite!(races of $bed: every_pair, many_duplicates, opposite_orders, crashes);
        })*
    };
    ($cases:ident of $bed:path: $($case:ident),*) => {
        $(#[test]
        fn $case() {
            if let Some(bed) = $bed(stringify!($case)) {
                $cases::$case(&bed);
            }
        })*
    };
}

suite! {
    rusqlite on beds::rusqlite,
    sqlx_mysql on beds::sqlx_mysql,
    sqlx_postgres on beds::sqlx_postgres,
    sqlx_sqlite on beds::sqlx_sqlite,
    tokio_postgres on beds::tokio_postgres,
}
