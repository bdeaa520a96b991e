//! Sagas that come undone, and sagas that do not.

use std::collections::BTreeSet;

use handfast_client::{
    Call,
    testing::{
        Answer,
        unwind::{self, Dirt, Report},
    },
    wire::{BeginTransaction, Branch},
};
use serde_json::{Value, json};

use super::toy::{Fault, Keyed, Toy};

fn step(name: &str) -> Branch {
    Branch::step(name, name, Call::post("/rooms")).undo("DELETE /rooms")
}

fn saga(branches: Vec<Branch>) -> BeginTransaction {
    BeginTransaction { branches, ..BeginTransaction::default() }
}

/// `hotel` has the fault, what comes before and after it has none.
async fn unwound(fault: Fault, saga: &BeginTransaction) -> Report {
    let (clean, faulty) = (Toy::new(Fault::Nothing), Toy::new(fault));
    let call = async |request: handfast_client::testing::Request| match &*request.resource {
        "hotel" => faulty.call(request).await,
        _ => clean.call(request).await,
    };
    unwind::check(saga, call, async || (clean.free(), faulty.free())).await.unwrap()
}

#[tokio::test]
async fn a_clean_saga_is_clean() {
    let hold = Branch::reserve("hold", "car", "POST /try", "POST /confirm", "POST /cancel");
    let told = Branch::deliver("tell", "mail", "POST /mail");
    let saga = saga(vec![hold, step("flight"), step("hotel"), told]);
    let report = unwound(Fault::Nothing, &saga).await;
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.failures, 7, "three branches in two ways, and all done");
}

#[tokio::test]
async fn services_may_go_by_the_branch_or_the_key_alone() {
    let saga = saga(vec![step("flight"), step("hotel")]);
    for keyed in [Keyed::Branch, Keyed::Call] {
        for (fault, is_clean) in [(Fault::Nothing, true), (Fault::LateDo, false)] {
            let toy = Toy::keyed(keyed, fault);
            let call = |request| toy.call(request);
            let report = unwind::check(&saga, call, async || toy.free()).await.unwrap();
            assert_eq!(report.is_clean(), is_clean, "{keyed:?}, {fault:?}: {report}");
        }
    }
}

/// A service that forgets what was undone is asked again and again after a lost answer.
#[tokio::test]
async fn an_absent_undo_is_not_believed_when_the_answer_to_its_do_was_lost() {
    let saga = saga(vec![step("flight"), step("hotel").absent_is_undone()]);
    let report = unwound(Fault::Forgets, &saga).await;
    let of = |failure: &str| {
        let of_it = report.findings.iter().filter(|finding| finding.failure == failure);
        of_it.map(|finding| finding.dirt).collect::<Vec<_>>()
    };
    assert_eq!(of("`hotel` never arrived"), [Dirt::EmptyUndo, Dirt::LateDo], "{report}");
    assert_eq!(of("`hotel` lost its answer"), [Dirt::UndoTwice, Dirt::LateDo], "{report}");
    assert_eq!(of("aborted when all was done"), [Dirt::LateDo], "{report}");
}

#[tokio::test]
async fn every_kind_of_dirt_is_found_where_it_is() {
    let saga = saga(vec![step("flight"), step("hotel"), step("car")]);
    for (fault, expected) in [
        (Fault::DoTwice, vec![Dirt::DoTwice, Dirt::Leftover]),
        (Fault::DoAnswers, vec![Dirt::DoTwice]),
        (Fault::UndoTwice, vec![Dirt::UndoTwice, Dirt::Leftover]),
        (Fault::UndoOnce, vec![Dirt::UndoTwice]),
        (Fault::UndoNothing, vec![Dirt::Leftover]),
        // An undo that is refused, or fails, bars no late do either.
        (Fault::UndoFails, vec![Dirt::UndoFails, Dirt::EmptyUndo, Dirt::Leftover, Dirt::LateDo]),
        (Fault::EmptyUndo, vec![Dirt::EmptyUndo, Dirt::UndoTwice, Dirt::Leftover]),
        (Fault::EmptyRefused, vec![Dirt::EmptyUndo, Dirt::LateDo]),
        (Fault::LateDo, vec![Dirt::LateDo]),
        (Fault::SoldOut, vec![Dirt::NotDone]),
    ] {
        let report = unwound(fault, &saga).await;
        let found: Vec<Dirt> = report.findings.iter().map(|finding| finding.dirt).collect();
        for dirt in &expected {
            assert!(found.contains(dirt), "{fault:?}: {report}");
        }
        let odd = found.iter().find(|dirt| !expected.contains(dirt));
        assert_eq!(odd, None, "{fault:?}: {report}");
        let blamed = report.findings.iter().filter_map(|finding| finding.branch.as_deref());
        let blamed: BTreeSet<&str> = blamed.collect();
        assert!(blamed.is_subset(&["hotel"].into()), "{fault:?}: {report}");
    }
}

#[tokio::test]
async fn a_step_without_an_undo_is_found_unless_it_is_the_last() {
    let mail = || Branch::step("hotel", "hotel", "POST /rooms");
    let report = unwound(Fault::Nothing, &saga(vec![mail(), step("car")])).await;
    let is_it = |dirt| report.findings.iter().any(|finding| finding.dirt == dirt);
    assert!(is_it(Dirt::NoUndo) && is_it(Dirt::Leftover), "{report}");
}

#[tokio::test]
async fn outputs_are_filled_in() {
    let toy = Toy::new(Fault::Nothing);
    let paths = std::cell::RefCell::new(Vec::new());
    let call = async |request: handfast_client::testing::Request| {
        paths.borrow_mut().push((request.path.clone(), request.body.clone()));
        let answer = toy.call(request).await?;
        let odd = answer.body.get("id").map(|_| json!({ "id": "a/b", "no": 7 }));
        Ok(Answer::new(answer.status, odd.unwrap_or(Value::Null)))
    };
    let book = Branch::step("book", "hotel", "POST /rooms").undo("DELETE /rooms/{{book.id}}");
    let body = json!({ "of": ["{{book.no}}", "no. {{book.no}}"], "who": "{{input.who}}" });
    let pay = Branch::step("pay", "hotel", Call::post("/pay").body(body)).undo("DELETE /pay");
    let input = Some(json!({ "who": "alice" }));
    let saga = BeginTransaction { input, ..saga(vec![book, pay]) };
    let report = unwind::check(&saga, call, async || toy.free()).await.unwrap();
    let filled = json!({ "of": [7, "no. 7"], "who": "alice" });
    let paths = paths.into_inner();
    assert!(paths.contains(&("/pay".into(), Some(filled))), "{paths:?}");
    assert!(paths.contains(&("/rooms/a%2Fb".into(), None)), "{paths:?}");
    // Its answer was lost: so there is nothing to name in the undo.
    let dirt: BTreeSet<String> = report.findings.iter().map(|f| format!("{:?}", f.dirt)).collect();
    assert!(dirt.contains("UndoUnfilled"), "{report}");
}

#[tokio::test]
async fn steps_run_in_the_order_that_after_says() {
    let order = std::cell::RefCell::new(Vec::new());
    let call = async |request: handfast_client::testing::Request| {
        order.borrow_mut().push(format!("{} {}", request.kind.name(), request.resource));
        Ok(Answer::new(200, Value::Null))
    };
    let steps = vec![step("a").after(["c"]), step("b").after([]), step("c").after(["b"])];
    unwind::check(&saga(steps), &call, async || ()).await.unwrap();
    let all_done = "do b, do b, do c, do c, do a, do a, undo a, undo a, undo c, undo c, undo b";
    let order = order.take().join(", ");
    assert!(order.contains(all_done), "{order}");
}

#[tokio::test]
async fn what_is_no_saga_is_not_tested() {
    let call = async |_: handfast_client::testing::Request| {
        Err(handfast_client::testing::Unanswered::Lost("not called".into()))
    };
    for (branches, why) in [
        (vec![], "it has no step and no reservation"),
        (vec![step("a").after(["b"]), step("b").after(["a"])], "its steps wait for each other"),
        (vec![step("a").after(["x"])], "there is no branch `x` to come after"),
        (vec![step("a").undo("DELETE")], "`undo` must be METHOD /path, not `DELETE`"),
    ] {
        let unfit = unwind::check(&saga(branches), &call, async || ()).await.unwrap_err();
        assert_eq!(unfit.0, why);
    }
}
