//! Values there and back.

use std::time::Duration;

use handfast_core::{
    vote::{Ack, Cause::Request, Proof},
    work::{Param, Real, Statement},
};
use handfast_participants::conformance::{Bed, branch, plain, refused, work};

use super::bed::bed;

const AMPLE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn values_go_there_and_come_back() {
    let Some(bed) = bed("values_go_there_and_come_back").await else { return };
    let db = bed.participant(4);
    bed.sql(&format!(
        "CREATE TABLE {}.v (i BIGINT, u BIGINT UNSIGNED, b BOOL, d DOUBLE, f FLOAT, \
         n DECIMAL(20,4), t TEXT CHARACTER SET utf8mb4, x BLOB, day DATE, at DATETIME(6), \
         dur TIME, j JSON, e ENUM('a','b'), z INT) ENGINE = InnoDB",
        bed.db
    ))
    .await;
    let text = |text: &str| Param::Text(text.into());
    let bytes = Param::Bytes(vec![0, 255, b'\'', 128]);
    let given = [
        Param::Int(i64::MIN),
        text("18446744073709551615"),
        Param::Bool(true),
        Param::Real(Real::from(-1.5e300)),
        Param::Real(Real::from(0.1)),
        text("1234.5000"),
        text("häßlich 🦀 ' \\"),
        bytes.clone(),
        text("2026-11-21"),
        text("2026-11-21 12:34:56.000789"),
        text("-25:00:01"),
        text("{\"a\": [1]}"),
        text("b"),
        Param::Null,
    ];
    let marks = ["?"; 14].join(", ");
    let insert = bed.statement(&format!("INSERT INTO v VALUES ({marks})"), &given);
    let read = Statement { returns: true, rows: Some(1), ..plain("SELECT * FROM v") };
    let id = branch(&bed);
    let prepared = db.prepare(id.clone(), work([insert, read]), AMPLE).await;
    assert_eq!(db.abort(id, Proof::default()).await, Ack::Finished);
    assert_eq!(prepared.rows.len(), 1, "{prepared:?}");
    let rows = &prepared.rows[0];
    let names = ["i", "u", "b", "d", "f", "n", "t", "x", "day", "at", "dur", "j", "e", "z"];
    assert_eq!(rows.columns, names);
    let mut wanted = given;
    // A truth value is a small number here.
    wanted[2] = Param::Int(1);
    assert_eq!(rows.rows, [wanted]);
}

#[tokio::test]
async fn results_are_bounded() {
    let Some(bed) = bed("results_are_bounded").await else { return };
    let db = bed.participant(4);
    let big = Statement { returns: true, ..plain("SELECT REPEAT('x', 2000000)") };
    refused(&*db, &bed, work([big.clone()]), "result_too_large", Request).await;
    let unread = Statement { returns: false, ..big };
    let done = db.prepare(branch(&bed), work([unread]), AMPLE).await;
    assert_eq!(done.rows, []);
}

#[tokio::test]
async fn a_value_that_does_not_fit_is_refused() {
    let Some(bed) = bed("a_value_that_does_not_fit_is_refused").await else { return };
    let db = bed.participant(4);
    let wrong = bed.statement("UPDATE t SET v = ? WHERE id = 1", &[Param::Text("many".into())]);
    let refusal = handfast_participants::conformance::no(
        db.prepare(branch(&bed), work([wrong]), AMPLE).await,
    );
    assert_eq!(refusal.code, "sql_value", "{}", refusal.message);
}
