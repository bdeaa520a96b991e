//! A table on a real server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use handfast_core::{
    id::{BranchId, Cluster},
    work::{Param, Statement},
};
use handfast_participants::{
    Participant, Pending, Settings, TlsMode,
    conformance::{Bed, KEYS, START},
};
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::{Client, NoTls};

/// A table of its own, with a connection of its own to look past the adapter.
pub struct Postgres {
    pub url: String,
    pub name: String,
    pub client: Client,
}

/// A bed on the first server; `None` if there is none.
pub async fn bed(case: &str) -> Option<Postgres> {
    Some(Postgres::new(servers(case)?[0].clone()).await)
}

/// A bed on the second server, which only destructive tests use, one at a time: see [`alone`].
pub async fn second(case: &str) -> Option<Postgres> {
    Some(Postgres::new(servers(case)?[1].clone()).await)
}

/// Keeps destructive tests from each other.
pub async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}

fn servers(case: &str) -> Option<Vec<String>> {
    let Ok(urls) = std::env::var("HANDFAST_TEST_POSTGRES") else {
        let required = ["CI", "HANDFAST_TEST_REQUIRED"].iter().any(|v| std::env::var(v).is_ok());
        assert!(!required, "HANDFAST_TEST_POSTGRES is not set; use `cargo xtask test`");
        eprintln!("NOT RUN: postgres {case}: HANDFAST_TEST_POSTGRES is not set");
        return None;
    };
    let urls: Vec<String> = urls.split(',').map(str::to_owned).collect();
    assert_eq!(urls.len(), 2, "HANDFAST_TEST_POSTGRES must name two servers");
    Some(urls)
}

impl Postgres {
    async fn new(url: String) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let name = format!("b{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed));
        let client = connect(&url).await;
        let table = table(&name);
        let (first, last) = (KEYS.start(), KEYS.end());
        let make = format!(
            "CREATE TABLE {table} (id bigint PRIMARY KEY, v bigint NOT NULL CHECK (v >= 0)); \
             INSERT INTO {table} SELECT id, {START} FROM generate_series({first}, {last}) AS id"
        );
        client.batch_execute(&make).await.unwrap();
        Self { url, name, client }
    }

    pub fn table(&self) -> String {
        table(&self.name)
    }

    pub fn settings(&self) -> Settings {
        Settings {
            name: "test".into(),
            url: self.url.clone(),
            secret: None,
            ca_file: None,
            tls: TlsMode::Off,
            connections_max: 4,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(30),
            lock_timeout: Duration::from_secs(20),
            marker_table: String::new(),
            service: Default::default(),
            cluster: self.cluster(),
        }
    }

    pub fn open(&self, adjust: impl FnOnce(&mut Settings)) -> Arc<dyn Participant> {
        let mut settings = self.settings();
        adjust(&mut settings);
        handfast_participants::open(settings).unwrap()
    }

    /// The address of the same server with another user and database.
    pub fn url_for(&self, user: &str, database: Option<&str>) -> String {
        let (scheme, rest) = self.url.split_once("://").unwrap();
        let (_, place) = rest.rsplit_once('@').unwrap();
        let (host, same) = place.split_once('/').unwrap();
        format!("{scheme}://{user}@{host}/{}", database.unwrap_or(same))
    }

    fn statement(&self, text: String, params: &[i64]) -> Statement {
        let params = params.iter().map(|number| Param::Int(*number)).collect();
        Statement { text, params, ..Statement::default() }
    }
}

fn table(name: &str) -> String {
    name.replace('-', "_")
}

/// A connection past the adapter.
pub async fn connect(url: &str) -> Client {
    let (client, driver) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(driver);
    client
}

impl Bed for Postgres {
    fn participant(&self, connections_max: usize) -> Arc<dyn Participant> {
        self.open(|settings| settings.connections_max = connections_max)
    }

    fn cluster(&self) -> Cluster {
        Cluster::new(&self.name).unwrap()
    }

    fn add(&self, key: i64, by: i64) -> Statement {
        let text = format!("UPDATE {} SET v = v + $2 WHERE id = $1", self.table());
        self.statement(text, &[key, by])
    }

    fn read(&self, key: i64) -> Statement {
        let text = format!("SELECT v FROM {} WHERE id = $1", self.table());
        Statement { returns: true, ..self.statement(text, &[key]) }
    }

    fn insert(&self, key: i64, value: i64) -> Statement {
        self.statement(format!("INSERT INTO {} VALUES ($1, $2)", self.table()), &[key, value])
    }

    fn sleep(&self, seconds: f64) -> Statement {
        self.statement(format!("SELECT pg_sleep({seconds})"), &[])
    }

    fn value(&self, key: i64) -> Pending<'_, Option<i64>> {
        Box::pin(async move {
            let text = format!("SELECT v FROM {} WHERE id = $1", self.table());
            self.client.query_opt(&text, &[&key]).await.unwrap().map(|row| row.get(0))
        })
    }

    fn blocked(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
                WHERE wait_event_type = 'Lock' AND starts_with(application_name, $1)";
            let ours = format!("hf1_{}_", self.name);
            while self.client.query_one_scalar::<i64, _>(WAITING, &[&ours]).await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
    }

    fn finish(&self, branch: BranchId, commit: bool) -> Pending<'_, ()> {
        Box::pin(async move {
            let verb = if commit { "COMMIT" } else { "ROLLBACK" };
            self.client.batch_execute(&format!("{verb} PREPARED '{branch}'")).await.unwrap();
        })
    }

    fn prepare_foreign(&self, name: String) -> Pending<'_, ()> {
        Box::pin(async move {
            let text = format!(
                "BEGIN; INSERT INTO {} VALUES (-1 - (random() * 1e15)::bigint, 0); \
                 PREPARE TRANSACTION '{name}'",
                self.table()
            );
            self.client.batch_execute(&text).await.unwrap();
        })
    }

    fn abort_foreign(&self, name: String) -> Pending<'_, ()> {
        Box::pin(async move {
            self.client.batch_execute(&format!("ROLLBACK PREPARED '{name}'")).await.unwrap();
        })
    }

    fn kill(&self) -> Pending<'_, ()> {
        Box::pin(async move {
            const KILL: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE application_name = $1 OR starts_with(application_name, $2)";
            let (idle, busy) = (format!("handfast {}", self.name), format!("hf1_{}_", self.name));
            self.client.execute(KILL, &[&idle, &busy]).await.unwrap();
        })
    }
}
