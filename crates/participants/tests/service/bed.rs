//! A service that says what a test wants it to, on connections that it keeps.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use handfast_core::{
    id::BranchId,
    plan::{Call, Verb},
    vote::Reply,
};
use handfast_participants::{Absent, Participant, ServiceCall, Settings};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::watch,
};

use crate::http;
pub use crate::http::AMPLE;

/// How the service answers a request.
pub enum Said {
    /// A status and a body.
    This(u16, &'static str),
    /// A head with what it says, and a body.
    With(String, String),
    /// It writes this and closes the connection.
    Broken(&'static str),
    /// It answers 200 when the test lets it.
    Later,
}

/// What the answer to a request is, by its number and text.
type Answers = Box<dyn Fn(usize, &str) -> Said + Send + Sync>;

pub struct Bed {
    address: String,
    shared: Arc<Shared>,
}

pub struct Shared {
    answers: Answers,
    requests: Mutex<Vec<String>>,
    arrived: watch::Sender<usize>,
    released: watch::Sender<bool>,
    connections: AtomicUsize,
}

impl Bed {
    pub async fn start(answers: impl Fn(usize, &str) -> Said + Send + Sync + 'static) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap().to_string();
        let shared = Shared::new(answers);
        let bed = Self { address, shared: shared.clone() };
        tokio::spawn(async move {
            loop {
                let (stream, _) = socket.accept().await.unwrap();
                tokio::spawn(serve(shared.clone(), stream));
            }
        });
        bed
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What came, in order.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How many connections brought a request.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many requests have come.
    pub async fn has_come(&self, count: usize) {
        let mut arrived = self.shared.arrived.subscribe();
        arrived.wait_for(|arrived| *arrived >= count).await.unwrap();
    }

    /// Lets those answer that wait for it.
    pub fn release(&self) {
        self.shared.released.send_replace(true);
    }
}

impl Shared {
    pub fn new(answers: impl Fn(usize, &str) -> Said + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            requests: Mutex::default(),
            arrived: watch::Sender::new(0),
            released: watch::Sender::new(false),
            connections: AtomicUsize::new(0),
        })
    }

    pub fn requests(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

/// Serves one connection.
pub async fn serve(shared: Arc<Shared>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut is_new = true;
    while let Some(request) = read(&mut stream).await {
        if std::mem::take(&mut is_new) {
            shared.connections.fetch_add(1, Ordering::SeqCst);
        }
        let number = {
            let mut requests = shared.requests.lock().unwrap();
            requests.push(request.clone());
            requests.len()
        };
        shared.arrived.send_replace(number);
        let (head, body) = match (shared.answers)(number, &request) {
            Said::This(status, body) => (status.to_string(), body.to_owned()),
            Said::With(head, body) => (head, body),
            Said::Broken(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                return;
            }
            Said::Later => {
                let mut released = shared.released.subscribe();
                released.wait_for(|released| *released).await.unwrap();
                ("200".into(), String::new())
            }
        };
        let (status, more) = head.split_once('\n').unwrap_or((&head, ""));
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{more}");
        // A client that has seen enough may have gone.
        let _ = stream.write_all(format!("{head}\r\n{body}").as_bytes()).await;
    }
}

/// A request up to the end of its body; nothing at the connection's end.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.ok().filter(|read| *read > 0)?;
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return Some(text);
        }
    }
}

/// `POST /bookings?room=7`, with a body.
pub fn call(verb: Verb) -> ServiceCall {
    ServiceCall {
        gid: "order-42".into(),
        branch: branch(),
        verb,
        attempt: 1,
        call: Call {
            method: "POST".into(),
            path: "/bookings?room=7".into(),
            headers: Vec::new(),
            body: r#"{"room":7}"#.into(),
        },
        trace: String::new(),
        within: AMPLE,
        absent: Absent::Nonsense,
    }
}

pub fn branch() -> BranchId {
    BranchId::parse("hf1_t_1_1_0").unwrap()
}

pub fn adapter(url: &str) -> Arc<dyn Participant> {
    handfast_participants::open(settings(url)).unwrap()
}

pub fn settings(url: &str) -> Settings {
    http::settings(&format!("service+{url}"), None)
}

/// What kind of reply it is.
pub fn word(reply: &Reply) -> &'static str {
    match reply {
        Reply::Done(_) => "done",
        Reply::Refused(_) => "refused",
        Reply::InProgress(_) => "in progress",
        Reply::Unsent(_) => "unsent",
        Reply::Later(later) if later.may_be_done => "unknown, later",
        Reply::Later(_) => "not done, later",
        Reply::Unknown(_) => "unknown",
        Reply::Broken(_) => "broken",
    }
}
