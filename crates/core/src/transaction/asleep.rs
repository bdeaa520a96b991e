//! A transaction that sleeps: a hundred thousand may wait for their services, and each is asked
//! again once in minutes.

use alloc::{boxed::Box, string::String, vec::Vec};

use super::{
    live::{Live, Telling, Voting},
    state::{Known, Saved},
    words::{AckWhen, Index, Tried},
};
use crate::id::RequestId;

/// What is kept of it: what its records do not give back. As small as can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asleep {
    /// Absent after the decision.
    said: Option<Said>,
    /// Without those at the end of whom there is nothing to tell.
    telling: Box<[Told]>,
    tellings: Index,
    waiters: Box<[(RequestId, AckWhen)]>,
    rare: Option<Box<Rare>>,
}

/// What the caller of an undecided run has said so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    hold: bool,
    open: bool,
}

/// What few transactions have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rare {
    adders: Box<[(RequestId, Index)]>,
    asks: u32,
    ask_answer: Option<String>,
}

/// A [`Telling`] of which no answer is awaited.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    is_begun: bool,
    waits: bool,
    may_be_done: bool,
    may_be_late: bool,
    is_worked_on: bool,
    is_finished: bool,
    tries: u32,
    unsent: u32,
    spent_ms: u64,
    last_answer: Option<Box<str>>,
    tried: Option<Tried>,
}

impl Asleep {
    /// None if it must stay: if nothing is recorded of it; if it has votes or ballots that are not;
    /// if a branch is about to answer, or its caller, who is told that it is held.
    pub(super) fn of(saved: &Saved, live: &Live) -> Option<Self> {
        let Live { voting, lead, waiters, adders, telling, asks, ask_answer } = live;
        let known = saved.known.as_ref().filter(|_| lead.is_none())?;
        let begun = telling.iter().rposition(|branch| *branch != Telling::default());
        let begun = &telling[..begun.map_or(0, |last| last + 1)];
        let begun = begun.iter().map(Told::of).collect::<Option<_>>()?;
        let said = match voting {
            None => None,
            Some(voting) if voting.is_held() => return None,
            Some(voting) => {
                let said = Said { hold: voting.hold, open: voting.open };
                let is_recorded = said.voting(known).as_ref() == Some(voting);
                is_recorded.then_some(Some(said))?
            }
        };
        let (asks, ask_answer) = (*asks, ask_answer.clone());
        let rare = Rare { adders: adders.as_slice().into(), asks, ask_answer };
        Some(Self {
            said,
            telling: begun,
            tellings: telling.len().try_into().ok()?,
            waiters: waiters.as_slice().into(),
            rare: (rare != Rare::default()).then(|| Box::new(rare)),
        })
    }

    pub(super) fn wake(self, saved: &Saved) -> Live {
        let known = saved.known.as_ref();
        let rare = self.rare.map(|rare| *rare).unwrap_or_default();
        let mut telling: Vec<_> = self.telling.into_iter().map(Told::wake).collect();
        telling.resize(self.tellings.into(), Telling::default());
        Live {
            voting: self.said.and_then(|said| said.voting(known?)),
            lead: None,
            waiters: self.waiters.into(),
            adders: rare.adders.into(),
            telling,
            asks: rare.asks,
            ask_answer: rare.ask_answer,
        }
    }
}

impl Said {
    /// The run as its records tell it.
    fn voting(self, known: &Known) -> Option<Voting> {
        let recorded = Voting::resumed(known, known.plan.as_ref()?);
        Some(Voting { hold: self.hold, open: self.open, ..recorded })
    }
}

impl Told {
    fn of(telling: &Telling) -> Option<Self> {
        let &Telling {
            is_begun,
            is_asked: false,
            is_doing: false,
            waits,
            may_be_done,
            may_be_late,
            is_worked_on,
            is_finished,
            tries,
            unsent,
            spent_ms,
            ref last_answer,
            tried,
        } = telling
        else {
            return None;
        };
        let last_answer = last_answer.as_deref().map(Box::from);
        Some(Self {
            is_begun,
            waits,
            may_be_done,
            may_be_late,
            is_worked_on,
            is_finished,
            tries,
            unsent,
            spent_ms,
            last_answer,
            tried,
        })
    }

    fn wake(self) -> Telling {
        Telling {
            is_begun: self.is_begun,
            is_asked: false,
            is_doing: false,
            waits: self.waits,
            may_be_done: self.may_be_done,
            may_be_late: self.may_be_late,
            is_worked_on: self.is_worked_on,
            is_finished: self.is_finished,
            tries: self.tries,
            unsent: self.unsent,
            spent_ms: self.spent_ms,
            last_answer: self.last_answer.map(String::from),
            tried: self.tried,
        }
    }
}
