//! A node that answers as written in a script, one step for each request, and keeps what it heard.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

#[derive(Clone)]
pub enum Step {
    Answer(u16, &'static str, String),
    HangUp,
    Silence,
}

#[derive(Clone, Debug)]
pub struct Heard {
    pub line: String,
    pub head: String,
    pub body: Value,
}

pub struct Script {
    pub url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Script {
    /// The last step is repeated for ever.
    pub async fn new(steps: Vec<Step>) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), steps).await
    }

    pub async fn at(address: std::net::SocketAddr, steps: Vec<Step>) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script = Self { url, heard: heard.clone() };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, steps.clone(), heard.clone()));
            }
        });
        script
    }

    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub fn client(&self) -> handfast_client::Handfast {
        self.client_with_ms(5_000)
    }

    pub fn client_with_ms(&self, timeout: u64) -> handfast_client::Handfast {
        let timeout = std::time::Duration::from_millis(timeout);
        handfast_client::Handfast::builder(&self.url).timeout(timeout).build().unwrap()
    }
}

async fn serve(mut socket: TcpStream, steps: Vec<Step>, heard: Arc<Mutex<Vec<Heard>>>) {
    while let Some(request) = read(&mut socket).await {
        let step = {
            let mut heard = heard.lock().unwrap();
            heard.push(request);
            steps[(heard.len() - 1).min(steps.len() - 1)].clone()
        };
        match step {
            Step::Answer(status, headers, body) => {
                let text = format!(
                    "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                socket.write_all(text.as_bytes()).await.unwrap();
            }
            Step::HangUp => return,
            Step::Silence => std::future::pending().await,
        }
    }
}

async fn read(socket: &mut TcpStream) -> Option<Heard> {
    let mut bytes = Vec::new();
    let head_end = loop {
        if let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap().to_lowercase();
    let length = head.lines().find_map(|l| l.strip_prefix("content-length: "));
    let length: usize = length.map_or(0, |l| l.trim().parse().unwrap());
    while bytes.len() < head_end + length {
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let line = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let line = line.lines().next().unwrap().into();
    let body = serde_json::from_slice(&bytes[head_end..]).unwrap_or(Value::Null);
    Some(Heard { line, head, body })
}

pub fn answer(status: u16, body: Value) -> Step {
    Step::Answer(status, "", body.to_string())
}

pub fn busy() -> Step {
    Step::Answer(503, "retry-after: 0\r\n", problem(503, "busy").to_string())
}

pub fn transaction(outcome: &str, state: &str) -> Value {
    json!({ "gid": "t-1", "outcome": outcome, "state": state })
}

pub fn aborted() -> Value {
    let mut transaction = transaction("aborted", "aborted");
    transaction["reason"] = json!({
        "branch": "debit", "code": "rows_differ", "message": "0 rows, not 1", "retryable": false
    });
    transaction
}

pub fn problem(status: u16, code: &str) -> Value {
    json!({
        "type": "about:blank", "status": status, "code": code, "title": code, "detail": "so it is"
    })
}
