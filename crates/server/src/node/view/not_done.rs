//! How a branch that is certainly not done came to that.

use handfast_core::transaction::Reason;

/// What came of a branch of which the decision says that it holds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotDone {
    /// It said no.
    Refused,
    /// An operator said that it is not done.
    Declared,
    /// Its call could not be made.
    NotCalled,
    /// No call of it arrived.
    NotReached,
    /// Its turn never came.
    NotBegun,
}

/// Why a branch that is not a service's holds nothing, though nobody said no.
const NEVER_THERE: [&str; 3] = ["unreachable", "resource_down", "unknown_resource"];

impl NotDone {
    /// `is_called` says that the branch is a service's, `is_tried` that a call of it was tried.
    pub(super) fn of(name: &str, reason: Option<&Reason>, is_called: bool, is_tried: bool) -> Self {
        let reason = reason.filter(|reason| reason.branch.as_deref() == Some(name));
        match reason.map(|reason| reason.refusal.code.as_str()) {
            Some("service_refused") => Self::Refused,
            Some("declared_undone") => Self::Declared,
            Some("step_timeout" | "vote_timeout") => Self::NotReached,
            Some(code) if NEVER_THERE.contains(&code) => Self::NotReached,
            Some(code) if is_called || code == "missing_output" => Self::NotCalled,
            Some(_) => Self::Refused,
            None if is_tried => Self::NotReached,
            None => Self::NotBegun,
        }
    }

    /// In a word; a step does not vote.
    pub(super) fn word(self, is_step: bool) -> &'static str {
        match self {
            Self::Refused if !is_step => "voted no",
            Self::Refused | Self::Declared => "not done",
            Self::NotCalled => "not called",
            Self::NotReached => "not reached",
            Self::NotBegun => "not begun",
        }
    }
}

#[cfg(test)]
mod tests {
    use handfast_core::vote::{Cause, Refusal};

    use super::*;

    #[test]
    fn only_who_was_asked_and_answered_said_no() {
        let because = |code: &str| Reason {
            branch: Some("a".into()),
            refusal: Refusal { code: code.into(), message: String::new(), cause: Cause::Business },
        };
        for (code, called, not_called) in [
            ("service_refused", NotDone::Refused, NotDone::Refused),
            ("declared_undone", NotDone::Declared, NotDone::Declared),
            ("step_timeout", NotDone::NotReached, NotDone::NotReached),
            ("vote_timeout", NotDone::NotReached, NotDone::NotReached),
            ("missing_output", NotDone::NotCalled, NotDone::NotCalled),
            ("wrong_work", NotDone::NotCalled, NotDone::Refused),
            ("unreachable", NotDone::NotReached, NotDone::NotReached),
            ("resource_down", NotDone::NotReached, NotDone::NotReached),
            ("deadlock", NotDone::NotCalled, NotDone::Refused),
        ] {
            let reason = because(code);
            for (is_called, wanted) in [(true, called), (false, not_called)] {
                assert_eq!(NotDone::of("a", Some(&reason), is_called, true), wanted, "{code}");
            }
            assert_eq!(NotDone::of("b", Some(&reason), true, true), NotDone::NotReached);
            assert_eq!(NotDone::of("b", Some(&reason), true, false), NotDone::NotBegun);
        }
    }
}
