//! Services against a small real one, that answers well, badly, late or not at all.

mod bed;
mod bounds;
mod meanings;
mod tls;

use std::time::{Duration, SystemTime};

use handfast_client::signature;
use handfast_core::{
    plan::{Call, Verb},
    vote::{Proof, Reply, Vote},
    work::Work,
};
use handfast_participants::{Level, ServiceSettings, service::check_call};
use hyper::{HeaderMap, Method, header::HeaderName};
use tokio::net::TcpListener;

use self::bed::{AMPLE, Bed, Said, adapter, branch, call, settings};

const SECRET: &str = "0123456789abcdef";

#[tokio::test]
async fn a_call_says_who_it_is() {
    let bed = Bed::start(|_, _| Said::This(200, "{}")).await;
    let mut settings = settings(&bed.url("/base/"));
    settings.secret = Some("sesame".into());
    settings.service.headers = vec![("X-Key".into(), "ours".into())];
    let service = handfast_participants::open(settings).unwrap();
    let mut call = call(Verb::Undo);
    call.trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into();
    call.call.headers = [("x-key", "theirs"), ("x-other", "2")].map(own).into();
    for attempt in [1, 2] {
        call.attempt = attempt;
        assert_eq!(service.call(call.clone()).await, Reply::Done(Proof::default()));
    }
    for (request, attempt) in bed.requests().iter().zip(["1", "2"]) {
        let (line, _) = request.split_once("\r\n").unwrap();
        assert_eq!(line, "POST /base/bookings?room=7 HTTP/1.1");
        assert!(request.ends_with("\r\n\r\n{\"room\":7}"), "{request}");
        let headers = headers(request);
        for (name, value) in [
            ("handfast-transaction", "order-42"),
            ("handfast-branch", "hf1_t_1_1_0"),
            ("handfast-call", "undo"),
            ("handfast-attempt", attempt),
            ("idempotency-key", "hf1_t_1_1_0/undo"),
            ("traceparent", &call.trace),
            ("authorization", "Bearer sesame"),
            ("content-type", "application/json"),
            ("x-key", "ours"),
            ("x-other", "2"),
        ] {
            let values: Vec<_> = headers.get_all(name).iter().collect();
            assert_eq!(values, [value], "{name}");
        }
        assert!(!headers.contains_key("handfast-signature"));
    }
}

#[tokio::test]
async fn the_client_crate_accepts_the_signature_of_what_arrives() {
    let bed = Bed::start(|_, _| Said::This(200, "")).await;
    let mut settings = settings(&bed.url("/base"));
    settings.service.signing_secret = Some(SECRET.into());
    let service = handfast_participants::open(settings).unwrap();
    for body in ["{\"room\":7}", ""] {
        let mut call = call(Verb::Do);
        call.call.body = body.into();
        assert_eq!(service.call(call).await, Reply::Done(Proof::default()));
        let request = bed.requests().pop().unwrap();
        let verify = |secret: &str, path, body: &str| {
            let (headers, now) = (headers(&request), SystemTime::now());
            let (method, within) = (Method::POST, Duration::from_secs(60));
            let (secret, body) = (secret.as_bytes(), body.as_bytes());
            signature::verify(secret, &headers, &method, path, body, now, within).is_ok()
        };
        assert!(verify(SECRET, "/base/bookings?room=7", body));
        assert!(!verify(SECRET, "/base/bookings?room=8", body));
        assert!(!verify(SECRET, "/base/bookings?room=7", "{}"));
        assert!(!verify("another secret, as long", "/base/bookings?room=7", body));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_never_leaves() {
    let bed = Bed::start(|_, _| Said::This(200, "")).await;
    let service = adapter(&bed.url(""));
    let header = |name: &str, value: &str| Call { headers: vec![own((name, value))], ..good() };
    let path = |path: &str| Call { path: path.into(), ..good() };
    let bad = [
        header("x", "1\r\nhandfast-call: undo"),
        header("x", "1\nx: 2"),
        header("x", "\0"),
        header("x\r\ny", "1"),
        header("handfast-call", "do"),
        header("Idempotency-Key", "k"),
        header("Content-Length", "0"),
        header("Transfer-Encoding", "chunked"),
        header("Host", "elsewhere"),
        header("Authorization", "Basic x"),
        header("x", &"x".repeat(10_000)),
        path(""),
        path("bookings"),
        path(".elsewhere.example/"),
        path("@elsewhere.example/"),
        path("/a b"),
        path("/a\r\nx: 1"),
        path("/a#b"),
        path("/a/../b"),
        path("/é"),
        path(&format!("/{}", "x".repeat(10_000))),
        Call { method: "GET /other HTTP/1.1\r\nx:".into(), ..good() },
        Call { method: "CONNECT".into(), ..good() },
        Call { method: String::new(), ..good() },
    ];
    for bad in bad {
        assert!(check_call(&bad).is_err(), "{bad:?}");
        for (verb, meant) in [
            (Verb::Do, "refused"),
            (Verb::Try, "refused"),
            (Verb::Undo, "broken"),
            (Verb::Deliver, "broken"),
            (Verb::Confirm, "broken"),
            (Verb::Cancel, "broken"),
            (Verb::Ask, "broken"),
        ] {
            let mut call = call(verb);
            call.call = bad.clone();
            let reply = service.call(call).await;
            assert_eq!(bed::word(&reply), meant, "{bad:?}: {reply:?}");
        }
    }
    assert_eq!(bed.requests(), Vec::<String>::new());
    assert_eq!(check_call(&good()), Ok(()));
    for template in ["/{{book.id}}", "/a/{{ book.id }}/{{größe}}?x={{y}}", "/{{", "/}}{{a"] {
        assert_eq!(check_call(&path(template)), Ok(()), "{template}");
    }
    for template in ["{{book.id}}", "/{{a}} b", "/{{a}}/../b"] {
        assert!(check_call(&path(template)).is_err(), "{template}");
    }
}

#[tokio::test]
async fn wrong_settings_are_named_without_secrets() {
    let with = |service: ServiceSettings| {
        let settings = handfast_participants::Settings { service, ..settings("http://a") };
        handfast_participants::open(settings).err().unwrap()
    };
    let none = ServiceSettings::default;
    let header = |name: &str, value: &str| vec![own((name, value))];
    for (settings, part) in [
        (ServiceSettings { signing_secret: Some("sesame".into()), ..none() }, "16 bytes"),
        (ServiceSettings { headers: header("x", "sesame\n"), ..none() }, "`x`"),
        (ServiceSettings { headers: header("handfast-call", "sesame"), ..none() }, "handfast-call"),
        (ServiceSettings { health_path: Some("healthz".into()), ..none() }, "health_path"),
        (ServiceSettings { key_file: Some("key.pem".into()), ..none() }, "client certificate"),
        (
            ServiceSettings {
                key_file: Some("key.pem".into()),
                certificate_file: Some("cert.pem".into()),
                ..none()
            },
            "service+https",
        ),
    ] {
        let why = with(settings);
        assert!(why.contains(part) && why.contains("`service`"), "{why}");
        assert!(!why.contains("sesame"), "{why}");
    }
    let url = settings("http://user:sesame@a");
    assert!(!handfast_participants::open(url).err().unwrap().contains("sesame"));
}

#[tokio::test]
async fn a_service_prepares_nothing() {
    let service = adapter("http://127.0.0.1:1");
    assert_eq!(service.kind(), "service");
    let keys = || Work::Keys(Vec::new());
    for prepared in [
        service.prepare(branch(), keys(), AMPLE).await,
        service.hold(branch(), keys(), AMPLE).await,
    ] {
        assert!(matches!(prepared.vote, Vote::No(why) if why.code == "wrong_work"));
    }
    for ack in [
        service.commit(branch(), Proof::default()).await,
        service.commit_one_phase(branch(), Proof::default()).await,
        service.abort(branch(), Proof::default()).await,
    ] {
        assert!(matches!(ack, handfast_core::vote::Ack::Broken(_)), "{ack:?}");
    }
    let shard = handfast_participants::Settings { url: "http://a".into(), ..settings("") };
    let reply = handfast_participants::open(shard).unwrap().call(call(Verb::Do)).await;
    assert_eq!(bed::word(&reply), "broken");
}

#[tokio::test]
async fn a_probe_tells_whether_the_service_is_there() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let service = adapter(&nobody);
    assert!(service.in_doubt().await.is_err());
    let found = service.check().await;
    assert_eq!((found[0].level, found[0].code), (Level::Error, "unreachable"));

    let bed = Bed::start(|_, request| match request.starts_with("GET /healthy ") {
        true => Said::This(200, ""),
        false => Said::This(503, ""),
    });
    let bed = bed.await;
    // Without a health path a connection is enough, and nothing is asked.
    assert_eq!(adapter(&bed.url("")).in_doubt().await.unwrap(), Default::default());
    assert_eq!(bed.requests(), Vec::<String>::new());
    for (path, is_well) in [("/healthy", true), ("/ill", false)] {
        let mut settings = settings(&bed.url(""));
        settings.service.health_path = Some(path.into());
        let service = handfast_participants::open(settings).unwrap();
        assert_eq!(service.in_doubt().await.is_ok(), is_well);
        assert_eq!(service.check().await[0].level == Level::Ok, is_well);
    }
    let mut signed = settings(&bed.url(""));
    signed.service.signing_secret = Some(SECRET.into());
    for (settings, codes) in
        [(settings(&bed.url("")), vec!["reachable", "signing_off"]), (signed, vec!["reachable"])]
    {
        let found = handfast_participants::open(settings).unwrap().check().await;
        assert_eq!(found.iter().map(|finding| finding.code).collect::<Vec<_>>(), codes);
    }
    let afar = adapter("http://service.invalid").check().await;
    let codes: Vec<_> = afar.iter().map(|finding| finding.code).collect();
    assert_eq!(codes, ["unreachable", "tls_off", "signing_off"]);
}

fn good() -> Call {
    call(Verb::Do).call
}

fn own((name, value): (&str, &str)) -> (String, String) {
    (name.into(), value.into())
}

fn headers(request: &str) -> HeaderMap {
    let head = request.split("\r\n\r\n").next().unwrap();
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (HeaderName::try_from(name).unwrap(), value.parse().unwrap())
    };
    // As they came: twice, if they came twice.
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).map(pair) {
        headers.append(name, value);
    }
    headers
}
