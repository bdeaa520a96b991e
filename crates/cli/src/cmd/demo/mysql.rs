//! A bank in MariaDB or MySQL: two tables with names of their own.

use std::{collections::BTreeSet, time::Duration};

use handfast_client::{Transaction, params};
use mysql_async::{Conn, Opts, Row, prelude::Queryable as _};

use super::{
    bank::Books,
    plan::{ACCOUNTS, BALANCE},
    world::Own,
};

const LOOKS: usize = 100;
const BETWEEN_LOOKS: Duration = Duration::from_millis(5);

pub struct Mysql {
    pub name: String,
    /// May hold a password: never shown.
    pub url: String,
    pub own: Own,
}

impl Mysql {
    /// The table where the node leaves its marks.
    pub fn marker_table(&self) -> String {
        format!("{}_marker", self.own.name)
    }

    pub async fn open(&self) -> Result<(), String> {
        let own = &self.own.name;
        let rows: Vec<_> = (0..ACCOUNTS).map(|number| format!("({number}, {BALANCE})")).collect();
        let mut conn = self.connect().await?;
        for sql in [
            format!(
                "CREATE TABLE {own}_account (id INT PRIMARY KEY, balance BIGINT NOT NULL,
                 CONSTRAINT {own}_overdrawn CHECK (balance >= 0)) ENGINE = InnoDB"
            ),
            format!(
                "CREATE TABLE {own}_transfer (gid VARCHAR(64) PRIMARY KEY, amount BIGINT NOT NULL)
                 ENGINE = InnoDB"
            ),
            format!("INSERT INTO {own}_account VALUES {}", rows.join(", ")),
        ] {
            conn.query_drop(sql).await.map_err(said)?;
        }
        Ok(())
    }

    pub fn branch(&self, to: Transaction, name: &str, account: u32, by: i64) -> Transaction {
        let own = &self.own.name;
        let gid = to.gid().to_owned();
        let update = format!("UPDATE {own}_account SET balance = balance + ? WHERE id = ?");
        let insert = format!("INSERT INTO {own}_transfer (gid, amount) VALUES (?, ?)");
        to.sql(name, &self.name, &update, params![by, account])
            .expect_rows(1)
            .sql(name, &self.name, &insert, params![gid, by])
            .expect_rows(1)
    }

    pub async fn books(&self) -> Result<Books, String> {
        let own = &self.own.name;
        let mut conn = self.connect().await?;
        let accounts: Vec<(u32, i64)> =
            conn.query(format!("SELECT id, balance FROM {own}_account")).await.map_err(said)?;
        let entries: Vec<(String, i64)> =
            conn.query(format!("SELECT gid, amount FROM {own}_transfer")).await.map_err(said)?;
        Ok(Books {
            balances: accounts.into_iter().collect(),
            entries: entries.into_iter().collect(),
        })
    }

    pub async fn in_doubt(&self) -> Result<BTreeSet<String>, String> {
        self.prepared(&mut self.connect().await?).await
    }

    pub async fn kill_sessions(&self) -> Result<usize, String> {
        // Only sessions that are busy with our tables or a branch of ours: others may use the
        // same user. An idle session does not show what it did, so look until one is busy.
        let sql = "SELECT id FROM information_schema.processlist
                   WHERE id <> connection_id() AND user = substring_index(user(), '@', 1)
                     AND (locate(?, info) > 0 OR locate(?, info) > 0)";
        let mut conn = self.connect().await?;
        for _ in 0..LOOKS {
            let ours = (&self.own.name, &self.own.branches);
            let sessions: Vec<u64> = conn.exec(sql, ours).await.map_err(said)?;
            let mut killed = 0;
            for session in sessions {
                // One that has ended in between is no longer there to be killed.
                killed += usize::from(conn.query_drop(format!("KILL {session}")).await.is_ok());
            }
            if killed > 0 {
                return Ok(killed);
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(0)
    }

    pub async fn remove(&self) -> Result<(), String> {
        let own = &self.own.name;
        let mut conn = self.connect().await?;
        // Something is left only if the demo was interrupted or has failed; it would block DROP.
        for gid in self.prepared(&mut conn).await? {
            conn.query_drop(format!("XA ROLLBACK '{gid}'")).await.map_err(said)?;
        }
        conn.query_drop("SET lock_wait_timeout = 5").await.map_err(said)?;
        let tables = format!("{own}_account, {own}_transfer, {}", self.marker_table());
        conn.query_drop(format!("DROP TABLE IF EXISTS {tables}")).await.map_err(said)
    }

    async fn prepared(&self, conn: &mut Conn) -> Result<BTreeSet<String>, String> {
        let rows: Vec<Row> = conn.query("XA RECOVER").await.map_err(said)?;
        let gtrid = |row: Row| {
            let length: usize = row.get(1)?;
            let xid: Vec<u8> = row.get(3)?;
            String::from_utf8(xid.get(..length)?.to_vec()).ok()
        };
        let ours = |gid: &String| gid.starts_with(&self.own.branches);
        Ok(rows.into_iter().filter_map(gtrid).filter(ours).collect())
    }

    async fn connect(&self) -> Result<Conn, String> {
        let opts = match self.url.strip_prefix("mariadb://") {
            Some(rest) => Opts::from_url(&format!("mysql://{rest}")),
            None => Opts::from_url(&self.url),
        };
        let opts = opts.map_err(|_| "the address cannot be read".to_owned())?;
        if opts.db_name().is_none() {
            return Err("the address names no database: mysql://user@host/database".into());
        }
        Conn::new(opts).await.map_err(said)
    }
}

fn said(error: mysql_async::Error) -> String {
    match error {
        mysql_async::Error::Server(server) => server.message,
        other => other.to_string(),
    }
}
