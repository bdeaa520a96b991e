//! The second phase on a session that did not do the first, and what became of a branch.

use std::time::Duration;

use handfast_core::{id::BranchId, vote::Ack};
use mysql_async::Error;
use tokio::time::sleep;

use super::{
    errors,
    marker::Marker,
    sessions::{Session, Stopped},
    xa::{self, Listed},
};

/// How long a session that owns the branch may take to go away by itself, in seconds. It does so
/// at once if its process died; one that is just committing needs the time for that.
const PATIENCE_S: u32 = 1;
/// How long a session that was killed may take to go away, in seconds.
const DYING_S: u32 = 3;
/// Between two looks at a branch of which nothing is found.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

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
    verb: Verb,
) -> Result<Ack, Error> {
    let answer = settle(session, marker, branch, verb).await;
    match answer {
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
    branch: &BranchId,
    verb: Verb,
) -> Result<Ack, Stopped> {
    let command = match verb {
        Verb::Commit => format!("; XA COMMIT {}", xa::xid(branch)),
        Verb::RollBack => format!("; XA ROLLBACK {}", xa::xid(branch)),
        Verb::Look => String::new(),
    };
    // Work that is to be rolled back needs no time to end well.
    let mut wait_s = if verb == Verb::RollBack { 0 } else { PATIENCE_S };
    for _ in 0..2 {
        let sent = session.batch(&format!("{}{command}", xa::lock(branch, wait_s))).await;
        let locked = match sent {
            Ok(_) if verb != Verb::Look => return Ok(Ack::Finished),
            Ok(sets) => xa::got_lock(&sets),
            // Either there is no such branch, or its session is alive: the lock tells.
            Err(Stopped { sets, error: Error::Server(said), .. })
                if said.code == xa::NOTA || errors::is_rolled_back(said.code) =>
            {
                xa::got_lock(&sets)
            }
            Err(stopped) => return Err(stopped),
        };
        if locked {
            return classify(session, marker, branch, verb).await;
        }
        if let Some(owner) = xa::owner(session, branch).await? {
            xa::kill(session, owner).await?;
        }
        wait_s = DYING_S;
    }
    Ok(Ack::Unknown("the session that works on it does not go away".into()))
}

/// What became of a branch that cannot be finished. The session holds its name lock, so no
/// session of ours can change anything meanwhile.
async fn classify(
    session: &mut Session,
    marker: &Marker,
    branch: &BranchId,
    verb: Verb,
) -> Result<Ack, Stopped> {
    for look in 1.. {
        if is_listed(session, branch).await? {
            return Ok(Ack::Unknown("it is still prepared, and somebody is at it".into()));
        }
        let found = marker.is_there(session, branch).await?;
        return Ok(match (verb, found) {
            (Verb::RollBack, Some(true)) => {
                Ack::Heuristic("it was committed: its marker is there".into())
            }
            (Verb::RollBack, _) | (_, Some(true)) => Ack::Finished,
            (_, None) => Ack::Broken(
                "its marker table is gone, so nobody can tell whether it was committed".into(),
            ),
            // Somebody who commits it just now may have it off the list and not visible yet.
            (_, Some(false)) if look == 1 => {
                sleep(LOOK_AGAIN).await;
                continue;
            }
            (_, Some(false)) => Ack::Heuristic(
                "it was rolled back: it is not prepared, and its marker is not there".into(),
            ),
        });
    }
    unreachable!("the second look answers")
}

async fn is_listed(session: &mut Session, branch: &BranchId) -> Result<bool, Stopped> {
    let listed = xa::prepared(session).await?;
    Ok(listed.iter().any(|one| matches!(one, Listed::Handfast(listed) if listed == branch)))
}
