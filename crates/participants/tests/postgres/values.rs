//! Every common type goes in and comes out as PostgreSQL itself writes it.

use handfast_core::{
    vote::{Cause::Request, Vote},
    work::{Param, Real, Statement},
};
use handfast_participants::{
    Participant,
    conformance::{AMPLE, Bed, branch, plain, refused, work},
};

use super::bed::bed;

fn select(text: String, params: Vec<Param>) -> Statement {
    Statement { text, params, rows: Some(1), returns: true }
}

async fn row(db: &dyn Participant, bed: &dyn Bed, select: Statement) -> Vec<Param> {
    let work = work([plain("SET LOCAL TimeZone = 'UTC'"), select]);
    let mut prepared = db.prepare(branch(bed), work, AMPLE).await;
    assert_eq!(prepared.vote, Vote::ReadOnly);
    prepared.rows.remove(0).rows.remove(0)
}

#[tokio::test]
async fn text_goes_for_every_type_and_comes_back_as_the_server_writes_it() {
    let Some(bed) = bed("values").await else { return };
    let db = bed.participant(2);
    let table = [
        ("numeric", "0"),
        ("numeric", "-0.00012300"),
        ("numeric", "12345678901234567890.0987654321"),
        ("numeric", "1e40"),
        ("numeric(6,4)", "1"),
        ("numeric", "NaN"),
        ("numeric", "-Infinity"),
        ("uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("date", "2024-02-29"),
        ("date", "0001-12-31 BC"),
        ("date", "-infinity"),
        ("date", "12345-06-07"),
        ("time", "23:59:59.000001"),
        ("timestamp", "1999-12-31 23:59:59.5"),
        ("timestamp", "4713-01-01 00:00:00 BC"),
        ("timestamptz", "2024-03-31 03:30:00+02"),
        ("timestamptz", "infinity"),
        ("json", r#"{"a" : [1, 2]}"#),
        ("jsonb", r#"{"b":1,"a":"ü"}"#),
        ("varchar(3)", "abc"),
        ("char(5)", "ab"),
        ("name", "ünïcode"),
        ("xml", "<a/>"),
    ];
    for (ty, text) in table {
        // `char(5)::text` loses its padding, which is not the point here.
        let read = format!("SELECT x, format('%s', x) FROM (SELECT $1::{ty} AS x) AS a");
        let got = row(&*db, &bed, select(read, vec![Param::Text(text.into())])).await;
        assert_eq!(got[0], got[1], "{ty} {text}");
    }
}

#[tokio::test]
async fn numbers_truth_bytes_and_null_keep_their_kind() {
    let Some(bed) = bed("values").await else { return };
    let db = bed.participant(2);
    let table = [
        ("smallint", Param::Int(-7)),
        ("integer", Param::Int(i32::MIN.into())),
        ("bigint", Param::Int(i64::MIN)),
        ("oid", Param::Int(u32::MAX.into())),
        ("boolean", Param::Bool(true)),
        ("double precision", Param::Real(Real::from(1e300))),
        ("double precision", Param::Real(Real::from(-0.0))),
        ("double precision", Param::Real(Real::from(f64::INFINITY))),
        ("real", Param::Real(Real::from(0.1))),
        ("bytea", Param::Bytes(vec![0, 1, 0xff, b'\\'])),
        ("bigint", Param::Null),
        ("text", Param::Text("quote ' and \\ and ü".into())),
    ];
    for (ty, param) in table {
        let got = row(&*db, &bed, select(format!("SELECT $1::{ty}"), vec![param.clone()])).await;
        assert_eq!(got, [param], "{ty}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_refused_by_name() {
    let Some(bed) = bed("values").await else { return };
    let db = bed.participant(2);
    let table = [
        ("text", Param::Int(1)),
        ("boolean", Param::Int(1)),
        ("integer", Param::Real(Real::from(1.5))),
        ("integer", Param::Bool(true)),
        ("text", Param::Bytes(vec![1])),
        ("integer", Param::Text("one".into())),
        ("uuid", Param::Text("no".into())),
        ("date", Param::Text("soon".into())),
        ("text", Param::Text("a\0b".into())),
    ];
    for (ty, param) in table {
        let wrong = select(format!("SELECT $1::{ty}"), vec![param]);
        refused(&*db, &bed, work([bed.add(1, 1), wrong]), "sql_parameter", Request).await;
    }
    let array = select("SELECT ARRAY[1, 2]".into(), Vec::new());
    refused(&*db, &bed, work([array]), "result_type", Request).await;
    let long = Statement { returns: true, ..plain("SELECT repeat('x', 2000000)") };
    refused(&*db, &bed, work([long]), "result_too_large", Request).await;
}
