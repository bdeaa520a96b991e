//! `handfast tx`: transactions, as an operator sees them.

mod dry_run;
mod many;
mod show;
mod word;

use std::path::Path;

use handfast_client::{
    Command, Handfast, NotDone, Outcome, Unknown,
    wire::{
        self, Because, BeginTransaction, Branch, ListFilter, Resolve, RetryNow, StuckAt,
        TransactionLine, TransactionPage,
    },
};

use super::{client, file, saga};
use crate::{
    args::{self, Told, Tx, TxCommand, Wait},
    exit::{Exit, Failure},
    output::{Output, now_ms, relative, table},
};

const PAGE: u32 = 500;

pub async fn run(args: Tx, output: &Output) -> Result<Exit, Failure> {
    let hf = client(&args.node)?;
    let one = async |gid: &str, command, dry| word::say(&hf, gid, command, dry, output).await;
    match args.command {
        TxCommand::Ls { filter, limit, all } => {
            let page = pages(&hf, filter.into(), if all { None } else { Some(limit) }).await?;
            output.data(&page, |page| lines(&page.transactions));
            if page.next.is_some() {
                output.talk("there are more: use --all or a larger --limit");
            }
            Ok(Exit::Ok)
        }
        TxCommand::Show { gid, graph } => {
            let transaction = hf.get(&gid).await?;
            if let Some(file) = graph {
                saga::save(&file, &handfast_saga::graph_of(&transaction), output)?;
            }
            show(&transaction, output);
            Ok(Exit::Ok)
        }
        TxCommand::Begin { file, gid, wait } => begin(&hf, &file, gid, wait, output).await,
        TxCommand::Add { gid, file } => add(&hf, &gid, file::parsed(&file)?, output).await,
        TxCommand::Commit(Told { whom, reason }) => match &whom.gid {
            Some(gid) => one(gid, Command::Commit(Because { reason }), whom.dry_run).await,
            None => many::tell(&args.node, many::Word::Commit, whom, reason, output).await,
        },
        TxCommand::Abort(Told { whom, reason }) => match &whom.gid {
            Some(gid) => one(gid, Command::Abort(Because { reason }), whom.dry_run).await,
            None => many::tell(&args.node, many::Word::Abort, whom, reason, output).await,
        },
        TxCommand::Retry { told: Told { whom, reason }, branch } => match &whom.gid {
            Some(gid) => one(gid, Command::Retry(RetryNow { branch, reason }), whom.dry_run).await,
            None => many::tell(&args.node, many::Word::Retry, whom, reason, output).await,
        },
        TxCommand::Edit(wanted) => edit(&hf, &args.node, wanted, output).await,
        TxCommand::Resolve { whom, branch, in_each, seen, reason } => match &whom.gid {
            Some(gid) => {
                let (branch, outcome) = (branch.unwrap_or_default(), seen.outcome());
                let resolve = Command::Resolve(Resolve { branch, outcome, reason });
                one(gid, resolve, whom.dry_run).await
            }
            None => {
                let word = many::Word::Resolve { branch: in_each, outcome: seen.outcome() };
                many::tell(&args.node, word, whom, reason, output).await
            }
        },
    }
}

async fn edit(
    hf: &Handfast,
    node: &args::Node,
    wanted: args::Edit,
    output: &Output,
) -> Result<Exit, Failure> {
    let branch = word::edited(hf, &wanted).await?;
    let args::Edit { whom, reason, .. } = wanted;
    let Some(gid) = &whom.gid else {
        return many::tell(node, many::Word::Edit(branch.into()), whom, reason, output).await;
    };
    let edit = Command::Edit(wire::Edit { branch, reason }.into());
    word::say(hf, gid, edit, whom.dry_run, output).await
}

fn show(transaction: &wire::Transaction, output: &Output) {
    output.data(transaction, |t| show::page(t, now_ms()));
}

async fn begin(
    hf: &Handfast,
    file: &Path,
    gid: Option<String>,
    wait: Option<Wait>,
    output: &Output,
) -> Result<Exit, Failure> {
    let mut begin: BeginTransaction = file::parsed(file)?;
    begin.gid = gid.or(begin.gid);
    begin.wait = match wait {
        Some(Wait::Outcome) => Some(wire::Wait::Outcome),
        Some(Wait::None) => Some(wire::Wait::None),
        None => begin.wait,
    };
    let outcome = hf.begin(&begin).await?;
    let is_held = matches!(&outcome, Outcome::Unknown(unknown) if unknown.is_held());
    Ok(match is_held || begin.open || begin.wait == Some(wire::Wait::None) {
        true => tell_taken(hf, outcome, output).await,
        false => tell(hf, outcome, output, Exit::Ok, Exit::No).await,
    })
}

async fn add(hf: &Handfast, gid: &str, branch: Branch, output: &Output) -> Result<Exit, Failure> {
    let outcome = match hf.opened(gid).add(branch).await {
        Ok(_) => {
            show(&hf.get(gid).await?, output);
            return Ok(Exit::Ok);
        }
        Err(NotDone::Aborted(abort)) => Outcome::Aborted(*abort),
        Err(NotDone::Committed(transaction)) => Outcome::Committed(*transaction),
        Err(NotDone::Unknown(unknown)) => Outcome::Unknown(*unknown),
        Err(NotDone::Error(error)) => return Err(error.into()),
        Err(other) => return Err(Failure::new(Exit::Bug, other.to_string())),
    };
    Ok(tell(hf, outcome, output, Exit::No, Exit::No).await)
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
        let row = vec![
            line.gid.clone(),
            if line.stuck { format!("{state}, STUCK") } else { state.into() },
            relative(line.changed_at_ms, now),
            line.resources.join(", "),
            line.saga.clone().unwrap_or_default(),
        ];
        row.into_iter().chain(stuck(&line.stuck_at)).collect()
    };
    let rows: Vec<_> = transactions.iter().map(row).collect();
    let head = ["GID", "STATE", "CHANGED", "RESOURCES", "SAGA", "STUCK AT", "LAST ANSWER"];
    // The last two are empty most of the time.
    let columns = if transactions.iter().all(|line| line.stuck_at.is_empty()) { 5 } else { 7 };
    table(&head[..columns], &rows)
}

/// Which branch is stuck, and what it was answered; how many others are.
fn stuck(stuck_at: &[StuckAt]) -> [String; 2] {
    let Some((first, others)) = stuck_at.split_first() else { return Default::default() };
    let StuckAt { branch, resource, last_answer } = first;
    let mut name = branch.clone().unwrap_or_else(|| format!("(asking {resource})"));
    if !others.is_empty() {
        name += &format!(", and {} more", others.len());
    }
    [name, show::shortened(last_answer.clone())]
}

/// Tells of a transaction that is as far as it was asked to be when it was taken.
pub(super) async fn tell_taken(hf: &Handfast, outcome: Outcome, output: &Output) -> Exit {
    if let Outcome::Unknown(Unknown { transaction: Some(taken), .. }) = &outcome {
        show(taken, output);
        return Exit::Ok;
    }
    tell(hf, outcome, output, Exit::Ok, Exit::No).await
}

/// Tells an outcome, and makes it an exit code.
pub(super) async fn tell(
    hf: &Handfast,
    outcome: Outcome,
    output: &Output,
    committed: Exit,
    aborted: Exit,
) -> Exit {
    if let Some(answered) = outcome.transaction() {
        // The answer tells the outcome; how far the branches are is asked for.
        let whole = hf.get(&answered.gid).await;
        show(whole.as_ref().unwrap_or(answered), output);
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
