//! The database in which a branch of a mixed transaction prepares: a shard, or a PostgreSQL that
//! the service uses too.

use std::path::Path;

use handfast_client::{
    Shard, ShardValue, params,
    wire::{Branch, KeyOp},
};
use tokio_postgres::{Client, NoTls};

use super::super::{Result, process::Process, said};

pub enum Ledger {
    Shard(Box<Process>),
    Postgres(Postgres),
}

/// A schema for one case.
pub struct Postgres {
    pub url: String,
    /// Also the cluster's name.
    pub schema: String,
}

impl Ledger {
    pub fn shard(directory: &Path, coordinator: &str) -> Self {
        let process = Process::new(directory, "ledger", &["shard", "--coordinator", coordinator]);
        Self::Shard(process.into())
    }

    /// What the node is to know it by.
    pub fn url(&self) -> &str {
        match self {
            Self::Shard(process) => &process.url,
            Self::Postgres(postgres) => &postgres.url,
        }
    }

    pub async fn open(&mut self) -> Result<()> {
        match self {
            Self::Shard(process) => process.start(&[]).await,
            Self::Postgres(Postgres { schema, .. }) => {
                let tables =
                    format!("CREATE SCHEMA {schema}; CREATE TABLE {schema}.entry (gid text)");
                self.execute(&tables).await
            }
        }
    }

    pub async fn close(&self) -> Result<()> {
        match self {
            Self::Shard(_) => Ok(()),
            Self::Postgres(Postgres { schema, .. }) => {
                self.execute(&format!("DROP SCHEMA {schema} CASCADE")).await
            }
        }
    }

    /// Writes the transaction down. Two entries would show.
    pub fn entry(&self, gid: &str, branch: &str) -> Branch {
        match self {
            Self::Shard(_) => add(branch, gid, 1, None),
            Self::Postgres(Postgres { schema, .. }) => {
                let insert = format!("INSERT INTO {schema}.entry VALUES ($1)");
                Branch::sql(branch, "ledger", &insert, params![gid]).expect_rows(1)
            }
        }
    }

    /// Is refused.
    pub fn overdraft(&self, gid: &str, branch: &str) -> Branch {
        match self {
            Self::Shard(_) => add(branch, gid, -1, Some(0)),
            Self::Postgres(Postgres { schema, .. }) => {
                let delete = format!("DELETE FROM {schema}.entry WHERE gid = $1");
                Branch::sql(branch, "ledger", &delete, params![gid]).expect_rows(1)
            }
        }
    }

    /// How often the transaction is written down.
    pub async fn entries(&self, gid: &str) -> Result<usize> {
        match self {
            Self::Shard(process) => {
                let keys = shard(process)?.keys(gid).await.map_err(said)?;
                match keys.get(gid) {
                    None => Ok(0),
                    Some(ShardValue::Int(entries)) => usize::try_from(*entries).map_err(said),
                    Some(odd) => Err(format!("odd value: {odd:?}")),
                }
            }
            Self::Postgres(Postgres { schema, .. }) => {
                let select = format!("SELECT gid FROM {schema}.entry WHERE gid = $1");
                Ok(self.client().await?.query(&select, &[&gid]).await.map_err(said)?.len())
            }
        }
    }

    /// Branches of this case that are prepared here.
    pub async fn in_doubt(&self) -> Result<Vec<String>> {
        match self {
            Self::Shard(process) => shard(process)?.in_doubt().await.map_err(said),
            Self::Postgres(Postgres { schema, .. }) => {
                let select = "SELECT gid FROM pg_prepared_xacts WHERE strpos(gid, $1) > 0";
                let rows = self.client().await?.query(select, &[schema]).await.map_err(said)?;
                Ok(rows.iter().map(|row| row.get(0)).collect())
            }
        }
    }

    async fn execute(&self, sql: &str) -> Result<()> {
        self.client().await?.batch_execute(sql).await.map_err(said)
    }

    async fn client(&self) -> Result<Client> {
        let (client, connection) =
            tokio_postgres::connect(self.url(), NoTls).await.map_err(said)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

/// The branch that changes this key of a shard.
fn add(branch: &str, key: &str, by: i64, min: Option<i64>) -> Branch {
    let keys = Some(vec![KeyOp::Add { key: key.into(), by, min, max: None }]);
    Branch { name: branch.into(), resource: "ledger".into(), keys, ..Branch::default() }
}

fn shard(process: &Process) -> Result<Shard> {
    Shard::builder(&process.url).build_shard().map_err(said)
}
