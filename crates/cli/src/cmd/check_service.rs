//! `handfast check service`: does a service stand what Handfast must do to it?

use std::{fmt, time::Duration};

use handfast_client::{
    Call,
    testing::{
        Answer, Services, Unanswered,
        service::{self, Case, Verdict},
    },
    wire::Branch,
};
use serde_json::{Value, json};

use crate::{
    args::CheckService,
    cmd::token,
    exit::{Exit, Failure},
    output::{Output, table},
};

/// The name under which the client knows the one service there is.
const SERVICE: &str = "service";

pub async fn run(args: CheckService, output: &Output) -> Result<Exit, Failure> {
    let branch = branch(&args)?;
    let path = args.state.as_deref().map(path).transpose()?;
    let within = Duration::from_millis(args.call_ms);
    let mut services = Services::new()?.at(SERVICE, &args.url)?.within(within);
    if let Some(file) = &args.token_file {
        services = services.token(&token(file)?)?;
    }
    let state = async || match &path {
        Some(path) => State::of(services.look(SERVICE, path).await),
        None => State::Read(Value::Null),
    };
    if let unread @ State::Unread(_) = state().await {
        return Err(Failure::new(Exit::Usage, format!("failed to read the state: {unread:?}")));
    }
    let cases = service::check(&branch, &None, |request| services.call(request), state).await;
    let cases = cases.map_err(|unfit| Failure::new(Exit::Usage, unfit.0))?;
    let rows: Vec<Vec<String>> = cases.iter().map(row).collect();
    let json = |row: &Vec<String>| json!({ "case": row[0], "verdict": row[1], "detail": row[2] });
    let json: Vec<Value> = rows.iter().map(json).collect();
    output.data(&json, |_| table(&["CASE", "VERDICT", "DETAIL"], &rows));
    Ok(exit(&cases))
}

/// What the probe told.
#[derive(PartialEq)]
enum State {
    Read(Value),
    Unread(String),
}

impl State {
    fn of(answer: Result<Answer, Unanswered>) -> Self {
        match answer {
            Ok(answer) if answer.status == 200 => Self::Read(answer.body),
            Ok(answer) => Self::Unread(format!("{} {}", answer.status, answer.body)),
            Err(why) => Self::Unread(why.to_string()),
        }
    }
}

/// As a person reads it: it is shown where it differs.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(state) => write!(f, "{state}"),
            Self::Unread(why) => f.write_str(why),
        }
    }
}

fn branch(args: &CheckService) -> Result<Branch, Failure> {
    let body = args.body.as_deref().map(|text| parsed("--body", text)).transpose()?;
    let undo_body =
        args.undo_body.as_deref().map(|text| parsed("--undo-body", text)).transpose()?;
    let call = |line: &Option<String>, body: &Option<Value>| {
        line.as_ref().map(|line| Call { body: body.clone(), ..Call::from(line.as_str()) })
    };
    Ok(Branch {
        name: if args.act.is_some() { "do" } else { "try" }.into(),
        resource: SERVICE.into(),
        act: call(&args.act, &body),
        undo: call(&args.undo, &undo_body),
        attempt: call(&args.attempt, &body),
        confirm: call(&args.confirm, &None),
        cancel: call(&args.cancel, &undo_body),
        absent_is_undone: args.absent_is_undone,
        ..Branch::default()
    })
}

fn parsed(flag: &str, text: &str) -> Result<Value, Failure> {
    serde_json::from_str(text)
        .map_err(|e| Failure::new(Exit::Usage, format!("{flag} is no JSON: {e}")))
}

/// Only looked at, so it must be a GET.
fn path(line: &str) -> Result<&str, Failure> {
    let path = line.trim().strip_prefix("GET ").map(str::trim);
    path.filter(|path| path.starts_with('/')).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("--state must be GET /path, not `{line}`"))
    })
}

/// The case, the verdict, the detail.
fn row(case: &Case) -> Vec<String> {
    let (verdict, detail) = match &case.verdict {
        Verdict::Holds => ("holds", ""),
        Verdict::Breaks(how) => ("breaks", how.as_str()),
        Verdict::NotTried(why) => ("not tried", why.as_str()),
    };
    vec![case.name.clone(), verdict.into(), detail.into()]
}

fn exit(cases: &[Case]) -> Exit {
    let any = |is: fn(&Verdict) -> bool| cases.iter().any(|case| is(&case.verdict));
    match (any(|v| matches!(v, Verdict::Breaks(_))), any(|v| matches!(v, Verdict::NotTried(_)))) {
        (true, _) => Exit::No,
        (false, true) => Exit::NOT_FINISHED,
        (false, false) => Exit::Ok,
    }
}
