//! A bank in MariaDB, with tables of its own for each case. The server itself is killed.

use std::{os::unix::process::ExitStatusExt as _, time::Instant};

use handfast_client::{Transaction, params};
use mysql_async::{Conn, Opts, Row, prelude::Queryable as _};
use rustix::process::{Pid, Signal};
use xtask::servers::Server;

use super::{ACCOUNTS, BALANCE, Books};
use crate::kill::{BETWEEN_LOOKS, REACHED_WITHIN, Result, said};

pub struct Mysql {
    pub server: Server,
    cluster: String,
}

impl Mysql {
    pub fn new(server: Server) -> Self {
        Self { server, cluster: String::new() }
    }

    pub fn url(&self) -> &str {
        &self.server.url
    }

    pub async fn open(&mut self, cluster: &str) -> Result<()> {
        self.cluster = cluster.into();
        // A case before may have failed and left it dead.
        if self.server.ended().map_err(said)?.is_some() {
            self.server.restart().map_err(said)?;
        }
        let rows: Vec<_> = (0..ACCOUNTS).map(|n| format!("({n}, {BALANCE})")).collect();
        let mut conn = self.connect().await?;
        for sql in [
            format!(
                "CREATE TABLE {cluster}_account
                 (id INT PRIMARY KEY, balance BIGINT NOT NULL CHECK (balance >= 0))"
            ),
            format!(
                "CREATE TABLE {cluster}_entry (gid VARCHAR(64) PRIMARY KEY, amount BIGINT NOT NULL)"
            ),
            format!("INSERT INTO {cluster}_account VALUES {}", rows.join(", ")),
        ] {
            conn.query_drop(sql).await.map_err(said)?;
        }
        Ok(())
    }

    pub fn branch(&self, to: Transaction, resource: &str, account: i64, by: i64) -> Transaction {
        let cluster = &self.cluster;
        let gid = to.gid().to_owned();
        let update = format!("UPDATE {cluster}_account SET balance = balance + ? WHERE id = ?");
        let insert = format!("INSERT INTO {cluster}_entry (gid, amount) VALUES (?, ?)");
        to.sql(resource, resource, &update, params![by, account])
            .expect_rows(1)
            .sql(resource, resource, &insert, params![gid, by])
            .expect_rows(1)
    }

    pub async fn books(&self) -> Result<Books> {
        let cluster = &self.cluster;
        let mut conn = self.connect().await?;
        let total = format!("SELECT CAST(SUM(balance) AS SIGNED) FROM {cluster}_account");
        let total: Option<i64> = conn.query_first(total).await.map_err(said)?;
        let entries = format!("SELECT gid, amount FROM {cluster}_entry");
        let entries: Vec<(String, i64)> = conn.query(entries).await.map_err(said)?;
        Ok(Books { total: total.unwrap_or_default(), entries: entries.into_iter().collect() })
    }

    pub async fn in_doubt(&self) -> Result<Vec<String>> {
        let mut conn = self.connect().await?;
        let rows: Vec<Row> = conn.query("XA RECOVER").await.map_err(said)?;
        let ids = rows.into_iter().map(|row| {
            let id: Vec<u8> = row.get(3).expect("the fourth column is the id");
            String::from_utf8_lossy(&id).into_owned()
        });
        Ok(ids.filter(|id| id.contains(&self.cluster)).collect())
    }

    pub async fn pid(&mut self) -> Result<Pid> {
        Ok(self.server.pid())
    }

    /// Called on the thread that started the server, as its restart demands.
    pub async fn die_and_return(&mut self) -> Result<()> {
        let until = Instant::now() + REACHED_WITHIN;
        let status = loop {
            match self.server.ended().map_err(said)? {
                Some(status) => break status,
                None if Instant::now() > until => return Err("MariaDB was not killed".into()),
                None => tokio::time::sleep(BETWEEN_LOOKS).await,
            }
        };
        if status.signal() != Some(Signal::KILL.as_raw()) {
            return Err(format!("MariaDB ended by itself: {status}"));
        }
        self.server.restart().map_err(said)
    }

    async fn connect(&self) -> Result<Conn> {
        let opts = Opts::from_url(&self.server.url).map_err(said)?;
        Conn::new(opts).await.map_err(said)
    }
}
