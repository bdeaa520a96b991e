//! One case: a node and two banks from their start to the proof that nothing went wrong.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use handfast_client::{
    Error, Handfast, Outcome, Transaction,
    wire::{ListFilter, State},
};
use tempfile::TempDir;

use super::{
    BETWEEN_LOOKS, REACHED_WITHIN, Result, SETTLED_WITHIN,
    bank::{ACCOUNTS, BALANCE},
    process::Process,
    said,
    world::{Banks, World},
};

/// What became of a transaction, by gid: true if it was committed.
pub type Answers = BTreeMap<String, bool>;

pub struct Case<'a> {
    pub node: Process,
    pub banks: Banks<'a>,
    pub hf: Handfast,
    cluster: String,
    /// Declared last: the processes are gone when it is removed.
    _directory: TempDir,
}

impl<'a> Case<'a> {
    pub fn new(world: &'a mut World) -> Result<Self> {
        let cluster = world.next();
        let directory = tempfile::tempdir().map_err(said)?;
        let of_cluster = format!("cluster={cluster}");
        let node = Process::new(directory.path(), "node", &["serve", "--set", &of_cluster]);
        let hf = Handfast::builder(&node.url).build().map_err(said)?;
        let banks = world.banks(&node, directory.path());
        Ok(Self { node, banks, hf, cluster, _directory: directory })
    }

    /// Opens the banks.
    pub async fn open(&mut self) -> Result<()> {
        for (name, bank) in ["debit", "credit"].into_iter().zip(&mut *self.banks) {
            bank.open(&self.cluster).await?;
            self.node.arg(["--resource", &format!("{name}={}", bank.url())]);
        }
        Ok(())
    }

    /// A transfer from an account of the first bank to the same one of the second.
    pub fn transfer(&self, gid: &str, account: i64, amount: i64) -> Transaction {
        let transaction = self.hf.transaction(gid);
        let transaction = self.banks[0].branch(transaction, "debit", account, -amount);
        self.banks[1].branch(transaction, "credit", account, amount)
    }

    /// Prepares a transfer that then waits for its caller's word.
    pub async fn hold(&self, gid: &str, account: i64) -> Result<()> {
        let held = self.transfer(gid, account, 7).hold().timeout(Duration::from_secs(120));
        let _ = held.no_wait().run().await.map_err(said)?;
        let until = Instant::now() + REACHED_WITHIN;
        loop {
            let seen = self.hf.get(gid).await.map_err(said)?;
            if seen.state == State::Held {
                return Ok(());
            }
            if seen.state != State::Preparing || Instant::now() > until {
                return Err(format!("{gid} is not held: {seen:?}"));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    /// What became of it: true if committed, `None` if the node has no decision.
    pub async fn found(&self, gid: &str) -> Result<Option<bool>> {
        match self.hf.wait(gid, SETTLED_WITHIN).await {
            Ok(outcome) => known(gid, outcome).map(Some),
            Err(Error::NotFound(_)) => Ok(None),
            Err(other) => Err(said(other)),
        }
    }

    /// Waits until nothing is open at the node nor in doubt in the banks. `up` is when everything
    /// was up; answers how long it took since then.
    pub async fn settled(&self, up: Instant) -> Result<Duration> {
        loop {
            let left = self.left().await?;
            if left.is_empty() {
                return Ok(up.elapsed());
            }
            if up.elapsed() > SETTLED_WITHIN {
                return Err(format!("not settled {:?} after all is up: {left:?}", up.elapsed()));
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn left(&self) -> Result<Vec<String>> {
        let open = ListFilter { state: Some("open".into()), ..ListFilter::default() };
        let open = self.hf.list(&open).await.map_err(said)?.transactions;
        let mut left: Vec<_> =
            open.iter().map(|line| format!("{} is {:?}", line.gid, line.state)).collect();
        for bank in self.banks.iter() {
            left.extend(bank.in_doubt().await?);
        }
        Ok(left)
    }

    /// The books balance and say of every transaction what its caller was told.
    pub async fn check(&self, answers: &Answers) -> Result<()> {
        let [debit, credit] = [self.banks[0].books().await?, self.banks[1].books().await?];
        if debit.total + credit.total != 2 * ACCOUNTS * BALANCE {
            return Err(format!("money went missing, or came from nowhere: {debit:?} {credit:?}"));
        }
        for (gid, committed) in answers {
            let entries = [debit.entries.get(gid), credit.entries.get(gid)];
            let is_true = match entries {
                [Some(paid), Some(got)] => *committed && paid + got == 0,
                [None, None] => !committed,
                _ => false,
            };
            if !is_true {
                return Err(format!("{gid}: committed was {committed}, the books: {entries:?}"));
            }
        }
        let known = |gid: &&String| !answers.contains_key(*gid);
        match debit.entries.keys().chain(credit.entries.keys()).find(known) {
            Some(gid) => Err(format!("{gid} is in the books, but nobody was told of it")),
            None => Ok(()),
        }
    }

    /// What the processes wrote, for whoever reads a failure.
    pub fn said(&self) -> String {
        let banks = self.banks.iter().map(|bank| match bank {
            super::bank::Bank::Shard(bank) => bank.process.said(),
            _ => String::new(),
        });
        let banks: Vec<_> = banks.collect();
        format!("  node:\n{}  banks:\n{}", self.node.said(), banks.join("    --\n"))
    }
}

/// True if committed.
pub fn known(gid: &str, outcome: Outcome) -> Result<bool> {
    match outcome {
        Outcome::Committed(_) => Ok(true),
        Outcome::Aborted(_) => Ok(false),
        Outcome::Unknown(unknown) => Err(format!("{gid} is unknown: {}", unknown.why)),
    }
}
