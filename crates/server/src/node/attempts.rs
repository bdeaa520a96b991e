//! What was asked of the branches of open runs lately, and what came of it.
//!
//! For timelines only: it is forgotten with the run and with the process. There is one for each
//! open run, so it is kept small.

use std::{num::NonZeroU32, time::Duration};

use handfast_core::transaction::Index;

use super::metrics::Call;
use crate::driver::now_ms;

/// Most attempts that are remembered of one run; older ones are forgotten.
const ATTEMPTS_MAX: usize = 32;
/// The same while so many runs are open that it is their memory that counts.
const ATTEMPTS_OF_MANY: usize = 1;
const MANY: usize = 4_096;
/// Longest answer that is remembered, in bytes.
const ANSWER_BYTES_MAX: usize = 200;

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// Which branch.
    pub(super) branch: Index,
    /// What was asked.
    pub(super) call: Call,
    /// When, in ms since 1970.
    pub(super) at_ms: u64,
    /// One more than the ms that the answer took; none while it is awaited.
    took: Option<NonZeroU32>,
    /// Why that was not success, shortened; none if it was.
    pub(super) answer: Option<Box<str>>,
}

impl Attempt {
    /// How long the answer took, in ms; none while it is awaited.
    pub(super) fn took_ms(&self) -> Option<u64> {
        self.took.map(|took| u64::from(took.get() - 1))
    }
}

/// Those of one run, oldest first.
#[derive(Default)]
pub(super) struct Attempts(Box<[Attempt]>);

impl Attempts {
    /// `open` says how many runs are.
    pub(super) fn asked(&mut self, branch: Index, call: Call, open: usize) {
        let most = if open > MANY { ATTEMPTS_OF_MANY } else { ATTEMPTS_MAX };
        let mut all = std::mem::take(&mut self.0).into_vec();
        all.drain(..(all.len() + 1).saturating_sub(most));
        // Of its own accord a vector makes room for four.
        all.reserve_exact(1);
        all.push(Attempt { branch, call, at_ms: now_ms(), took: None, answer: None });
        self.0 = all.into();
    }

    /// `fault` says why the last attempt of this kind did not succeed, if it did not.
    pub(super) fn answered(
        &mut self,
        branch: Index,
        call: Call,
        took: Duration,
        fault: Option<&str>,
    ) {
        let is_open =
            |one: &&mut Attempt| one.branch == branch && one.call == call && one.took.is_none();
        if let Some(attempt) = self.0.iter_mut().rev().find(is_open) {
            let ms = u32::try_from(took.as_millis()).unwrap_or(u32::MAX);
            attempt.took = NonZeroU32::new(ms.saturating_add(1));
            attempt.answer = fault.map(shortened);
        }
    }

    pub(super) fn all(&self) -> Vec<Attempt> {
        self.0.to_vec()
    }
}

fn shortened(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(ANSWER_BYTES_MAX)].into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_attempts_are_remembered_with_their_answers() {
        let mut attempts = Attempts::default();
        for branch in 0..=ATTEMPTS_MAX as u8 {
            attempts.asked(branch, Call::Do, 1);
        }
        let long = "é".repeat(ANSWER_BYTES_MAX);
        attempts.answered(1, Call::Do, Duration::from_millis(7), Some(&long));
        attempts.answered(1, Call::Do, Duration::from_millis(9), None);
        attempts.answered(2, Call::Undo, Duration::ZERO, None);
        let all = attempts.all();
        assert_eq!((all.len(), all[0].branch, all[0].took_ms()), (ATTEMPTS_MAX, 1, Some(7)));
        assert_eq!(all[0].answer.as_deref(), Some(&long[..ANSWER_BYTES_MAX]));
        assert_eq!((all[1].branch, all[1].took_ms()), (2, None));
    }

    #[test]
    fn of_many_runs_less_is_remembered() {
        let mut attempts = Attempts::default();
        for branch in 0..ATTEMPTS_MAX as u8 {
            attempts.asked(branch, Call::Do, MANY);
        }
        attempts.asked(99, Call::Do, MANY + 1);
        let branches: Vec<_> = attempts.all().iter().map(|attempt| attempt.branch).collect();
        assert_eq!(branches, [99]);
    }

    #[test]
    fn an_attempt_takes_little_memory() {
        assert!(size_of::<Attempt>() <= 32, "{}", size_of::<Attempt>());
    }
}
