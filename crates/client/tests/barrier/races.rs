//! Calls at the same time: the second waits for the transaction of the first, whichever way that
//! ends, and then comes to what it would come to after it.

use std::thread::JoinHandle;

use handfast_client::barrier::Settled;

use super::{
    beds::Bed,
    cases::{ORDERS, call, effect, settle, tell, work},
    session::{Pending, Session},
};

/// The last call before and the one now, with two transactions open at once.
pub fn every_pair(bed: &Bed) {
    let mut pairs = 0;
    for (before, now, after) in ORDERS {
        let Some((first, earlier)) = before.split_last() else { continue };
        pair(bed, &format!("commits-{pairs}"), (earlier, first, now), Some(after));
        pair(bed, &format!("rolls-back-{pairs}"), (earlier, first, now), None);
        pairs += 1;
    }
    assert!(pairs > 10);
}

/// `after` is what the second comes to if the first commits; without it, the first rolls back.
fn pair(bed: &Bed, gid: &str, (earlier, first, now): (&[&str], &str, &str), after: Option<&str>) {
    let mut balance = bed.balance();
    for early in earlier {
        balance += effect(early, &settle(bed, gid, early));
    }
    let (one, two) = (bed.open(), bed.open());
    let id = bed.id(&two);
    let told = tell(&one.run(&call(gid, first), work(first)).unwrap(), first);
    let pending = two.begin(&call(gid, now), work(now));
    bed.wait_until_blocked(&two, id);
    let expected = if let Some(after) = after {
        one.commit().unwrap();
        balance += effect(first, &told);
        after
    } else {
        one.roll_back();
        alone(earlier, now)
    };
    let told = tell(&pending.wait().unwrap(), now);
    assert_eq!(told, expected, "{gid}: {now} beside {first}, after {earlier:?}");
    two.commit().unwrap();
    balance += effect(now, &told);
    assert_eq!(bed.balance(), balance, "{gid}: {now} beside {first}, after {earlier:?}");
}

/// What `now` comes to if the first call was never there.
fn alone(earlier: &[&str], now: &str) -> &'static str {
    let known = ORDERS.into_iter().find(|(before, call, _)| (*before, *call) == (earlier, now));
    known.unwrap_or_else(|| panic!("the table lacks {now} after {earlier:?}")).2
}

/// Eight at once, all of whom wait for the first. If that commits, all have its answer. If it rolls
/// back, one of them does the work; MySQL may send the others away, to come again.
pub fn many_duplicates(bed: &Bed) {
    for (gid, now, commits) in [
        ("committed-do", "do", true),
        ("committed-undo", "undo", true),
        ("rolled-back-do", "do", false),
        ("rolled-back-undo", "undo", false),
    ] {
        if now == "undo" {
            assert_eq!(settle(bed, gid, "do"), "done");
        }
        let before = bed.balance();
        let first = bed.open();
        first.run(&call(gid, now), work(now)).unwrap();
        let waiting: Vec<_> = (0..7)
            .map(|_| {
                let session = bed.open();
                let id = bed.id(&session);
                let pending = session.begin(&call(gid, now), work(now));
                bed.wait_until_blocked(&session, id);
                ending(session, pending, now)
            })
            .collect();
        if commits {
            first.commit().unwrap();
        } else {
            first.roll_back();
        }
        let told = waiting.into_iter().map(|ending| match ending.join().unwrap() {
            Err(error) if !commits && bed.deadlocks && error.contains("Deadlock") => None,
            told => Some(told.unwrap()),
        });
        let told: Vec<_> = told.collect();
        let mut told: Vec<_> =
            told.into_iter().map(|told| told.unwrap_or_else(|| settle(bed, gid, now))).collect();
        told.sort();
        let one = if commits { "done again" } else { "done" };
        assert_eq!(told, [&[one][..], &["done again"; 6]].concat(), "{gid}");
        assert_eq!(bed.balance(), before + effect(now, "done"), "{gid}");
    }
}

/// Do and undo of many branches, all at once: each branch ends as one of the two orders would.
pub fn opposite_orders(bed: &Bed) {
    let branches: Vec<_> = (0..12)
        .map(|number| {
            let order = if number % 2 == 0 { ["do", "undo"] } else { ["undo", "do"] };
            let gid = format!("opposite-{number}");
            let endings = order.map(|now| {
                let session = bed.open();
                let pending = session.begin(&call(&gid, now), work(now));
                (now, ending(session, pending, now))
            });
            (gid, endings)
        })
        .collect();
    for (gid, endings) in branches {
        let mut told = endings.map(|(now, ending)| (now, ending.join().unwrap().unwrap()));
        told.sort();
        let told = told.map(|(_, told)| told);
        assert!(
            [["done", "done"], ["late", "empty"]].iter().any(|order| *order == told),
            "{told:?}"
        );
        // Both orders are the same to the books.
        assert_eq!(
            settle(bed, &gid, "undo"),
            if told[0] == "late" { "empty" } else { "done again" }
        );
    }
    assert_eq!(bed.balance(), 0);
}

/// What a session that ends by itself comes to.
type Ending = JoinHandle<Result<String, String>>;

/// Commits as soon as the call is settled, for others may wait for that.
fn ending(session: Session, pending: Pending<Settled>, now: &'static str) -> Ending {
    std::thread::spawn(move || {
        let settled = pending.wait().map_err(|error| error.to_string())?;
        session.commit().map_err(|error| error.to_string())?;
        Ok(tell(&settled, now))
    })
}

/// The service dies after its work and before its commit, while a duplicate waits.
pub fn crashes(bed: &Bed) {
    for (first, now, expected) in
        [("do", "do", "done"), ("undo", "do", "done"), ("do", "undo", "empty")]
    {
        let gid = format!("crash-{first}-{now}");
        let before = bed.balance();
        let (one, two) = (bed.open(), bed.open());
        let (one_id, two_id) = (bed.id(&one), bed.id(&two));
        one.run(&call(&gid, first), work(first)).unwrap();
        let pending = two.begin(&call(&gid, now), work(now));
        bed.wait_until_blocked(&two, two_id);
        bed.kill(one, one_id);
        let told = tell(&pending.wait().unwrap(), now);
        assert_eq!(told, expected, "{now} after a crashed {first}");
        two.commit().unwrap();
        assert_eq!(bed.balance(), before + effect(now, &told));
        // The dead one's next attempt.
        settle(bed, &gid, first);
    }
}
