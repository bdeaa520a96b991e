//! One word to all transactions that a filter names.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use handfast_client::{
    Error, Handfast,
    wire::{Branch, Bulk, BulkDone, BulkEdit, BulkResolve, ListFilter, Outcome},
};

use super::show::clean;
use crate::{
    args::{Node, Whom},
    cmd::{patient_client, ticker::Ticker},
    exit::{Exit, Failure},
    output::{Output, table},
};

/// How many are told with one request, and how many are looked at.
const TOLD: u32 = 100;
const LOOKED_AT: u32 = 500;
/// A page is answered when all of it have answered.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is said to each.
pub enum Word {
    Commit,
    Abort,
    Retry,
    Edit(Box<Branch>),
    Resolve { branch: Option<String>, outcome: Outcome },
}

impl Word {
    fn name(&self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
            Self::Retry => "retry",
            Self::Edit(_) => "edit",
            Self::Resolve { .. } => "resolve",
        }
    }

    /// Says it to one page.
    async fn say(&self, hf: &Handfast, bulk: Bulk) -> Result<BulkDone, Error> {
        let Bulk { filter, reason, dry_run } = bulk;
        match self {
            Self::Commit => hf.commit_all(&Bulk { filter, reason, dry_run }).await,
            Self::Abort => hf.abort_all(&Bulk { filter, reason, dry_run }).await,
            Self::Retry => hf.retry_all(&Bulk { filter, reason, dry_run }).await,
            Self::Edit(branch) => {
                let branch = Branch::clone(branch);
                hf.edit_all(&BulkEdit { filter, branch, reason, dry_run }).await
            }
            Self::Resolve { branch, outcome } => {
                let (branch, outcome) = (branch.clone(), *outcome);
                hf.resolve_all(&BulkResolve { filter, branch, outcome, reason, dry_run }).await
            }
        }
    }
}

/// Says how many they are, asks whether they are meant, and tells them.
pub async fn tell(
    node: &Node,
    word: Word,
    whom: Whom,
    reason: String,
    output: &Output,
) -> Result<Exit, Failure> {
    let hf = patient_client(node, PATIENCE)?;
    let Whom { filter, dry_run: only_look, yes, .. } = whom;
    let filter = ListFilter::from(filter);
    let bulk = Bulk { filter, reason, dry_run: Some(true) };
    if only_look || !yes {
        let looked = pages(&hf, &word, bulk.clone(), output).await?;
        if only_look || looked.taken.is_empty() {
            return Ok(report(&looked, &word, output));
        }
        confirm(&word, &looked)?;
    }
    let done = pages(&hf, &word, Bulk { dry_run: None, ..bulk }, output).await?;
    Ok(report(&done, &word, output))
}

/// All pages as one. What fails in the middle is told together with how far it came.
async fn pages(
    hf: &Handfast,
    word: &Word,
    mut bulk: Bulk,
    output: &Output,
) -> Result<BulkDone, Failure> {
    let is_dry = bulk.dry_run == Some(true);
    let doing = if is_dry { "looking" } else { "telling" };
    bulk.filter.limit = Some(if is_dry { LOOKED_AT } else { TOLD });
    let mut all = BulkDone { dry_run: is_dry, ..BulkDone::default() };
    let mut ticker = Ticker::new(output);
    loop {
        let page = word.say(hf, bulk.clone()).await.map_err(|error| {
            let told = all.taken.len();
            if !is_dry && told > 0 {
                output.talk(&format!("{told} were told before this; saying it again is safe"));
            }
            Failure::from(error)
        })?;
        all.taken.extend(page.taken);
        all.warnings.extend(page.warnings);
        all.already.extend(page.already);
        all.refused.extend(page.refused);
        let _ = ticker
            .tick(|| format!("{doing}: {} taken, {} refused", all.taken.len(), all.refused.len()));
        bulk.filter.after = page.next;
        if bulk.filter.after.is_none() {
            break;
        }
    }
    ticker.finish();
    Ok(all)
}

/// Fails unless a person says yes.
fn confirm(word: &Word, looked: &BulkDone) -> Result<(), Failure> {
    let (verb, taken) = (word.name(), looked.taken.len());
    if !std::io::stdin().is_terminal() {
        let mixed = mixed(looked);
        let what = format!("{verb} would be told to {taken} transactions{mixed}; nothing was told");
        return Err(Failure::new(Exit::Usage, what).cure("--dry-run lists them, --yes tells them"));
    }
    let mut stderr = std::io::stderr();
    let refuse = match looked.refused.len() {
        0 => String::new(),
        many => format!(" ({many} would not take it)"),
    };
    let _ = write!(stderr, "{verb} {taken} transactions{}{refuse}? [y/N] ", mixed(looked));
    let _ = stderr.flush();
    let mut said = String::new();
    let _ = std::io::stdin().read_line(&mut said);
    match said.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Usage, "nothing was told")),
    }
}

fn report(done: &BulkDone, word: &Word, output: &Output) -> Exit {
    output.data(done, |done| {
        let (taken, verb) = (done.taken.len(), word.name());
        let refuse = refused(done, word);
        if !done.dry_run {
            return format!("{verb}: {taken} took it{refuse}\n{}", reasons(&done.refused));
        }
        let line = |gid: &String| match done.warnings.get(gid) {
            Some(warning) => format!("  {gid}: {}\n", clean(warning)),
            None => format!("  {gid}\n"),
        };
        let names: String = done.taken.iter().map(line).collect();
        let (mixed, why) = (mixed(done), reasons(&done.refused));
        format!("{verb}: {taken} would take it{mixed}{refuse}\n{names}{why}")
    });
    if done.refused.is_empty() { Exit::Ok } else { Exit::No }
}

/// How many of them are warned of.
fn mixed(looked: &BulkDone) -> String {
    match looked.warnings.len() {
        0 => String::new(),
        many => format!(", of which {many} would end mixed"),
    }
}

fn refused(done: &BulkDone, word: &Word) -> String {
    let already = if matches!(word, Word::Commit) { "committed" } else { "aborted" };
    let already = format!("already {already}");
    let counts = [(done.refused.len(), "not"), (done.already.len(), already.as_str())];
    let counts = counts.iter().filter(|(many, _)| *many > 0);
    counts.map(|(many, what)| format!(", {many} {what}")).collect()
}

fn reasons(refused: &BTreeMap<String, String>) -> String {
    if refused.is_empty() {
        return String::new();
    }
    let row = |(gid, why): (&String, &String)| vec![gid.clone(), why.clone()];
    format!("\n{}", table(&["NOT TAKEN", "WHY"], &refused.iter().map(row).collect::<Vec<_>>()))
}
