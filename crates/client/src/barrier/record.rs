//! What the barrier knows of a branch, and the rules. Nothing here touches a database.

use super::{Answer, CallKind, Error, Settled};

/// A branch's row. It is empty when the branch is claimed for the first time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What became of do or try: `done`, `refused`, or `barred` by an undo that came first.
    pub begun: Option<String>,
    /// Its answer.
    pub begun_answer: Option<Vec<u8>>,
    /// How the branch ended: `undone`, `empty` or `confirmed`.
    pub ended: Option<String>,
    /// The answer to that.
    pub ended_answer: Option<Vec<u8>>,
}

/// What is to be done about a call.
#[derive(Debug, PartialEq, Eq)]
pub enum Meeting {
    /// Run its work.
    Work,
    /// It is settled, and so it is recorded.
    Known(Settled),
    /// It is settled now: record it.
    New(Settled),
}

#[derive(Clone, Copy)]
enum Begun {
    Done,
    Refused,
    Barred,
}

#[derive(Clone, Copy)]
enum Ended {
    Undone,
    Empty,
    Confirmed,
}

impl Row {
    /// The rules. Undo and cancel are one to the barrier, and so are do and try. To ask is to undo
    /// what is not done yet, and to leave alone what is.
    pub(super) fn meet(&mut self, kind: CallKind) -> Result<Meeting, Error> {
        let (begun, ended) = (self.begun()?, self.ended()?);
        Ok(match kind {
            CallKind::Do | CallKind::Try => match begun {
                None => Meeting::Work,
                Some(Begun::Done) => Meeting::Known(Settled::Done(recorded(&self.begun_answer))),
                Some(Begun::Refused) => {
                    Meeting::Known(Settled::Refused(recorded(&self.begun_answer)))
                }
                Some(Begun::Barred) => Meeting::Known(Settled::Late),
            },
            CallKind::Undo | CallKind::Cancel => match (ended, begun) {
                (Some(Ended::Undone), _) => {
                    Meeting::Known(Settled::Done(recorded(&self.ended_answer)))
                }
                (Some(Ended::Empty), _) => Meeting::Known(Settled::Empty),
                (Some(Ended::Confirmed), _) => Meeting::Known(Settled::Contradicted),
                (None, Some(Begun::Done)) => Meeting::Work,
                (None, Some(Begun::Refused | Begun::Barred) | None) => {
                    self.begun.get_or_insert_with(|| Begun::Barred.name().into());
                    self.ended = Some(Ended::Empty.name().into());
                    Meeting::New(Settled::Empty)
                }
            },
            CallKind::Confirm => match (ended, begun) {
                (Some(Ended::Confirmed), _) => {
                    Meeting::Known(Settled::Done(recorded(&self.ended_answer)))
                }
                (Some(Ended::Undone | Ended::Empty), _) => Meeting::Known(Settled::Contradicted),
                (None, Some(Begun::Done)) => Meeting::Work,
                (None, Some(Begun::Refused | Begun::Barred) | None) => {
                    Meeting::Known(Settled::Missing)
                }
            },
            CallKind::Ask => match begun {
                Some(Begun::Done) => Meeting::Known(Settled::Done(recorded(&self.begun_answer))),
                Some(Begun::Refused | Begun::Barred) => {
                    Meeting::Known(Settled::Refused(recorded(&self.begun_answer)))
                }
                None => {
                    self.begun = Some(Begun::Barred.name().into());
                    let answer = Answer { bytes: Vec::new(), repeated: false };
                    Meeting::New(Settled::Refused(answer))
                }
            },
        })
    }

    /// Notes that the work is done.
    pub(super) fn done(&mut self, kind: CallKind, answer: &[u8]) {
        let end = match kind {
            CallKind::Do | CallKind::Try => {
                self.begun = Some(Begun::Done.name().into());
                self.begun_answer = Some(answer.into());
                return;
            }
            CallKind::Undo | CallKind::Cancel => Ended::Undone,
            CallKind::Confirm => Ended::Confirmed,
            CallKind::Ask => unreachable!("its meeting is never work"),
        };
        self.ended = Some(end.name().into());
        self.ended_answer = Some(answer.into());
    }

    /// Notes that the work is refused, and says whether that is for good: what is decided must
    /// succeed in the end, so only do and try can be.
    pub(super) fn refused(&mut self, kind: CallKind, answer: &[u8]) -> bool {
        let for_good = matches!(kind, CallKind::Do | CallKind::Try);
        if for_good {
            self.begun = Some(Begun::Refused.name().into());
            self.begun_answer = Some(answer.into());
        }
        for_good
    }

    fn begun(&self) -> Result<Option<Begun>, Error> {
        let known = [Begun::Done, Begun::Refused, Begun::Barred];
        read(&self.begun, |name| known.into_iter().find(|begun| begun.name() == name))
    }

    fn ended(&self) -> Result<Option<Ended>, Error> {
        let known = [Ended::Undone, Ended::Empty, Ended::Confirmed];
        read(&self.ended, |name| known.into_iter().find(|ended| ended.name() == name))
    }
}

impl Begun {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Barred => "barred",
        }
    }
}

impl Ended {
    fn name(self) -> &'static str {
        match self {
            Self::Undone => "undone",
            Self::Empty => "empty",
            Self::Confirmed => "confirmed",
        }
    }
}

fn read<S>(text: &Option<String>, find: impl Fn(&str) -> Option<S>) -> Result<Option<S>, Error> {
    let unknown = |text: &String| find(text).ok_or_else(|| Error::UnknownState(text.clone()));
    text.as_ref().map(unknown).transpose()
}

fn recorded(answer: &Option<Vec<u8>>) -> Answer {
    Answer { bytes: answer.clone().unwrap_or_default(), repeated: true }
}
