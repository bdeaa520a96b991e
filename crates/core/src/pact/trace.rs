//! One-line texts of messages, for golden traces, the simulator and the log.

use core::fmt::{self, Display, Formatter};

use super::{
    Message, Pact, Peer, Way, Word,
    paxos::{Ballot, Proposal, Value},
    three_phase::Stage,
};

impl Display for Peer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Coordinator => f.write_str("coordinator"),
            Self::Shard(name) => f.write_str(name),
        }
    }
}

impl Display for Pact {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self.way {
            Way::ThreePhase => "three-phase",
            Way::Paxos => "paxos",
        })?;
        self.acceptors.iter().try_for_each(|name| write!(f, " {name}"))
    }
}

impl Display for Ballot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepared => "prepared",
            Self::Aborted => "aborted",
        })
    }
}

impl Display for Proposal {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.ballot, self.value)
    }
}

impl Display for Stage {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepared => "prepared",
            Self::PreCommitted => "precommitted",
            Self::Committed => "committed",
            Self::Aborted => "aborted",
        })
    }
}

impl Display for Message {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.word)
    }
}

impl Display for Word {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Voted { member, acceptor } => write!(f, "voted #{member} to acceptor {acceptor}"),
            Self::Claim { ballot, acceptor } => write!(f, "claim {ballot} of acceptor {acceptor}"),
            Self::Promise { ballot, acceptor, accepted } => {
                write!(f, "promise {ballot} by acceptor {acceptor}")?;
                accepted.map_or(Ok(()), |accepted| write!(f, " accepted {accepted}"))
            }
            Self::Accept { proposal, acceptor } => {
                write!(f, "accept {proposal} at acceptor {acceptor}")
            }
            Self::Accepted { proposal, acceptor } => {
                write!(f, "accepted {proposal} by acceptor {acceptor}")
            }
            Self::Outbid { ballot, acceptor, promised } => {
                write!(f, "outbid {ballot} by acceptor {acceptor} promised {promised}")
            }
            Self::Retired { ballot, acceptor } => {
                write!(f, "retired from {ballot} acceptor {acceptor}")
            }
            Self::Decided { to, commit } => {
                write!(f, "decided {} to p{to}", if *commit { "commit" } else { "abort" })
            }
            Self::PreCommit { by, member } => write!(f, "precommit #{member} by p{by}"),
            Self::PreCommitted { by, member } => write!(f, "precommitted #{member} to p{by}"),
            Self::Asked { by, member, leads } => {
                write!(f, "asked #{member} by p{by}{}", if *leads { " leading" } else { "" })
            }
            Self::Told { by, member, stage, recovering } => {
                let recovering = if *recovering { " recovering" } else { "" };
                write!(f, "told p{by} #{member} {stage}{recovering}")
            }
            Self::Led { by, member, leader } => write!(f, "led p{by} #{member} by #{leader}"),
            Self::Forgotten { by, member } => write!(f, "forgotten p{by} #{member}"),
        }
    }
}
