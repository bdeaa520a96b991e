//! The caller of a transaction.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use handfast_client::{NotDone, Open, Transaction, wire};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use super::{
    super::{Result, case::known, said},
    branch::Branch,
    shapes::{Sender, Then},
};

/// Until then the sender of a message has its local transaction committed, or has not.
const ASKED_AFTER: Duration = Duration::from_millis(700);
/// Ample for adding all branches.
const LEFT_AFTER: Duration = Duration::from_secs(3);

#[derive(Clone)]
pub struct Caller {
    sender: Sender,
    /// With the branches that are in it from the first.
    transaction: Transaction,
    /// The others, in the order in which they are added.
    added: Vec<(Branch, wire::Branch)>,
    /// The service's address.
    service: String,
    /// How many answers were got: that it is open, and then for each branch that it was added.
    answers: Arc<AtomicUsize>,
}

impl Caller {
    /// `empty` is a transaction without branches.
    pub fn new(
        sender: Sender,
        empty: Transaction,
        branches: Vec<(Branch, wire::Branch)>,
        service: String,
    ) -> Self {
        let (first, added) = match sender {
            Sender::Adds(_) => (Vec::new(), branches),
            _ => (branches, Vec::new()),
        };
        let whole = first.into_iter().fold(empty, |to, (_, branch)| to.with(branch));
        let transaction = match sender {
            Sender::Runs | Sender::Adds(Then::Commits | Then::Aborts) => whole,
            Sender::Adds(Then::Leaves) => whole.deadline(LEFT_AFTER),
            Sender::Submits | Sender::Marks | Sender::Forgets => {
                whole.ask("service", wire::Call::post("/ask")).deadline(ASKED_AFTER)
            }
        };
        Self { sender, transaction, added, service, answers: Arc::default() }
    }

    /// How many answers it got before the last.
    pub fn answers(&self) -> usize {
        self.answers.load(Ordering::SeqCst)
    }

    /// Does all it has to do: what it was told, if it waited for that.
    pub async fn call(&self) -> Result<Option<bool>> {
        match self.sender {
            Sender::Runs => {
                let transaction = self.transaction.clone();
                let outcome = transaction.run().await.map_err(said)?;
                known(self.transaction.gid(), outcome).map(Some)
            }
            Sender::Adds(then) => self.adds(then).await,
            Sender::Submits | Sender::Marks | Sender::Forgets => self.prepares().await,
        }
    }

    async fn adds(&self, then: Then) -> Result<Option<bool>> {
        let open = match self.transaction.clone().open().await {
            Ok(open) => open,
            Err(why) => return ended(why).map(Some),
        };
        self.answers.fetch_max(1, Ordering::SeqCst);
        for (at, (branch, added)) in self.added.iter().enumerate() {
            let output = match open.add(added.clone()).await {
                Ok(output) => output,
                Err(why) => return ended(why).map(Some),
            };
            if output != branch.output() {
                return Err(format!("{branch:?} has put out {output}"));
            }
            self.answers.fetch_max(at + 2, Ordering::SeqCst);
        }
        match then {
            Then::Leaves => Ok(None),
            Then::Commits | Then::Aborts => self.last_word(&open, then).await.map(Some),
        }
    }

    /// Says the last word once more; one who had left says that it is to commit.
    pub async fn ask_again(&self, open: &Open) -> Result<Option<bool>> {
        match self.sender {
            Sender::Adds(then) => self.last_word(open, then).await.map(Some),
            _ => Ok(None),
        }
    }

    async fn last_word(&self, open: &Open, then: Then) -> Result<bool> {
        let told = match then {
            Then::Commits | Then::Leaves => open.commit().await,
            Then::Aborts => open.abort("it is not wanted any more").await,
        };
        known(open.gid(), told.map_err(said)?)
    }

    async fn prepares(&self) -> Result<Option<bool>> {
        let message = self.transaction.clone().prepare().await.map_err(said)?;
        if self.sender == Sender::Forgets {
            return Ok(None);
        }
        let marked = http(&self.service, &format!("POST /local/{}", message.gid())).await;
        let is_marked = marked.is_ok_and(|(status, _)| status == 200);
        if !is_marked || self.sender == Sender::Marks {
            return Ok(None);
        }
        known(message.gid(), message.submit().await.map_err(said)?).map(Some)
    }
}

/// Whether it is committed, if that is why a word was not taken.
fn ended(why: NotDone) -> Result<bool> {
    match why {
        NotDone::Committed(_) => Ok(true),
        NotDone::Aborted(_) => Ok(false),
        other => Err(said(other)),
    }
}

/// A call of the service that is not the node's: its status and body.
pub async fn http(url: &str, call: &str) -> Result<(u16, String)> {
    let address = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.map_err(said)?;
    let head = "content-length: 0\r\nconnection: close\r\n\r\n";
    let request = format!("{call} HTTP/1.1\r\nhost: {address}\r\n{head}");
    stream.write_all(request.as_bytes()).await.map_err(said)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.map_err(said)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status.ok_or("it was cut off")?, body.to_owned()))
}
