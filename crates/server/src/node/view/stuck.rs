//! What of a transaction waits for an operator, as a line of a list tells it.

use handfast_client::wire::StuckAt;
use handfast_core::transaction::{Fate, Known, KnownBranch, Live, Saved};
use handfast_log::{Entry, Reader};

use super::shortened;

/// Most of an answer in a list: a page has hundreds of lines.
const ANSWER_BYTES_MAX: usize = 256;

/// As the log knows it; nothing if that cannot be read: a list tells of the others all the same.
pub(super) fn recorded(reader: &Reader, gid: &str) -> Vec<StuckAt> {
    let entries = reader.stream(gid).unwrap_or_default();
    let known = saved(&entries).known;
    known.map(|known| stuck_at(&known, &Live::default())).unwrap_or_default()
}

fn saved(entries: &[Entry]) -> Saved {
    let mut saved = Saved::default();
    for record in entries.iter().filter_map(|entry| serde_json::from_str(&entry.body).ok()) {
        saved.apply(&record);
    }
    saved
}

/// With the answers that only memory knows, which are newer than those in the log.
pub(super) fn stuck_at(known: &Known, live: &Live) -> Vec<StuckAt> {
    if known.finished {
        return Vec::new();
    }
    let branch = |(at, branch): (usize, &KnownBranch)| {
        let heard = || live.telling.get(at).and_then(|telling| telling.last_answer.as_ref());
        let answer = match &branch.fate {
            Fate::Stuck(recorded) => heard().unwrap_or(recorded),
            Fate::Heuristic(found) => found,
            Fate::Open | Fate::Applied | Fate::Resolved { .. } => return None,
        };
        let answer = shortened(answer.clone(), ANSWER_BYTES_MAX);
        Some(StuckAt {
            branch: Some(branch.name.clone()),
            resource: branch.resource.clone(),
            last_answer: answer,
        })
    };
    let branches = known.branches.iter().enumerate().filter_map(branch);
    branches.chain(asking(known, live)).collect()
}

/// Who is asked in vain whether the caller committed.
fn asking(known: &Known, live: &Live) -> Option<StuckAt> {
    let recorded = known.ask_stuck.as_ref().filter(|_| known.decision.is_none())?;
    let ask = known.plan.as_ref()?.terms.ask.as_ref()?;
    let answer = live.ask_answer.as_ref().unwrap_or(recorded).clone();
    Some(StuckAt {
        branch: None,
        resource: ask.resource.clone(),
        last_answer: shortened(answer, ANSWER_BYTES_MAX),
    })
}

#[cfg(test)]
mod tests {
    use handfast_core::transaction::{Decision, Record};

    use super::*;

    #[test]
    fn the_log_tells_what_is_stuck_and_the_beginning_of_its_answer() {
        let branch = |name| serde_json::json!({ "name": name, "resource": "r", "vote": "yes" });
        let case = serde_json::json!({ "run": { "epoch": 1, "number": 1 }, "fingerprint": "f",
            "branches": [branch("a"), branch("b"), branch("c")] });
        let case = serde_json::from_value(case).unwrap();
        let stuck = |branch, detail: String| Record::Stuck { branch, detail };
        let records = [
            Record::Decided { decision: Decision::Commit, case: Some(case) },
            stuck(0, "gone".into()),
            stuck(1, "é".repeat(200)),
            Record::Resolved { branch: 0, committed: true, reason: "seen".into() },
        ];
        let entry = |record| Entry {
            position: 1,
            version: 1,
            at_ms: 0,
            body: serde_json::to_string(record).unwrap(),
        };
        let mut entries: Vec<_> = records.iter().map(entry).collect();
        let told = |entries: &[Entry]| stuck_at(&saved(entries).known.unwrap(), &Live::default());
        let [one] = told(&entries).try_into().unwrap();
        let StuckAt { branch, resource, last_answer } = one;
        assert_eq!((branch.as_deref(), &*resource), (Some("b"), "r"));
        assert!(last_answer.len() <= ANSWER_BYTES_MAX && last_answer.ends_with("é…"));
        entries.push(entry(&Record::Finished));
        assert_eq!(told(&entries), []);
    }
}
