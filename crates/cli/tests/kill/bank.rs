//! Where money is kept: a shard, a schema of PostgreSQL, a table of MariaDB.

mod mysql;
mod postgres;
mod shard;

use std::collections::BTreeMap;

use handfast_client::Transaction;
use rustix::process::Pid;

pub use self::{mysql::Mysql, postgres::Postgres, shard::ShardBank};
use super::Result;

/// Accounts of each bank, numbered from 0.
pub const ACCOUNTS: i64 = 16;
/// What each holds at first.
pub const BALANCE: i64 = 1_000;

/// What a bank has written down.
#[derive(Debug, Default)]
pub struct Books {
    /// All its money.
    pub total: i64,
    /// What each transaction moved here.
    pub entries: BTreeMap<String, i64>,
}

pub enum Bank {
    Shard(ShardBank),
    Postgres(Postgres),
    Mysql(Mysql),
}

/// The same words for each kind.
macro_rules! each {
    ($bank:expr, $inner:ident => $call:expr) => {
        match $bank {
            Bank::Shard($inner) => $call,
            Bank::Postgres($inner) => $call,
            Bank::Mysql($inner) => $call,
        }
    };
}

impl Bank {
    /// What the node is to know it by.
    pub fn url(&self) -> &str {
        each!(self, bank => bank.url())
    }

    /// Opens accounts for a case.
    pub async fn open(&mut self, cluster: &str) -> Result<()> {
        each!(self, bank => bank.open(cluster).await)
    }

    /// Adds the branch that changes an account here.
    pub fn branch(&self, to: Transaction, resource: &str, account: i64, by: i64) -> Transaction {
        each!(self, bank => bank.branch(to, resource, account, by))
    }

    pub async fn books(&self) -> Result<Books> {
        each!(self, bank => bank.books().await)
    }

    /// Branches of this case that are prepared here.
    pub async fn in_doubt(&self) -> Result<Vec<String>> {
        each!(self, bank => bank.in_doubt().await)
    }

    /// Whose death is the bank's.
    pub async fn pid(&mut self) -> Result<Pid> {
        each!(self, bank => bank.pid().await)
    }

    /// Waits for its death by SIGKILL, then brings it back.
    pub async fn die_and_return(&mut self) -> Result<()> {
        each!(self, bank => bank.die_and_return().await)
    }
}
