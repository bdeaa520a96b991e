//! The HTTP adapter against services that answer well, badly, or not at all.

use std::{sync::Arc, time::Duration};

use handfast_core::{
    id::{BranchId, Cluster},
    vote::{Ack, Proof, Vote},
    work::{KeyOp, Param, Rows, Work},
};
use handfast_participants::{InDoubt, Level, Participant, Settings, TlsMode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub const AMPLE: Duration = Duration::from_secs(20);

#[tokio::test]
async fn nobody_there_is_a_no() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    drop(socket);
    let service = adapter(&format!("http://{address}"), None);
    let vote = prepare(&service).await;
    assert!(matches!(vote, Vote::No(ref why) if why.code == "unreachable"), "{vote:?}");
    let ack = service.commit(branch(), Proof::default()).await;
    assert!(matches!(ack, Ack::Unknown(_)), "{ack:?}");
    assert!(service.in_doubt().await.is_err());
    assert_eq!(service.check().await[0].level, Level::Error);
}

#[tokio::test]
async fn silence_after_the_request_is_unknown() {
    let service = adapter(&serve(vec![Said::Nothing; 3]).await, None);
    let vote = prepare(&service).await;
    assert!(matches!(vote, Vote::Lost(ref why) if why.cause.retryable()), "{vote:?}");
    for ack in [
        service.commit(branch(), Proof::default()).await,
        service.abort(branch(), Proof::default()).await,
    ] {
        assert!(matches!(ack, Ack::Unknown(_)), "{ack:?}");
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unknown() {
    let service = adapter(&serve(vec![Said::Never]).await, None);
    let work = Work::Keys(Vec::new());
    let prepared = service.prepare(branch(), work, Duration::from_millis(50)).await;
    assert!(matches!(prepared.vote, Vote::Lost(_)), "{prepared:?}");
}

#[tokio::test]
async fn a_vote_is_what_the_service_says() {
    let yes = r#"{"vote":"yes","rows":[{"columns":["n"],"rows":[[{"int":7}]]}]}"#;
    let no = r#"{"vote":"no","refusal":{"code":"sold_out","message":"none","cause":"business"}}"#;
    let long = format!(r#"{{"vote":"yes","x":"{}"}}"#, "x".repeat(2 << 20));
    // What it says, and the vote: yes, no with its code, read-only, lost.
    let cases = [
        (200, yes, "yes"),
        (200, r#"{"vote":"read_only"}"#, "read-only"),
        (200, no, "no sold_out"),
        (200, r#"{"vote":"no"}"#, "no bad_answer"),
        (200, r#"{"vote":"maybe"}"#, "lost bad_answer"),
        (200, "<html>", "lost bad_answer"),
        (200, &long, "lost no_answer"),
        (400, "what?", "no request_refused"),
        (401, "who?", "no login_refused"),
        (404, "", "no request_refused"),
        (500, "oops", "lost bad_answer"),
        (503, "busy", "lost bad_answer"),
        (302, "", "lost bad_answer"),
    ];
    let answers = cases.iter().map(|(status, body, _)| Said::This(*status, (*body).into()));
    let service = adapter(&serve(answers.collect()).await, None);
    for (status, body, vote) in cases {
        let prepared = service.prepare(branch(), Work::Keys(Vec::new()), AMPLE).await;
        let body = &body[..body.len().min(90)];
        assert_eq!(prepared.vote.to_string(), vote, "{status} {body}");
        if body == yes {
            let (columns, rows) = (vec!["n".into()], vec![vec![Param::Int(7)]]);
            assert_eq!(prepared.rows, [Rows { columns, rows }]);
        }
    }
}

#[tokio::test]
async fn an_acknowledgement_is_what_the_service_proves() {
    let cases = [
        (200, r#"{"ack":"finished"}"#, "finished"),
        (200, r#"{"ack":"heuristic","detail":"gone"}"#, "heuristic"),
        (200, r#"{"ack":"forgotten"}"#, "broken"),
        (200, r#"{"ack":"perhaps"}"#, "broken"),
        (200, "", "broken"),
        (403, "", "broken"),
        (404, "", "broken"),
        (500, "", "unknown"),
        (503, "", "unknown"),
    ];
    let answers = cases.iter().map(|(status, body, _)| Said::This(*status, (*body).into()));
    let service = adapter(&serve(answers.collect()).await, None);
    for (status, body, ack) in cases {
        let found = service.commit(branch(), Proof::default()).await.to_string();
        assert_eq!(found.split(' ').next().unwrap(), ack, "{status} {body}: {found}");
    }
}

#[tokio::test]
async fn branches_of_others_are_counted_and_pages_are_followed() {
    let first = r#"{"in_doubt":[{"branch":"hf1_t_1_1_0","age_ms":5},{"branch":"hf1_u_1_1_0"}],
        "foreign":2,"next":"hf1_t_1_1_0","peer":"a"}"#;
    let second = r#"{"in_doubt":[{"branch":"hf1_t_1_2_0"},{"branch":"x"}],
        "foreign":2,"next":"?","peer":"b"}"#;
    let answers = [first, second].map(|body| Said::This(200, body.into()));
    let service = adapter(&serve(answers.into()).await, None);
    let own = vec![(branch(), Some(5)), (BranchId::parse("hf1_t_1_2_0").unwrap(), None)];
    let (foreign, peer) = (4, Some("b".into()));
    assert_eq!(service.in_doubt().await.unwrap(), InDoubt { own, foreign, peer });
}

#[tokio::test]
async fn a_token_is_sent_and_never_told() {
    let service = adapter(&serve(vec![Said::WhetherAuthorized]).await, Some("sesame"));
    let vote = prepare(&service).await;
    assert!(matches!(vote, Vote::No(ref why) if why.message.contains("true")), "{vote:?}");
    for (url, secret) in [("http://user:sesame@127.0.0.1", None), ("http://a", Some("sesame\n"))] {
        let why = handfast_participants::open(settings(url, secret)).err().unwrap();
        assert!(!why.contains("sesame"), "{why}");
    }
}

#[tokio::test]
async fn one_phase_is_not_offered() {
    let service = adapter("http://127.0.0.1:1", None);
    assert!(!service.one_phase());
    let held = service.hold(branch(), Work::Keys(Vec::new()), AMPLE).await;
    assert!(matches!(held.vote, Vote::No(_)));
    let ack = service.commit_one_phase(branch(), Proof::default()).await;
    assert!(matches!(ack, Ack::Broken(_)));
}

/// How a service answers one request.
#[derive(Clone)]
enum Said {
    /// A status and a body.
    This(u16, String),
    /// A 400 that says whether the token was sent.
    WhetherAuthorized,
    /// It closes the connection.
    Nothing,
    /// It keeps the connection and says nothing.
    Never,
}

/// A service that answers each connection's only request with the next of `answers`.
async fn serve(answers: Vec<Said>) -> String {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    tokio::spawn(async move {
        let mut kept = Vec::new();
        for said in answers {
            let (mut stream, _) = socket.accept().await.unwrap();
            let request = read(&mut stream).await;
            let (status, body) = match said {
                Said::This(status, body) => (status, body),
                Said::WhetherAuthorized => {
                    (400, request.contains("authorization: Bearer sesame\r\n").to_string())
                }
                Said::Nothing => continue,
                Said::Never => {
                    kept.push(stream);
                    continue;
                }
            };
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}");
            // The adapter may have seen enough before the end.
            let _ = stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes()).await;
        }
        std::future::pending::<()>().await;
    });
    url
}

/// A request up to the end of its body.
async fn read(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        let mut bytes = [0; 4096];
        let read = stream.read(&mut bytes).await.unwrap();
        assert!(read > 0, "the request broke off");
        text.push_str(std::str::from_utf8(&bytes[..read]).unwrap());
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        if body.len() >= length.map_or(0, |length| length.parse().unwrap()) {
            return text;
        }
    }
}

async fn prepare(service: &Arc<dyn Participant>) -> Vote {
    let work = Work::Keys(vec![KeyOp::Get { key: "alice".into() }]);
    service.prepare(branch(), work, AMPLE).await.vote
}

fn branch() -> BranchId {
    BranchId::parse("hf1_t_1_1_0").unwrap()
}

fn adapter(url: &str, secret: Option<&str>) -> Arc<dyn Participant> {
    handfast_participants::open(settings(url, secret)).unwrap()
}

pub fn settings(url: &str, secret: Option<&str>) -> Settings {
    Settings {
        name: "service".into(),
        url: url.into(),
        secret: secret.map(Into::into),
        ca_file: None,
        tls: TlsMode::Off,
        connections_max: 2,
        connect_timeout: AMPLE,
        statement_timeout: AMPLE,
        lock_timeout: AMPLE,
        marker_table: String::new(),
        service: Default::default(),
        cluster: Cluster::new("t").unwrap(),
    }
}
