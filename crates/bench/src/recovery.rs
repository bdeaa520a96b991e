//! Starts after a crash: with 2,000 branches prepared in PostgreSQL, and with a million finished
//! transactions on disk.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use handfast_client::{Handfast, params};
use handfast_core::machine::Summary;
use handfast_log::{Batch, Change, Log, Sqlite, SqliteOptions};
use tokio_postgres::NoTls;

use crate::{Args, Line, Result, node};

const TRANSACTIONS: usize = 1_000;
const FINISHED: usize = 1_000_000;
/// A decision as the node records it.
const DECIDED: &str = concat!(
    r#"{"kind":"decided","decision":"commit","case":{"run":{"epoch":1,"number":1},"#,
    r#""fingerprint":"4f1c","branches":[{"name":"debit","resource":"checking","vote":"yes"},"#,
    r#"{"name":"credit","resource":"savings","vote":"yes"}]}}"#
);

pub async fn run(args: &Args) -> Result<Vec<Line>> {
    let mut lines = prepared(args).await?;
    lines.extend(finished(args).await?);
    Ok(lines)
}

/// A node dies with 1,000 held transactions over two databases.
async fn prepared(args: &Args) -> Result<Vec<Line>> {
    let [first, second] = args.postgres.as_slice() else {
        return Err("two PostgreSQL servers are needed".into());
    };
    let databases = [empty_table(first).await?, empty_table(second).await?];
    let dir = node::directory()?;
    let flags = [
        "--resource".into(),
        format!("first={first}"),
        "--resource".into(),
        format!("second={second}"),
    ];
    let data = dir.path().join("node");
    let process = node::Process::start(&args.binary, "serve", &data, &flags).await?;
    let handfast = Handfast::connect(&process.url).await?;
    let begin = |number: usize| {
        let insert = "INSERT INTO handfast_bench_row VALUES ($1)";
        let transaction = handfast.transaction(format!("held-{number}")).hold().no_wait();
        transaction
            .timeout(Duration::from_secs(120))
            .sql("a", "first", insert, params![number.to_string()])
            .sql("b", "second", insert, params![number.to_string()])
            .run()
    };
    let mut begun = stream::iter((0..TRANSACTIONS).map(begin)).buffer_unordered(32);
    while let Some(one) = begun.next().await {
        if one?.is_aborted() {
            return Err("a held transaction was aborted".into());
        }
    }
    drop(begun);
    until_prepared(&databases, TRANSACTIONS as i64).await?;
    drop(process);
    let restart = Instant::now();
    let _process = node::Process::start(&args.binary, "serve", &data, &flags).await?;
    until_prepared(&databases, 0).await?;
    let seconds = restart.elapsed().as_secs_f64();
    for client in &databases {
        let left: i64 =
            client.query_one("SELECT count(*) FROM handfast_bench_row", &[]).await?.get(0);
        if left != 0 {
            return Err("an undecided branch was committed".into());
        }
        client.batch_execute("DROP TABLE handfast_bench_row").await?;
    }
    Ok(vec![Line {
        what: format!("kill with {} branches prepared: restart to none", 2 * TRANSACTIONS),
        ours: seconds,
        yardstick: 3.0,
        unit: "s, against the aim",
        aim: "≤ 1",
    }])
}

async fn empty_table(url: &str) -> Result<tokio_postgres::Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute("DROP TABLE IF EXISTS handfast_bench_row").await?;
    client.batch_execute("CREATE TABLE handfast_bench_row (id text)").await?;
    Ok(client)
}

async fn until_prepared(databases: &[tokio_postgres::Client], count: i64) -> Result<()> {
    let start = Instant::now();
    for client in databases {
        loop {
            let question = "SELECT count(*) FROM pg_prepared_xacts";
            if client.query_one(question, &[]).await?.get::<_, i64>(0) == count {
                break;
            }
            if start.elapsed() > Duration::from_secs(60) {
                return Err(format!("never {count} prepared").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    Ok(())
}

/// A node starts over a long history.
async fn finished(args: &Args) -> Result<Vec<Line>> {
    let dir = node::directory()?;
    let data = dir.path().join("node");
    let mut log = Sqlite::open(&data, SqliteOptions::default())?;
    for thousand in 0..FINISHED / 1000 {
        let mut batch = Batch::default();
        for one in 0..1000 {
            batch.push(Change {
                stream: format!("transfer-{}", thousand * 1000 + one).into(),
                records: vec![DECIDED.into(), r#"{"kind":"finished"}"#.into()],
                snapshot: false,
                open: false,
                summary: Summary { state: "committed", label: "!1.1 checking savings".into() },
            });
        }
        log.append(&batch, now_ms())?;
    }
    log.close()?;
    let start = Instant::now();
    let process = node::Process::start(&args.binary, "serve", &data, &[]).await?;
    let seconds = start.elapsed().as_secs_f64();
    let resident = process.resident_mib()?;
    let handfast = Handfast::connect(&process.url).await?;
    if handfast.get("transfer-0").await?.gid != "transfer-0" {
        return Err("the history is not there".into());
    }
    let what = |what: &str| format!("a million finished transactions: {what}");
    let unit = "against the aim";
    Ok(vec![
        Line { what: what("s to ready"), ours: seconds, yardstick: 1.0, unit, aim: "≤ 1" },
        Line { what: what("MiB resident"), ours: resident, yardstick: 150.0, unit, aim: "≤ 1" },
    ])
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}
