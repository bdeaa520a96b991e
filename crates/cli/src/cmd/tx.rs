//! `handfast tx`: transactions, as an operator sees them.

mod show;

use handfast_client::{
    Handfast, Outcome,
    wire::{ListFilter, Resolve, TransactionLine, TransactionPage},
};

use super::client;
use crate::{
    args::{Tx, TxCommand},
    exit::{Exit, Failure},
    output::{Output, now_ms, relative, table},
};

const PAGE: u32 = 500;

pub async fn run(args: Tx, output: &Output) -> Result<Exit, Failure> {
    let hf = client(&args.node)?;
    match args.command {
        TxCommand::Ls { state, resource, prefix, limit, all } => {
            let filter = ListFilter { state, resource, prefix, ..ListFilter::default() };
            let page = pages(&hf, filter, if all { None } else { Some(limit) }).await?;
            output.data(&page, |page| lines(&page.transactions));
            if page.next.is_some() {
                output.talk("there are more: use --all or a larger --limit");
            }
            Ok(Exit::Ok)
        }
        TxCommand::Show { gid } => {
            output.data(&hf.get(&gid).await?, |t| show::page(t, now_ms()));
            Ok(Exit::Ok)
        }
        TxCommand::Commit(told) => {
            let outcome = hf.commit(&told.gid, &told.reason).await?;
            Ok(tell(&hf, outcome, output, Exit::Ok, Exit::No).await)
        }
        TxCommand::Abort(told) => {
            let outcome = hf.abort(&told.gid, &told.reason).await?;
            Ok(tell(&hf, outcome, output, Exit::No, Exit::Ok).await)
        }
        TxCommand::Retry(told) => {
            output.data(&hf.retry(&told.gid, &told.reason).await?, |t| show::page(t, now_ms()));
            Ok(Exit::Ok)
        }
        TxCommand::Resolve { gid, branch, outcome, reason } => {
            let resolve = Resolve { branch, outcome: outcome.into(), reason };
            output.data(&hf.resolve(&gid, &resolve).await?, |t| show::page(t, now_ms()));
            Ok(Exit::Ok)
        }
    }
}

/// As many lines as wanted, over as many pages as that takes.
async fn pages(
    hf: &Handfast,
    mut filter: ListFilter,
    wanted: Option<u32>,
) -> Result<TransactionPage, Failure> {
    let mut all = TransactionPage { transactions: Vec::new(), next: None };
    loop {
        let have = u32::try_from(all.transactions.len()).unwrap_or(u32::MAX);
        let missing = wanted.map_or(PAGE, |wanted| wanted.saturating_sub(have));
        if missing == 0 {
            return Ok(all);
        }
        filter.limit = Some(missing.min(PAGE));
        let page = hf.list(&filter).await?;
        all.transactions.extend(page.transactions);
        all.next = page.next;
        match &all.next {
            Some(next) => filter.after = Some(next.clone()),
            None => return Ok(all),
        }
    }
}

fn lines(transactions: &[TransactionLine]) -> String {
    let now = now_ms();
    let row = |line: &TransactionLine| {
        let state = show::state_word(line.state);
        vec![
            line.gid.clone(),
            if line.stuck { format!("{state}, STUCK") } else { state.into() },
            relative(line.changed_at_ms, now),
            line.resources.join(", "),
        ]
    };
    let rows: Vec<_> = transactions.iter().map(row).collect();
    table(&["GID", "STATE", "CHANGED", "RESOURCES"], &rows)
}

async fn tell(
    hf: &Handfast,
    outcome: Outcome,
    output: &Output,
    committed: Exit,
    aborted: Exit,
) -> Exit {
    if let Some(answered) = outcome.transaction() {
        // The answer tells the outcome; how far the branches are is asked for.
        let whole = hf.get(&answered.gid).await;
        output.data(whole.as_ref().unwrap_or(answered), |t| show::page(t, now_ms()));
    }
    match outcome {
        Outcome::Committed(_) => committed,
        Outcome::Aborted(_) => aborted,
        Outcome::Unknown(unknown) => {
            output.talk(&format!("the outcome is not known: {}", unknown.why));
            output.talk(&format!("  ask again: handfast tx show {}", unknown.gid));
            Exit::Unknown
        }
    }
}
