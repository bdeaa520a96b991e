//! MySQL and MariaDB: a database of its own.

use handfast_client::barrier::{Dialect, Ref, schema};
use sqlx::{AssertSqlSafe, Connection, MySql, MySqlConnection, Row, raw_sql};

use super::{ACCOUNT, Bed, fresh, server};
use crate::barrier::session::{Local, Result, Session, serve};

pub fn sqlx_mysql(case: &str) -> Option<Bed> {
    let url = server("HANDFAST_TEST_MYSQL", "sqlx-mysql", case)?;
    let url = url.replacen("mariadb://", "mysql://", 1);
    let name = fresh();
    // Here alone: in MySQL, to create a database, even one that is there, waits for its readers.
    let create = format!("DROP DATABASE IF EXISTS {name}; CREATE DATABASE {name}; USE {name}");
    let session = start(url.clone(), create);
    session.sql(&format!("{} {ACCOUNT}", schema(Dialect::Mysql)));
    session.commit().unwrap();
    let open = {
        let here = format!("USE {name}");
        move || start(url.clone(), here.clone())
    };
    Some(Bed {
        open: Box::new(open),
        whoami: Some("SELECT CAST(connection_id() AS signed)"),
        // InnoDB shows what it saw at the last look, if that is younger than 0.1 s.
        blocked: "DO GET_LOCK('handfast_look', 60); DO SLEEP(0.11); \
                  SELECT count(*) FROM information_schema.innodb_trx \
                  WHERE trx_mysql_thread_id = $1 AND trx_state = 'LOCK WAIT'",
        kill: "KILL $1",
        name,
        snapshots: true,
        deadlocks: true,
        _keep: Box::new(()),
    })
}

fn start(url: String, here: String) -> Session {
    Session::start(async move |mut commands, _| {
        let mut connection = MySqlConnection::connect(&url).await?;
        raw_sql(AssertSqlSafe(here)).execute(&mut connection).await?;
        let mut tx = connection.begin().await?;
        match serve(&mut tx, &mut commands).await {
            true => Ok(tx.commit().await?),
            false => Ok(tx.rollback().await?),
        }
    })
}

impl Local for sqlx::Transaction<'_, MySql> {
    async fn sql(on: Ref<'_, Self>, text: &str) -> Result<Option<i64>> {
        let row = raw_sql(AssertSqlSafe(text.to_owned())).fetch_optional(on).await?;
        Ok(row.map(|row| row.try_get_unchecked::<Option<i64>, _>(0)).transpose()?.flatten())
    }
}
