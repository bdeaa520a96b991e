//! `handfast resource`: the systems that take part.

use std::{collections::BTreeMap, fmt::Write as _};

use handfast_client::wire::{self, Finding, FindingLevel, Health};

use super::client;
use crate::{
    args::{Resource, ResourceCommand},
    exit::{Exit, Failure},
    output::{Output, span, table},
};

pub async fn run(args: Resource, output: &Output) -> Result<Exit, Failure> {
    let hf = client(&args.node)?;
    match args.command {
        ResourceCommand::Ls => {
            output.data(&hf.resources().await?, |resources| lines(resources));
            Ok(Exit::Ok)
        }
        ResourceCommand::Check { mut names } => {
            if names.is_empty() {
                names = hf.resources().await?.into_iter().map(|r| r.name).collect();
            }
            let mut found = BTreeMap::new();
            for name in names {
                let findings = hf.check(&name).await?;
                found.insert(name, findings);
            }
            output.data(&found, checks);
            let bad = |finding: &Finding| finding.level == FindingLevel::Error;
            Ok(if found.values().flatten().any(bad) { Exit::No } else { Exit::Ok })
        }
    }
}

fn lines(resources: &[wire::Resource]) -> String {
    let head = [
        "NAME",
        "KIND",
        "HEALTH",
        "PREPARED",
        "FOREIGN",
        "OLDEST IN DOUBT",
        "STUCK",
        "CALLS",
        "LAST FAULT",
    ];
    let count = |count: Option<u64>| count.map_or("?".into(), |count| count.to_string());
    let row = |r: &wire::Resource| {
        let health = match r.health {
            Health::Unknown => "not asked yet",
            Health::Up => "up",
            Health::Down => "DOWN",
        };
        let oldest = r.oldest_in_doubt_ms.map_or("-".into(), span);
        vec![
            r.name.clone(),
            r.kind.clone(),
            health.into(),
            count(r.prepared),
            count(r.foreign),
            oldest,
            count(r.stuck),
            r.calls.to_string(),
            r.last_fault.clone().unwrap_or_default(),
        ]
    };
    table(&head, &resources.iter().map(row).collect::<Vec<_>>())
}

fn checks(found: &BTreeMap<String, Vec<Finding>>) -> String {
    let mut text = String::new();
    for (name, findings) in found {
        let worst = findings.iter().map(|f| f.level).max().unwrap_or(FindingLevel::Ok);
        let verdict = match worst {
            FindingLevel::Ok => "can take part",
            FindingLevel::Warning => "can take part, with caveats",
            FindingLevel::Error => "CANNOT take part",
        };
        let _ = writeln!(text, "{name}: {verdict}");
        for finding in findings {
            let level = match finding.level {
                FindingLevel::Ok => "ok",
                FindingLevel::Warning => "warning",
                FindingLevel::Error => "error",
            };
            let _ = writeln!(text, "  {level:8} {} [{}]", finding.message, finding.code);
            if !finding.cure.is_empty() {
                let _ = writeln!(text, "           mend: {}", finding.cure);
            }
        }
    }
    text
}
