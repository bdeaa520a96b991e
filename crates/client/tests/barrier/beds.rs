//! A database with the barrier's table and one account, for each driver.

mod mysql;
mod postgres;
mod sqlite;

use std::{
    any::Any,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

pub use self::{
    mysql::sqlx_mysql,
    postgres::{sqlx_postgres, tokio_postgres},
    sqlite::{rusqlite, sqlx_sqlite},
};
use super::session::Session;

/// What every bed starts with.
const ACCOUNT: &str = "CREATE TABLE account (v bigint NOT NULL); INSERT INTO account VALUES (0)";
/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Bed {
    open: Box<dyn Fn() -> Session>,
    /// Asks a session which one it is.
    whoami: Option<&'static str>,
    /// Asks whether session `$1` waits for a lock.
    blocked: &'static str,
    /// Kills session `$1`.
    kill: &'static str,
    name: String,
    /// Whether a second transaction can begin to read before the first one has ended, and write.
    pub snapshots: bool,
    /// Whether several that wait for one that rolls back may lock each other out.
    pub deadlocks: bool,
    _keep: Box<dyn Any>,
}

impl Bed {
    /// A transaction on a connection of its own.
    pub fn open(&self) -> Session {
        (self.open)()
    }

    /// The schema's name, or the database's.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs one statement in a transaction of its own.
    pub fn sql(&self, text: &str) -> Option<i64> {
        let session = self.open();
        let answer = session.sql(text);
        session.commit().unwrap();
        answer
    }

    pub fn balance(&self) -> i64 {
        self.sql("SELECT v FROM account").unwrap()
    }

    /// The database's name for the session, if it has one.
    pub fn id(&self, session: &Session) -> Option<i64> {
        self.whoami.and_then(|whoami| session.sql(whoami))
    }

    /// Comes back when the session waits for a lock.
    pub fn wait_until_blocked(&self, session: &Session, id: Option<i64>) {
        let started = Instant::now();
        let blocked = || match id {
            Some(id) => self.sql(&self.blocked.replace("$1", &id.to_string())) == Some(1),
            None => session.says_it_waits(),
        };
        while !blocked() {
            assert!(started.elapsed() < PATIENCE, "it does not wait for the other transaction");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Ends a session from outside, as a crash of the service would.
    pub fn kill(&self, session: Session, id: Option<i64>) {
        if let Some(id) = id {
            self.sql(&self.kill.replace("$1", &id.to_string()));
        }
        session.roll_back();
    }
}

/// The variable's value; without it the case does not run, which is no success where it must.
fn server(variable: &str, driver: &str, case: &str) -> Option<String> {
    let Ok(urls) = std::env::var(variable) else {
        let required = ["CI", "HANDFAST_TEST_REQUIRED"].iter().any(|v| std::env::var(v).is_ok());
        assert!(!required, "{variable} is not set; use `cargo xtask test`");
        eprintln!("NOT RUN: {driver} {case}: {variable} is not set");
        return None;
    };
    Some(urls.split(',').next().expect("the first of at least one").into())
}

/// A name that no other bed has.
fn fresh() -> String {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    format!("hf_barrier_{}_{}", std::process::id(), NUMBER.fetch_add(1, Relaxed))
}
