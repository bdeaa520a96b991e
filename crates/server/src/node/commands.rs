//! What callers and operators say to a transaction that began.

use std::{sync::Arc, time::Duration};

use handfast_client::wire;
use handfast_core::{
    id::RequestId,
    transaction::{AckWhen, Answer, Fate, Index, Input, Known, KnownBranch, Voted},
};
use handfast_log::Addressed;
use tokio::sync::oneshot;

use super::{Branch, Command, Node, Present, Rejected, callers::Answered, view};

impl Node {
    /// Tells a transaction; `by` names who, for the audit trail. Answers when that has its answer,
    /// or with what is known when `wait_ms` is over.
    ///
    /// # Errors
    /// Nothing has happened.
    pub async fn command(
        &self,
        gid: &str,
        command: Command,
        by: &str,
        wait_ms: u64,
    ) -> Result<wire::Transaction, Rejected> {
        let branch = self.branch_of(gid, &command).await?;
        let (word, about, reason) = (command.name(), command.branch(), command.reason());
        tracing::info!(gid, by, word, branch = about, reason, "a word from outside");
        let (waiting, answered) = self.inner.callers.wait(None);
        let input = input(waiting.request, command, branch, by);
        let known = match self.ask_machine(gid, input, answered, wait_ms).await? {
            None => view::unknown(gid),
            Some(answer) => view::answered(gid, answer, AckWhen::Decided)?,
        };
        // What is known after it, with all branches.
        Ok(self.transaction(gid).await.unwrap_or(known))
    }

    /// A transaction with a plan, as it is now.
    ///
    /// # Errors
    /// There is none.
    pub async fn present(&self, gid: &str) -> Result<Present, Rejected> {
        let (saved, _) = self.look(gid).await?.ok_or(Rejected::NoSuchTransaction)?;
        let no_plan =
            || Rejected::WrongState("its branches are all plain ones that prepare".into());
        let known = saved.known.ok_or_else(no_plan)?;
        let plan = known.plan.ok_or_else(no_plan)?;
        let is_decided = known.decision.is_some();
        let output = |branch: &KnownBranch| match branch.vote {
            Voted::Yes => Some(branch.proof.0.clone()),
            _ => is_decided.then(String::new),
        };
        let outputs = known.branches.iter().map(output).collect();
        let named = known.branches.into_iter().map(|branch| (branch.name, branch.resource));
        Ok(Present { gid: gid.into(), branches: named.collect(), plan, outputs })
    }

    /// The branches that are stuck: the one of that name, and those at one resource, if they are
    /// given. One that ended against the decision needs a look of its own, and so to be named.
    ///
    /// # Errors
    /// There are none; or it is not decided, and a word about one branch would decide it.
    pub async fn stuck(
        &self,
        gid: &str,
        named: Option<&str>,
        at: Option<&str>,
    ) -> Result<Vec<String>, Rejected> {
        let (saved, live) = self.look(gid).await?.ok_or(Rejected::NoSuchTransaction)?;
        if saved.known.as_ref().is_some_and(Known::is_left_to_pact) {
            return Err(Rejected::WrongState("it is not decided, and wants its own look".into()));
        }
        let known = saved.known.filter(|known| !known.finished);
        let branches = known.map(|known| known.branches).unwrap_or_default().into_iter();
        // Those that are tried again at this moment, too.
        let waits = |place: usize, branch: &KnownBranch| match branch.fate {
            Fate::Stuck(_) => !live.telling.get(place).is_some_and(|telling| telling.is_finished),
            Fate::Heuristic(_) => named.is_some(),
            Fate::Open | Fate::Applied | Fate::Resolved { .. } => false,
        };
        let is_meant = |branch: &KnownBranch| {
            named.is_none_or(|named| branch.name == named)
                && at.is_none_or(|at| branch.resource == at)
        };
        let stuck = branches.enumerate().filter(|(place, one)| is_meant(one) && waits(*place, one));
        let stuck: Vec<_> = stuck.map(|(_, branch)| branch.name).collect();
        if stuck.is_empty() {
            let what = named.map_or("no branch of it".into(), |named| format!("no branch {named}"));
            let place = at.map(|at| format!(" at {at}")).unwrap_or_default();
            return Err(Rejected::WrongState(format!("{what} is stuck{place}")));
        }
        Ok(stuck)
    }

    /// Adds a branch to an open transaction. Whether it is taken, and done, if it is a step whose
    /// turn comes before the caller's word; and the transaction as it is known then.
    ///
    /// # Errors
    /// Nothing has happened.
    pub async fn add(
        &self,
        gid: &str,
        branch: Branch,
        wait_ms: u64,
    ) -> Result<(bool, wire::Transaction), Rejected> {
        let name = branch.name.clone();
        let branch = self.specs(vec![branch])?.remove(0);
        let (waiting, answered) = self.inner.callers.wait(None);
        let input = Input::Add { request: waiting.request, branch };
        let (is_taken, known) = match self.ask_machine(gid, input, answered, wait_ms).await? {
            None => (false, view::unknown(gid)),
            Some(Answer::OtherContent) => return Err(Rejected::OtherBranch(name)),
            Some(answer) => {
                let is_taken = matches!(answer, Answer::Added | Answer::Done(_));
                (is_taken, view::answered(gid, answer, AckWhen::Decided)?)
            }
        };
        Ok((is_taken, self.known_view(gid).await.unwrap_or(known)))
    }

    /// The machine's answer; none if the wait was over first, or the partition ended: whether it
    /// was taken is not known then.
    async fn ask_machine(
        &self,
        gid: &str,
        input: Input,
        answered: oneshot::Receiver<Answered>,
        wait_ms: u64,
    ) -> Result<Option<Answer>, Rejected> {
        let sent = Addressed { stream: Arc::from(gid), input, fresh: false };
        self.inner.driver.try_send(sent)?;
        match tokio::time::timeout(Duration::from_millis(wait_ms), answered).await {
            Ok(Ok(told)) => told.map(|told| Some(told.answer)),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// The place of the branch that a word is about, if it is about one.
    pub(super) async fn branch_of(
        &self,
        gid: &str,
        command: &Command,
    ) -> Result<Option<Index>, Rejected> {
        let Some(name) = command.branch() else { return Ok(None) };
        let (saved, live) = self.look(gid).await?.ok_or(Rejected::NoSuchTransaction)?;
        let Some(known) = &saved.known else {
            let state = self.inner.view(gid, &saved, &live).map(|view| view.state);
            let why = match state {
                Some(wire::State::Held) => "it is held, and waits for `:commit` or `:abort`",
                _ => "it is preparing, and nothing is decided yet",
            };
            return Err(Rejected::WrongState(why.into()));
        };
        let at = known.branches.iter().position(|known| known.name == name);
        let at = at.and_then(|at| Index::try_from(at).ok());
        at.map(Some).ok_or(Rejected::NoSuchBranch)
    }
}

pub(super) fn input(
    request: RequestId,
    command: Command,
    branch: Option<Index>,
    by: &str,
) -> Input {
    let signed = |reason: String| match reason.trim() {
        "" => format!("no reason given (by {by})"),
        reason => format!("{reason} (by {by})"),
    };
    let named = branch.unwrap_or_default();
    match command {
        Command::Commit { .. } => Input::CommitAsked { request },
        Command::Abort { reason } => Input::AbortAsked { request, reason: signed(reason) },
        Command::Retry { .. } => Input::RetryAsked { request, branch },
        Command::Edit { work, uses, reason, .. } => {
            Input::Edit { request, branch: named, work, uses, reason: signed(reason) }
        }
        Command::Resolve { committed, reason, .. } => {
            Input::Resolved { request, branch: named, committed, reason: signed(reason) }
        }
    }
}
