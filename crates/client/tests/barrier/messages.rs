//! Two-phase messages: a local transaction that is marked, and Handfast that asks for it.

use handfast_client::barrier::{Call, CallKind, LOCAL, Settled};

use super::{
    beds::Bed,
    session::{Pending, Result, Session},
};

const WORK: &str = "UPDATE account SET v = v + 100";
const LATE: &str = "the local transaction comes after it was asked for";
const MARKED: &str = "the local transaction has committed already";

/// One after the other, in every order.
pub fn mark_and_ask(bed: &Bed) {
    for (gid, before, now, expected) in [
        ("1", &[][..], "mark", "ok"),
        ("2", &[], "ask", "never"),
        ("3", &["mark"], "ask", "committed"),
        ("4", &["mark", "ask"], "ask", "committed"),
        ("5", &["ask"], "ask", "never"),
        ("6", &["ask"], "mark", LATE),
        ("7", &["ask", "mark"], "ask", "never"),
        ("8", &["mark"], "mark", MARKED),
        ("9", &["rolled back"], "ask", "never"),
        ("10", &["rolled back"], "mark", "ok"),
        ("11", &["ask", "rolled back"], "mark", LATE),
    ] {
        for earlier in before {
            once(bed, gid, earlier);
        }
        let balance = bed.balance();
        assert_eq!(once(bed, gid, now), expected, "{now} after {before:?}");
        let changed = if (now, expected) == ("mark", "ok") { 100 } else { 0 };
        assert_eq!(bed.balance(), balance + changed, "{now} after {before:?}");
    }
    // Whatever the branch is called that asks, it is the same question.
    let call = Call::new("3", "hf1_bank_1_2s_0", CallKind::Ask).unwrap();
    assert_eq!(call.branch(), LOCAL);
    let session = bed.open();
    assert_eq!(told(session.begin_ask(&call)), "committed");
    session.commit().unwrap();
    // And only a question is one.
    let session = bed.open();
    let call = Call::new("3", LOCAL, CallKind::Undo).unwrap();
    let error = session.begin_ask(&call).wait().unwrap_err().to_string();
    assert_eq!(error, "the call is `undo` and not `ask`");
    assert!(session.begin_mark("no gid").wait().is_err());
    session.roll_back();
    assert_eq!(once(bed, "3", "ask"), "committed");
}

/// The question waits for the local transaction, whichever way that ends.
pub fn ask_while_marked(bed: &Bed) {
    for (gid, commits, expected) in [("commits", true, "committed"), ("rolls-back", false, "never")]
    {
        let (local, asks) = (bed.open(), bed.open());
        let id = bed.id(&asks);
        local.sql(WORK);
        local.begin_mark(gid).wait().unwrap();
        let pending = asks.begin_ask(&ask(gid));
        bed.wait_until_blocked(&asks, id);
        end(local, commits);
        assert_eq!(told(pending), expected, "{gid}");
        asks.commit().unwrap();
        let expected = if commits { MARKED } else { LATE };
        assert_eq!(once(bed, gid, "mark"), expected, "{gid}");
    }
    assert_eq!(bed.balance(), 100);
}

/// The local transaction waits for the question, and is too late once that is answered.
pub fn mark_while_asked(bed: &Bed) {
    for (gid, commits, expected) in [("answered", true, LATE), ("not-answered", false, "ok")] {
        let (asks, local) = (bed.open(), bed.open());
        let id = bed.id(&local);
        assert_eq!(told(asks.begin_ask(&ask(gid))), "never");
        let pending = local.begin_mark(gid);
        bed.wait_until_blocked(&local, id);
        end(asks, commits);
        assert_eq!(marked(pending.wait()), expected, "{gid}");
        end(local, expected == "ok");
        let expected = if commits { "never" } else { "committed" };
        assert_eq!(once(bed, gid, "ask"), expected, "{gid}");
    }
}

/// All at once: what Handfast is told is what the books say, for every message.
pub fn many_of_both(bed: &Bed) {
    let messages: Vec<_> = (0..8)
        .map(|number| {
            let gid = format!("both-{number}");
            let (local, asks) = (bed.open(), bed.open());
            let (answer, mark) = match number % 2 {
                0 => (asks.begin_ask(&ask(&gid)), local.begin_mark(&gid)),
                _ => {
                    let mark = local.begin_mark(&gid);
                    (asks.begin_ask(&ask(&gid)), mark)
                }
            };
            let local = std::thread::spawn(move || {
                let told = marked(mark.wait());
                if told == "ok" {
                    local.sql(WORK);
                }
                end(local, told == "ok");
                told
            });
            let asks = std::thread::spawn(move || {
                let told = told(answer);
                asks.commit().unwrap();
                told
            });
            (gid, local, asks)
        })
        .collect();
    let mut committed = 0;
    for (gid, local, asks) in messages {
        let ends = (local.join().unwrap(), asks.join().unwrap());
        let (marked, answered) = (ends.0.as_str(), ends.1.as_str());
        assert!([("ok", "committed"), (LATE, "never")].contains(&(marked, answered)), "{ends:?}");
        assert_eq!(once(bed, &gid, "ask"), answered);
        committed += i64::from(marked == "ok");
    }
    assert_eq!(bed.balance(), 100 * committed);
}

/// In a transaction of its own.
fn once(bed: &Bed, gid: &str, what: &str) -> String {
    let session = bed.open();
    if what == "ask" {
        let told = told(session.begin_ask(&ask(gid)));
        session.commit().unwrap();
        return told;
    }
    session.sql(WORK);
    let told = marked(session.begin_mark(gid).wait());
    end(session, told == "ok" && what == "mark");
    told
}

fn end(session: Session, commits: bool) {
    match commits {
        true => session.commit().unwrap(),
        false => session.roll_back(),
    }
}

fn marked(marked: Result<()>) -> String {
    marked.map_or_else(|error| error.to_string(), |()| "ok".into())
}

fn told(pending: Pending<Settled>) -> String {
    match pending.wait().unwrap() {
        Settled::Done(answer) if answer.bytes.is_empty() => "committed".into(),
        Settled::Refused(answer) if answer.bytes.is_empty() => "never".into(),
        other => format!("{other:?}"),
    }
}

fn ask(gid: &str) -> Call {
    Call::new(gid, LOCAL, CallKind::Ask).unwrap()
}
