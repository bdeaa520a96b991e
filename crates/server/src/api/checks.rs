//! What a request must be before anything of it runs.

use std::collections::{BTreeMap, BTreeSet};

use handfast_client::wire::{self, AckWhen, BeginTransaction, Decide, Wait};
use handfast_core::{id::check_name, limits::REASON_BYTES_MAX};
use sha2::{Digest, Sha256};

use super::{codes, convert, problem::Problem};
use crate::{
    config::{Config, Limits, Speaks},
    nearest::nearest,
    node::{Begin, Command},
};

/// How much longer than the transaction itself a request waits, so that the vote timeout is
/// answered as an abort and not as unknown.
const WAIT_MARGIN_MS: u64 = 2_000;

/// What requests are checked against.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Bounds of what they may hold.
    pub limits: Limits,
    /// A transaction's timeout where they say nothing.
    pub timeout_ms: u64,
    /// The most they may ask for.
    pub timeout_ms_max: u64,
    /// The resources there are, and what each understands.
    pub resources: BTreeMap<String, Speaks>,
}

impl Rules {
    /// As configured.
    pub fn new(config: &Config) -> Self {
        let resources = config.resources.iter().map(|r| (r.name.clone(), r.speaks)).collect();
        Self {
            limits: config.limits,
            timeout_ms: config.timeout_ms,
            timeout_ms_max: config.timeout_ms_max,
            resources,
        }
    }

    /// The request in the core's words, with everything checked that can be without running it.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing has happened.
    pub fn begin(&self, request: BeginTransaction) -> Result<Begin, Problem> {
        if let Some(gid) = &request.gid {
            self.check_name("gid", gid)?;
        }
        let timeout_ms = self.timeout("timeout_ms", request.timeout_ms)?.unwrap_or(self.timeout_ms);
        self.check_branches(&request.branches)?;
        if request.hold && !request.decide.is_log() {
            let detail = "a transaction can be held only if `decide` is `log`";
            return Err(Problem::new(&codes::DECIDE_UNSUPPORTED, detail));
        }
        let fingerprint = fingerprint(&request);
        let branches = request
            .branches
            .into_iter()
            .map(|branch| {
                let (name, resource) = (branch.name.clone(), branch.resource.clone());
                let work = self.work(branch).map_err(|problem| problem.branch(&name))?;
                Ok((name, resource, work))
            })
            .collect::<Result<_, Problem>>()?;
        let wait_ms = match request.wait.unwrap_or_default() {
            Wait::Outcome => (timeout_ms + WAIT_MARGIN_MS).min(self.limits.wait_ms_max),
            Wait::None => 0,
        };
        let ack: AckWhen = request.ack.unwrap_or_default();
        let wire::BeginTransaction { gid, hold, decide, .. } = request;
        Ok(Begin { gid, branches, timeout_ms, ack, hold, decide, fingerprint, wait_ms })
    }

    fn check_branches(&self, branches: &[wire::Branch]) -> Result<(), Problem> {
        let max = self.limits.branches_max;
        match branches.len() {
            0 => return Err(Problem::new(&codes::NO_BRANCHES, "there is no branch")),
            count if count > max => {
                let detail = format!("there are {count} branches; the limit is {max}");
                return Err(Problem::new(&codes::TOO_MANY_BRANCHES, detail));
            }
            _ => {}
        }
        let mut names = BTreeSet::new();
        for branch in branches {
            self.check_name("a branch name", &branch.name).map_err(|p| p.branch(&branch.name))?;
            if !names.insert(&branch.name) {
                let detail = format!("two branches are called {:?}", branch.name);
                return Err(Problem::new(&codes::DUPLICATE_BRANCH, detail).branch(&branch.name));
            }
        }
        Ok(())
    }

    fn work(&self, branch: wire::Branch) -> Result<handfast_core::work::Work, Problem> {
        let Some(speaks) = self.resources.get(&branch.resource) else {
            return Err(self.unknown_resource(&branch.resource));
        };
        let statement_timeout_ms =
            self.timeout("statement_timeout_ms", branch.statement_timeout_ms)?;
        let lock_timeout_ms = self.timeout("lock_timeout_ms", branch.lock_timeout_ms)?;
        let timed = statement_timeout_ms.or(lock_timeout_ms).is_some();
        let wrong = |detail: String| Err(Problem::new(&codes::WRONG_WORK, detail));
        match (branch.sql, branch.keys, speaks) {
            (Some(_), Some(_), _) => wrong("the branch has both `sql` and `keys`".into()),
            (None, None, _) => wrong("the branch has neither `sql` nor `keys`".into()),
            (Some(_), None, Speaks::Keys) => {
                wrong(format!("`{}` is a shard and takes `keys`, not `sql`", branch.resource))
            }
            (None, Some(_), Speaks::Sql) => {
                wrong(format!("`{}` is a database and takes `sql`, not `keys`", branch.resource))
            }
            (None, Some(_), Speaks::Keys) if timed || branch.isolation.is_some() => {
                wrong("`isolation` and timeouts go with `sql` only".into())
            }
            (Some(statements), None, Speaks::Sql) => convert::sql(
                statements,
                branch.isolation,
                (statement_timeout_ms, lock_timeout_ms),
                &self.limits,
            ),
            (None, Some(keys), Speaks::Keys) => convert::keys(keys, &self.limits),
        }
    }

    fn unknown_resource(&self, name: &str) -> Problem {
        let problem =
            Problem::new(&codes::UNKNOWN_RESOURCE, format!("no resource is called {name:?}"));
        match nearest(name, self.resources.keys().map(String::as_str)) {
            Some(near) => problem.cure(format!("Did you mean `{near}`?")),
            None => problem,
        }
    }

    fn timeout(&self, field: &str, asked: Option<u64>) -> Result<Option<u64>, Problem> {
        let max = self.timeout_ms_max;
        match asked {
            Some(ms) if !(1..=max).contains(&ms) => Err(Problem::new(
                &codes::TIMEOUT_OUT_OF_RANGE,
                format!("`{field}` is {ms}; the range is 1 to {max}"),
            )),
            _ => Ok(asked),
        }
    }

    fn check_name(&self, what: &str, name: &str) -> Result<(), Problem> {
        let max = self.limits.name_bytes_max;
        let problem = match check_name(name) {
            Err(problem) => problem.to_string(),
            Ok(()) if name.len() > max => format!("it is longer than {max} bytes"),
            Ok(()) => return Ok(()),
        };
        Err(Problem::new(&codes::BAD_NAME, format!("{what} cannot be {name:?}: {problem}")))
    }
}

/// The command to declare a branch finished.
///
/// # Errors
/// What is wrong with it; nothing has happened.
pub fn resolve(resolve: wire::Resolve) -> Result<Command, Problem> {
    let wire::Resolve { branch, outcome, reason } = resolve;
    if reason.trim().is_empty() {
        return Err(Problem::new(&codes::BAD_REASON, "there is no reason").branch(&branch));
    }
    let reason = self::reason(reason)?;
    let committed = match outcome {
        wire::Outcome::Committed => true,
        wire::Outcome::Aborted => false,
        wire::Outcome::Unknown => {
            let detail = "`outcome` is `unknown`";
            return Err(Problem::new(&codes::BAD_OUTCOME, detail).branch(&branch));
        }
    };
    Ok(Command::Resolve { branch, committed, reason })
}

/// A reason that can be kept.
///
/// # Errors
/// It is too long.
pub fn reason(reason: String) -> Result<String, Problem> {
    if reason.len() > REASON_BYTES_MAX {
        let detail = format!("the reason has {} bytes", reason.len());
        return Err(Problem::new(&codes::BAD_REASON, detail));
    }
    Ok(reason)
}

/// What makes two requests with one gid the same: what they do, not how long they wait for it.
fn fingerprint(request: &BeginTransaction) -> String {
    let said = |branch: &wire::Branch| wire::Branch {
        // `prepare` said and `prepare` not said are the same.
        kind: None,
        ..branch.clone()
    };
    let branches: Vec<_> = request.branches.iter().map(said).collect();
    // Spelled as before there was a choice, so that what was begun then keeps its answer.
    let canonical = match request.decide {
        Decide::Log => serde_json::to_vec(&(branches, request.hold)),
        decide => serde_json::to_vec(&(branches, request.hold, decide)),
    };
    let canonical = canonical.expect("text keys only");
    Sha256::digest(canonical).iter().map(|byte| format!("{byte:02x}")).collect()
}
