//! Transactions of three kinds of branch at once, beside the sum of their parts: the same branches,
//! each in a transaction of its own, one after the other.
//!
//! Callers are answered when all is applied, so that the delivery and the commit are part of it.

use std::sync::{Arc, atomic::Ordering};

use tokio_postgres::{Client, NoTls};

use super::{
    CLIENTS, WARM_UP_SECONDS,
    load::{Ask, Gid, Load, Pace, Round},
    middle,
    service::Service,
    systems::{HANDFAST, start_handfast},
};
use crate::{Args, Line, Result, node};

const ROW: &str = concat!(
    r#"{"name":"row","resource":"bank","#,
    r#""sql":[["INSERT INTO handfast_bench_row DEFAULT VALUES",[],{"rows":1}]]}"#
);
const STEP: &str = concat!(
    r#"{"name":"one","resource":"noop","kind":"step","#,
    r#""do":"POST /one","undo":"POST /one-undo"}"#
);
const DELIVERY: &str = r#"{"name":"tell","resource":"noop","kind":"deliver","do":"POST /deliver"}"#;

/// The mixed transaction first, then its parts.
const KINDS: [fn(Gid, u16) -> String; 4] = [
    |gid, _| body(gid, &format!("{ROW},{STEP},{DELIVERY}")),
    |gid, _| body(gid, ROW),
    |gid, _| body(gid, STEP),
    |gid, _| body(gid, DELIVERY),
];

fn body(gid: Gid, branches: &str) -> String {
    format!("{{\"gid\":\"{gid}\",\"ack\":\"applied\",\"branches\":[{branches}]}}")
}

/// Measures each kind with one client and with many.
pub async fn run(args: &Args) -> Result<Vec<Line>> {
    let url = args.postgres.first().ok_or("a PostgreSQL server is needed")?;
    let (database, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    database.batch_execute("DROP TABLE IF EXISTS handfast_bench_row").await?;
    database.batch_execute("CREATE TABLE handfast_bench_row (id bigserial)").await?;
    let service = Service::start(CLIENTS)?;
    let dir = node::directory()?;
    let bank = ["--resource".to_owned(), format!("bank={url}")];
    let process = start_handfast(args, &dir.path().join("node"), service.port, &bank).await?;
    let loads = KINDS.map(|body| Load::new(process.port, Ask { body, ..HANDFAST }, &service));
    let (mut one, mut many) = ([const { Vec::new() }; 4], [const { Vec::new() }; 4]);
    for round in 0..args.rounds {
        for (kind, load) in loads.iter().enumerate() {
            if round == 0 {
                load.round(CLIENTS, Pace::Done, WARM_UP_SECONDS / 2.0).await?;
            }
            many[kind].push(load.round(CLIENTS, Pace::Done, args.seconds / 2.0).await?);
            one[kind].push(load.round(1, Pace::Done, args.seconds / 4.0).await?);
        }
    }
    verify(&loads, &service, &database).await?;
    database.batch_execute("DROP TABLE handfast_bench_row").await?;
    Ok(compare(&one, &many))
}

fn compare(one: &[Vec<Round>; 4], many: &[Vec<Round>; 4]) -> Vec<Line> {
    let p50_ms = one.each_ref().map(|rounds| middle(rounds, |round| round.p50_ms));
    let rate = many.each_ref().map(|rounds| middle(rounds, |round| round.turns_per_second));
    let parts_seconds: f64 = rate[1..].iter().map(|rate| 1.0 / rate).sum();
    let what = |clients| format!("PostgreSQL prepare + step + delivery, {clients}");
    vec![
        Line {
            what: what("1 client: p50"),
            ours: p50_ms[0],
            yardstick: p50_ms[1..].iter().sum(),
            unit: "ms applied, against the sum of its parts",
            aim: "≤ 1",
        },
        Line {
            what: what("64 clients"),
            ours: rate[0],
            yardstick: 1.0 / parts_seconds,
            unit: "applied/s, against its parts one after the other",
            aim: "≥ 1",
        },
    ]
}

/// Every transaction that was told to be applied is in the database and at the service, once.
async fn verify(loads: &[Arc<Load>; 4], service: &Service, database: &Client) -> Result<()> {
    let [mixed, rows, steps, deliveries] = loads.each_ref().map(|load| load.told());
    let found: i64 =
        database.query_one("SELECT count(*) FROM handfast_bench_row", &[]).await?.get(0);
    let counts = &service.counts;
    let found = [
        u64::try_from(found)?,
        counts.one.load(Ordering::Relaxed),
        counts.deliver.load(Ordering::Relaxed),
        counts.undo.load(Ordering::Relaxed),
    ];
    let told = [mixed + rows, mixed + steps, mixed + deliveries, 0];
    if found != told {
        return Err(format!("rows, steps, deliveries, undos: {found:?}, but told {told:?}").into());
    }
    Ok(())
}
