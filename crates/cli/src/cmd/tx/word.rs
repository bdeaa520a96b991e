//! One word to one transaction.

use handfast_client::{
    Command, Handfast,
    wire::{Because, Branch, BranchKind, Call, RetryNow},
};

use super::{dry_run, show, tell};
use crate::{
    args::Edit,
    cmd::file,
    exit::{Exit, Failure},
    output::Output,
};

/// Says it, or shows what would follow.
pub async fn say(
    hf: &Handfast,
    gid: &str,
    command: Command,
    dry: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    if dry {
        return dry_run::show(hf, gid, &command, output).await;
    }
    let told = match command {
        Command::Commit(Because { reason }) => {
            let outcome = hf.commit(gid, &reason).await?;
            return Ok(tell(hf, outcome, output, Exit::Ok, Exit::No).await);
        }
        Command::Abort(Because { reason }) => {
            let outcome = hf.abort(gid, &reason).await?;
            return Ok(tell(hf, outcome, output, Exit::No, Exit::Ok).await);
        }
        Command::Retry(RetryNow { branch: Some(branch), reason }) => {
            hf.retry_branch(gid, &branch, &reason).await?
        }
        Command::Retry(RetryNow { branch: None, reason }) => hf.retry(gid, &reason).await?,
        Command::Resolve(resolve) => hf.resolve(gid, &resolve).await?,
        Command::Edit(edit) => hf.edit(gid, &edit).await?,
    };
    show(&told, output);
    Ok(Exit::Ok)
}

/// The branch as an edit shall make it.
pub async fn edited(hf: &Handfast, edit: &Edit) -> Result<Branch, Failure> {
    match (&edit.branch_file, &edit.whom.gid) {
        (Some(file), _) => file::parsed(file),
        (None, Some(gid)) => {
            let name = edit.branch.as_deref().unwrap_or_default();
            let branches = hf.get(gid).await?.branches;
            let there =
                branches.into_iter().find(|branch| branch.name == name).ok_or_else(|| {
                    Failure::new(Exit::NotFound, format!("{gid} has no branch {name}"))
                })?;
            with_calls(edit, there.name, there.resource, there.kind)
        }
        (None, None) => {
            let kind = match edit.undo.is_some() || edit.no_undo {
                true => BranchKind::Step,
                false => BranchKind::Deliver,
            };
            let name = edit.in_each.clone().unwrap_or_default();
            with_calls(edit, name, edit.whom.filter.resource.clone().unwrap_or_default(), kind)
        }
    }
}

/// A branch with the calls that the command line gives.
fn with_calls(
    edit: &Edit,
    name: String,
    resource: String,
    kind: BranchKind,
) -> Result<Branch, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let call = |call: &String, flag: &str, body: &Option<String>| {
        let body = body.as_ref().map(|body| file::json(flag, body)).transpose()?;
        Ok::<_, Failure>(Call { body, ..Call::from(call.as_str()) })
    };
    let act = edit.act.as_ref().map(|act| call(act, "--body", &edit.body)).transpose()?;
    let undo =
        edit.undo.as_ref().map(|undo| call(undo, "--undo-body", &edit.undo_body)).transpose()?;
    match kind {
        BranchKind::Prepare => {
            let what = format!("branch {name} prepares: it has no do and undo");
            return Err(usage(what).cure("give a reservation's calls with --branch-file"));
        }
        // An edit replaces all of the calls: what is forgotten would be lost.
        _ if act.as_ref().is_some_and(|act| act.body.is_none()) && !edit.no_body => {
            let what = format!("nothing is said of what branch {name} sends");
            let cure = "--body JSON, or --no-body; a message is given whole, with --branch-file";
            return Err(usage(what).cure(cure));
        }
        BranchKind::Step if undo.is_none() && !edit.no_undo => {
            let what = format!("branch {name} is a step, and nothing is said of its undo");
            return Err(usage(what).cure("--undo CALL, or --no-undo if nothing takes it back"));
        }
        BranchKind::Step | BranchKind::Deliver => {}
    }
    Ok(Branch {
        name,
        resource,
        kind: Some(kind),
        act,
        undo,
        absent_is_undone: edit.absent_is_undone,
        ..Branch::default()
    })
}
