//! Services that stand every order of calls, and services that do not.

use std::sync::Arc;

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::any};
use handfast_client::{
    Call,
    barrier::{self, BadCall},
    testing::{
        Answer, Request, Services, Unanswered,
        service::{self, Case, Verdict},
    },
    wire::Branch,
};
use hyper::HeaderMap;
use serde_json::{Value, json};

use super::toy::{Fault, Keyed, Toy};

fn step() -> Branch {
    Branch::step("book", "hotel", Call::post("/rooms")).undo("DELETE /rooms")
}

fn reservation() -> Branch {
    Branch::reserve("book", "hotel", "POST /try", "POST /confirm", "POST /cancel")
}

/// With a look at the free rooms, or without.
async fn checked(fault: Fault, branch: &Branch, looks: bool) -> Vec<Case> {
    let toy = Toy::new(fault);
    let free = async || looks.then(|| toy.free());
    service::check(branch, &None, |request| toy.call(request), free).await.unwrap()
}

fn broken(cases: &[Case]) -> Vec<&str> {
    let breaks = cases.iter().filter(|case| matches!(case.verdict, Verdict::Breaks(_)));
    breaks.map(|case| case.name.as_str()).collect()
}

#[tokio::test]
async fn a_good_service_stands_all_of_it() {
    for (branch, number) in [(step(), 8), (reservation(), 13)] {
        let cases = checked(Fault::Nothing, &branch, true).await;
        assert!(cases.iter().all(|case| case.verdict == Verdict::Holds), "{cases:#?}");
        assert_eq!(cases.len(), number);
    }
}

/// What docs/services.md promises of a branch's id and of a call's key is enough to go by.
#[tokio::test]
async fn a_service_may_go_by_the_branch_or_the_key_alone() {
    for keyed in [Keyed::Branch, Keyed::Call] {
        for (fault, expected) in [
            (Fault::Nothing, &[][..]),
            (Fault::DoTwice, &["do, do", "do and do at the same time"]),
            (Fault::LateDo, &["undo, do"]),
            (Fault::UndoNothing, &["do, undo"]),
        ] {
            let toy = Toy::keyed(keyed, fault);
            let (call, free) = (|request| toy.call(request), async || toy.free());
            let cases = service::check(&step(), &None, call, free).await.unwrap();
            let found = broken(&cases);
            for name in expected {
                assert!(found.contains(name), "{keyed:?}, {fault:?}: {name}: {cases:#?}");
            }
            assert_eq!(found.is_empty(), expected.is_empty(), "{keyed:?}: {cases:#?}");
            let untried = |case: &&Case| matches!(case.verdict, Verdict::NotTried(_));
            assert_eq!(cases.iter().find(untried), None, "{keyed:?}, {fault:?}");
        }
    }
}

#[tokio::test]
async fn a_branch_has_its_own_id_in_each_case_whatever_its_name() {
    let ids = std::cell::RefCell::new(std::collections::BTreeMap::new());
    let toy = Toy::new(Fault::Nothing);
    let call = async |request: Request| {
        let headers = request.headers().unwrap();
        let read = barrier::Call::from_headers(&headers).unwrap();
        ids.borrow_mut().insert(read.branch().to_owned(), read.gid().to_owned());
        toy.call(request).await
    };
    let step = Branch { name: "book a room ".repeat(9), ..step() };
    service::check(&step, &None, call, async || toy.free()).await.unwrap();
    let ids = ids.into_inner();
    let gids: std::collections::BTreeSet<_> = ids.values().collect();
    assert!(ids.len() >= 8 && ids.len() == gids.len(), "{ids:?}");
}

/// As a node reads it: 404 is believed only if a do was answered.
#[tokio::test]
async fn an_absent_undo_is_one_only_when_no_do_can_come_late() {
    let step = step().absent_is_undone();
    let cases = checked(Fault::Forgets, &step, true).await;
    let verdict = |name: &str| &cases.iter().find(|case| case.name == name).unwrap().verdict;
    assert_eq!(*verdict("do, undo, undo"), Verdict::Holds);
    let Verdict::Breaks(why) = verdict("undo") else { panic!("{cases:#?}") };
    assert_eq!(why, "unknown: 404 null, and what it takes back may still arrive");
}

#[tokio::test]
async fn every_fault_is_found_where_it_is() {
    for (fault, expected) in [
        (Fault::DoTwice, &["do, do", "do and do at the same time"][..]),
        (Fault::DoAnswers, &["do, do", "do and do at the same time"]),
        (Fault::UndoTwice, &["do, undo, undo", "do, undo and undo at the same time"]),
        (Fault::UndoOnce, &["do, undo, undo", "do, undo and undo at the same time"]),
        (Fault::UndoNothing, &["do, do", "do, undo"]),
        (Fault::UndoFails, &["do, undo", "undo"]),
        (Fault::EmptyUndo, &["undo", "undo, do"]),
        (Fault::EmptyRefused, &["undo"]),
        (Fault::LateDo, &["undo, do"]),
        (Fault::Races, &["do and do at the same time"]),
        (Fault::Fails, &["do and do at the same time", "do and undo at the same time"]),
    ] {
        let cases = checked(fault, &step(), true).await;
        let broken = broken(&cases);
        for name in expected {
            assert!(broken.contains(name), "{fault:?}: {name}: {cases:#?}");
        }
    }
    for (fault, name) in [
        (Fault::CancelConfirmed, "try, confirm, cancel"),
        (Fault::ConfirmCancelled, "try, cancel, confirm"),
    ] {
        let cases = checked(fault, &reservation(), true).await;
        assert_eq!(broken(&cases), [name], "{cases:#?}");
    }
}

#[tokio::test]
async fn without_a_look_at_the_state_answers_tell() {
    let cases = checked(Fault::Nothing, &step(), false).await;
    assert!(broken(&cases).is_empty(), "{cases:#?}");
    for (fault, name) in [
        (Fault::DoTwice, "do, do"),
        (Fault::LateDo, "undo, do"),
        (Fault::EmptyRefused, "undo"),
        (Fault::Races, "do and do at the same time"),
    ] {
        let cases = checked(fault, &step(), false).await;
        assert!(broken(&cases).contains(&name), "{fault:?}: {cases:#?}");
    }
}

#[tokio::test]
async fn what_a_case_starts_from_must_be_done() {
    let cases = checked(Fault::SoldOut, &step(), true).await;
    let tried = |name: &str| &cases.iter().find(|case| case.name == name).unwrap().verdict;
    let Verdict::NotTried(why) = tried("do, undo") else { panic!("{cases:#?}") };
    assert_eq!(why, "do: refused: \"sold out\"");
    assert_eq!(*tried("undo"), Verdict::Holds);
}

#[tokio::test]
async fn a_branch_that_cannot_be_checked_is_refused() {
    let call = async |_: Request| Err::<Answer, Unanswered>(Unanswered::Lost("not called".into()));
    for (branch, why) in [
        (Branch::step("book", "hotel", "POST /rooms"), "the branch `book` has no undo"),
        (Branch::default(), "the branch `` calls nothing"),
        (step().undo("/rooms"), "`undo` must be METHOD /path, not `/rooms`"),
    ] {
        let unfit = service::check(&branch, &None, &call, async || ()).await.unwrap_err();
        assert_eq!(unfit.0, why);
    }
}

/// The toy behind HTTP, which reads the headers as the barrier does.
async fn serve(toy: Arc<Toy>) -> String {
    async fn rooms(
        State(toy): State<Arc<Toy>>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(StatusCode, String), BadCall> {
        let call = barrier::Call::from_headers(&headers)?;
        assert_eq!(headers.get("authorization").unwrap(), "Bearer s3cret");
        let request = Request {
            resource: String::new(),
            gid: call.gid().into(),
            branch: call.branch().into(),
            kind: call.kind(),
            attempt: call.attempt(),
            method: String::new(),
            path: String::new(),
            headers: Default::default(),
            body: serde_json::from_slice::<Value>(&body).ok(),
        };
        let answer = toy.call(request).await.unwrap();
        let body = if answer.body.is_null() { String::new() } else { answer.body.to_string() };
        Ok((StatusCode::from_u16(answer.status).unwrap(), body))
    }
    let free = async |State(toy): State<Arc<Toy>>| toy.free().to_string();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1/", listener.local_addr().unwrap());
    let service = Router::new().route("/v1/rooms", any(rooms)).route("/v1/free", any(free));
    tokio::spawn(async move { axum::serve(listener, service.with_state(toy)).await });
    url
}

#[tokio::test]
async fn services_are_called_over_http() {
    for (fault, stands) in [(Fault::Nothing, true), (Fault::LateDo, false)] {
        let url = serve(Arc::new(Toy::new(fault))).await;
        let services = Services::new().unwrap().at("hotel", &url).unwrap().token("s3cret").unwrap();
        let look = async || services.look("hotel", "/free").await.unwrap();
        assert_eq!(look().await, Answer::new(200, json!(100)));
        let call = |request| services.call(request);
        let cases = service::check(&step(), &None, call, look).await.unwrap();
        assert_eq!(!broken(&cases).contains(&"undo, do"), stands, "{cases:#?}");
        assert_eq!(broken(&cases).is_empty(), stands, "{cases:#?}");
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_not_tried() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let services = Services::new().unwrap().at("hotel", &format!("http://{free}")).unwrap();
    let call = |request| services.call(request);
    let cases = service::check(&step(), &None, call, async || ()).await.unwrap();
    for case in cases {
        let Verdict::NotTried(why) = &case.verdict else { panic!("{case:#?}") };
        assert!(why.contains("not sent: ") && why.contains("Connect"), "{why}");
    }
    for odd in ["ftp://hotel", "hotel", "http://", "http://user@hotel", "http://hotel/?x"] {
        assert!(Services::new().unwrap().at("hotel", odd).is_err(), "{odd}");
    }
}
