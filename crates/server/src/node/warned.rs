//! Branches that wait for an operator, each told to the log once for as long as it does.

use std::collections::BTreeSet;

use handfast_core::{
    id::RunId,
    transaction::{Fate, Index, Known},
};

/// Those that the log was told of. No more than there are branches of open runs.
#[derive(Default)]
pub(super) struct Warned(BTreeSet<(RunId, Index)>);

impl Warned {
    /// A branch is to be tried again. Warns if that is because it is stuck, and this is news.
    pub(super) fn tried_again(&mut self, gid: &str, known: &Known, branch: Index) {
        let Some(at) = known.branches.get(usize::from(branch)) else { return };
        let Some(answer) = self.news(known.run, branch, &at.fate) else { return };
        let (branch, resource) = (&*at.name, &*at.resource);
        tracing::warn!(
            gid,
            branch,
            resource,
            answer,
            "a branch is stuck and waits for an operator: mend its resource and `handfast tx \
             retry` it, or `tx edit` or `tx resolve` it; `handfast tx show` says more"
        );
    }

    /// What it answered, the first time since it became stuck.
    fn news<'f>(&mut self, run: RunId, branch: Index, fate: &'f Fate) -> Option<&'f str> {
        match fate {
            Fate::Stuck(answer) => self.0.insert((run, branch)).then_some(answer),
            _ => {
                self.0.remove(&(run, branch));
                None
            }
        }
    }

    /// A run is over.
    pub(super) fn close(&mut self, run: RunId) {
        let of_run = self.0.range((run, 0)..=(run, Index::MAX)).copied();
        for one in of_run.collect::<Vec<_>>() {
            self.0.remove(&one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_branch_that_stays_stuck_is_told_once() {
        let (mut warned, run) = (Warned::default(), RunId { epoch: 1, number: 7 });
        let other = RunId { epoch: 1, number: 8 };
        let stuck = Fate::Stuck("400".into());
        assert_eq!(warned.news(run, 0, &Fate::Open), None);
        assert_eq!(warned.news(run, 0, &stuck), Some("400"));
        assert_eq!(warned.news(run, 0, &stuck), None);
        assert_eq!(warned.news(run, 1, &stuck), Some("400"));
        assert_eq!(warned.news(other, 0, &stuck), Some("400"));
        assert_eq!(warned.news(run, 0, &Fate::Open), None, "it goes on");
        assert_eq!(warned.news(run, 0, &stuck), Some("400"), "and is stuck anew");
        warned.close(run);
        assert_eq!(warned.0.iter().collect::<Vec<_>>(), [&(other, 0)]);
    }
}
