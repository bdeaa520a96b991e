//! Over HTTP: the headers of a call, and a service as it is written with axum.

use axum::{
    Router,
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
    routing::post,
};
use handfast_client::barrier::{self, BadCall, Call, CallKind, Settled, Verdict, blocking};
use http_body_util::BodyExt;
use hyper::{HeaderMap, Request, header::CONTENT_TYPE};
use serde_json::{Value, json};
use tokio_postgres::NoTls;
use tower::ServiceExt;

use super::{
    beds,
    session::{Error, Result},
};

const HEADERS: [(&str, &str); 5] = [
    ("handfast-transaction", "order-42"),
    ("handfast-branch", "hf1_bank_1_2s_0"),
    ("handfast-call", "undo"),
    ("handfast-attempt", "3"),
    ("idempotency-key", "\"hf1_bank_1_2s_0/undo\""),
];

#[test]
fn a_call_is_read_from_its_headers() {
    let call = Call::from_headers(&headers(&HEADERS)).unwrap();
    assert_eq!((call.gid(), call.branch()), ("order-42", "hf1_bank_1_2s_0"));
    assert_eq!((call.kind(), call.attempt()), (CallKind::Undo, 3));
    assert_eq!(call.key(), "hf1_bank_1_2s_0/undo");
    for (name, kind) in [
        ("do", CallKind::Do),
        ("undo", CallKind::Undo),
        ("try", CallKind::Try),
        ("confirm", CallKind::Confirm),
        ("cancel", CallKind::Cancel),
    ] {
        assert_eq!(kind.name(), name);
        let headers = headers(&with("handfast-call", name));
        assert_eq!(Call::from_headers(&headers).unwrap().kind(), kind);
    }
    // Who asks does so by a branch of its own; the answer is in the row of another.
    let asked = Call::from_headers(&headers(&with("handfast-call", "ask"))).unwrap();
    assert_eq!((asked.kind(), asked.branch()), (CallKind::Ask, barrier::LOCAL));
    // Quotes are the draft's, none are most clients'.
    for key in ["k", "\"k\""] {
        let headers = headers(&with("idempotency-key", key));
        assert_eq!(Call::from_headers(&headers).unwrap().key(), "k");
    }
}

#[test]
fn wrong_headers_are_no_call() {
    for (name, _) in HEADERS {
        let rest: Vec<_> = HEADERS.into_iter().filter(|(other, _)| *other != name).collect();
        assert_eq!(Call::from_headers(&headers(&rest)), Err(BadCall::Missing(name)));
        let twice = [&HEADERS[..], &[(name, "1")]].concat();
        assert_eq!(Call::from_headers(&headers(&twice)), Err(BadCall::Repeated(name)));
        let long = "1".repeat(256);
        for wrong in ["", " ", "a b", "ä", "\"", &long] {
            let error = Call::from_headers(&headers(&with(name, wrong))).unwrap_err();
            assert!(matches!(error, BadCall::Invalid { .. }), "{name}: {wrong}: {error:?}");
            assert!(error.to_string().contains(name) && !error.to_string().contains(&long));
        }
    }
    for (name, wrong) in [
        ("handfast-call", "Do"),
        ("handfast-attempt", "0"),
        ("handfast-attempt", "-1"),
        ("handfast-attempt", "4294967296"),
        ("handfast-branch", "a/b"),
    ] {
        assert!(Call::from_headers(&headers(&with(name, wrong))).is_err(), "{name}: {wrong}");
    }
    let longest = "x".repeat(64);
    assert!(Call::new(&longest, &longest, CallKind::Do).is_ok());
    assert!(Call::new(&(longest + "x"), "b", CallKind::Do).is_err());
}

#[tokio::test]
async fn a_request_without_a_call_is_answered_400() {
    let pool = sqlx::PgPool::connect_lazy("postgres://nobody@127.0.0.1:1/none").unwrap();
    let response = service(pool).oneshot(request(&HEADERS[1..])).await.unwrap();
    let (status, content_type, body) = parts(response).await;
    assert_eq!((status, content_type.as_str()), (400, "application/problem+json"));
    let problem: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["code"], "bad_call");
    assert_eq!(problem["detail"], "the header `handfast-transaction` is missing");
}

#[tokio::test]
async fn every_end_has_its_response() {
    let answer = |bytes: &[u8]| barrier::Answer { bytes: bytes.into(), repeated: true };
    let json = "application/json";
    let problem = "application/problem+json";
    for (settled, status, content_type) in [
        (Settled::Done(answer(b"{}")), 200, json),
        (Settled::Done(answer(b"")), 200, ""),
        (Settled::Refused(answer(b"{}")), 409, json),
        (Settled::Empty, 200, ""),
        (Settled::Late, 409, problem),
        (Settled::Missing, 412, problem),
        (Settled::Contradicted, 412, problem),
    ] {
        assert_eq!(settled.status(), status);
        let (got, kind, _) = parts(settled.clone().into_response()).await;
        assert_eq!((got, kind.as_str()), (status, content_type), "{settled:?}");
    }
}

/// A service on a real database; that it compiles says that the barrier's future can be sent.
#[test]
fn a_service_answers_a_duplicate_with_the_recorded_answer() {
    let Some(bed) = beds::sqlx_postgres("service") else { return };
    let url = std::env::var("HANDFAST_TEST_POSTGRES").unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let options: sqlx::postgres::PgConnectOptions =
            url.split(',').next().unwrap().parse().unwrap();
        let options = options.options([("search_path", bed.name())]);
        let service = service(sqlx::PgPool::connect_with(options).await.unwrap());
        let once = [
            ("do", 200, json!({"balance": 5})),
            ("do", 200, json!({"balance": 5})),
            ("undo", 200, json!({"balance": 0})),
            ("undo", 200, json!({"balance": 0})),
        ];
        for (kind, status, expected) in once {
            let request = request(&with("handfast-call", kind));
            let response = tokio::spawn(service.clone().oneshot(request)).await.unwrap().unwrap();
            let (got, _, body) = parts(response).await;
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!((got, body), (status, expected), "{kind}");
        }
    });
    assert_eq!(bed.balance(), 0);
}

/// With the other driver, whose transaction the work could not use on another thread.
#[test]
fn a_task_uses_tokio_postgres() {
    let Some(bed) = beds::tokio_postgres("task") else { return };
    let url = std::env::var("HANDFAST_TEST_POSTGRES").unwrap();
    let url = url.split(',').next().unwrap().to_owned();
    let change = format!("UPDATE {}.account SET v = v + 5", bed.name());
    let here = format!("SET search_path TO {}", bed.name());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let task = runtime.spawn(async move {
        let (mut client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        client.batch_execute(&here).await?;
        let call = Call::new("task", "b", CallKind::Do)?;
        let mut tx = client.transaction().await?;
        let settled = barrier::run(&call, &mut tx, async |db| -> Result<Verdict> {
            db.execute(&change, &[]).await?;
            Ok(Verdict::Done(Vec::new()))
        })
        .await?;
        tx.commit().await?;
        Ok::<_, Error>(settled)
    });
    let answer = barrier::Answer { bytes: Vec::new(), repeated: false };
    assert_eq!(runtime.block_on(task).unwrap().unwrap(), Settled::Done(answer));
    assert_eq!(bed.balance(), 5);
}

/// Duplicates at the same time, on several threads, as a service with a pool serves them.
#[test]
fn tasks_use_a_pool_of_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    let options = sqlx::sqlite::SqliteConnectOptions::new()
        .filename(directory.path().join("service.db"))
        .create_if_missing(true)
        .journal_mode(sqlx::sqlite::SqliteJournalMode::Wal);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let answers = runtime.block_on(async {
        let pool = sqlx::SqlitePool::connect_with(options).await.unwrap();
        let table = barrier::schema(barrier::Dialect::Sqlite);
        sqlx::raw_sql(table).execute(&pool).await.unwrap();
        let tasks: Vec<_> = (0..10).map(|n| tokio::spawn(number(pool.clone(), n))).collect();
        let mut answers = Vec::new();
        for task in tasks {
            answers.push(task.await.unwrap().unwrap());
        }
        answers
    });
    let firsts = answers.iter().filter(|answer| !answer.repeated).count();
    assert_eq!(firsts, 1);
    assert!(answers.iter().all(|answer| answer.bytes == answers[0].bytes), "{answers:?}");
}

/// Each would answer with a number of its own.
async fn number(pool: sqlx::SqlitePool, number: i64) -> Result<barrier::Answer> {
    let call = Call::new("task", "b", CallKind::Do)?;
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    let settled = barrier::run(&call, &mut tx, async |db| -> Result<Verdict> {
        let number: i64 = sqlx::query_scalar("SELECT $1").bind(number).fetch_one(db).await?;
        Ok(Verdict::Done(number.to_string().into_bytes()))
    })
    .await?;
    tx.commit().await?;
    match settled {
        Settled::Done(answer) => Ok(answer),
        other => Err(format!("{other:?}").into()),
    }
}

#[test]
fn rusqlite_needs_no_runtime() {
    let mut connection = rusqlite::Connection::open_in_memory().unwrap();
    connection.execute_batch(barrier::schema(barrier::Dialect::Sqlite)).unwrap();
    let call = Call::new("g", "b", CallKind::Do).unwrap();
    for repeated in [false, true] {
        let mut tx = connection.transaction().unwrap();
        let settled = blocking::run(&call, &mut tx, |db| {
            let one: i64 = db.query_row("SELECT 1", [], |row| row.get(0))?;
            Ok::<_, Error>(Verdict::Done(one.to_string().into()))
        });
        let answer = barrier::Answer { bytes: b"1".into(), repeated };
        assert_eq!(settled.unwrap(), Settled::Done(answer));
        tx.commit().unwrap();
    }
    for (gid, marked, status) in [("g", true, 200), ("h", false, 409)] {
        let mut tx = connection.transaction().unwrap();
        if marked {
            blocking::mark(gid, &mut tx).unwrap();
        }
        let ask = Call::new(gid, barrier::LOCAL, CallKind::Ask).unwrap();
        assert_eq!(blocking::ask(&ask, &mut tx).unwrap().status(), status);
        tx.commit().unwrap();
    }
    let mut tx = connection.transaction().unwrap();
    // They are younger than that.
    let hour = std::time::Duration::from_secs(3600);
    assert_eq!(blocking::prune(&mut tx, hour).unwrap(), 0);
}

fn service(pool: sqlx::PgPool) -> Router {
    async fn handler(
        State(pool): State<sqlx::PgPool>,
        call: Call,
    ) -> std::result::Result<Settled, String> {
        change(pool, call).await.map_err(|error| error.to_string())
    }
    Router::new().route("/account", post(handler)).with_state(pool)
}

async fn change(pool: sqlx::PgPool, call: Call) -> Result<Settled> {
    let amount = if call.kind() == CallKind::Do { 5_i64 } else { -5 };
    let mut tx = pool.begin().await?;
    let settled = barrier::run(&call, &mut tx, async |db| -> Result<Verdict> {
        let balance: i64 = sqlx::query_scalar("UPDATE account SET v = v + $1 RETURNING v")
            .bind(amount)
            .fetch_one(db)
            .await?;
        Ok(Verdict::Done(json!({"balance": balance}).to_string().into_bytes()))
    })
    .await?;
    tx.commit().await?;
    Ok(settled)
}

fn with<'v>(name: &str, value: &'v str) -> Vec<(&'static str, &'v str)> {
    let replaced = |(other, old)| (other, if other == name { value } else { old });
    HEADERS.into_iter().map(replaced).collect()
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (name.parse().unwrap(), hyper::header::HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn request(pairs: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = Request::post("/account").body(Body::empty()).unwrap();
    *request.headers_mut() = headers(pairs);
    request
}

async fn parts(response: Response) -> (u16, String, Vec<u8>) {
    let content_type = response.headers().get(CONTENT_TYPE);
    let content_type = content_type.map_or("", |value| value.to_str().unwrap()).to_owned();
    let status = response.status().as_u16();
    (status, content_type, response.into_body().collect().await.unwrap().to_bytes().into())
}
