//! A bank in PostgreSQL, with tables of its own for each case.
//!
//! Killing one session with SIGKILL is a crash of the whole server: it throws all sessions out and
//! recovers from its log.

use std::time::Instant;

use handfast_client::{Transaction, params};
use rustix::process::Pid;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, NoTls};
use xtask::servers::Server;

use super::{ACCOUNTS, BALANCE, Books};
use crate::kill::{BETWEEN_LOOKS, REACHED_WITHIN, Result};

type Session = (Client, JoinHandle<()>);

pub struct Postgres {
    pub server: Server,
    cluster: String,
    /// The session that is killed, and whose end is seen.
    idle: Option<Box<Session>>,
    /// Another one. The server throws it out when it has noticed the death: only then it recovers.
    witness: Option<Box<Session>>,
}

impl Postgres {
    pub fn new(server: Server) -> Self {
        Self { server, cluster: String::new(), idle: None, witness: None }
    }

    pub fn url(&self) -> &str {
        &self.server.url
    }

    pub async fn open(&mut self, cluster: &str) -> Result<()> {
        self.cluster = cluster.into();
        // A case before may have failed and left it crashing.
        self.answers().await?;
        let (client, connection) = self.connect().await?;
        let sql = format!(
            "CREATE TABLE {cluster}_account
                 (id int PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
             CREATE TABLE {cluster}_entry (gid text PRIMARY KEY, amount bigint NOT NULL);
             INSERT INTO {cluster}_account SELECT n, {BALANCE}
                 FROM generate_series(0, {ACCOUNTS} - 1) AS n;"
        );
        client.batch_execute(&sql).await.map_err(said)?;
        self.idle = Some(Box::new((client, connection)));
        self.witness = Some(Box::new(self.connect().await?));
        Ok(())
    }

    pub fn branch(&self, to: Transaction, resource: &str, account: i64, by: i64) -> Transaction {
        let cluster = &self.cluster;
        let gid = to.gid().to_owned();
        let update = format!("UPDATE {cluster}_account SET balance = balance + $1 WHERE id = $2");
        let insert = format!("INSERT INTO {cluster}_entry (gid, amount) VALUES ($1, $2)");
        to.sql(resource, resource, &update, params![by, account])
            .expect_rows(1)
            .sql(resource, resource, &insert, params![gid, by])
            .expect_rows(1)
    }

    pub async fn books(&self) -> Result<Books> {
        let (client, _connection) = self.connect().await?;
        let total = format!("SELECT sum(balance)::bigint FROM {}_account", self.cluster);
        let total = client.query_one(&total, &[]).await.map_err(said)?.get(0);
        let entries = format!("SELECT gid, amount FROM {}_entry", self.cluster);
        let entries = client.query(&entries, &[]).await.map_err(said)?;
        Ok(Books { total, entries: entries.iter().map(|row| (row.get(0), row.get(1))).collect() })
    }

    pub async fn in_doubt(&self) -> Result<Vec<String>> {
        let (client, _connection) = self.connect().await?;
        let sql = "SELECT gid FROM pg_prepared_xacts WHERE strpos(gid, $1) > 0";
        let rows = client.query(sql, &[&self.cluster]).await.map_err(said)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    pub async fn pid(&mut self) -> Result<Pid> {
        let (client, _) = &**self.idle.as_ref().expect("opened");
        let row = client.query_one("SELECT pg_backend_pid()", &[]).await.map_err(said)?;
        Ok(Pid::from_raw(row.get(0)).expect("not zero"))
    }

    pub async fn die_and_return(&mut self) -> Result<()> {
        for session in [&mut self.idle, &mut self.witness] {
            let (_client, connection) = *session.take().expect("opened");
            let ended = tokio::time::timeout(REACHED_WITHIN, connection).await;
            ended.map_err(|_| "the session was not killed")?.map_err(|e| e.to_string())?;
        }
        self.answers().await
    }

    /// Waits until it answers.
    async fn answers(&self) -> Result<()> {
        let until = Instant::now() + REACHED_WITHIN;
        while let Err(why) = self.in_doubt().await {
            if Instant::now() > until {
                return Err(format!("PostgreSQL does not come back: {why}"));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Session> {
        let connected = tokio_postgres::connect(&self.server.url, NoTls).await;
        let (client, connection) = connected.map_err(said)?;
        // Its error is the caller's, or the death that is waited for.
        Ok((client, tokio::spawn(async move { drop(connection.await) })))
    }
}

fn said(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().into())
}
