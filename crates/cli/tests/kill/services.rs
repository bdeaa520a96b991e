//! Transactions with services: a node, a real service behind the barrier, or both of them die by
//! SIGKILL at every stop, over SQLite and over PostgreSQL.

mod branch;
mod caller;
mod case;
mod ledger;
mod shapes;

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Instant};

use tokio::{sync::Semaphore, task::JoinSet};

use self::{
    case::Case,
    shapes::{SHAPES, Shape, Stop},
};
use super::{Result, matrix::only, table, world};

/// Cases that run at once: most of their time is waiting.
const SIDE_BY_SIDE: usize = 6;

/// Results by row, and by whether it ran over PostgreSQL.
type Cells = BTreeMap<(usize, bool), String>;

#[test]
fn nodes_and_services_die_at_every_stop() {
    let postgres = postgres();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cells = runtime.block_on(all(postgres.as_deref())).unwrap_or_else(|why| panic!("{why}"));
    if postgres.is_some() && only().is_empty() {
        table::compare(table::SERVICES, &render(&cells));
    }
}

/// The server that whoever runs the tests has given.
fn postgres() -> Option<String> {
    world::available().contains(&world::Kind::TwoPostgres).then(|| {
        let urls = std::env::var("HANDFAST_TEST_POSTGRES").expect("it is available");
        urls.split(',').next().expect("a split has a first part").to_owned()
    })
}

async fn all(postgres: Option<&str>) -> Result<Cells> {
    let (mut running, places) = (JoinSet::new(), Arc::new(Semaphore::new(SIDE_BY_SIDE)));
    for job in jobs(postgres).filter(|job| job.name().contains(&only())) {
        let places = Arc::clone(&places);
        running.spawn(async move {
            let _place = places.acquire().await.expect("it is not closed");
            let started = Instant::now();
            let done = job.run().await;
            (job, done, started.elapsed())
        });
    }
    let (mut cells, mut failed) = (Cells::new(), Vec::new());
    while let Some(ended) = running.join_next().await {
        let (job, done, took) = ended.unwrap();
        match done {
            Ok(cell) => {
                println!("{}: {cell} (the case took {took:?})", job.name());
                cells.insert((job.row, job.postgres.is_some()), cell);
            }
            Err(why) => failed.push(format!("{}: {why}", job.name())),
        }
    }
    if failed.is_empty() { Ok(cells) } else { Err(failed.join("\n")) }
}

/// A case that is to be run.
struct Job {
    row: usize,
    shape: &'static Shape,
    stop: &'static Stop,
    postgres: Option<String>,
}

/// Where only the node dies, and uses no database, PostgreSQL would be nothing new.
fn jobs(postgres: Option<&str>) -> impl Iterator<Item = Job> {
    rows().enumerate().flat_map(move |(row, (shape, stop))| {
        let differs = stop.service.is_some() || shape.uses_ledger();
        let second = postgres.filter(|_| differs).map(|url| Some(url.to_owned()));
        let stores = [Some(None), second].into_iter().flatten();
        stores.map(move |postgres| Job { row, shape, stop, postgres })
    })
}

fn rows() -> impl Iterator<Item = (&'static Shape, &'static Stop)> {
    SHAPES.into_iter().flat_map(|shape| shape.stops.iter().map(move |stop| (shape, stop)))
}

impl Job {
    fn name(&self) -> String {
        let over = if self.postgres.is_some() { "PostgreSQL" } else { "SQLite" };
        format!("{}, {}, over {over}", self.shape.name, self.stop.text())
    }

    async fn run(&self) -> Result<String> {
        let Self { row, shape, stop, postgres } = self;
        let over = if postgres.is_some() { 'p' } else { 's' };
        let cluster = format!("k{}{over}{row}", std::process::id());
        Case::new((shape, stop), &cluster, postgres.as_deref())?.run().await
    }
}

/// The table: the name of a transaction stands in its first row.
fn render(cells: &Cells) -> String {
    let head =
        "\n| transaction | who dies where | over SQLite | over PostgreSQL |\n|---|---|---|---|\n";
    let (mut text, mut before) = (String::from(head), "");
    for (row, (shape, stop)) in rows().enumerate() {
        let cell = |over_postgres| cells.get(&(row, over_postgres)).map_or("–", String::as_str);
        let (sqlite, postgres) = (cell(false), cell(true));
        let name = if shape.name == before { "" } else { shape.name };
        let _ = writeln!(text, "| {name} | {} | {sqlite} | {postgres} |", stop.text());
        before = shape.name;
    }
    text.push('\n');
    text
}
