//! The second phase on a session that did not do the first, and what became of a branch.

use std::time::Duration;

use handfast_core::{
    id::BranchId,
    vote::{Ack, Proof},
};
use mysql_async::Error;
use tokio::time::sleep;

use super::{
    errors,
    marker::{self, Mark, Marker},
    sessions::{Session, Stopped},
    xa,
};

/// How long a session that owns the branch may take to go away by itself, in seconds. It does so
/// at once if its process died; one that is just committing needs the time for that.
const PATIENCE_S: u32 = 1;
/// How long a session that was killed may take to go away, in seconds.
const DYING_S: u32 = 3;
/// A session gives up its name lock shortly before it hands its branch to others.
const HANDING_OVER: Duration = Duration::from_millis(10);

/// What is to become of a branch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Commit it, prepared.
    Commit,
    /// Roll it back.
    RollBack,
    /// Only find out whether it was committed; it was never prepared.
    Look,
}

/// Does as told, or proves that it was done, or done otherwise. `Err`: the connection failed.
pub(super) async fn finish(
    session: &mut Session,
    marker: &Marker,
    branch: &BranchId,
    proof: &Proof,
    verb: Verb,
) -> Result<Ack, Error> {
    let command = match verb {
        Verb::Commit => Some(format!("XA COMMIT {}", xa::xid(branch))),
        Verb::RollBack => Some(format!("XA ROLLBACK {}", xa::xid(branch))),
        Verb::Look => None,
    };
    if let Some(command) = command.as_ref().filter(|_| session.server.detaches) {
        // No session owns a prepared branch here, so the answer can be trusted. The lock is for
        // those who ask meanwhile.
        let text = format!("{}; {command}; {}", xa::lock(branch, 0), xa::UNLOCK);
        if session.batch(&text).await.is_ok() {
            return Ok(Ack::Finished);
        }
    }
    match settle(session, marker, (branch, proof), verb, command).await {
        Err(Stopped { error, .. }) if error.is_fatal() => Err(error),
        answer => {
            // The answer is the same if this fails; then the session is not used again.
            session.soiled |= session.batch(xa::UNLOCK).await.is_err();
            Ok(answer.unwrap_or_else(|stopped| errors::not_finished(&stopped.error)))
        }
    }
}

async fn settle(
    session: &mut Session,
    marker: &Marker,
    (branch, proof): (&BranchId, &Proof),
    verb: Verb,
    command: Option<String>,
) -> Result<Ack, Stopped> {
    if !take_over(session, branch, verb).await? {
        return Ok(Ack::Unknown("the session that works on it does not go away".into()));
    }
    if let Some(command) = command
        && let Err(stopped) = session.batch(&command).await
    {
        let code = errors::number(&stopped.error);
        if code != xa::NOTA && !errors::is_rolled_back(code) {
            return Err(stopped);
        }
    }
    Ok(match (verb, marker.look(session, branch).await?) {
        (Verb::RollBack, Mark::Committed) => {
            Ack::Heuristic("it was committed: its marker is there".into())
        }
        (Verb::RollBack, Mark::Absent { .. } | Mark::NoTable) | (_, Mark::Committed) => {
            Ack::Finished
        }
        (_, Mark::Undecided) => Ack::Unknown(
            "its transaction is still open at the server, but not with us; if this stays, only a \
             restart of the server brings it back"
                .into(),
        ),
        (_, Mark::Absent { now_s }) => match marker::proves_nothing(proof, now_s) {
            None => Ack::Heuristic("it was rolled back: its marker is not there".into()),
            Some(why) => Ack::Broken(why),
        },
        (_, Mark::NoTable) => Ack::Broken(
            "its marker table is gone, so nobody can tell whether it was committed".into(),
        ),
    })
}

/// Takes the name lock of a branch; ends the session that holds it, if that does not go by itself.
async fn take_over(session: &mut Session, branch: &BranchId, verb: Verb) -> Result<bool, Stopped> {
    if take(session, branch, 0).await? {
        return Ok(true);
    }
    // Work that is to be rolled back needs no time to end well.
    let mut taken = verb != Verb::RollBack && take(session, branch, PATIENCE_S).await?;
    if !taken {
        if let Some(owner) = xa::owner(session, branch).await? {
            xa::kill(session, owner).await?;
        }
        taken = take(session, branch, DYING_S).await?;
    }
    if taken && !session.server.detaches {
        sleep(HANDING_OVER).await;
    }
    Ok(taken)
}

async fn take(session: &mut Session, branch: &BranchId, wait_s: u32) -> Result<bool, Stopped> {
    Ok(xa::got_lock(&session.batch(&xa::lock(branch, wait_s)).await?))
}
