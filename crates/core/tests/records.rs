//! How records and names are read from their texts.

use handfast_core::{
    id::{BranchId, Cluster},
    shard,
    transaction::Record,
};

/// Records of each shape: with nothing but a kind, with one value for all, with fields, nested.
const RECORDS: [&str; 5] = [
    r#"{"kind":"finished"}"#,
    r#"{"kind":"delegated","run":{"epoch":1,"number":2},"fingerprint":"f","branches":[]}"#,
    r#"{"kind":"decided","decision":"commit"}"#,
    concat!(
        r#"{"kind":"added","name":"a","resource":"r","planned":{"kind":"deliver","after":[0],"#,
        r#""persistence":{"attempts":2,"within_ms":null,"first_ms":1,"cap_ms":2,"call_ms":3},"#,
        r#""work":{"keys":[]}}}"#
    ),
    r#"{"kind":"accepted","proposal":{"ballot":0,"value":"prepared"}}"#,
];

#[test]
fn records_are_written_as_they_were_read() {
    for text in RECORDS {
        let record: Record = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&record).unwrap(), text);
    }
    let text = r#"{"kind":"prepared","branch":"hf1_c_1_2_0","writes":{"k":{"int":1}}}"#;
    let record: shard::Record = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_string(&record).unwrap(), text);
}

#[test]
fn what_a_later_record_says_besides_is_left_out() {
    let text = r#"{"kind":"finished","why":[1,{"a":2}]}"#;
    assert_eq!(serde_json::from_str::<Record>(text).unwrap(), Record::Finished);
}

#[test]
fn what_is_no_record_is_refused() {
    for (text, why) in [
        ("{}", "missing field `kind`"),
        (r#"{"branch":0,"kind":"applied"}"#, "unknown variant `branch`, expected `kind`"),
        (r#"{"kind":"odd"}"#, "unknown variant `odd`"),
        (r#"{"kind":"applied"}"#, "missing field `branch`"),
        ("[]", "expected an object with its kind first"),
    ] {
        let error = serde_json::from_str::<Record>(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text}: {error}");
    }
}

#[test]
fn a_branch_has_one_spelling() {
    let text = "hf1_us-1_1_z_0";
    assert_eq!(BranchId::parse(text).unwrap().to_string(), text);
    for other in ["hf1_us-1_01_z_0", "hf1_us-1_1_Z_0", "hf1_us-1_1_z_00", "hf1_us-1_1__0"] {
        assert_eq!(BranchId::parse(other), None, "{other}");
    }
    let error = serde_json::from_str::<BranchId>(r#""hf1_us-1_01_z_0""#).unwrap_err();
    assert!(error.to_string().contains("expected a branch id"), "{error}");
}

#[test]
fn clusters_are_in_the_order_of_their_names() {
    let longest = "z".repeat(16);
    let names = ["-", "0", "a", "a-", "aa", "b", &longest];
    let clusters = names.map(|name| Cluster::new(name).unwrap());
    assert!(clusters.is_sorted());
    for (cluster, name) in clusters.iter().zip(names) {
        assert_eq!(
            (cluster.as_str(), format!("{cluster:?}")),
            (name, format!("Cluster({name:?})"))
        );
    }
}
