//! One word to all transactions that a filter names.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{IsTerminal as _, Write as _},
    time::Duration,
};

use handfast_client::{
    Handfast,
    wire::{Bulk, BulkDone},
};

use crate::{
    args::{Node, Told},
    cmd::{patient_client, ticker::Ticker},
    exit::{Exit, Failure},
    output::{Output, table},
};

/// How many are told with one request, and how many are looked at.
const TOLD: u32 = 100;
const LOOKED_AT: u32 = 500;
/// A page is answered when all of it have answered.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Clone, Copy)]
pub enum Verb {
    Commit,
    Abort,
    Retry,
}

impl Verb {
    fn name(self) -> &'static str {
        match self {
            Self::Commit => "commit",
            Self::Abort => "abort",
            Self::Retry => "retry",
        }
    }
}

/// Says how many they are, asks whether they are meant, and tells them.
pub async fn tell(node: &Node, verb: Verb, told: Told, output: &Output) -> Result<Exit, Failure> {
    let hf = patient_client(node, PATIENCE)?;
    let (only_look, sure) = (told.dry_run, told.yes);
    let bulk = Bulk { filter: told.filter.into(), reason: told.reason, dry_run: true };
    if only_look || !sure {
        let looked = pages(&hf, verb, bulk.clone(), output).await?;
        if only_look || looked.taken.is_empty() {
            return Ok(report(&looked, verb, true, output));
        }
        confirm(verb, &looked)?;
    }
    let done = pages(&hf, verb, Bulk { dry_run: false, ..bulk }, output).await?;
    Ok(report(&done, verb, false, output))
}

/// All pages as one. What fails in the middle is told together with how far it came.
async fn pages(
    hf: &Handfast,
    verb: Verb,
    mut bulk: Bulk,
    output: &Output,
) -> Result<BulkDone, Failure> {
    let doing = if bulk.dry_run { "looking" } else { "telling" };
    let limit = if bulk.dry_run { LOOKED_AT } else { TOLD };
    bulk.filter.limit = Some(limit);
    // Only the node's memory knows these, and gives one page of them: those that took the word are
    // not in the next one.
    let is_one_page = matches!(bulk.filter.state.as_deref(), Some("held" | "preparing"));
    let (mut all, mut seen) = (BulkDone::default(), BTreeSet::new());
    let mut ticker = Ticker::new(output, None);
    loop {
        let page = match verb {
            Verb::Commit => hf.commit_all(&bulk).await,
            Verb::Abort => hf.abort_all(&bulk).await,
            Verb::Retry => hf.retry_all(&bulk).await,
        };
        let mut page = page.map_err(|error| {
            let told = all.taken.len();
            if !bulk.dry_run && told > 0 {
                output.talk(&format!("{told} were told before this; saying it again is safe"));
            }
            Failure::from(error)
        })?;
        let is_full = page.taken.len() + page.refused.len() >= limit as usize;
        page.taken.retain(|gid| seen.insert(gid.clone()));
        let has_new = !page.taken.is_empty();
        all.taken.extend(page.taken);
        all.refused.extend(page.refused);
        let _ = ticker
            .tick(|| format!("{doing}: {} taken, {} refused", all.taken.len(), all.refused.len()));
        bulk.filter.after = page.next;
        if bulk.filter.after.is_none() {
            match is_one_page && is_full {
                true if bulk.dry_run => output.talk("there may be more: these are the first"),
                true if has_new => continue,
                _ => {}
            }
            break;
        }
    }
    ticker.finish();
    Ok(all)
}

/// Fails unless a person says yes.
fn confirm(verb: Verb, looked: &BulkDone) -> Result<(), Failure> {
    let (verb, taken) = (verb.name(), looked.taken.len());
    if !std::io::stdin().is_terminal() {
        let what = format!("{verb} would be told to {taken} transactions; nothing was told");
        return Err(Failure::new(Exit::Usage, what).cure("--dry-run lists them, --yes tells them"));
    }
    let mut stderr = std::io::stderr();
    let refuse = match looked.refused.len() {
        0 => String::new(),
        many => format!(" ({many} would not take it)"),
    };
    let _ = write!(stderr, "{verb} {taken} transactions{refuse}? [y/N] ");
    let _ = stderr.flush();
    let mut said = String::new();
    let _ = std::io::stdin().read_line(&mut said);
    match said.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new(Exit::Usage, "nothing was told")),
    }
}

fn report(done: &BulkDone, verb: Verb, only_looked: bool, output: &Output) -> Exit {
    output.data(done, |done| {
        let (taken, verb) = (done.taken.len(), verb.name());
        let refuse = refused(&done.refused);
        if !only_looked {
            return format!("{verb}: {taken} took it{refuse}\n{}", reasons(&done.refused));
        }
        let names: String = done.taken.iter().map(|gid| format!("  {gid}\n")).collect();
        format!("{verb}: {taken} would take it{refuse}\n{names}{}", reasons(&done.refused))
    });
    if done.refused.is_empty() { Exit::Ok } else { Exit::No }
}

fn refused(refused: &BTreeMap<String, String>) -> String {
    match refused.len() {
        0 => String::new(),
        many => format!(", {many} not"),
    }
}

fn reasons(refused: &BTreeMap<String, String>) -> String {
    if refused.is_empty() {
        return String::new();
    }
    let row = |(gid, why): (&String, &String)| vec![gid.clone(), why.clone()];
    format!("\n{}", table(&["NOT TAKEN", "WHY"], &refused.iter().map(row).collect::<Vec<_>>()))
}
