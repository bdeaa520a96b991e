//! The service that kill tests kill: all it does is to write down, behind the barrier, what it was
//! called for. It does so without a unique key, so that what happens twice shows.
//!
//! `/{name}` does, undoes, tries, confirms, cancels and takes deliveries, of any name, which it
//! answers as `id`; `/refused` is refused. `POST /local/{gid}` is the local transaction of a
//! two-phase message, and any `ask` asks for it. `GET /effects/{gid}` says what happened.

use std::{path::PathBuf, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{any, get, post},
};
use clap::Parser;
use handfast_client::barrier::{
    self, Call, CallKind, Dialect, Error, LOCAL, Settled, Verdict, blocking,
};
use handfast_server::stop_point;
use rusqlite::Connection;
use serde_json::json;
use tokio::{net::TcpListener, sync::Mutex};
use tokio_postgres::{Client, NoTls};

use crate::service::{Failure, Service, done, refused};

/// What is refused when it is to be done or tried.
pub const REFUSED: &str = "refused";

const SQLITE: &str = "CREATE TABLE IF NOT EXISTS effect
    (id INTEGER PRIMARY KEY, gid TEXT NOT NULL, name TEXT NOT NULL, call TEXT NOT NULL) STRICT";
const POSTGRES: &str = "CREATE TABLE IF NOT EXISTS effect
    (id bigserial PRIMARY KEY, gid text NOT NULL, name text NOT NULL, call text NOT NULL)";
const INSERT: &str = "INSERT INTO effect (gid, name, call) VALUES ($1, $2, $3)";
const SELECT: &str = "SELECT name, call FROM effect WHERE gid = $1 ORDER BY id";

/// A service to be killed.
#[derive(Parser)]
pub struct Victim {
    /// Where it listens.
    #[arg(long)]
    listen: String,
    /// Where its SQLite database is.
    #[arg(long)]
    data_dir: PathBuf,
    /// Its PostgreSQL database, instead of that.
    #[arg(long)]
    postgres: Option<String>,
}

impl Victim {
    /// Serves until the process ends.
    ///
    /// # Errors
    /// In words: its database or its port cannot be used.
    pub async fn serve(self) -> Result<(), String> {
        let failed = |e: &dyn std::fmt::Display| format!("failed to serve: {e}");
        let store = Arc::new(Store::open(&self).await.map_err(|Fault(why)| failed(&why))?);
        let app = Router::new()
            .route("/{name}", any(called))
            .route("/local/{gid}", post(local))
            .route("/effects/{gid}", get(effects))
            .route("/readyz", get(|| async {}))
            .with_state(store);
        let listener = TcpListener::bind(&self.listen).await.map_err(|e| failed(&e))?;
        axum::serve(listener, app).await.map_err(|e| failed(&e))
    }
}

async fn called(
    State(store): State<Arc<Store>>,
    Path(name): Path<String>,
    call: Call,
) -> Result<Settled, Fault> {
    store.settle(call, name).await
}

async fn local(
    State(store): State<Arc<Store>>,
    Path(gid): Path<String>,
) -> Result<StatusCode, Fault> {
    stop_point::reach("before_local.mark");
    let marked = store.mark(gid).await?;
    stop_point::reach("after_local.mark");
    Ok(if marked { StatusCode::OK } else { StatusCode::CONFLICT })
}

async fn effects(
    State(store): State<Arc<Store>>,
    Path(gid): Path<String>,
) -> Result<Response, Fault> {
    Ok(Json(json!(store.effects(gid).await?)).into_response())
}

/// Where it writes it down.
enum Store {
    Sqlite(Service),
    Postgres(Mutex<Client>),
}

impl Store {
    async fn open(victim: &Victim) -> Result<Self, Fault> {
        let Some(url) = &victim.postgres else {
            std::fs::create_dir_all(&victim.data_dir)?;
            let service = Service::open(&victim.data_dir.join("service.db"), SQLITE)?;
            return Ok(Self::Sqlite(service));
        };
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(barrier::schema(Dialect::Postgres)).await?;
        client.batch_execute(POSTGRES).await?;
        Ok(Self::Postgres(client.into()))
    }

    async fn settle(&self, call: Call, name: String) -> Result<Settled, Fault> {
        let (gid, kind) = (call.gid().to_owned(), call.kind().name());
        let verdict = verdict(&name, call.kind());
        let client = match self {
            Self::Sqlite(service) => {
                let work = move |db: &Connection| {
                    db.execute(INSERT, [&gid, &name, kind])?;
                    Ok(verdict)
                };
                return Ok(service.settle(call, work).await?);
            }
            Self::Postgres(client) => client,
        };
        let mut client = client.lock().await;
        stop_point::reach(format_args!("before_local.{kind}"));
        let mut local = client.transaction().await?;
        let work = async |db: &Client| -> Result<Verdict, Fault> {
            db.execute(INSERT, &[&gid, &name, &kind]).await?;
            Ok(verdict)
        };
        let settled = barrier::run(&call, &mut local, work).await?;
        stop_point::reach(format_args!("in_local.{kind}"));
        local.commit().await?;
        stop_point::reach(format_args!("after_local.{kind}"));
        Ok(settled)
    }

    /// The local transaction of a two-phase message; false if it must not commit.
    async fn mark(&self, gid: String) -> Result<bool, Fault> {
        const CALL: &str = "mark";
        let client = match self {
            Self::Sqlite(service) => {
                let work = move |local: &mut rusqlite::Transaction<'_>| {
                    blocking::mark(&gid, local)?;
                    local.execute(INSERT, [&gid, LOCAL, CALL])?;
                    stop_point::reach("in_local.mark");
                    Ok(())
                };
                return match service.transaction(work).await {
                    Err(Failure::Barrier(Error::Late | Error::Marked)) => Ok(false),
                    marked => Ok(marked.map(|()| true)?),
                };
            }
            Self::Postgres(client) => client,
        };
        let mut client = client.lock().await;
        let mut local = client.transaction().await?;
        match barrier::mark(&gid, &mut local).await {
            Err(Error::Late | Error::Marked) => return Ok(false),
            marked => marked?,
        }
        local.execute(INSERT, &[&gid, &LOCAL, &CALL]).await?;
        stop_point::reach("in_local.mark");
        local.commit().await?;
        Ok(true)
    }

    async fn effects(&self, gid: String) -> Result<Vec<(String, String)>, Fault> {
        match self {
            Self::Sqlite(service) => {
                let read = move |local: &mut rusqlite::Transaction<'_>| {
                    let mut select = local.prepare(SELECT)?;
                    let rows = select.query_map([gid], |row| Ok((row.get(0)?, row.get(1)?)))?;
                    Ok(rows.collect::<Result<_, _>>()?)
                };
                Ok(service.transaction(read).await?)
            }
            Self::Postgres(client) => {
                let rows = client.lock().await.query(SELECT, &[&gid]).await?;
                Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
            }
        }
    }
}

fn verdict(name: &str, kind: CallKind) -> Verdict {
    match kind {
        CallKind::Do | CallKind::Try if name == REFUSED => refused("it always is"),
        _ => done(json!({ "id": name })),
    }
}

/// What went wrong, in words: nothing of the call happened, and it will come again.
struct Fault(String);

impl<E: std::error::Error> From<E> for Fault {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        (StatusCode::INTERNAL_SERVER_ERROR, self.0).into_response()
    }
}
