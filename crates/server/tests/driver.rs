//! The driver: what it takes, what it refuses, and when it stops.

use std::{
    path::Path,
    sync::{Arc, mpsc},
};

use handfast_core::{
    id::{BranchId, RequestId, RunId},
    plan::{self, Calls, Kind, Part, Terms},
    shard::{Effect, Input, Shard, Timer},
    transaction::{self, AckWhen, Begin, BranchSpec, Transaction},
    vote::{Proof, Reply},
    work::{KeyOp, Work},
};
use handfast_log::{Addressed, Log, Partition, Sqlite, SqliteOptions, Staged};
use handfast_server::driver::{self, DriverHandle, NotTaken, REQUESTS_MAX};

#[tokio::test]
async fn a_full_queue_refuses_requests_but_takes_answers() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, effects) = start(dir.path());
    let (go, blocked) = mpsc::channel::<()>();
    let (running, runs) = mpsc::channel();
    let block = move |_: &mut _| {
        running.send(()).unwrap();
        let _ = blocked.recv();
    };
    driver.with(block).unwrap();
    runs.recv().unwrap();
    for number in 0..REQUESTS_MAX as u64 {
        driver.try_send(abort(number)).unwrap();
    }
    assert_eq!(driver.try_send(abort(0)), Err(NotTaken::Full));
    assert_eq!(driver.with(|_| ()), Err(NotTaken::Full));
    driver.send_internal(abort(REQUESTS_MAX as u64));
    go.send(()).unwrap();
    // The answer to an effect goes before the requests, and everything taken is done.
    let done: Vec<_> = (0..=REQUESTS_MAX).map(|_| replied(&effects)).collect();
    assert_eq!(done[0], REQUESTS_MAX as u64);
    assert_eq!(done[1..], (0..REQUESTS_MAX as u64).collect::<Vec<_>>());
    driver.stop().await;
}

#[tokio::test]
async fn a_stop_finishes_what_waits_and_takes_no_more() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, effects) = start(dir.path());
    driver.try_send(abort(1)).unwrap();
    driver.clone().stop().await;
    assert_eq!(replied(&effects), 1);
    assert_eq!(driver.try_send(abort(2)), Err(NotTaken::Stopped));
    driver.stop().await;
    let (partition, _) = open(dir.path());
    let (_, saved, _) = partition.machines().next().unwrap();
    assert_eq!(saved.finished.len(), 1);
}

#[tokio::test]
async fn timers_fire_in_the_order_of_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, effects) = start(dir.path());
    let replied = || loop {
        if let Effect::Reply { request, .. } = effects.recv().unwrap() {
            return request.0;
        }
    };
    // The first has the lock that the others wait for, until their timers end that.
    for number in [0, 2, 1] {
        let ops = vec![KeyOp::Delete { key: "a".into() }];
        let (request, branch) = (RequestId(number), branch(number));
        let lock_wait_ms = 60_000;
        driver
            .try_send(addressed(Input::Prepare { request, branch, ops, lock_wait_ms, pact: None }))
            .unwrap();
    }
    assert_eq!(replied(), 0);
    let (taken, all_taken) = mpsc::channel();
    driver.with(move |_| taken.send(()).unwrap()).unwrap();
    all_taken.recv().unwrap();
    driver.arm(250, "shard".into(), Timer::LockWait(branch(2)));
    driver.arm(1, "shard".into(), Timer::LockWait(branch(1)));
    assert_eq!((replied(), replied()), (1, 2));
    driver.stop().await;
}

#[tokio::test]
async fn a_lazy_record_is_written_without_being_forced() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, effects) = start(dir.path());
    // An empty key is refused, and the refusal is a lazy record.
    let ops = vec![KeyOp::Delete { key: String::new() }];
    let (request, branch) = (RequestId(1), branch(1));
    driver
        .try_send(addressed(Input::Prepare { request, branch, ops, lock_wait_ms: 1, pact: None }))
        .unwrap();
    assert_eq!(replied(&effects), 1);
    loop {
        let (seen, see) = mpsc::channel();
        driver.with(move |partition| seen.send(partition.has_notes()).unwrap()).unwrap();
        if !see.recv().unwrap() {
            break;
        }
    }
    driver.stop().await;
}

#[tokio::test]
async fn what_recovery_asks_for_comes_first() {
    let dir = tempfile::tempdir().unwrap();
    let (driver, effects) = start(dir.path());
    let ops = vec![KeyOp::Delete { key: "a".into() }];
    let (request, id) = (RequestId(1), branch(1));
    driver
        .try_send(addressed(Input::Prepare {
            request,
            branch: id,
            ops,
            lock_wait_ms: 1,
            pact: None,
        }))
        .unwrap();
    assert_eq!(replied(&effects), 1);
    driver.stop().await;
    let (driver, effects) = start(dir.path());
    assert_eq!(effects.recv().unwrap(), Effect::Inquire { branch: branch(1) });
    // A late timer of another branch is nothing.
    driver.send_internal(addressed(Input::Fired(Timer::Inquire(branch(2)))));
    driver.stop().await;
    assert!(effects.recv().is_err(), "it asked for more");
}

/// The second step is asked while that the first is done is not in the log yet.
#[tokio::test]
async fn what_leaves_ahead_leaves_before_the_sync() {
    let dir = tempfile::tempdir().unwrap();
    let log = Sqlite::open(dir.path(), SqliteOptions::default()).unwrap();
    let (sent, calls) = mpsc::channel();
    let on_effects = move |partition: &mut Partition<Transaction, Sqlite>,
                           turn: Vec<(Arc<str>, transaction::Effect)>| {
        for (gid, effect) in turn {
            if let transaction::Effect::Call { branch, .. } = effect {
                let records = partition.log().read(&gid).unwrap().len();
                sent.send((branch, records)).unwrap();
            }
        }
    };
    let opened = Partition::open(log).unwrap();
    let driver = driver::spawn(opened, on_effects, |_| {}, |error| panic!("{error}"));
    let to = |input| Addressed { stream: "t".into(), input, fresh: false };
    driver.try_send(to(transaction::Input::Begin(two_steps()))).unwrap();
    assert_eq!(calls.recv().unwrap(), (0, 1), "what is begun is in the log");
    let (run, reply) = (two_steps().run, Reply::Done(Proof::default()));
    driver.send_internal(to(transaction::Input::Answered { run, branch: 0, reply, took_ms: 1 }));
    assert_eq!(calls.recv().unwrap(), (1, 1), "and nothing else");
    driver.stop().await;
    let mut log = Sqlite::open(dir.path(), SqliteOptions::default()).unwrap();
    assert_eq!(log.read("t").unwrap().len(), 2);
}

fn two_steps() -> Begin {
    let calls = Calls { undo: Some(plan::Call::default()), ..Calls::default() };
    let step = |name: &str, after: &[u8]| BranchSpec {
        name: name.into(),
        resource: "x".into(),
        one_phase: false,
        work: Work::Calls(Box::new(calls.clone())),
        part: Part { kind: Kind::Step, after: after.to_vec(), ..Part::default() },
    };
    Begin {
        request: RequestId(1),
        run: RunId { epoch: 1, number: 1 },
        fingerprint: String::new(),
        branches: vec![step("a", &[]), step("b", &[0])],
        timeout_ms: 5_000,
        ack: AckWhen::Decided,
        hold: false,
        pact: None,
        terms: Some(Terms { timeout_ms: 5_000, ..Terms::default() }),
    }
}

fn start(dir: &Path) -> (DriverHandle<Shard>, mpsc::Receiver<Effect>) {
    let (sent, effects) = mpsc::channel();
    let on_effects = move |_: &mut Partition<Shard, Sqlite>, turn: Vec<(Arc<str>, Effect)>| {
        for (_, effect) in turn {
            drop(sent.send(effect));
        }
    };
    (driver::spawn(open(dir), on_effects, |_| {}, |error| panic!("{error}")), effects)
}

fn open(dir: &Path) -> (Partition<Shard, Sqlite>, Staged<Shard>) {
    Partition::open(Sqlite::open(dir, SqliteOptions::default()).unwrap()).unwrap()
}

fn replied(effects: &mpsc::Receiver<Effect>) -> u64 {
    match effects.recv().unwrap() {
        Effect::Reply { request, .. } => request.0,
        other => panic!("{other:?}"),
    }
}

fn abort(number: u64) -> Addressed<Shard> {
    addressed(Input::Abort { request: RequestId(number), branch: branch(number) })
}

fn addressed(input: Input) -> Addressed<Shard> {
    Addressed { stream: "shard".into(), input, fresh: false }
}

fn branch(number: u64) -> BranchId {
    BranchId { run: RunId { epoch: 1, number }, ..BranchId::parse("hf1_t_1_1_0").unwrap() }
}
