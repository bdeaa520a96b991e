//! PostgreSQL: a schema of its own, with both drivers.

use handfast_client::barrier::{Dialect, Ref, schema};
use sqlx::{Connection, PgConnection, Postgres, Row, raw_sql};
use tokio_postgres::{NoTls, SimpleQueryMessage};

use super::{ACCOUNT, Bed, fresh, server};
use crate::barrier::session::{Local, Result, Session, serve};

pub fn sqlx_postgres(case: &str) -> Option<Bed> {
    bed("sqlx-postgres", case, |url, name| {
        Session::start(async move |mut commands, _| {
            let mut connection = PgConnection::connect(&url).await?;
            raw_sql(sqlx::AssertSqlSafe(here(&name))).execute(&mut connection).await?;
            let mut tx = connection.begin().await?;
            match serve(&mut tx, &mut commands).await {
                true => Ok(tx.commit().await?),
                false => Ok(tx.rollback().await?),
            }
        })
    })
}

pub fn tokio_postgres(case: &str) -> Option<Bed> {
    bed("tokio-postgres", case, |url, name| {
        Session::start(async move |mut commands, _| {
            let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await?;
            tokio::spawn(connection);
            client.batch_execute(&here(&name)).await?;
            let mut tx = client.transaction().await?;
            match serve(&mut tx, &mut commands).await {
                true => Ok(tx.commit().await?),
                false => Ok(tx.rollback().await?),
            }
        })
    })
}

fn bed(driver: &str, case: &str, start: fn(String, String) -> Session) -> Option<Bed> {
    let url = server("HANDFAST_TEST_POSTGRES", driver, case)?;
    let name = fresh();
    let open = {
        let name = name.clone();
        move || start(url.clone(), name.clone())
    };
    let session = open();
    let tables = schema(Dialect::Postgres);
    session.sql(&format!(
        "DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}; {tables} {ACCOUNT}"
    ));
    session.commit().unwrap();
    Some(Bed {
        open: Box::new(open),
        whoami: Some("SELECT pg_backend_pid()::bigint"),
        blocked: "SELECT count(*) FROM pg_stat_activity \
                  WHERE pid = $1 AND wait_event_type = 'Lock'",
        kill: "SELECT pg_terminate_backend($1, 10000)::int::bigint",
        name,
        snapshots: true,
        deadlocks: false,
        _keep: Box::new(()),
    })
}

fn here(schema: &str) -> String {
    format!("SET search_path TO {schema}; SET lock_timeout TO '60s'")
}

impl Local for sqlx::Transaction<'_, Postgres> {
    async fn sql(on: Ref<'_, Self>, text: &str) -> Result<Option<i64>> {
        let text = sqlx::AssertSqlSafe(text.to_owned());
        let row = raw_sql(text).fetch_optional(on).await?;
        Ok(row.map(|row| row.try_get_unchecked::<Option<i64>, _>(0)).transpose()?.flatten())
    }
}

impl Local for tokio_postgres::Transaction<'_> {
    async fn sql(on: Ref<'_, Self>, text: &str) -> Result<Option<i64>> {
        let messages = on.simple_query(text).await?;
        let first = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0),
            _ => None,
        });
        Ok(first.and_then(|number| number.parse().ok()))
    }
}
