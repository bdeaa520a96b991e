//! The ordinary end: a node that is asked to stop, and a second one that comes too early.

use std::time::Instant;

use rustix::process::Signal;

use super::{
    BETWEEN_LOOKS, REACHED_WITHIN, Result,
    case::Case,
    load::{answers, callers, finished},
    world::{self, World},
};
use crate::run;

#[test]
fn a_node_that_is_asked_to_stop_under_load_loses_nothing() {
    let mut world = World::start(world::Kind::Shards).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(stopped_under_load(&mut world)).unwrap();
}

async fn stopped_under_load(world: &mut World) -> Result<()> {
    let mut case = Case::new(world)?;
    case.open().await?;
    case.node.start(&[]).await?;
    let callers = callers(&case)?;
    let until = Instant::now() + REACHED_WITHIN;
    while finished(&case.hf).await? < 10 {
        assert!(Instant::now() < until, "nothing happens");
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    case.node.signal(Signal::TERM);
    let status = case.node.ended().await?;
    assert_eq!(status.code(), Some(0), "{}", case.node.said());
    assert!(!callers.is_empty(), "it was not under load");
    case.node.start(&[]).await?;
    let answers = answers(callers).await?;
    case.settled(Instant::now()).await?;
    case.check(&answers).await
}

#[test]
fn a_data_directory_has_one_owner() {
    let mut world = World::start(world::Kind::Shards).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let mut case = Case::new(&mut world).unwrap();
        case.node.start(&[]).await.unwrap();
        let data = case.node.data();
        let (code, out, err) = run(&["serve", "--data-dir", &data, "--listen", "127.0.0.1:0"]);
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        let owner = format!("is in use by process {}", case.node.pid().as_raw_nonzero());
        assert!(err.contains(&owner), "{err}");
        // The owner did not notice.
        case.hf.ready().await.unwrap();
    });
    let page = include_str!("../../../../docs/cli.md");
    assert!(page.contains("a server could not start"), "docs/cli.md does not explain code 1");
}
