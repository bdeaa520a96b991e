//! What a request must be before anything of it runs.

mod calls;
mod commands;
mod plan;
mod retry;

use std::collections::BTreeMap;

use handfast_client::wire::{self, AckWhen, BeginTransaction, Decide, Wait};
use handfast_core::{
    id::{Cluster, check_name},
    plan::Terms,
    work::Work,
};
use sha2::{Digest, Sha256};

use super::{codes, convert, problem::Problem};
use crate::{
    config::{Config, Limits, Speaks},
    nearest::nearest,
    node::{Begin, Branch},
};

pub use commands::{needed_reason, reason, resolve, seen};

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
    /// The source of messages.
    pub cluster: Cluster,
}

impl Rules {
    /// As configured, for a node of this cluster.
    pub fn new(config: &Config, cluster: &Cluster) -> Self {
        let resources = config.resources.iter().map(|r| (r.name.clone(), r.speaks)).collect();
        Self {
            limits: config.limits,
            timeout_ms: config.timeout_ms,
            timeout_ms_max: config.timeout_ms_max,
            resources,
            cluster: cluster.clone(),
        }
    }

    /// The request in the core's words, with everything checked that can be without running it.
    /// `trace` is the caller's `traceparent`; `now_ms` is the time that its messages say.
    ///
    /// # Errors
    /// The first thing that is wrong; nothing has happened.
    pub fn begin(
        &self,
        mut request: BeginTransaction,
        trace: &str,
        now_ms: u64,
    ) -> Result<Begin, Problem> {
        for branch in &mut request.branches {
            // `prepare` said and `prepare` not said are the same, and a hint does nothing.
            branch.kind = branch.kind.filter(|kind| *kind != wire::BranchKind::Prepare);
            branch.compensation = None;
        }
        if let Some(gid) = &request.gid {
            self.check_name("gid", gid)?;
        }
        let timeout_ms = self.timeout("timeout_ms", request.timeout_ms)?.unwrap_or(self.timeout_ms);
        self.check_branches(&request.branches, request.open)?;
        if request.hold && !request.decide.is_log() {
            let detail = "a transaction can be held only if `decide` is `log`";
            return Err(Problem::new(&codes::DECIDE_UNSUPPORTED, detail));
        }
        if request.hold && request.open {
            let detail = "`hold` and `open` exclude each other: both wait for the caller's word";
            let cure = "Leave `hold` out: an open transaction waits for `:commit` in any case.";
            return Err(Problem::new(&codes::WRONG_SHAPE, detail).cure(cure));
        }
        let is_planned = plan::is_needed(&request);
        let fingerprint = fingerprint(&request, is_planned);
        let is_new = request.gid.is_none();
        let gid = request.gid.clone().unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
        let terms =
            is_planned.then(|| self.terms(&request, timeout_ms, trace, now_ms)).transpose()?;
        let branches = self.branches(&gid, &request.branches, terms.as_ref(), now_ms)?;
        let longest_ms = match &terms {
            None => timeout_ms,
            Some(Terms { deadline_ms, .. }) => {
                deadline_ms.map_or(self.limits.wait_ms_max, |at| at.saturating_sub(now_ms))
            }
        };
        let wait_ms = match request.wait.unwrap_or_default() {
            Wait::Outcome => longest_ms.saturating_add(WAIT_MARGIN_MS).min(self.limits.wait_ms_max),
            Wait::None => 0,
        };
        let ack: AckWhen = request.ack.unwrap_or_default();
        let BeginTransaction { hold, decide, .. } = request;
        Ok(Begin {
            gid,
            is_new,
            branches,
            timeout_ms,
            ack,
            hold,
            decide,
            terms,
            fingerprint,
            wait_ms,
        })
    }

    fn check_branches(&self, branches: &[wire::Branch], open: bool) -> Result<(), Problem> {
        let max = self.limits.branches_max;
        match branches.len() {
            0 if !open => return Err(Problem::new(&codes::NO_BRANCHES, "there is no branch")),
            count if count > max => {
                let detail = format!("there are {count} branches; the limit is {max}");
                let problem = Problem::new(&codes::TOO_MANY_BRANCHES, detail);
                return Err(problem.up_to("limits.branches_max", max));
            }
            _ => {}
        }
        branches.iter().try_for_each(|branch| {
            self.check_name("a branch name", &branch.name).map_err(|p| p.branch(&branch.name))
        })?;
        let mut names: Vec<_> = branches.iter().map(|branch| &branch.name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(()),
            Some(pair) => {
                let detail = format!("two branches are called {:?}", pair[0]);
                Err(Problem::new(&codes::DUPLICATE_BRANCH, detail).branch(pair[0]))
            }
        }
    }

    /// All branches of a request; with terms, each has its place in the plan.
    fn branches(
        &self,
        gid: &str,
        wanted: &[wire::Branch],
        terms: Option<&Terms>,
        now_ms: u64,
    ) -> Result<Vec<Branch>, Problem> {
        let order = terms.map(|_| plan::order(wanted)).transpose()?;
        let each = wanted.iter().enumerate().map(|(at, branch)| {
            let checked = || {
                let work = self.work(gid, branch, now_ms)?;
                let part = match (&order, terms) {
                    (Some(order), Some(terms)) => plan::part(wanted, at, order, &terms.input)?,
                    _ => Default::default(),
                };
                Ok((work, part))
            };
            let (name, resource) = (branch.name.clone(), branch.resource.clone());
            let (work, part) = checked().map_err(|problem: Problem| problem.branch(&name))?;
            Ok(Branch { name, resource, work, part })
        });
        each.collect()
    }

    fn work(&self, gid: &str, branch: &wire::Branch, now_ms: u64) -> Result<Work, Problem> {
        let Some(speaks) = self.resources.get(&branch.resource) else {
            return Err(self.unknown_resource(&branch.resource));
        };
        if *speaks == Speaks::Service {
            return self.calls(gid, branch, now_ms).map(|calls| Work::Calls(calls.into()));
        }
        calls::check_none(branch)?;
        let statement_timeout_ms =
            self.timeout("statement_timeout_ms", branch.statement_timeout_ms)?;
        let lock_timeout_ms = self.timeout("lock_timeout_ms", branch.lock_timeout_ms)?;
        let timed = statement_timeout_ms.or(lock_timeout_ms).is_some();
        let wrong = |detail: String| Err(Problem::new(&codes::WRONG_WORK, detail));
        let name = &branch.resource;
        match (branch.sql.clone(), branch.keys.clone(), speaks) {
            (Some(_), Some(_), _) => wrong("the branch has both `sql` and `keys`".into()),
            (None, None, _) => wrong("the branch has neither `sql` nor `keys`".into()),
            (Some(_), None, Speaks::Keys) => {
                wrong(format!("`{name}` is a shard and takes `keys`, not `sql`"))
            }
            (None, Some(_), Speaks::Sql) => {
                wrong(format!("`{name}` is a database and takes `sql`, not `keys`"))
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
            (_, _, Speaks::Service) => wrong(format!("`{name}` is a service and takes calls")),
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
        within(field, asked, self.timeout_ms_max)
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

fn within(field: &str, asked: Option<u64>, max: u64) -> Result<Option<u64>, Problem> {
    match asked {
        Some(ms) if !(1..=max).contains(&ms) => Err(Problem::new(
            &codes::TIMEOUT_OUT_OF_RANGE,
            format!("`{field}` is {ms}; the range is 1 to {max}"),
        )
        .up_to("transaction.timeout_ms_max", max)),
        _ => Ok(asked),
    }
}

/// What makes two requests with one gid the same: what they do, not how long they wait for it.
fn fingerprint(request: &BeginTransaction, is_planned: bool) -> String {
    let BeginTransaction { hold, decide, open, input, ask, branches, .. } = request;
    // Spelled as before there was a choice, so that what was begun then keeps its answer.
    let canonical = match decide {
        Decide::Log if is_planned => {
            serde_json::to_vec(&(branches, hold, "plan", open, input, ask))
        }
        Decide::Log => serde_json::to_vec(&(branches, hold)),
        decide => serde_json::to_vec(&(branches, hold, decide)),
    };
    let digest = Sha256::digest(canonical.expect("text keys only"));
    let halves = digest.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.map(|half| char::from(b"0123456789abcdef"[usize::from(half)])).collect()
}
