//! What is said at the end, whatever was played.

use std::{collections::BTreeMap, fmt::Write as _};

use serde::Serialize;

use crate::{Answer, Standings, Story};

/// How many lines of what is wrong are shown as text.
const SHOWN: usize = 20;

/// What callers were told, counted.
#[derive(Debug, Default, Serialize)]
pub struct Tally {
    /// It happened.
    pub committed: usize,
    /// It did not, and why.
    pub aborted: BTreeMap<String, usize>,
    /// There was no connection, and the caller was told so.
    pub not_sent: usize,
    /// Told unknown at first, and what it turned out to be.
    pub unknown_then: BTreeMap<String, usize>,
    /// What no caller should have been told.
    pub wrong_answers: BTreeMap<String, usize>,
    /// How many kills met whom.
    pub kills: BTreeMap<String, usize>,
    /// Open, stuck or unknown at the end.
    pub left: Vec<String>,
    /// From the first call to the last answer.
    pub took_ms: u64,
}

impl Tally {
    /// Counts.
    pub fn new(story: Story) -> Self {
        let took_ms = story.took.as_millis().try_into().unwrap_or(u64::MAX);
        let (kills, left) = (story.kills, story.left);
        let mut tally = Self { kills, left, took_ms, ..Self::default() };
        for answer in story.answers {
            tally.count(answer);
        }
        tally
    }

    fn count(&mut self, answer: Answer) {
        match answer {
            Answer::Committed => self.committed += 1,
            Answer::Aborted(code) => *self.aborted.entry(code).or_default() += 1,
            Answer::NotSent => self.not_sent += 1,
            Answer::Unknown(then) => {
                let then = match then.as_deref() {
                    Some(Answer::Committed) => "committed".into(),
                    Some(Answer::Aborted(code)) => format!("aborted: {code}"),
                    _ => "still unknown".into(),
                };
                *self.unknown_then.entry(then).or_default() += 1;
            }
            Answer::Wrong(why) => *self.wrong_answers.entry(why).or_default() += 1,
        }
    }

    /// For people.
    pub fn text(&self, what: &str) -> String {
        let count: usize = [&self.aborted, &self.unknown_then, &self.wrong_answers]
            .map(|counts| counts.values().sum::<usize>())
            .iter()
            .sum();
        let count = count + self.committed + self.not_sent;
        let took = self.took_ms as f64 / 1000.0;
        format!("\n  {count} {what} in {took:.1} s\n\n{}", self.lines())
    }

    /// The lines of that, without what was played and how long it took.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        let mut line = |what: &str, value: String| {
            let _ = writeln!(text, "  {what:18} {value}");
        };
        line("committed", self.committed.to_string());
        line("aborted", self.aborted.values().sum::<usize>().to_string());
        for (code, count) in &self.aborted {
            line("", format!("{count} × {code}"));
        }
        if self.not_sent > 0 {
            line("not sent", format!("{} (no connection, and the caller knows)", self.not_sent));
        }
        line("unknown at first", self.unknown_then.values().sum::<usize>().to_string());
        for (then, count) in &self.unknown_then {
            line("", format!("{count} × then {then}"));
        }
        let kills: Vec<_> =
            self.kills.iter().map(|(who, count)| format!("{count} × {who}")).collect();
        line("kills", if kills.is_empty() { "none".into() } else { kills.join(", ") });
        text
    }
}

/// What must hold, and what is wrong with it.
pub struct Verdicts(Vec<(String, Vec<String>)>);

impl Verdicts {
    /// What must hold of every play; `one` is what it is about, such as `order`.
    pub fn new(one: &str, tally: &Tally, standings: &Standings) -> Self {
        let odd = tally.wrong_answers.iter().map(|(why, count)| format!("{count} × {why}"));
        let whole = format!("every {one} is complete everywhere or undone everywhere");
        Self(Vec::new())
            .must(whole, &standings.split)
            .must("every answer agrees with the books", &standings.disagreements)
            .must("nobody was told what makes no sense", &odd.collect::<Vec<_>>())
            .must("nothing is left open or stuck", &tally.left)
    }

    /// This must hold too.
    pub fn must(mut self, claim: impl Into<String>, wrong: &[String]) -> Self {
        self.0.push((claim.into(), wrong.into()));
        self
    }

    /// Whether all of it does.
    pub fn hold(&self) -> bool {
        self.0.iter().all(|(_, wrong)| wrong.is_empty())
    }

    /// For people; `seed` plays it again.
    pub fn text(&self, seed: u64) -> String {
        let mut text = String::from("\n");
        for (claim, wrong) in &self.0 {
            let _ = match wrong.is_empty() {
                true => writeln!(text, "  ✓ {claim}"),
                false => writeln!(text, "  ✗ NOT SO: {claim}"),
            };
            for line in wrong.iter().take(SHOWN) {
                let _ = writeln!(text, "      {line}");
            }
            if wrong.len() > SHOWN {
                let _ = writeln!(text, "      … and {} more", wrong.len() - SHOWN);
            }
        }
        if !self.hold() {
            let _ = writeln!(text, "\n  run again with --seed {seed}");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn verdicts(answer: Answer, left: &[String]) -> Verdicts {
        let (answers, left) = (vec![answer], left.to_vec());
        let (kills, took) = (BTreeMap::new(), Duration::ZERO);
        Verdicts::new("t", &Tally::new(Story { answers, kills, left, took }), &Standings::default())
    }

    #[test]
    fn what_is_left_or_makes_no_sense_is_wrong() {
        assert!(verdicts(Answer::Committed, &[]).hold());
        assert!(!verdicts(Answer::Committed, &["t is stuck".into()]).hold());
        let verdicts = verdicts(Answer::Wrong("what?".into()), &[]);
        assert!(!verdicts.hold() && verdicts.text(7).contains("--seed 7"));
    }
}
