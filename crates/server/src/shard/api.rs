//! The shard's HTTP API: the participant protocol, its keys, and whether it lives.

use std::{collections::BTreeMap, ops::Bound, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Query, Request, State},
    http::{HeaderMap, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use handfast_core::{
    id::{BranchId, RequestId},
    limits::{KEY_BYTES_MAX, VALUE_BYTES_MAX},
    shard::{Answer, Input, LOCK_WAIT_MS, Live, Prepared, Saved},
    vote::{Ack, Vote},
    work::{Value, Work},
};
use handfast_participants::http::{
    BODY_BYTES_MAX,
    words::{
        AckWord, Acked, Branches, Check, InDoubtBranch, PROTOCOL, Prepare, Taken, VoteWord, Voted,
    },
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tokio::sync::oneshot;

use super::{STREAM, Shared, addressed};
use crate::{
    api::{Problem, codes, named::Named},
    driver::NotTaken,
    inbox::Incoming,
    stop_point,
};

/// Most branches on a page; one that is stuck takes less than a KiB.
const BRANCHES_PAGE: usize = 1_024;
/// Most keys on a page.
const KEYS_PAGE_MAX: usize = 1_000;
/// A page of keys ends when its values have so many bytes.
const KEYS_PAGE_BYTES: usize = 128 * 1024;

type Api = State<Arc<Shared>>;
type Answered<T> = Result<Json<T>, Problem>;

pub(super) fn router(shared: Arc<Shared>, token: Option<&str>) -> Router {
    let digest: Option<[u8; 32]> =
        token.map(|token| Sha256::digest(format!("Bearer {token}")).into());
    Router::new()
        .route("/v1/branches", get(branches))
        .route("/v1/branches/{branch}/prepare", post(prepare))
        .route("/v1/branches/{branch}/commit", post(commit))
        .route("/v1/branches/{branch}/abort", post(abort))
        .route("/v1/messages", post(messages))
        .route("/v1/peers", get(peers))
        .route("/v1/check", get(check))
        .route("/v1/keys", get(keys).put(load))
        .route_layer(middleware::from_fn(move |request, next| admit(digest, request, next)))
        .route("/healthz", get(async || "ok"))
        .route("/readyz", get(ready))
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .with_state(shared)
}

/// Lets a request in that carries the token. Digests are compared, so that the time taken tells
/// nothing about the token.
async fn admit(digest: Option<[u8; 32]>, request: Request, next: Next) -> Response {
    let given = request.headers().get(header::AUTHORIZATION);
    let given = Sha256::digest(given.map_or(&b""[..], |given| given.as_bytes()));
    if digest.is_some_and(|digest| given[..] != digest[..]) {
        let problem = Problem::new(&codes::UNAUTHORIZED, "the request lacks the shard's token");
        return problem.into_response();
    }
    next.run(request).await
}

async fn prepare(
    State(shared): Api,
    Named(branch): Named,
    headers: HeaderMap,
    body: Bytes,
) -> Answered<Voted> {
    let branch = parse_branch(&branch)?;
    let Prepare { work, within_ms, pact } = read(&headers, &body)?;
    let Work::Keys(ops) = work else {
        return Err(Problem::new(&codes::WRONG_WORK, "a shard understands `keys`, not `sql`"));
    };
    if let Some(pact) = &pact {
        let fits = shared.peers.check(&branch, pact);
        fits.map_err(|why| Problem::new(&codes::DECIDE_UNSUPPORTED, why))?;
    }
    stop_point::reach("prepare_taken");
    let lock_wait_ms = within_ms.min(LOCK_WAIT_MS);
    let prepare = |request| Input::Prepare { request, branch, ops, lock_wait_ms, pact };
    match shared.ask(prepare).await? {
        Answer::Voted { vote, rows } => {
            let (vote, refusal) = match vote {
                Vote::Yes(_) => (VoteWord::Yes, None),
                Vote::ReadOnly => (VoteWord::ReadOnly, None),
                Vote::No(refusal) => (VoteWord::No, Some(refusal)),
                Vote::Lost(_) => return Err(unexpected()),
            };
            Ok(Json(Voted { vote, refusal, rows }))
        }
        Answer::Busy => Err(Problem::new(&codes::BUSY, "too many wait for this branch's vote")),
        _ => Err(unexpected()),
    }
}

async fn commit(State(shared): Api, Named(branch): Named) -> Answered<Acked> {
    let branch = parse_branch(&branch)?;
    stop_point::reach("commit_taken");
    acked(shared.ask(|request| Input::Commit { request, branch }).await?)
}

async fn abort(State(shared): Api, Named(branch): Named) -> Answered<Acked> {
    let branch = parse_branch(&branch)?;
    stop_point::reach("abort_taken");
    acked(shared.ask(|request| Input::Abort { request, branch }).await?)
}

fn acked(answer: Answer) -> Answered<Acked> {
    let (ack, detail) = match answer {
        Answer::Acked(Ack::Finished) => (AckWord::Finished, String::new()),
        Answer::Acked(Ack::Heuristic(detail)) => (AckWord::Heuristic, detail),
        Answer::Forgotten => (AckWord::Forgotten, String::new()),
        _ => return Err(unexpected()),
    };
    Ok(Json(Acked { ack, detail }))
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    prefix: String,
    after: Option<String>,
    limit: Option<usize>,
}

async fn branches(
    State(shared): Api,
    Query(Page { after, .. }): Query<Page>,
) -> Answered<Branches> {
    let after = after.as_deref().map(parse_branch).transpose()?;
    let page = shared.look(move |saved, live| {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut prepared = saved.prepared.range((from, Bound::Unbounded));
        let listed = |(id, prepared): (&BranchId, &Prepared)| {
            let inquiry = live.inquiries.get(id).zip(prepared.pact.as_ref());
            (id.clone(), inquiry.and_then(|(inquiry, pact)| inquiry.stuck(pact)))
        };
        let page: Vec<_> = prepared.by_ref().take(BRANCHES_PAGE).map(listed).collect();
        let last = page.last().map(|(id, _)| id.to_string());
        let next = last.filter(|_| prepared.next().is_some());
        (page, next, live.waiting.len() as u64)
    });
    let (page, next, waiting) = page.await?;
    let listed = |(branch, stuck): (BranchId, Option<String>)| {
        let age_ms = Some(shared.ages.age_ms(&branch));
        InDoubtBranch { branch: branch.to_string(), age_ms, stuck }
    };
    let in_doubt = page.into_iter().map(listed).collect();
    let peer = shared.peers.me().map(Into::into);
    Ok(Json(Branches { in_doubt, waiting, foreign: 0, next, peer }))
}

/// Takes messages of a peer. Those for which there is no room are lost: they come again.
async fn messages(State(shared): Api, headers: HeaderMap, body: Bytes) -> Answered<Taken> {
    let messages: Incoming = read(&headers, &body)?;
    messages.check()?;
    stop_point::reach("messages_taken");
    let mut taken = 0;
    for message in shared.peers.admitted(&messages) {
        match shared.driver().try_send(addressed(Input::Received { message })) {
            Ok(()) => taken += 1,
            Err(NotTaken::Full) => break,
            Err(stopped) => return Err(stopped.into()),
        }
    }
    Ok(Json(Taken { taken }))
}

/// Whether it is what the caller takes it for, and whom it knows.
async fn check(State(shared): Api) -> Json<Check> {
    Json(Check { protocol: PROTOCOL.into(), knows: shared.peers.knows() })
}

/// Whom the shard knows, and how many messages went there or were lost.
async fn peers(State(shared): Api) -> Json<PeersPage> {
    Json(shared.peers.page())
}

/// Whom the shard knows.
#[derive(Serialize)]
pub(super) struct PeersPage {
    /// The shard's own name.
    pub name: Option<String>,
    /// Messages to each peer since the start.
    pub peers: BTreeMap<String, Outgoing>,
    /// Messages that were dropped because this shard does not know whom they are about.
    pub unknown: u64,
}

/// Messages to one peer.
#[derive(Serialize)]
pub(super) struct Outgoing {
    /// Those that it took.
    pub sent: u64,
    /// Those that were lost on this side.
    pub dropped: u64,
}

/// Committed values, in the order of the keys.
#[derive(Serialize)]
struct KeysPage {
    keys: Vec<Key>,
    /// How many keys the shard has in all.
    total: usize,
    /// Give it as `after` to get those that follow; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Serialize)]
struct Key {
    key: String,
    value: Value,
}

async fn keys(State(shared): Api, Query(page): Query<Page>) -> Answered<KeysPage> {
    Ok(Json(shared.look(move |saved, _| keys_page(saved, &page)).await?))
}

fn keys_page(saved: &Saved, Page { prefix, after, limit }: &Page) -> KeysPage {
    let from = match after {
        Some(after) if after >= prefix => Bound::Excluded(after),
        _ => Bound::Included(prefix),
    };
    let found = saved.keys.range::<String, _>((from, Bound::Unbounded));
    let mut found = found.take_while(|(key, _)| key.starts_with(prefix)).peekable();
    let limit = limit.unwrap_or(KEYS_PAGE_MAX).clamp(1, KEYS_PAGE_MAX);
    let (mut keys, mut bytes) = (Vec::new(), 0);
    while keys.len() < limit && bytes < KEYS_PAGE_BYTES {
        let Some((key, value)) = found.next() else { break };
        bytes += size(value);
        keys.push(Key { key: key.clone(), value: value.clone() });
    }
    let next = found.peek().and_then(|_| keys.last().map(|last| last.key.clone()));
    KeysPage { keys, total: saved.keys.len(), next }
}

/// Initial values.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Load {
    keys: BTreeMap<String, Value>,
}

/// How many were written.
#[derive(Serialize)]
struct Loaded {
    loaded: usize,
}

async fn load(State(shared): Api, headers: HeaderMap, body: Bytes) -> Answered<Loaded> {
    let Load { keys } = read(&headers, &body)?;
    let fits = |(key, value): (&String, &Value)| {
        (1..=KEY_BYTES_MAX).contains(&key.len()) && size(value) <= VALUE_BYTES_MAX
    };
    if !keys.iter().all(fits) {
        return Err(Problem::new(&codes::BAD_KEY, "a key or value is too long, or a key is empty"));
    }
    match shared.ask(|request| Input::Load { request, keys }).await? {
        Answer::Loaded(loaded) => Ok(Json(Loaded { loaded })),
        Answer::Locked(key) => {
            let why = format!("a branch holds key `{key}`; nothing was written");
            Err(Problem::new(&codes::WRONG_STATE, why))
        }
        _ => Err(unexpected()),
    }
}

async fn ready(State(shared): Api) -> Result<&'static str, Problem> {
    Ok(shared.look(|_, _| "ready").await?)
}

impl Shared {
    /// Gives the machine an input and waits for its answer. An error says that the input was not
    /// taken, or, when stopping, that nobody knows.
    async fn ask(&self, input: impl FnOnce(RequestId) -> Input) -> Result<Answer, Problem> {
        let (waiting, answered) = self.callers.wait();
        self.driver().try_send(addressed(input(waiting.request)))?;
        Ok(answered.await.map_err(|_| NotTaken::Stopped)?)
    }

    /// Looks at the machine between two turns.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Saved, &Live) -> T + Send + 'static,
    ) -> Result<T, NotTaken> {
        let (seen, see) = oneshot::channel();
        self.driver().with(move |partition| {
            let mut machines = partition.machines();
            let seen_now = match machines.find(|(stream, ..)| &***stream == STREAM) {
                Some((_, saved, live)) => look(saved, live),
                // Before the first record there is no machine.
                None => look(&Saved::default(), &Live::default()),
            };
            drop(seen.send(seen_now));
        })?;
        see.await.map_err(|_| NotTaken::Stopped)
    }
}

impl From<NotTaken> for Problem {
    fn from(not_taken: NotTaken) -> Self {
        let code = match not_taken {
            NotTaken::Full => &codes::BUSY,
            NotTaken::Stopped => &codes::STOPPING,
        };
        Self::new(code, not_taken.to_string())
    }
}

fn parse_branch(text: &str) -> Result<BranchId, Problem> {
    BranchId::parse(text)
        .ok_or_else(|| Problem::new(&codes::BAD_BRANCH_ID, format!("{text:?} is not a branch id")))
}

fn read<T: DeserializeOwned>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    let declared = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    // Asked for so that no page in a browser can send it without being asked for leave.
    if !declared.starts_with(b"application/json") {
        return Err(Problem::new(&codes::WRONG_CONTENT_TYPE, "the body is not declared as JSON"));
    }
    serde_json::from_slice(body).map_err(|why| {
        let code = if why.is_data() { &codes::WRONG_SHAPE } else { &codes::MALFORMED_JSON };
        Problem::new(code, why.to_string())
    })
}

fn size(value: &Value) -> usize {
    match value {
        Value::Int(_) => 8,
        Value::Bytes(bytes) => bytes.len(),
    }
}

fn unexpected() -> Problem {
    Problem::new(&codes::BUG_HERE, "the shard's machine gave an answer of another kind")
}
