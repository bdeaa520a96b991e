//! A service: its own SQLite database, with the barrier's table in it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    http::StatusCode,
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use clap::Args;
use handfast_client::barrier::{self, Call, Dialect, Settled, Verdict, blocking};
use handfast_server::stop_point;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::{
    share,
    trouble::{self, Trouble},
};

const BUSY_FOR: Duration = Duration::from_secs(5);

/// What a service's handlers have. Cheap to clone.
#[derive(Clone)]
pub struct Service {
    database: Arc<Mutex<Connection>>,
}

/// What a service is: its name, which is its resource's too, its tables, and what can be called.
pub struct Role {
    /// Its name.
    pub name: &'static str,
    /// What makes its tables.
    pub schema: &'static str,
    /// What can be called.
    pub routes: fn() -> Router<Service>,
}

/// How a service is started.
#[derive(Args, Clone, Debug)]
pub struct ServiceArgs {
    /// Which.
    pub role: String,
    /// Where it listens.
    #[arg(long)]
    pub listen: String,
    /// Its database.
    #[arg(long)]
    pub data: PathBuf,
    /// The share of calls that it answers with 500.
    #[arg(long, default_value_t = 0.0, value_parser = share)]
    pub flaky: f64,
    /// Most time that it waits before a call, in ms.
    #[arg(long, default_value_t = 0)]
    pub slow: u64,
}

impl ServiceArgs {
    /// Runs that service, which is one of the roles, until the process ends.
    ///
    /// # Errors
    /// In words: its database or its port cannot be used.
    pub async fn serve(self, roles: &[Role]) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| format!("failed to run {}: {e}", self.role);
        let role = roles.iter().find(|role| role.name == self.role);
        let role = role.ok_or_else(|| failed(&"there is no such service"))?;
        let service = Service::open(&self.data, role.schema).map_err(|e| failed(&e))?;
        let listener = TcpListener::bind(&self.listen).await.map_err(|e| failed(&e))?;
        let trouble = Trouble { flaky: self.flaky, slow_ms: self.slow };
        service.serve(listener, (role.routes)(), trouble).await.map_err(|e| failed(&e))
    }
}

/// Why a call was not settled. Nothing of it happened, and it will come again.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The barrier, or its table.
    #[error(transparent)]
    Barrier(#[from] barrier::Error),
    /// The service's own tables.
    #[error("failed to use the database: {0}")]
    Database(#[from] rusqlite::Error),
    /// The work broke.
    #[error("the work broke: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.to_string()).into_response()
    }
}

/// The work is done; what comes after it in the saga may use this.
pub fn done(answer: Value) -> Verdict {
    Verdict::Done(answer.to_string().into_bytes())
}

/// The business says no.
pub fn refused(why: &str) -> Verdict {
    Verdict::Refused(json!({ "why": why }).to_string().into_bytes())
}

impl Service {
    /// Opens its database; makes what is missing of the tables.
    ///
    /// # Errors
    /// SQLite fails or refuses.
    pub fn open(file: &Path, schema: &str) -> Result<Self, rusqlite::Error> {
        let database = Connection::open(file)?;
        database.busy_timeout(BUSY_FOR)?;
        // What is answered must survive a power cut: each commit is synced.
        database.pragma_update(None, "journal_mode", "wal")?;
        database.pragma_update(None, "synchronous", "full")?;
        database.execute_batch(barrier::schema(Dialect::Sqlite))?;
        database.execute_batch(schema)?;
        Ok(Self { database: Arc::new(Mutex::new(database)) })
    }

    /// Does the work of a call behind the barrier: work and barrier are one local transaction,
    /// which is committed before the answer leaves.
    ///
    /// Tests kill it `before_local.do`, `in_local.do` and `after_local.do`, and so on for each kind
    /// of call.
    ///
    /// # Errors
    /// All is rolled back.
    pub async fn settle<W>(&self, call: Call, work: W) -> Result<Settled, Failure>
    where
        W: FnOnce(&Connection) -> Result<Verdict, rusqlite::Error> + Send + 'static,
    {
        let kind = call.kind().name();
        stop_point::reach(format_args!("before_local.{kind}"));
        let work = move |local: &mut rusqlite::Transaction<'_>| {
            let settled = blocking::run(&call, local, |db| work(db).map_err(Failure::from))?;
            stop_point::reach(format_args!("in_local.{kind}"));
            Ok(settled)
        };
        let settled = self.transaction(work).await?;
        stop_point::reach(format_args!("after_local.{kind}"));
        Ok(settled)
    }

    /// Does work in a local transaction, which is committed before this is ready.
    ///
    /// # Errors
    /// All is rolled back.
    pub async fn transaction<T, W>(&self, work: W) -> Result<T, Failure>
    where
        T: Send + 'static,
        W: FnOnce(&mut rusqlite::Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    {
        let service = self.clone();
        let done = tokio::task::spawn_blocking(move || {
            // Who panicked while holding it has rolled back what was open.
            let mut database = service.database.lock().unwrap_or_else(PoisonError::into_inner);
            let mut local = database.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&mut local)?;
            local.commit()?;
            Ok(done)
        });
        done.await?
    }

    /// Serves its routes, and tells at `/readyz` that it does.
    async fn serve(
        self,
        listener: TcpListener,
        routes: Router<Self>,
        trouble: Trouble,
    ) -> std::io::Result<()> {
        let routes = routes.layer(middleware::from_fn_with_state(trouble, trouble::make));
        let app = routes.route("/readyz", get(|| async {})).with_state(self);
        axum::serve(listener, app).await
    }
}
