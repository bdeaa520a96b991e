//! Transfers between two PostgreSQL, against two-phase commit written by hand in the client.
//!
//! The yardsticks keep their own connections and a synced decision log, and nothing else: no
//! recovery, no timeouts, no second process. The *parallel* one asks both databases at once and
//! sends the work together with the prepare, one round trip each; the *sequential* one is what
//! people write: one statement after the other, one database after the other.

use std::{
    fs::File,
    io::Write as _,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::future::{join_all, try_join};
use handfast_client::{Handfast, params, wire::AckWhen};
use tokio_postgres::{Client, NoTls};

use crate::{Args, Line, Result, median, node};

const ACCOUNTS: u64 = 10_000;
const BALANCE: i64 = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Parallel,
    Sequential,
    Applied,
    Decided,
}

/// What one round gave.
#[derive(Clone, Copy)]
struct Round {
    per_second: f64,
    p50_ms: f64,
}

pub async fn run(args: &Args) -> Result<Vec<Line>> {
    let [first, second] = args.postgres.as_slice() else {
        return Err("two PostgreSQL servers are needed".into());
    };
    for url in [first, second] {
        set_up(url).await?;
    }
    let dir = node::directory()?;
    let resources = [format!("checking={first}"), format!("savings={second}")];
    let flags: Vec<String> =
        resources.iter().flat_map(|one| ["--resource".to_owned(), one.clone()]).collect();
    let process =
        node::Process::start(&args.binary, "serve", &dir.path().join("node"), &flags).await?;
    let bench = Arc::new(Bench {
        urls: [first.clone(), second.clone()],
        log: Mutex::new(File::create(dir.path().join("decisions"))?),
        handfast: Handfast::connect(&process.url).await?,
        moved: AtomicU64::new(0),
        last: AtomicU64::new(0),
    });
    let mut lines = Vec::new();
    for clients in [1, 8, 64] {
        let ways = [Way::Parallel, Way::Sequential, Way::Applied, Way::Decided];
        let mut rounds = ways.map(|way| (way, Vec::new()));
        for _ in 0..args.rounds {
            for (way, done) in &mut rounds {
                done.push(bench.round(*way, clients, args.seconds).await?);
            }
        }
        bench.verify().await?;
        let of = |way: Way| {
            let done = &rounds.iter().find(|(one, _)| *one == way).expect("measured").1;
            Round {
                per_second: median(done.iter().map(|round| round.per_second).collect()),
                p50_ms: median(done.iter().map(|round| round.p50_ms).collect()),
            }
        };
        lines.extend(compare(clients, &of));
    }
    for url in [first, second] {
        connect(url).await?.batch_execute("DROP SCHEMA handfast_bench CASCADE").await?;
    }
    Ok(lines)
}

fn compare(clients: usize, of: &impl Fn(Way) -> Round) -> Vec<Line> {
    let line = |what: &str, unit, aim, ours: f64, yardstick: f64| Line {
        what: format!("2 × PostgreSQL, {clients} clients: {what}"),
        ours,
        yardstick,
        unit,
        aim,
    };
    let (parallel, sequential) = (of(Way::Parallel), of(Way::Sequential));
    let (applied, decided) = (of(Way::Applied), of(Way::Decided));
    let p50 = "ms p50, against parallel by hand";
    let rate = "transfers/s, against parallel by hand";
    vec![
        line("applied, p50", p50, "≤ 1.25", applied.p50_ms, parallel.p50_ms),
        line("decided, p50", p50, "< 1", decided.p50_ms, parallel.p50_ms),
        line("applied, rate", rate, "≥ 0.9 at 64", applied.per_second, parallel.per_second),
        line(
            "applied, rate",
            "transfers/s, against sequential by hand",
            "≥ 1.5 at 64",
            applied.per_second,
            sequential.per_second,
        ),
    ]
}

async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn set_up(url: &str) -> Result<()> {
    let setup = format!(
        "DROP SCHEMA IF EXISTS handfast_bench CASCADE; CREATE SCHEMA handfast_bench;
         CREATE TABLE handfast_bench.account (id bigint PRIMARY KEY, balance bigint NOT NULL);
         INSERT INTO handfast_bench.account
             SELECT n, {BALANCE} FROM generate_series(1, {ACCOUNTS}) n;
         VACUUM ANALYZE handfast_bench.account"
    );
    let client = connect(url).await?;
    for statement in setup.split(';') {
        client.batch_execute(statement).await?;
    }
    Ok(())
}

struct Bench {
    urls: [String; 2],
    log: Mutex<File>,
    handfast: Handfast,
    /// Transfers that the callers were told to be committed.
    moved: AtomicU64,
    last: AtomicU64,
}

impl Bench {
    async fn round(self: &Arc<Self>, way: Way, clients: usize, seconds: f64) -> Result<Round> {
        let mut sessions = Vec::new();
        for _ in 0..clients {
            let by_hand = matches!(way, Way::Parallel | Way::Sequential);
            sessions.push(match by_hand {
                true => Some([connect(&self.urls[0]).await?, connect(&self.urls[1]).await?]),
                false => None,
            });
        }
        let start = Instant::now();
        let until = start + Duration::from_secs_f64(seconds);
        let tasks = sessions.into_iter().map(|session| {
            let bench = Arc::clone(self);
            tokio::spawn(async move {
                let mut latencies = Vec::new();
                while Instant::now() < until {
                    let begun = Instant::now();
                    bench.transfer(way, session.as_ref()).await?;
                    latencies.push(begun.elapsed().as_secs_f64() * 1e3);
                }
                Result::Ok(latencies)
            })
        });
        let mut latencies = Vec::new();
        for task in join_all(tasks).await {
            latencies.extend(task??);
        }
        let per_second = latencies.len() as f64 / start.elapsed().as_secs_f64();
        Ok(Round { per_second, p50_ms: median(latencies) })
    }

    async fn transfer(&self, way: Way, session: Option<&[Client; 2]>) -> Result<()> {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        // Scattered, so that waiting for row locks is not what is measured.
        let account = number.wrapping_mul(7_919) % ACCOUNTS + 1;
        match (way, session) {
            (Way::Parallel, Some([a, b])) => {
                let prepare = |sign: &str| {
                    format!(
                        "BEGIN; {}; PREPARE TRANSACTION 'bench-{number}'",
                        update(sign, account)
                    )
                };
                let (take, give) = (prepare("-"), prepare("+"));
                try_join(a.batch_execute(&take), b.batch_execute(&give)).await?;
                self.decide(number)?;
                let commit = format!("COMMIT PREPARED 'bench-{number}'");
                try_join(a.batch_execute(&commit), b.batch_execute(&commit)).await?;
            }
            (Way::Sequential, Some(both)) => {
                for (client, sign) in both.iter().zip(["-", "+"]) {
                    client.batch_execute("BEGIN").await?;
                    client.batch_execute(&update(sign, account)).await?;
                }
                for client in both {
                    client.batch_execute(&format!("PREPARE TRANSACTION 'bench-{number}'")).await?;
                }
                self.decide(number)?;
                for client in both {
                    client.batch_execute(&format!("COMMIT PREPARED 'bench-{number}'")).await?;
                }
            }
            (way, _) => self.through_handfast(way, account).await?,
        }
        self.moved.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn through_handfast(&self, way: Way, account: u64) -> Result<()> {
        let text = |sign: &str| {
            format!("UPDATE handfast_bench.account SET balance = balance {sign} $1 WHERE id = $2")
        };
        let ack = if way == Way::Applied { AckWhen::Applied } else { AckWhen::Decided };
        let transaction = self.handfast.new_transaction().ack(ack);
        let transaction = transaction
            .sql("debit", "checking", &text("-"), params![1, account])
            .expect_rows(1)
            .sql("credit", "savings", &text("+"), params![1, account])
            .expect_rows(1);
        match transaction.run().await? {
            outcome if outcome.is_committed() => Ok(()),
            outcome => Err(format!("not committed: {outcome:?}").into()),
        }
    }

    /// The yardsticks' decision log: one record, synced.
    fn decide(&self, number: u64) -> Result<()> {
        tokio::task::block_in_place(|| {
            let mut log = self.log.lock().map_err(|_| "the log is poisoned")?;
            writeln!(log, "commit {number}")?;
            log.sync_data()?;
            Ok(())
        })
    }

    /// Every transfer that was told to be committed is in both databases, and nothing else.
    async fn verify(&self) -> Result<()> {
        let moved = i64::try_from(self.moved.load(Ordering::Relaxed))?;
        let whole = i64::try_from(ACCOUNTS)? * BALANCE;
        for (url, expected) in self.urls.iter().zip([whole - moved, whole + moved]) {
            let client = connect(url).await?;
            let start = Instant::now();
            loop {
                let prepared =
                    client.query_one("SELECT count(*) FROM pg_prepared_xacts", &[]).await?;
                if prepared.get::<_, i64>(0) == 0 {
                    break;
                }
                if start.elapsed() > Duration::from_secs(10) {
                    return Err("branches stay prepared".into());
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let sum = "SELECT sum(balance)::bigint FROM handfast_bench.account";
            let found: i64 = client.query_one(sum, &[]).await?.get(0);
            if found != expected {
                return Err(format!("the books say {found}, the callers {expected}").into());
            }
        }
        Ok(())
    }
}

fn update(sign: &str, account: u64) -> String {
    format!("UPDATE handfast_bench.account SET balance = balance {sign} 1 WHERE id = {account}")
}
