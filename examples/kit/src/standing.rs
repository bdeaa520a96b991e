//! How what was asked for stands in the books, against what its caller was told.

use std::collections::BTreeSet;

use serde::Serialize;

use crate::Answer;

/// How one of them stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// All of it is done, once.
    Complete,
    /// Nothing was done, or all that was done is undone.
    Undone,
    /// Neither; how it is, in words.
    Split(String),
}

/// All of them.
#[derive(Debug, Default, Serialize)]
pub struct Standings {
    /// How many are complete.
    pub complete: usize,
    /// How many are undone.
    pub undone: usize,
    /// Those that are neither.
    pub split: Vec<String>,
    /// Answers that the books do not bear out, and books of what nobody asked for.
    pub disagreements: Vec<String>,
}

impl Standings {
    /// Compares what was told about each name with how it stands; `known` are all that the books
    /// know.
    pub fn new<'b>(
        answers: &[Answer],
        name: impl Fn(usize) -> String,
        standing: impl Fn(&str) -> Standing,
        known: impl Iterator<Item = &'b str>,
    ) -> Self {
        let mut all = Self::default();
        let names: BTreeSet<String> = (0..answers.len()).map(&name).collect();
        for (number, answer) in answers.iter().enumerate() {
            let name = name(number);
            all.compare(&name, answer, standing(&name));
        }
        let strange = known.filter(|known| !names.contains(*known));
        all.disagreements.extend(strange.map(|name| format!("{name}: nobody asked for it")));
        all
    }

    fn compare(&mut self, name: &str, answer: &Answer, standing: Standing) {
        let happened = match &standing {
            Standing::Complete => {
                self.complete += 1;
                true
            }
            Standing::Undone => {
                self.undone += 1;
                false
            }
            Standing::Split(how) => return self.split.push(format!("{name}: {how}")),
        };
        if answer.happens().is_some_and(|told| told != happened) {
            let what = format!("{name}: the caller was told {answer:?}, but it is {standing:?}");
            self.disagreements.push(what);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(answer: Answer, standing: Standing) -> Standings {
        Standings::new(&[answer], |_| "o".into(), |_| standing.clone(), ["o"].into_iter())
    }

    #[test]
    fn answers_must_agree_with_the_books() {
        let later = |answer| Answer::Unknown(Some(Box::new(answer)));
        let no = || Answer::Aborted("no".into());
        for told in [no(), Answer::NotSent, later(no())] {
            assert_eq!(of(told.clone(), Standing::Undone).disagreements.len(), 0, "{told:?}");
            assert_eq!(of(told.clone(), Standing::Complete).disagreements.len(), 1, "{told:?}");
        }
        for told in [Answer::Committed, later(Answer::Committed)] {
            assert_eq!(of(told.clone(), Standing::Undone).disagreements.len(), 1, "{told:?}");
            assert_eq!(of(told.clone(), Standing::Complete).disagreements.len(), 0, "{told:?}");
        }
        assert_eq!(of(no(), Standing::Split("half".into())).split, ["o: half"]);
    }

    #[test]
    fn what_nobody_asked_for_is_found() {
        let none = |_: usize| unreachable!("there are no answers");
        let strange = Standings::new(&[], none, |_| Standing::Undone, ["x"].into_iter());
        assert_eq!(strange.disagreements.len(), 1);
    }
}
