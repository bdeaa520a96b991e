//! What would follow from a word: the node says it.

use std::fmt::Write as _;

use handfast_client::{
    Command, Handfast,
    wire::{Branch, BranchKind, Call, CallView, DryRun, Transaction},
};

use super::show::{call_lines, clean};
use crate::{
    exit::{Exit, Failure},
    output::Output,
};

pub async fn show(
    hf: &Handfast,
    gid: &str,
    command: &Command,
    output: &Output,
) -> Result<Exit, Failure> {
    let dry = hf.dry_run(gid, command).await?;
    if let Command::Edit(edit) = command {
        output.talk(&edited(&edit.branch, &hf.get(gid).await?));
    }
    output.data(&dry, text);
    output.talk("nothing was done");
    Ok(Exit::Ok)
}

/// What an edited branch calls and would call.
fn edited(branch: &Branch, t: &Transaction) -> String {
    let lines = |calls: &[CallView]| {
        call_lines(calls).map(|call| format!("\n  {call}")).collect::<String>()
    };
    let name = &branch.name;
    let there = t.branches.iter().find(|there| there.name == *name);
    let before = there.map(|there| format!("Branch {name} calls:{}\n", lines(&there.calls)));
    let wanted = format!("From now on branch {name} would call:{}", lines(&calls(branch)));
    before.unwrap_or_default() + &wanted
}

/// A branch's calls as the node shows them.
fn calls(branch: &Branch) -> Vec<CallView> {
    let act = if branch.kind == Some(BranchKind::Deliver) { "deliver" } else { "do" };
    let calls = [
        (act, &branch.act),
        ("undo", &branch.undo),
        ("try", &branch.attempt),
        ("confirm", &branch.confirm),
        ("cancel", &branch.cancel),
    ];
    let view = |(verb, call): (&str, &Option<Call>)| {
        let Call { call, headers, body } = call.as_ref()?;
        let (headers, body) = (headers.keys().cloned().collect(), body.clone());
        Some(CallView { verb: verb.into(), call: call.clone(), headers, body })
    };
    let message = branch.message.iter().map(|message| CallView {
        verb: act.into(),
        call: format!("message {}", message.kind),
        ..CallView::default()
    });
    calls.into_iter().filter_map(view).chain(message).collect()
}

fn text(dry: &DryRun) -> String {
    let DryRun { warning, records, effects, later } = dry;
    let mut text = warning.iter().map(|warning| clean(warning) + "\n").collect::<String>();
    for (head, lines) in
        [("It would be recorded:", records), ("Then at once:", effects), ("And later:", later)]
    {
        if !lines.is_empty() {
            let _ = writeln!(text, "{head}");
            lines.iter().for_each(|line| {
                let _ = writeln!(text, "  {}", clean(line));
            });
        }
    }
    if text.is_empty() { "Nothing would follow.".into() } else { text }
}
