//! How records and names are read from their texts.

use std::{
    collections::BTreeSet,
    fmt::{Debug, Display},
};

use handfast_core::{
    id::{BranchId, Cluster},
    machine::{Machine, Output, Summary},
    pact::{Way, paxos},
    plan::Kind,
    shard::{self, End, Shard},
    transaction::{Decision, Record, Transaction, Voted},
    vote::Cause,
    work::{Isolation, KeyOp, Param, Value, Work},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::golden;

#[test]
fn what_is_in_logs_is_read_for_ever() {
    golden::check("records/transaction", 11, replayed::<Transaction>);
    golden::check("records/shard", 4, replayed::<Shard>);
}

/// A story of the records of one machine, as they stand in logs: what each says, which state it
/// leads to, and how it is written now if not in the same way. `> restart` shows what is asked for
/// by a start from what is there, and what is there.
///
/// What the code writes changes by a new line. Those that are there stay: logs are full of them.
fn replayed<M: Machine>(story: &str) -> String
where
    M::Record: Display + Serialize + DeserializeOwned,
    M::Effect: Display,
{
    let mut saved = M::Saved::default();
    golden::run(story, |text| {
        if text == "restart" {
            let mut out = Output::new();
            M::restart(&saved, &mut M::Live::default(), &mut out);
            let asked = out.into_parts().1.into_iter().map(|effect| effect.to_string());
            let whole = M::snapshot(&saved).map(|whole| serde_json::to_string(&whole).unwrap());
            return asked.chain(whole).collect();
        }
        let record = read::<M::Record>(text);
        M::apply(&mut saved, &record);
        let Summary { state, label } = M::summary(&saved);
        let again = serde_json::to_string(&record).unwrap();
        let otherwise = (again != text).then(|| format!("is written as {again}"));
        let state = (!label.is_empty()).then(|| format!("{state} {label}"));
        [record.to_string()].into_iter().chain(state).chain(otherwise).collect()
    })
}

fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("not read any more: {error}: {text}"))
}

/// Every kind of record, every word in one, and every field, or a change of it would not be seen.
#[test]
fn all_that_is_written_is_among_them() {
    let [transactions, shards] = ["transaction", "shard"].map(|of| {
        let stories = golden::stories(&format!("records/{of}"));
        stories.into_iter().map(|(_, story)| story).collect::<String>()
    });
    let both = format!("{transactions}{shards}");
    let word = r#""?""#;
    let words = [
        ("\"vote\":", variants::<Voted>(word)),
        ("\"cause\":", variants::<Cause>(word)),
        ("\"way\":", variants::<Way>(word)),
        ("\"isolation\":", variants::<Isolation>(word)),
        ("\"value\":", variants::<paxos::Value>(word)),
        ("\"op\":", variants::<KeyOp>(r#"{"op":"?"}"#)),
        ("\"kind\":", variants::<Kind>(word)),
        ("", variants::<Decision>(word)),
        ("", variants::<Work>(word)),
        ("", variants::<Param>(word)),
        ("", variants::<Value>(word)),
        ("", variants::<End>(word)),
    ];
    let words = words.into_iter().flat_map(|(before, names)| {
        names.into_iter().map(move |name| format!("{before}\"{name}\""))
    });
    let kinds =
        |names: Vec<String>| names.into_iter().map(|name| format!("> {{\"kind\":\"{name}\""));
    let of_transactions = kinds(variants::<Record>(r#"{"kind":"?"}"#));
    let of_shards = kinds(variants::<shard::Record>(r#"{"kind":"?"}"#));
    let fields = fields::<Record>(&transactions).chain(fields::<shard::Record>(&shards));
    let missing: Vec<_> = of_transactions
        .filter(|kind| !transactions.contains(kind))
        .chain(of_shards.filter(|kind| !shards.contains(kind)))
        .chain(words.chain(fields).filter(|there| !both.contains(there)))
        .collect();
    assert!(missing.is_empty(), "add a record with {missing:?} to tests/traces/records");
}

/// The names of an enum's variants, which are told to who asks for one that is not there.
fn variants<T: DeserializeOwned>(other: &str) -> Vec<String> {
    let Err(error) = serde_json::from_str::<T>(other) else { panic!("there is a `?`") };
    let error = error.to_string();
    let (_, known) = error.split_once("expected ").unwrap();
    let names: Vec<_> = known.split('`').skip(1).step_by(2).map(String::from).collect();
    assert!(names.len() > 1, "{error}");
    names
}

/// The names of all fields of all records of the stories, as they are to stand there. Fields that
/// are left out when they say nothing are in what is printed for debugging.
fn fields<R: DeserializeOwned + Debug>(stories: &str) -> impl Iterator<Item = String> {
    let of = |text: &str| {
        let printed = format!("{:?}", read::<R>(text));
        let names = printed.split(": ").filter_map(|before| before.rsplit([' ', '{']).next());
        names.filter(|name| is_field(name)).map(|name| format!("\"{name}\":")).collect::<Vec<_>>()
    };
    let records = stories.lines().filter_map(|line| line.strip_prefix("> {"));
    let names: BTreeSet<_> = records.flat_map(|rest| of(&format!("{{{rest}"))).collect();
    names.into_iter()
}

fn is_field(name: &str) -> bool {
    // Their fields are written in those of whom they are a part; an index is part of a text.
    let within = ["part", "refusal", "index"];
    !name.is_empty()
        && name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
        && !within.contains(&name)
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
