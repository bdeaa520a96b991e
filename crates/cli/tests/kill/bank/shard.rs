//! A bank in a shard: keys `account:<number>` and `entry:<gid>`.

use handfast_client::{Shard, ShardValue, Transaction, wire::KeyOp};
use rustix::process::Pid;

use super::{ACCOUNTS, BALANCE, Books};
use crate::kill::{Result, process::Process, said};

pub struct ShardBank {
    pub process: Process,
    /// With which it is started first.
    pub variables: Vec<(&'static str, String)>,
}

impl ShardBank {
    pub fn url(&self) -> &str {
        &self.process.url
    }

    pub async fn open(&mut self, _cluster: &str) -> Result<()> {
        self.process.start(&self.variables).await?;
        let accounts = (0..ACCOUNTS).map(|n| (format!("account:{n}"), ShardValue::Int(BALANCE)));
        self.shard()?.load(&accounts.collect()).await.map_err(said)
    }

    pub fn branch(&self, to: Transaction, resource: &str, account: i64, by: i64) -> Transaction {
        // The entry is added to, not put: a branch applied twice would show.
        let entry = format!("entry:{}", to.gid());
        let operations = vec![
            KeyOp::Add { key: format!("account:{account}"), by, min: Some(0), max: None },
            KeyOp::Add { key: entry, by, min: None, max: None },
        ];
        to.keys(resource, resource, operations)
    }

    pub async fn books(&self) -> Result<Books> {
        let mut books = Books::default();
        for (key, value) in self.shard()?.keys("").await.map_err(said)? {
            let ShardValue::Int(value) = value else { return Err(format!("odd key {key}")) };
            match key.strip_prefix("entry:") {
                Some(gid) => drop(books.entries.insert(gid.into(), value)),
                None => books.total += value,
            }
        }
        Ok(books)
    }

    pub async fn in_doubt(&self) -> Result<Vec<String>> {
        self.shard()?.in_doubt().await.map_err(said)
    }

    pub async fn pid(&mut self) -> Result<Pid> {
        Ok(self.process.pid())
    }

    pub async fn die_and_return(&mut self) -> Result<()> {
        self.process.died().await?;
        self.process.start(&[]).await
    }

    fn shard(&self) -> Result<Shard> {
        Shard::builder(&self.process.url).build_shard().map_err(said)
    }
}
