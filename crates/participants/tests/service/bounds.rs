//! How much is taken, how many at once, and on how few connections.

use std::time::Duration;

use handfast_core::{
    limits::REASON_BYTES_MAX,
    plan::Verb,
    vote::{Proof, Reply},
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
    for status in ["400", "409", "500"] {
        let text = "é".repeat(REASON_BYTES_MAX);
        let bed = Bed::start(move |_, _| Said::With(status.into(), text.clone()));
        let reply = adapter(&bed.await.url("")).call(call(Verb::Do)).await;
        let (Reply::Broken(why) | Reply::Unknown(why)) = &reply else {
            assert!(matches!(&reply, Reply::Refused(why) if why.message.len() <= REASON_BYTES_MAX));
            continue;
        };
        assert!(why.len() <= REASON_BYTES_MAX, "{}", why.len());
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
