//! One call after another.

use std::time::Duration;

use handfast_client::barrier::{ANSWER_BYTES_MAX, Answer, Call, CallKind, Settled, Verdict};

use super::{
    beds::Bed,
    session::{Result, Session, Work},
};

/// What was called before, what is called now, and what that comes to. `!` is a refusal.
pub const ORDERS: [(&[&str], &str, &str); 23] = [
    (&[], "do", "done"),
    (&[], "do!", "refused"),
    (&[], "undo", "empty"),
    (&["do"], "do", "done again"),
    (&["do"], "undo", "done"),
    (&["undo"], "do", "late"),
    (&["undo"], "undo", "empty"),
    (&["do!"], "do", "refused again"),
    (&["do!"], "undo", "empty"),
    (&["do", "undo"], "do", "done again"),
    (&["do", "undo"], "undo", "done again"),
    (&["do!", "undo"], "do", "refused again"),
    // A compensation that was refused may succeed later.
    (&["do", "undo!"], "undo", "done"),
    (&[], "try", "done"),
    (&[], "confirm", "missing"),
    (&[], "cancel", "empty"),
    (&["try"], "confirm", "done"),
    (&["try"], "cancel", "done"),
    (&["try!"], "confirm", "missing"),
    (&["try", "confirm"], "confirm", "done again"),
    (&["try", "confirm"], "cancel", "contradicted"),
    (&["cancel"], "try", "late"),
    (&["cancel"], "confirm", "contradicted"),
];

pub fn every_order(bed: &Bed) {
    let mut balance = 0;
    for (number, (before, now, expected)) in ORDERS.into_iter().enumerate() {
        let gid = format!("order-{number}");
        for earlier in before {
            balance += effect(earlier, &settle(bed, &gid, earlier));
        }
        let settled = settle(bed, &gid, now);
        assert_eq!(settled, expected, "{now} after {before:?}");
        balance += effect(now, &settled);
        assert_eq!(bed.balance(), balance, "{now} after {before:?}");
    }
}

pub fn failed_work(bed: &Bed) {
    for commits in [false, true] {
        let call = call(&format!("fails-{commits}"), "do");
        // It has changed something before it fails, or the database refuses a statement.
        for sql in ["UPDATE account SET v = v + 7", "UPDATE account SET v = v + 7; SELECT nothing"]
        {
            let session = bed.open();
            let work = Work { sql: sql.into(), verdict: None };
            assert!(session.run(&call, work).is_err());
            if commits {
                session.commit().unwrap();
            } else {
                session.roll_back();
            }
            assert_eq!(bed.balance(), 100 * i64::from(commits), "committed: {commits}");
        }
        assert_eq!(settle(bed, call.gid(), "do"), "done");
    }
    assert_eq!(bed.balance(), 200);
}

pub fn refused_work(bed: &Bed) {
    // In the very transaction whose changes are taken back, others of the service stay.
    let session = bed.open();
    session.sql("UPDATE account SET v = v + 1");
    let refused = Answer { bytes: answer(CallKind::Do, true), repeated: false };
    let settled = session.run(&call("refused", "do"), work("do!")).unwrap();
    assert_eq!(settled, Settled::Refused(refused));
    session.commit().unwrap();
    assert_eq!(bed.balance(), 1);
}

pub fn long_answers(bed: &Bed) {
    let call = call("long", "do");
    let bytes: Vec<u8> = (0..=ANSWER_BYTES_MAX).map(|n| (n % 251) as u8).collect();
    let work = |bytes: &[u8]| Work {
        sql: "UPDATE account SET v = v + 1".into(),
        verdict: Some(Verdict::Done(bytes.into())),
    };
    let too_long = commit(bed, &call, work(&bytes));
    assert!(too_long.unwrap_err().to_string().contains("65537 bytes"));
    assert_eq!(bed.balance(), 0);
    let longest = bytes[..ANSWER_BYTES_MAX].to_vec();
    for repeated in [false, true] {
        let settled = commit(bed, &call, work(&longest)).unwrap();
        assert_eq!(settled, Settled::Done(Answer { bytes: longest.clone(), repeated }));
    }
    assert_eq!(bed.balance(), 1);
}

/// A transaction that has read before the barrier sees what was committed since then.
pub fn old_snapshots(bed: &Bed) {
    if !bed.snapshots {
        // There such a transaction cannot write any more, and the database says so.
        let session = bed.open();
        session.sql("SELECT v FROM account");
        assert_eq!(settle(bed, "old", "do"), "done");
        assert!(session.run(&call("old", "do"), work("do")).is_err());
        return session.roll_back();
    }
    let sessions = [(); 3].map(|()| bed.open());
    for session in &sessions {
        assert_eq!(session.sql("SELECT count(*) FROM handfast_barrier"), Some(0));
    }
    assert_eq!(settle(bed, "old", "do"), "done");
    for (session, (now, expected)) in
        sessions.into_iter().zip([("do", "done again"), ("undo", "done"), ("undo", "done again")])
    {
        assert_eq!(tell(&session.run(&call("old", now), work(now)).unwrap(), now), expected);
        session.commit().unwrap();
    }
}

/// The work has done away with what the barrier holds, as a database does that gives up the whole
/// transaction where the service expects an error of one statement.
pub fn lost_claims(bed: &Bed) {
    let Work { sql, verdict } = work("do");
    let sql = format!("{sql}; DELETE FROM handfast_barrier");
    let lost = commit(bed, &call("lost", "do"), Work { sql, verdict });
    assert!(lost.unwrap_err().to_string().contains("ended while the work ran"));
    assert_eq!(bed.balance(), 0);
    assert_eq!(settle(bed, "lost", "do"), "done");
}

pub fn pruning(bed: &Bed) {
    let day = Duration::from_secs(24 * 60 * 60);
    for gid in ["old", "used", "young"] {
        assert_eq!(settle(bed, gid, "do"), "done");
    }
    let two_days_ms = 2 * day.as_millis();
    let age = format!("UPDATE handfast_barrier SET seen_ms = seen_ms - {two_days_ms}");
    bed.sql(&format!("{age} WHERE gid IN ('old', 'used')"));
    // Any call makes it young again: a do must not be forgotten before its undo.
    assert_eq!(settle(bed, "used", "undo"), "done");
    assert_eq!(prune(bed, 3 * day), 0);
    assert_eq!(prune(bed, day), 1);
    assert_eq!(settle(bed, "used", "do"), "done again");
    assert_eq!(settle(bed, "young", "do"), "done again");
    // What is forgotten is taken for new.
    assert_eq!(settle(bed, "old", "undo"), "empty");
    assert_eq!(prune(bed, Duration::MAX), 0);
}

/// Names that some collations take for one.
pub fn names(bed: &Bed) {
    for gid in ["name", "NAME", "name-", "Name"] {
        assert_eq!(settle(bed, gid, "do"), "done", "{gid}");
    }
    assert_eq!(settle(bed, &"x".repeat(64), "do"), "done");
}

/// Runs the call in a transaction of its own, commits, and tells what it came to.
pub fn settle(bed: &Bed, gid: &str, now: &str) -> String {
    tell(&commit(bed, &call(gid, now), work(now)).unwrap(), now)
}

/// What a call changes, with that end.
pub fn effect(now: &str, told: &str) -> i64 {
    match (told, kind(now)) {
        ("done", CallKind::Do | CallKind::Try) => 100,
        ("done", CallKind::Undo | CallKind::Cancel) => -100,
        ("done", CallKind::Confirm) => 1_000,
        _ => 0,
    }
}

pub fn call(gid: &str, now: &str) -> Call {
    Call::new(gid, "hf1_bank_1_2s_0", kind(now)).unwrap()
}

pub fn work(now: &str) -> Work {
    let amount = effect(now, "done");
    let verdict = match now.ends_with('!') {
        true => Verdict::Refused(answer(kind(now), true)),
        false => Verdict::Done(answer(kind(now), false)),
    };
    Work { sql: format!("UPDATE account SET v = v + {amount}"), verdict: Some(verdict) }
}

/// In words; and the answer must be the one that this call, or its first duplicate, gave.
pub fn tell(settled: &Settled, now: &str) -> String {
    let (word, given) = match settled {
        Settled::Done(given) => ("done", Some((given, false))),
        Settled::Refused(given) => ("refused", Some((given, true))),
        Settled::Empty => ("empty", None),
        Settled::Late => ("late", None),
        Settled::Missing => ("missing", None),
        Settled::Contradicted => ("contradicted", None),
    };
    let Some((given, refused)) = given else { return word.into() };
    assert_eq!(given.bytes, answer(kind(now), refused), "{now}");
    if given.repeated { format!("{word} again") } else { word.into() }
}

fn commit(bed: &Bed, call: &Call, work: Work) -> Result<Settled> {
    let session: Session = bed.open();
    let settled = session.run(call, work);
    session.commit()?;
    settled
}

fn prune(bed: &Bed, older_than: Duration) -> u64 {
    let session = bed.open();
    let gone = session.prune(older_than);
    session.commit().unwrap();
    gone
}

fn kind(now: &str) -> CallKind {
    match now.trim_end_matches('!') {
        "do" => CallKind::Do,
        "undo" => CallKind::Undo,
        "try" => CallKind::Try,
        "confirm" => CallKind::Confirm,
        "cancel" => CallKind::Cancel,
        other => panic!("{other} is no call"),
    }
}

/// Every byte there is, and what it answers.
fn answer(kind: CallKind, refused: bool) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..=255).collect();
    bytes.extend(format!("{kind:?} {refused}").bytes());
    bytes
}
