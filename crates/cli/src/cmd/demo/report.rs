//! What is said at the end.

use std::{fmt::Write as _, time::Duration};

use handfast_example_kit::{self as kit, Answer, Tally};
use serde::Serialize;

use super::{
    bank::Books,
    books::{disagreements, sum},
    killer::Kills,
    plan::{FIRST_NODE_DEAD, Plan},
    world::FIRST_NODE,
};
use crate::output::{span, span_of};

/// How many lines of what is wrong are shown as text; JSON has them all.
const SHOWN: usize = 20;

/// Everything that was seen.
pub struct Story {
    pub names: [String; 2],
    /// All the money at the start.
    pub before: i64,
    pub books: [Books; 2],
    pub answers: Vec<Answer>,
    pub kills: Kills,
    /// What had not settled.
    pub left: Vec<String>,
    pub longest_in_doubt: Duration,
    /// From the first transfer to the last answer.
    pub took: Duration,
}

/// What follows from it.
#[derive(Serialize)]
pub struct Report {
    seed: u64,
    decide: &'static str,
    clients: u32,
    transfers: usize,
    #[serde(flatten)]
    tally: Tally,
    longest_in_doubt_ms: u64,
    /// Whether the first node left somebody in doubt when it was killed.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_in_doubt: Option<bool>,
    money_before: i64,
    money_after: i64,
    banks: [String; 2],
    /// Answers and books that disagree, accounts and ledgers that disagree.
    disagreements: Vec<String>,
}

impl Report {
    pub fn new(plan: &Plan, story: Story) -> Self {
        let Story { answers, kills, left, took, .. } = story;
        Self {
            seed: plan.seed,
            decide: plan.decide.name(),
            clients: plan.clients,
            transfers: plan.transfers.len(),
            disagreements: disagreements(plan, &answers, &story.books),
            left_in_doubt: kills.left_in_doubt,
            tally: Tally::new(kit::Story { answers, kills: kills.met, left, took }),
            longest_in_doubt_ms: ms(story.longest_in_doubt),
            money_before: story.before,
            money_after: story.books.iter().map(sum).sum(),
            banks: story.names,
        }
    }

    /// True if nothing is wrong.
    pub fn holds(&self) -> bool {
        self.money_before == self.money_after
            && self.disagreements.is_empty()
            && self.tally.left.is_empty()
            && self.tally.wrong_answers.is_empty()
    }

    pub fn text(&self) -> String {
        let mut text = self.counts();
        text.push('\n');
        let totals = self.money_before == self.money_after;
        verdict(&mut text, totals, "the totals match", "THE TOTALS DIFFER");
        let agree = format!("every answer agrees with the books of {}", self.banks.join(" and "));
        verdict(&mut text, self.disagreements.is_empty(), &agree, "ANSWERS AND BOOKS DISAGREE");
        list(&mut text, &self.disagreements);
        verdict(&mut text, self.tally.left.is_empty(), "nothing is left in doubt", "NOT SETTLED");
        list(&mut text, &self.tally.left);
        if !self.tally.wrong_answers.is_empty() {
            verdict(&mut text, false, "", "CALLERS WERE TOLD WHAT THEY SHOULD NOT");
            let wrong: Vec<_> = self
                .tally
                .wrong_answers
                .iter()
                .map(|(why, count)| format!("{count} × {why}"))
                .collect();
            list(&mut text, &wrong);
        }
        if !self.holds() {
            let _ = writeln!(text, "\n  run again with --seed {}", self.seed);
        }
        text
    }

    fn counts(&self) -> String {
        let (transfers, clients, took) = (self.transfers, self.clients, span(self.tally.took_ms));
        let decide = self.decide;
        let mut text = format!(
            "\n  {transfers} transfers by {clients} clients in {took}, decided by {decide}\n\n"
        );
        text.push_str(&self.tally.lines());
        let mut line = |what: &str, value: String| {
            let _ = writeln!(text, "  {what:18} {value}");
        };
        line("longest in doubt", span(self.longest_in_doubt_ms));
        line("money", format!("{} before, {} after", self.money_before, self.money_after));
        text
    }
}

/// The same kills met both ways to decide.
#[derive(Serialize)]
pub struct Comparison {
    chosen: Report,
    log: Report,
}

impl Comparison {
    pub fn new(chosen: Report, log: Report) -> Self {
        Self { chosen, log }
    }

    /// True if nothing is wrong in either.
    pub fn holds(&self) -> bool {
        self.chosen.holds() && self.log.holds()
    }

    pub fn text(&self) -> String {
        let mut text = self.chosen.text() + &self.log.text();
        text.push_str("\n  longest in doubt, with the same kills\n");
        let back = format!("was back after {}, since log needs it", span_of(FIRST_NODE_DEAD));
        for (report, after) in [(&self.chosen, "never came back"), (&self.log, &back)] {
            let met = match report.left_in_doubt {
                Some(true) => after.to_owned(),
                Some(false) => format!("{after}, but left nobody in doubt: run it again"),
                None => "was not killed".into(),
            };
            let node = format!("{FIRST_NODE} {met}");
            let longest = span(report.longest_in_doubt_ms);
            let _ = writeln!(text, "    {:12} {longest:>10}   {node}", report.decide);
        }
        text
    }
}

fn verdict(text: &mut String, holds: bool, good: &str, bad: &str) {
    let _ = match holds {
        true => writeln!(text, "  ✓ {good}"),
        false => writeln!(text, "  ✗ {bad}"),
    };
}

fn list(text: &mut String, lines: &[String]) {
    for line in lines.iter().take(SHOWN) {
        let _ = writeln!(text, "      {line}");
    }
    if lines.len() > SHOWN {
        let _ = writeln!(text, "      … and {} more", lines.len() - SHOWN);
    }
}

fn ms(time: Duration) -> u64 {
    time.as_millis().try_into().unwrap_or(u64::MAX)
}
