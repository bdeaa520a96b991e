//! A participant as small as it can be, and the messages about one of its branches.

/// What a branch that is asked to prepare may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cast {
    Yes,
    No,
    ReadOnly,
}

/// What is asked of a branch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// With what it will say, if it is asked for the first time.
    Prepare(Cast),
    Commit,
    Abort,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum State {
    #[default]
    Fresh,
    /// Its work is done and kept open, for a commit in one phase. A death of either side ends it.
    Held,
    /// It waits for the decision, whatever dies: a participant that is down or cut off is one that
    /// no message reaches.
    Prepared,
    /// It wrote nothing.
    ReadOnly,
    Committed,
    /// Also of a branch that was never there: a late prepare is refused.
    Aborted,
    /// Finished by someone else while it was prepared.
    Meddled {
        committed: bool,
    },
}

/// The messages about one branch that were sent. Each may arrive now, later, twice or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Mail {
    pub prepare: bool,
    pub commit: bool,
    pub abort: bool,
    pub yes: bool,
    pub no: bool,
    pub read_only: bool,
    pub finished: bool,
    pub heuristic: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Branch {
    pub state: State,
    pub mail: Mail,
    /// The coordinator's timer for telling it again.
    pub retry_armed: bool,
}

impl Mail {
    /// What was said about the decision, and answered, never arrives.
    pub fn lose_decision(&mut self) {
        let Self { prepare, yes, no, read_only, .. } = *self;
        *self = Self { prepare, yes, no, read_only, ..Self::default() };
    }
}

impl Branch {
    /// Waits for the decision, and holds locks until it comes.
    pub fn is_waiting(self) -> bool {
        matches!(self.state, State::Held | State::Prepared)
    }

    /// Ends a branch that waits; one that ended stays as it is.
    pub fn end(&mut self, state: State) {
        if self.is_waiting() {
            self.state = state;
        }
    }

    pub fn prepare(&mut self, cast: Cast, one_phase: bool) {
        if self.state == State::Fresh {
            self.state = match cast {
                Cast::Yes if one_phase => State::Held,
                Cast::Yes => State::Prepared,
                Cast::No => State::Aborted,
                Cast::ReadOnly => State::ReadOnly,
            };
        }
        match self.state {
            State::Held | State::Prepared | State::Committed => self.mail.yes = true,
            State::ReadOnly => self.mail.read_only = true,
            State::Aborted | State::Meddled { .. } => self.mail.no = true,
            State::Fresh => unreachable!("it has just left it"),
        }
    }

    pub fn commit(&mut self) {
        self.end(State::Committed);
        if self.state == State::Fresh {
            self.state = State::Aborted;
        }
        match self.state {
            State::Committed | State::Meddled { committed: true } => self.mail.finished = true,
            _ => self.mail.heuristic = true,
        }
    }

    pub fn abort(&mut self, fences: bool) {
        self.end(State::Aborted);
        if self.state == State::Fresh && fences {
            self.state = State::Aborted;
        }
        match self.state {
            State::Committed | State::Meddled { committed: true } => self.mail.heuristic = true,
            _ => self.mail.finished = true,
        }
    }
}
