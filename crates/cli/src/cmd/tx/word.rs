//! One word to one transaction.

use handfast_client::{
    Command, Handfast,
    wire::{Because, Branch, BranchKind, Call, Resolve, RetryNow},
};

use super::{dry_run, show, tell};
use crate::{
    args::Edit,
    cmd::file,
    exit::{Exit, Failure},
    output::Output,
};

pub async fn commit(
    hf: &Handfast,
    gid: &str,
    reason: String,
    dry: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    if dry {
        return dry_run::show(hf, gid, &Command::Commit(Because { reason }), output).await;
    }
    let outcome = hf.commit(gid, &reason).await?;
    Ok(tell(hf, outcome, output, Exit::Ok, Exit::No).await)
}

pub async fn abort(
    hf: &Handfast,
    gid: &str,
    reason: String,
    dry: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    if dry {
        return dry_run::show(hf, gid, &Command::Abort(Because { reason }), output).await;
    }
    let outcome = hf.abort(gid, &reason).await?;
    Ok(tell(hf, outcome, output, Exit::No, Exit::Ok).await)
}

pub async fn retry(
    hf: &Handfast,
    gid: &str,
    branch: Option<String>,
    reason: String,
    dry: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    if dry {
        let retry = Command::Retry(RetryNow { branch, reason });
        return dry_run::show(hf, gid, &retry, output).await;
    }
    let told = match branch {
        Some(branch) => hf.retry_branch(gid, &branch, &reason).await?,
        None => hf.retry(gid, &reason).await?,
    };
    show(&told, output);
    Ok(Exit::Ok)
}

pub async fn resolve(
    hf: &Handfast,
    gid: &str,
    resolve: Resolve,
    dry: bool,
    output: &Output,
) -> Result<Exit, Failure> {
    if dry {
        return dry_run::show(hf, gid, &Command::Resolve(resolve), output).await;
    }
    show(&hf.resolve(gid, &resolve).await?, output);
    Ok(Exit::Ok)
}

pub async fn edit(hf: &Handfast, args: Edit, output: &Output) -> Result<Exit, Failure> {
    let (gid, dry, reason) = (args.gid.clone(), args.dry_run, args.reason.clone());
    let branch = match &args.branch_file {
        Some(file) => file::parsed(file)?,
        None => edited(hf, args).await?,
    };
    let edit = handfast_client::wire::Edit { branch, reason };
    if dry {
        output.talk(&calls(&edit.branch));
        return dry_run::show(hf, &gid, &Command::Edit(edit.into()), output).await;
    }
    show(&hf.edit(&gid, &edit).await?, output);
    Ok(Exit::Ok)
}

/// What the branch would call from now on.
fn calls(branch: &Branch) -> String {
    let calls = [
        ("do", &branch.act),
        ("undo", &branch.undo),
        ("try", &branch.attempt),
        ("confirm", &branch.confirm),
        ("cancel", &branch.cancel),
    ];
    let line = |(what, call): (&str, &Option<Call>)| {
        let Call { call, body, .. } = call.as_ref()?;
        let body = body.as_ref().map(|body| format!(" {body}")).unwrap_or_default();
        Some(format!("\n  {what} {call}{body}"))
    };
    let message = branch.message.iter().map(|message| format!("\n  message {}", message.kind));
    let lines: String = calls.into_iter().filter_map(line).chain(message).collect();
    format!("From now on branch {} would call:{lines}", branch.name)
}

/// The branch as it is, with the calls that the command line gives.
async fn edited(hf: &Handfast, args: Edit) -> Result<Branch, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let call = |call: String, flag: &str, body: Option<String>| {
        let body = body.map(|body| file::json(flag, &body)).transpose()?;
        Ok::<_, Failure>(Call { body, ..Call::from(call.as_str()) })
    };
    let act = args.act.map(|act| call(act, "--body", args.body)).transpose()?;
    let undo = args.undo.map(|undo| call(undo, "--undo-body", args.undo_body)).transpose()?;
    let name = args.branch.unwrap_or_default();
    let branches = hf.get(&args.gid).await?.branches;
    let Some(branch) = branches.into_iter().find(|branch| branch.name == name) else {
        let what = format!("{} has no branch {name}", args.gid);
        return Err(Failure::new(Exit::NotFound, what));
    };
    match branch.kind {
        BranchKind::Prepare => {
            let what = format!("branch {name} prepares: it has no do and undo");
            return Err(usage(what).cure("give a reservation's calls with --branch-file"));
        }
        // An edit replaces all of the calls: what is forgotten would be lost.
        _ if act.as_ref().is_some_and(|act| act.body.is_none()) && !args.no_body => {
            let what = format!("nothing is said of what branch {name} sends");
            let cure = "--body JSON, or --no-body; a message is given whole, with --branch-file";
            return Err(usage(what).cure(cure));
        }
        BranchKind::Step if undo.is_none() && !args.no_undo => {
            let what = format!("branch {name} is a step, and nothing is said of its undo");
            return Err(usage(what).cure("--undo CALL, or --no-undo if nothing takes it back"));
        }
        BranchKind::Step | BranchKind::Deliver => {}
    }
    Ok(Branch {
        name,
        resource: branch.resource,
        kind: Some(branch.kind),
        act,
        undo,
        absent_is_undone: args.absent_is_undone,
        ..Branch::default()
    })
}
