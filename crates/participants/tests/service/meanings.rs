//! What answers mean, and what it means that there is none.

use std::time::Duration;

use handfast_core::{
    plan::Verb,
    vote::{Cause, Later, Proof, Reply},
};
use handfast_participants::Absent;
use tokio::net::TcpListener;

use super::bed::{Bed, Said, adapter, call, word};

const VERBS: [Verb; 7] =
    [Verb::Do, Verb::Undo, Verb::Deliver, Verb::Try, Verb::Confirm, Verb::Cancel, Verb::Ask];

#[tokio::test]
async fn every_answer_has_one_meaning() {
    const MEANINGS: [(&[u16], &str); 6] = [
        (&[200, 201, 203, 204, 206, 299], "done"),
        (&[202, 425], "in progress"),
        (&[409, 422], "refused"),
        (&[408, 500, 501, 502, 503, 504, 599], "unknown"),
        (&[429], "not done, later"),
        (
            &[300, 301, 302, 303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 410, 412, 451, 499],
            "broken",
        ),
    ];
    let bed = Bed::start(|_, request| {
        let path = request.split(' ').nth(1).unwrap();
        Said::With(path[1..].to_owned(), String::new())
    });
    let service = adapter(&bed.await.url(""));
    for (statuses, meaning) in MEANINGS {
        for status in statuses {
            for verb in VERBS {
                for absent in [Absent::Nonsense, Absent::Undone, Absent::TooEarly] {
                    let mut call = call(verb);
                    call.call.path = format!("/{status}");
                    call.absent = absent;
                    let undoes = matches!(verb, Verb::Undo | Verb::Cancel);
                    let meant = match absent {
                        Absent::Undone if undoes && matches!(status, 404 | 410) => "done",
                        // What does it may still come, and then there is something to undo.
                        Absent::TooEarly if undoes && matches!(status, 404 | 410) => "unknown",
                        _ => meaning,
                    };
                    let reply = service.call(call).await;
                    assert_eq!(word(&reply), meant, "{status} to {verb:?}: {reply:?}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_body_of_an_answer_is_kept() {
    let cases: [(&str, &str, &str); 10] = [
        ("200", "", "done "),
        ("200", " \n", "done "),
        ("200", " {\"id\": 1.10}\n", "done {\"id\": 1.10}"),
        ("201", "null", "done null"),
        ("200", "OK, \"done\"", "done \"OK, \\\"done\\\"\""),
        ("200", "{\"id\":", "done \"{\\\"id\\\":\""),
        ("409", "{\"why\":\"sold out\"}", "refused {\"why\":\"sold out\"}"),
        ("409", "sold \"out\"\n", "refused \"sold \\\"out\\\"\""),
        ("422", "", "refused it answered 422 Unprocessable Entity"),
        ("403", "who?", "broken it answered 403 Forbidden: who?"),
    ];
    let bed = Bed::start(move |number, _| {
        let (status, body, _) = cases[number - 1];
        Said::With(status.into(), body.into())
    });
    let service = adapter(&bed.await.url(""));
    for (status, body, meant) in cases {
        let reply = match service.call(call(Verb::Do)).await {
            Reply::Done(Proof(output)) => format!("done {output}"),
            Reply::Refused(why) => {
                assert_eq!((why.code.as_str(), why.cause), ("service_refused", Cause::Business));
                format!("refused {}", why.message)
            }
            Reply::Broken(why) => format!("broken {why}"),
            other => format!("{other:?}"),
        };
        assert_eq!(reply, meant, "{status} {body}");
    }
}

#[tokio::test]
async fn a_service_says_when_to_ask_again() {
    let cases = [
        ("202", 500),
        ("425", 500),
        ("202\nretry-after: 3\r\n", 3_000),
        ("202\nretry-after: 0\r\n", 100),
        ("202\nretry-after: 999999999999999999\r\n", 300_000),
        ("202\nretry-after: Wed, 21 Oct 2026 07:28:00 GMT\r\n", 500),
        ("202\nretry-after: -1\r\n", 500),
    ];
    let bed = Bed::start(move |number, _| Said::With(cases[number - 1].0.into(), String::new()));
    let service = adapter(&bed.await.url(""));
    for (head, after_ms) in cases {
        let reply = service.call(call(Verb::Do)).await;
        assert_eq!(reply, Reply::InProgress(after_ms), "{head}");
    }
}

#[tokio::test]
async fn who_is_turned_away_comes_back_when_he_is_told_to() {
    let cases = [
        ("429\nretry-after: 3\r\n", 3_000, false),
        ("429\nretry-after: 0\r\n", 100, false),
        ("429\nretry-after: soon\r\n", 0, false),
        ("429", 0, false),
        ("503\nretry-after: 3\r\n", 3_000, true),
        ("503\nretry-after: 86400\r\n", 300_000, true),
        ("408\nretry-after: 1\r\n", 1_000, true),
    ];
    let bed = Bed::start(move |number, _| Said::With(cases[number - 1].0.into(), String::new()));
    let service = adapter(&bed.await.url(""));
    for (head, wanted_ms, may_be) in cases {
        let reply = service.call(call(Verb::Do)).await;
        let Reply::Later(Later { detail, after_ms, may_be_done }) = reply else {
            panic!("{head}: {reply:?}")
        };
        assert_eq!((after_ms, may_be_done), (wanted_ms, may_be), "{head}");
        assert!(detail.starts_with(&format!("it answered {}", &head[..3])), "{detail}");
    }
}

#[tokio::test]
async fn nobody_there_is_unsent() {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    for verb in VERBS {
        let reply = adapter(&url).call(call(verb)).await;
        assert_eq!(word(&reply), "unsent", "{reply:?}");
    }
}

#[tokio::test]
async fn no_connection_in_time_is_unsent() {
    // It takes connections, and says nothing on them: so there never is one that is encrypted.
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://{}", socket.local_addr().unwrap());
    for verb in VERBS {
        let mut call = call(verb);
        call.within = Duration::from_millis(50);
        let reply = adapter(&url).call(call).await;
        assert!(matches!(&reply, Reply::Unsent(why) if why.contains("in time")), "{reply:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_unknown() {
    const BEGINNINGS: [&str; 5] = [
        "",
        "HTTP/1.1 200 O",
        "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{\"a\"",
        "HTTP/1.1 409 Conflict\r\ncontent-length: 7\r\n\r\n{\"a\"",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n{\"a\r\n",
    ];
    let bed = Bed::start(|number, _| Said::Broken(BEGINNINGS[number - 1])).await;
    let service = adapter(&bed.url(""));
    for beginning in BEGINNINGS {
        let reply = service.call(call(Verb::Do)).await;
        assert_eq!(word(&reply), "unknown", "{beginning}: {reply:?}");
    }
    // None of them was sent twice.
    assert_eq!(bed.requests().len(), BEGINNINGS.len());
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_unknown() {
    let bed = Bed::start(|_, _| Said::Later).await;
    let mut call = call(Verb::Do);
    call.within = Duration::from_millis(100);
    let reply = adapter(&bed.url("")).call(call).await;
    assert_eq!(word(&reply), "unknown", "{reply:?}");
    assert_eq!(bed.requests().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let bed = Bed::start(|number, _| match number {
        1 => Said::With("307\nlocation: /elsewhere\r\n".into(), String::new()),
        _ => Said::This(200, ""),
    });
    let bed = bed.await;
    let reply = adapter(&bed.url("")).call(call(Verb::Do)).await;
    assert_eq!(word(&reply), "broken", "{reply:?}");
    assert_eq!(bed.requests().len(), 1);
}
