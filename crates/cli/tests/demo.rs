//! `handfast demo`: everything at once, on a small scale.

use serde_json::Value;

use crate::run;

#[test]
fn no_money_is_lost_while_everything_is_killed() {
    let args = ["demo", "--transfers", "150", "--kills", "3", "--seed", "7", "--json"];
    let (code, out, err) = run(&args);
    let report: Value = serde_json::from_str(&out).expect(&err);
    assert_eq!(code, 0, "{out}\n{err}");
    assert_eq!(report["money_before"], 200_000);
    assert_eq!(report["money_after"], 200_000);
    // The interesting cases were reached.
    assert!(report["committed"].as_u64().unwrap() > 50, "{out}");
    assert!(!report["aborted"].as_object().unwrap().is_empty(), "{out}");
    assert_eq!(report["kills"].as_object().unwrap().len(), 3, "{out}");
}
