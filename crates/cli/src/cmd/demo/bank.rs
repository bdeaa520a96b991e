//! A bank: accounts, and a ledger entry for every transfer, written in the same branch.

use std::collections::{BTreeMap, BTreeSet};

use handfast_client::{Shard, ShardValue, Transaction, wire::KeyOp};

use super::{
    mysql::Mysql,
    plan::{ACCOUNTS, BALANCE},
    postgres::Postgres,
    world::Own,
};

/// One of the two banks.
pub enum Bank {
    Shard(ShardBank),
    Postgres(Postgres),
    Mysql(Mysql),
}

/// What stands in a bank.
#[derive(Default)]
pub struct Books {
    pub balances: BTreeMap<u32, i64>,
    /// By gid, what the transfer added here.
    pub entries: BTreeMap<String, i64>,
}

/// Whether a bank can be opened there.
pub fn is_database(url: &str) -> bool {
    is_postgres(url) || matches!(url.split("://").next(), Some("mysql" | "mariadb"))
}

fn is_postgres(url: &str) -> bool {
    matches!(url.split("://").next(), Some("postgres" | "postgresql"))
}

impl Bank {
    /// A bank in a database, at an address that [`is_database`].
    pub fn database(name: String, url: String, own: Own) -> Self {
        match is_postgres(&url) {
            true => Self::Postgres(Postgres { name, url, own }),
            false => Self::Mysql(Mysql { name, url, own }),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Self::Shard(bank) => &bank.name,
            Self::Postgres(bank) => &bank.name,
            Self::Mysql(bank) => &bank.name,
        }
    }

    /// Where it is. May hold a password: never shown.
    pub fn url(&self) -> &str {
        match self {
            Self::Shard(bank) => &bank.url,
            Self::Postgres(bank) => &bank.url,
            Self::Mysql(bank) => &bank.url,
        }
    }

    /// What the demo made in a database.
    pub fn own(&self) -> Option<&Own> {
        match self {
            Self::Shard(_) => None,
            Self::Postgres(bank) => Some(&bank.own),
            Self::Mysql(bank) => Some(&bank.own),
        }
    }

    /// Makes the accounts.
    pub async fn open(&self) -> Result<(), String> {
        match self {
            Self::Shard(bank) => bank.open().await,
            Self::Postgres(bank) => bank.open().await,
            Self::Mysql(bank) => bank.open().await,
        }
        .map_err(|e| format!("failed to open accounts in {}: {e}", self.name()))
    }

    /// Adds the branch that changes an account here.
    pub fn branch(&self, to: Transaction, name: &str, account: u32, by: i64) -> Transaction {
        match self {
            Self::Shard(bank) => bank.branch(to, name, account, by),
            Self::Postgres(bank) => bank.branch(to, name, account, by),
            Self::Mysql(bank) => bank.branch(to, name, account, by),
        }
    }

    pub async fn books(&self) -> Result<Books, String> {
        match self {
            Self::Shard(bank) => bank.books().await,
            Self::Postgres(bank) => bank.books().await,
            Self::Mysql(bank) => bank.books().await,
        }
        .map_err(|e| format!("failed to read the books of {}: {e}", self.name()))
    }

    /// The branches of this demo that wait here for their decision.
    pub async fn in_doubt(&self) -> Result<BTreeSet<String>, String> {
        match self {
            Self::Shard(bank) => bank.in_doubt().await,
            Self::Postgres(bank) => bank.in_doubt().await,
            Self::Mysql(bank) => bank.in_doubt().await,
        }
    }

    /// Kills the sessions that work for this demo in a database; how many.
    pub async fn kill_sessions(&self) -> Result<usize, String> {
        match self {
            Self::Shard(_) => Ok(0),
            Self::Postgres(bank) => bank.kill_sessions().await,
            Self::Mysql(bank) => bank.kill_sessions().await,
        }
        .map_err(|e| format!("failed to kill sessions of {}: {e}", self.name()))
    }

    /// Takes away everything that [`open`](Self::open) made.
    pub async fn remove(&self) -> Result<(), String> {
        match self {
            Self::Shard(_) => Ok(()),
            Self::Postgres(bank) => bank.remove().await,
            Self::Mysql(bank) => bank.remove().await,
        }
        .map_err(|e| format!("failed to clean up in {}: {e}", self.name()))
    }
}

/// A bank in a shard: keys `account:<number>` and `transfer:<gid>`.
pub struct ShardBank {
    pub name: String,
    pub url: String,
    pub shard: Shard,
}

impl ShardBank {
    async fn open(&self) -> Result<(), String> {
        let account = |number| (format!("account:{number}"), ShardValue::Int(BALANCE));
        self.shard.load(&(0..ACCOUNTS).map(account).collect()).await.map_err(|e| e.to_string())
    }

    fn branch(&self, to: Transaction, name: &str, account: u32, by: i64) -> Transaction {
        // The entry is added to, not put, so that a branch applied twice would show.
        let entry = format!("transfer:{}", to.gid());
        let operations = vec![
            KeyOp::Add { key: format!("account:{account}"), by, min: Some(0), max: None },
            KeyOp::Add { key: entry, by, min: None, max: None },
        ];
        to.keys(name, &self.name, operations)
    }

    async fn books(&self) -> Result<Books, String> {
        let mut books = Books::default();
        let odd = |key: &str| format!("odd key {key}");
        for (key, value) in self.shard.keys("").await.map_err(|e| e.to_string())? {
            let ShardValue::Int(value) = value else { return Err(odd(&key)) };
            if let Some(gid) = key.strip_prefix("transfer:") {
                books.entries.insert(gid.into(), value);
            } else {
                let number = key.strip_prefix("account:").and_then(|n| n.parse().ok());
                books.balances.insert(number.ok_or_else(|| odd(&key))?, value);
            }
        }
        Ok(books)
    }

    async fn in_doubt(&self) -> Result<BTreeSet<String>, String> {
        let branches = self.shard.in_doubt().await.map_err(|e| e.to_string())?;
        Ok(branches.into_iter().collect())
    }
}
