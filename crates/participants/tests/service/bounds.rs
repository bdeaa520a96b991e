//! How much is taken, how many at once, and on how few connections.

use std::time::Duration;

use handfast_core::{
    limits::{OUTPUT_BYTES_MAX, REASON_BYTES_MAX},
    plan::Verb,
    vote::{Proof, Refusal, Reply},
};

use super::bed::{AMPLE, Bed, Said, adapter, call, word};

#[tokio::test]
async fn a_long_answer_keeps_its_meaning_but_gives_no_output() {
    const KIB_64: usize = 64 * 1024;
    let json = |bytes: usize| format!("\"{}\"", "x".repeat(bytes - 2));
    let cases = [
        ("200", json(KIB_64), "done"),
        ("200", json(KIB_64 + 1), "broken"),
        ("200", json(KIB_64 * 40), "broken"),
        // A text grows when it is written as JSON.
        ("200", "x".repeat(KIB_64 - 2), "done"),
        ("200", "x".repeat(KIB_64 - 1), "broken"),
        ("200", "\"".repeat(KIB_64 / 2), "broken"),
        ("202", json(KIB_64 + 1), "in progress"),
        ("409", json(KIB_64 + 1), "refused"),
        ("500", json(KIB_64 + 1), "unknown"),
        ("400", json(KIB_64 + 1), "broken"),
    ];
    let answers = cases.clone();
    let bed = Bed::start(move |number, _| {
        let (status, body, _) = &answers[number - 1];
        Said::With((*status).into(), body.clone())
    });
    let service = adapter(&bed.await.url(""));
    for (status, body, meant) in cases {
        let reply = service.call(call(Verb::Do)).await;
        assert_eq!(word(&reply), meant, "{status} with {} bytes", body.len());
        let (Reply::Broken(why) | Reply::Unknown(why)) = reply else { continue };
        assert!(why.contains("more than 65536 bytes"), "{why}");
    }
}

#[tokio::test]
async fn what_nobody_uses_may_be_of_any_length() {
    let long = "x".repeat(64 * 1024 + 1);
    let bed = Bed::start(move |_, _| Said::With("200".into(), long.clone()));
    let service = adapter(&bed.await.url(""));
    for verb in [Verb::Undo, Verb::Deliver, Verb::Confirm, Verb::Cancel, Verb::Ask] {
        assert_eq!(service.call(call(verb)).await, Reply::Done(Proof::default()), "{verb:?}");
    }
    for verb in [Verb::Do, Verb::Try] {
        let reply = service.call(call(verb)).await;
        assert_eq!(word(&reply), "broken", "{verb:?}: {reply:?}");
    }
}

#[tokio::test]
async fn what_a_service_says_is_cut_to_the_bound() {
    for status in ["400", "500"] {
        let text = "é".repeat(REASON_BYTES_MAX);
        let bed = Bed::start(move |_, _| Said::With(status.into(), text.clone()));
        let reply = adapter(&bed.await.url("")).call(call(Verb::Do)).await;
        let (Reply::Broken(why) | Reply::Unknown(why)) = &reply else { panic!("{reply:?}") };
        assert!(why.len() <= REASON_BYTES_MAX, "{}", why.len());
    }
}

/// Whoever asked for what is refused is told why, even at length.
#[tokio::test]
async fn why_a_service_refuses_is_kept_as_json_up_to_the_bound_of_outputs() {
    let object = format!("{{\"why\":\"{}\"}}", "x".repeat(OUTPUT_BYTES_MAX - 10));
    let texts = [
        (object.clone(), object.clone()),
        ("é".repeat(3_000), format!("\"{}\"", "é".repeat(3_000))),
        // These are cut.
        (object.replace('}', "x\"}"), String::new()),
        ("\"\n".repeat(OUTPUT_BYTES_MAX / 2), String::new()),
        ("é".repeat(OUTPUT_BYTES_MAX), String::new()),
    ];
    for (text, wanted) in texts {
        let said = text.clone();
        let bed = Bed::start(move |_, _| Said::With("409".into(), said.clone()));
        let service = adapter(&bed.await.url(""));
        let reply = service.call(call(Verb::Try)).await;
        let Reply::Refused(Refusal { message, .. }) = reply else { panic!("{reply:?}") };
        let length = message.len();
        assert!(length <= OUTPUT_BYTES_MAX, "{length}");
        if !wanted.is_empty() {
            assert_eq!(message, wanted);
            continue;
        }
        let kept: String = serde_json::from_str(&message).expect("a text");
        let start = kept.strip_suffix("… (the service's answer was longer and is cut here)");
        assert!(text.starts_with(start.expect("says so")) && length > OUTPUT_BYTES_MAX / 2);
        // To all else it is no answer, and is kept as short as one.
        let reply = service.call(call(Verb::Undo)).await;
        assert!(matches!(&reply, Reply::Refused(why) if why.message.len() <= REASON_BYTES_MAX));
    }
}

#[tokio::test]
async fn a_call_waits_for_a_place_no_longer_than_it_may_take() {
    let bed = Bed::start(|_, _| Said::Later).await;
    // At most two at once.
    let service = adapter(&bed.url(""));
    let working: Vec<_> = (0..2)
        .map(|_| {
            let service = service.clone();
            tokio::spawn(async move { service.call(call(Verb::Do)).await })
        })
        .collect();
    bed.has_come(2).await;
    let mut late = call(Verb::Do);
    late.within = Duration::from_millis(100);
    let reply = tokio::time::timeout(AMPLE, service.call(late)).await.expect("a bounded wait");
    assert!(matches!(&reply, Reply::Unsent(why) if why.contains("busy")), "{reply:?}");
    assert_eq!(bed.requests().len(), 2);
    // A busy service is not one that is away.
    assert!(service.in_doubt().await.is_ok());
    bed.release();
    for call in working {
        assert_eq!(word(&call.await.unwrap()), "done");
    }
    assert_eq!(word(&service.call(call(Verb::Do)).await), "done");
}

#[tokio::test]
async fn a_connection_is_used_again() {
    let bed = Bed::start(|_, _| Said::This(200, "{}")).await;
    let service = adapter(&bed.url(""));
    for _ in 0..5 {
        assert_eq!(word(&service.call(call(Verb::Do)).await), "done");
    }
    assert_eq!((bed.requests().len(), bed.connections()), (5, 1));
}

#[tokio::test]
async fn a_connection_that_the_service_ends_is_replaced() {
    let ended = "HTTP/1.1 200 X\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    let bed = Bed::start(move |_, _| Said::Broken(ended)).await;
    let service = adapter(&bed.url(""));
    for _ in 0..5 {
        assert_eq!(word(&service.call(call(Verb::Do)).await), "done");
    }
    assert_eq!((bed.requests().len(), bed.connections()), (5, 5));
}

#[tokio::test]
async fn a_call_that_is_given_up_gives_its_place_back() {
    let bed = Bed::start(|number, _| match number {
        ..=2 => Said::Later,
        _ => Said::This(200, ""),
    });
    let bed = bed.await;
    let service = adapter(&bed.url(""));
    for count in 1..=2 {
        tokio::select! {
            reply = service.call(call(Verb::Do)) => panic!("{reply:?}"),
            () = bed.has_come(count) => {}
        }
    }
    assert_eq!(word(&service.call(call(Verb::Do)).await), "done");
}
