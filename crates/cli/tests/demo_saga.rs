//! `handfast demo saga`: everything is killed once, on a small scale.

use serde_json::Value;

use crate::run;

#[test]
fn every_order_is_whole_while_everything_is_killed() {
    let args = ["demo", "saga", "--orders", "200", "--kills", "6", "--seed", "7", "--json"];
    let (code, out, err) = run(&args);
    assert_eq!(code, 0, "{out}\n{err}");
    let report: Value = serde_json::from_str(&out).expect(&err);
    // The interesting cases were reached.
    let count = |what: &str| report[what].as_u64().unwrap();
    assert_eq!(count("complete") + count("undone"), 200, "{out}");
    assert!(count("complete") > 100 && count("undone") > 5, "{out}");
    assert_eq!(report["kills"].as_object().unwrap().len(), 6, "{out}");
    assert!(!report["unknown_then"].as_object().unwrap().is_empty(), "{out}");
    // Somebody was charged, and got the money back.
    assert!(report["services"]["payment"]["undone"].as_u64().unwrap() > 0, "{out}");
    for wrong in ["split", "disagreements", "charged_twice", "charged_for_nothing", "left"] {
        assert_eq!(report[wrong], Value::Array(Vec::new()), "{out}");
    }
}

#[test]
fn the_demo_of_banks_has_no_flag_of_the_saga() {
    let (code, _, err) = run(&["demo", "--orders", "5"]);
    assert_eq!(code, 2, "{err}");
    let (code, _, err) = run(&["demo", "--transfers", "5", "saga"]);
    assert_eq!(code, 2, "{err}");
}
