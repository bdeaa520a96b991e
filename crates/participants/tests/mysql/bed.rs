//! A database of its own on a real server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_core::{
    id::{BranchId, Cluster},
    work::{Param, Real, Statement},
};
use handfast_participants::{
    Participant, Pending, Settings, TlsMode,
    conformance::{Bed, KEYS, START},
};
use mysql_async::{Conn, Error, Opts, OptsBuilder, Row, prelude::Queryable};
use tokio::sync::Mutex;

/// The format of our XA ids.
pub const FORMAT: u64 = 0x4846;
/// The server knows no such branch, or another session holds it.
const NOTA: u16 = 1397;

/// A database of its own, with a connection of its own to look past the adapter.
pub struct Mysql {
    pub url: String,
    pub name: String,
    pub db: String,
    conn: Mutex<Conn>,
}

/// A bed on the server; `None` if there is none.
pub async fn bed(case: &str) -> Option<Mysql> {
    let Ok(url) = std::env::var("HANDFAST_TEST_MYSQL") else {
        let required = ["CI", "HANDFAST_TEST_REQUIRED"].iter().any(|v| std::env::var(v).is_ok());
        assert!(!required, "HANDFAST_TEST_MYSQL is not set; use `cargo xtask test`");
        eprintln!("NOT RUN: mysql {case}: HANDFAST_TEST_MYSQL is not set");
        return None;
    };
    let url = url.split(',').next().expect("the first of at least one");
    Some(Mysql::new(url.replacen("mariadb://", "mysql://", 1)).await)
}

impl Mysql {
    async fn new(url: String) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("m{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let db = format!("hf_{}", name.replace('-', "_"));
        let mut conn = connect(&url, None).await;
        let rows: Vec<_> = KEYS.map(|key| format!("({key}, {START})")).collect();
        let make = format!(
            "DROP DATABASE IF EXISTS {db}; CREATE DATABASE {db}; \
             CREATE TABLE {db}.t (id BIGINT PRIMARY KEY, v BIGINT NOT NULL CHECK (v >= 0)) \
             ENGINE = InnoDB; INSERT INTO {db}.t VALUES {}",
            rows.join(",")
        );
        conn.query_drop(make).await.unwrap();
        Self { url, name, db, conn: Mutex::new(conn) }
    }

    pub fn settings(&self) -> Settings {
        let (_, rest) = self.url.split_once("://").expect("an address");
        let server = rest.split('/').next().expect("the first of at least one");
        Settings {
            name: "test".into(),
            url: format!("mysql://{server}/{}", self.db),
            secret: None,
            ca_file: None,
            tls: TlsMode::Off,
            connections_max: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(20),
            marker_table: "handfast_marker".into(),
            service: Default::default(),
            cluster: self.cluster(),
        }
    }

    pub fn open(&self, adjust: impl FnOnce(&mut Settings)) -> Arc<dyn Participant> {
        let mut settings = self.settings();
        adjust(&mut settings);
        handfast_participants::open(settings).unwrap()
    }

    /// Another connection past the adapter, in no database.
    pub async fn connect(&self) -> Conn {
        connect(&self.url, None).await
    }

    /// Runs statements past the adapter; the rows of the first result.
    pub async fn sql(&self, text: &str) -> Vec<Row> {
        self.conn.lock().await.query(text).await.unwrap()
    }

    /// The first value of [`Mysql::sql`].
    pub async fn number(&self, text: &str) -> Option<i64> {
        self.sql(text).await.first().and_then(|row| row.get::<Option<i64>, _>(0)).flatten()
    }

    /// Whether the server is MariaDB and not MySQL.
    pub async fn is_mariadb(&self) -> bool {
        self.sql("SELECT VERSION()").await[0].get::<String, _>(0).unwrap().contains("MariaDB")
    }

    /// Whether a session is free again once it has prepared.
    pub async fn detaches(&self) -> bool {
        !self.is_mariadb().await && self.number("SELECT @@xa_detach_on_prepare").await == Some(1)
    }

    /// How many sessions the adapters of this bed have.
    pub async fn sessions(&self) -> i64 {
        let count =
            format!("SELECT COUNT(*) FROM information_schema.processlist WHERE db = '{}'", self.db);
        self.number(&count).await.unwrap()
    }

    /// Finishes a branch as soon as its session lets go of it.
    pub async fn finish_when_free(&self, xid: &str, commit: bool) {
        let verb = if commit { "COMMIT" } else { "ROLLBACK" };
        loop {
            match self.conn.lock().await.query_drop(format!("XA {verb} {xid}")).await {
                Err(Error::Server(said)) if said.code == NOTA => {}
                done => return done.unwrap(),
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub fn statement(&self, text: &str, params: &[Param]) -> Statement {
        Statement { text: text.into(), params: params.into(), ..Statement::default() }
    }
}

async fn connect(url: &str, db: Option<String>) -> Conn {
    let opts =
        OptsBuilder::from_opts(Opts::from_url(url).unwrap()).db_name(db).prefer_socket(false);
    Conn::new(opts).await.unwrap()
}

impl Bed for Mysql {
    fn participant(&self, connections_max: usize) -> Arc<dyn Participant> {
        self.open(|settings| settings.connections_max = connections_max)
    }

    fn cluster(&self) -> Cluster {
        Cluster::new(&self.name).unwrap()
    }

    fn add(&self, key: i64, by: i64) -> Statement {
        let params = [Param::Int(by), Param::Int(key)];
        self.statement("UPDATE t SET v = v + ? WHERE id = ?", &params)
    }

    fn read(&self, key: i64) -> Statement {
        let read = self.statement("SELECT v FROM t WHERE id = ?", &[Param::Int(key)]);
        Statement { returns: true, ..read }
    }

    fn insert(&self, key: i64, value: i64) -> Statement {
        self.statement("INSERT INTO t VALUES (?, ?)", &[Param::Int(key), Param::Int(value)])
    }

    fn sleep(&self, seconds: f64) -> Statement {
        // As a condition: MySQL takes a sleep that was interrupted, and nothing else, for done.
        self.statement("SELECT 1 FROM DUAL WHERE SLEEP(?)", &[Param::Real(Real::from(seconds))])
    }

    fn value(&self, key: i64) -> Pending<'_, Option<i64>> {
        Box::pin(async move {
            self.number(&format!("SELECT v FROM {}.t WHERE id = {key}", self.db)).await
        })
    }

    fn blocked(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            // An update of one row that runs that long waits. The engine's own list of waits will
            // not do: it stays as it is while it is read more often than ten times a second.
            let long = if self.is_mariadb().await { "time_ms > 50" } else { "time >= 1" };
            let waiting = format!(
                "SELECT COUNT(*) FROM information_schema.processlist \
                 WHERE db = '{}' AND info LIKE 'UPDATE t %' AND {long}",
                self.db
            );
            while self.number(&waiting).await == Some(0) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    }

    fn finish(&self, branch: BranchId, commit: bool) -> Pending<'_, ()> {
        Box::pin(async move {
            let owner = self.number(&format!("SELECT IS_USED_LOCK('{branch}')")).await;
            if let Some(owner) = owner {
                self.sql(&format!("KILL CONNECTION {owner}")).await;
            }
            // Never before the session has gone: see
            // `answers_in_the_moment_of_parting_are_no_proof`.
            assert_eq!(self.number(&format!("SELECT GET_LOCK('{branch}', 30)")).await, Some(1));
            tokio::time::sleep(Duration::from_millis(10)).await;
            self.finish_when_free(&format!("'{branch}','',{FORMAT}"), commit).await;
            self.sql("DO RELEASE_ALL_LOCKS()").await;
        })
    }

    fn prepare_foreign(&self, name: String) -> Pending<'_, ()> {
        Box::pin(async move {
            let mut conn = self.connect().await;
            let (db, xid) = (&self.db, format!("'{name}','',{FORMAT}"));
            let text = format!(
                "XA START {xid}; INSERT INTO {db}.t VALUES (-1 - FLOOR(RAND() * 1e15), 0); \
                 XA END {xid}; XA PREPARE {xid}"
            );
            conn.query_drop(text).await.unwrap();
            conn.disconnect().await.unwrap();
        })
    }

    fn abort_foreign(&self, name: String) -> Pending<'_, ()> {
        Box::pin(async move {
            self.finish_when_free(&format!("'{name}','',{FORMAT}"), false).await;
        })
    }

    fn kill(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            let list =
                format!("SELECT id FROM information_schema.processlist WHERE db = '{}'", self.db);
            for row in self.sql(&list).await {
                let id: u64 = row.get(0).unwrap();
                // It may have gone by itself.
                drop(self.conn.lock().await.query_drop(format!("KILL CONNECTION {id}")).await);
            }
        })
    }
}
