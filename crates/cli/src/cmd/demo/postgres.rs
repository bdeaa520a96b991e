//! A bank in PostgreSQL: two tables in a schema of their own.

use std::collections::BTreeSet;

use handfast_client::{Transaction, params};
use tokio_postgres::{Client, NoTls};

use super::{
    bank::Books,
    plan::{ACCOUNTS, BALANCE},
    world::Own,
};

pub struct Postgres {
    pub name: String,
    /// May hold a password: never shown.
    pub url: String,
    pub own: Own,
}

impl Postgres {
    pub async fn open(&self) -> Result<(), String> {
        let schema = &self.own.name;
        let sql = format!(
            "CREATE SCHEMA {schema};
             CREATE TABLE {schema}.account (id int PRIMARY KEY, balance bigint NOT NULL
                 CONSTRAINT overdrawn CHECK (balance >= 0));
             CREATE TABLE {schema}.transfer (gid text PRIMARY KEY, amount bigint NOT NULL);
             INSERT INTO {schema}.account SELECT n, {BALANCE}
                 FROM generate_series(0, {}) AS n;",
            ACCOUNTS - 1
        );
        self.connect().await?.batch_execute(&sql).await.map_err(said)
    }

    pub fn branch(&self, to: Transaction, name: &str, account: u32, by: i64) -> Transaction {
        let schema = &self.own.name;
        let gid = to.gid().to_owned();
        let update = format!("UPDATE {schema}.account SET balance = balance + $1 WHERE id = $2");
        let insert = format!("INSERT INTO {schema}.transfer (gid, amount) VALUES ($1, $2)");
        to.sql(name, &self.name, &update, params![by, account])
            .expect_rows(1)
            .sql(name, &self.name, &insert, params![gid, by])
            .expect_rows(1)
    }

    pub async fn books(&self) -> Result<Books, String> {
        let schema = &self.own.name;
        let client = self.connect().await?;
        let accounts = format!("SELECT id, balance FROM {schema}.account");
        let entries = format!("SELECT gid, amount FROM {schema}.transfer");
        let accounts = client.query(&accounts, &[]).await.map_err(said)?;
        let entries = client.query(&entries, &[]).await.map_err(said)?;
        let balance = |row: &tokio_postgres::Row| (row.get::<_, i32>(0) as u32, row.get(1));
        Ok(Books {
            balances: accounts.iter().map(balance).collect(),
            entries: entries.iter().map(|row| (row.get(0), row.get(1))).collect(),
        })
    }

    pub async fn in_doubt(&self) -> Result<BTreeSet<String>, String> {
        self.prepared(&self.connect().await?).await
    }

    pub async fn kill_sessions(&self) -> Result<usize, String> {
        // Only sessions whose last statement names our schema or a branch of ours: others may
        // use the same role.
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE pid <> pg_backend_pid() AND usename = current_user
                     AND (strpos(query, $1) > 0 OR strpos(query, $2) > 0)";
        let client = self.connect().await?;
        let ours: [&(dyn tokio_postgres::types::ToSql + Sync); 2] =
            [&self.own.name, &self.own.branches];
        Ok(client.query(sql, &ours).await.map_err(said)?.len())
    }

    pub async fn remove(&self) -> Result<(), String> {
        let client = self.connect().await?;
        // Something is left only if the demo was interrupted or has failed; it would block DROP.
        for gid in self.prepared(&client).await? {
            client.batch_execute(&format!("ROLLBACK PREPARED '{gid}'")).await.map_err(said)?;
        }
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", self.own.name);
        client.batch_execute(&format!("SET lock_timeout = '5s'; {drop}")).await.map_err(said)
    }

    async fn prepared(&self, client: &Client) -> Result<BTreeSet<String>, String> {
        let sql = "SELECT gid FROM pg_prepared_xacts
                   WHERE database = current_database() AND starts_with(gid, $1)";
        let rows = client.query(sql, &[&self.own.branches]).await.map_err(said)?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    async fn connect(&self) -> Result<Client, String> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.map_err(said)?;
        tokio::spawn(connection);
        Ok(client)
    }
}

fn said(error: tokio_postgres::Error) -> String {
    error.as_db_error().map_or_else(|| error.to_string(), |db| db.message().into())
}
