//! The pairs of participants between which money moves.

use std::path::Path;

use xtask::{
    process::Interrupt,
    servers::{Options, Servers},
};

use super::{
    Result,
    bank::{Bank, Mysql, Postgres, ShardBank},
    process::Process,
    said,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Shards,
    TwoPostgres,
    PostgresAndMariadb,
}

impl Kind {
    pub const ALL: [Self; 3] = [Self::Shards, Self::TwoPostgres, Self::PostgresAndMariadb];

    /// What the participants are: who pays, who is paid.
    pub fn names(self) -> [&'static str; 2] {
        match self {
            Self::Shards => ["shard", "shard"],
            Self::TwoPostgres => ["PostgreSQL", "PostgreSQL"],
            Self::PostgresAndMariadb => ["PostgreSQL", "MariaDB"],
        }
    }
}

/// One pair. Databases are its own, since they are crashed, and live as long as it does.
pub struct World {
    databases: Option<[Bank; 2]>,
    cases: u32,
}

impl World {
    /// Starts what it needs. To be used on this thread only, as the servers demand.
    pub fn start(kind: Kind) -> Result<Self> {
        let start = |postgres, mariadb| {
            let options = Options { postgres, mariadb, ..Options::default() };
            Servers::start(&options, &Interrupt::default()).map_err(said)
        };
        let databases = match kind {
            Kind::Shards => None,
            Kind::TwoPostgres => {
                let two = start(2, 0)?.postgres.try_into().map_err(|_| "two were asked for")?;
                Some(<[_; 2]>::map(two, |server| Bank::Postgres(Postgres::new(server))))
            }
            Kind::PostgresAndMariadb => {
                let Servers { mut postgres, mut mariadb } = start(1, 1)?;
                let postgres = postgres.pop().expect("one was asked for");
                let mariadb = mariadb.pop().expect("one was asked for");
                let first = Bank::Postgres(Postgres::new(postgres));
                Some([first, Bank::Mysql(Mysql::new(mariadb))])
            }
        };
        Ok(Self { databases, cases: 0 })
    }

    /// A name for the next case, no other's beginning.
    pub fn next(&mut self) -> String {
        self.cases += 1;
        format!("k{:04}", self.cases)
    }

    /// The banks of a case: those in databases open new accounts, shards are new.
    pub fn banks(&mut self, node: &Process, directory: &Path) -> Banks<'_> {
        match &mut self.databases {
            Some(banks) => Banks::Lent(banks),
            None => Banks::Own(Box::new(["debit", "credit"].map(|name| {
                let words = ["shard", "--coordinator", &node.url];
                let process = Process::new(directory, name, &words);
                Bank::Shard(ShardBank { process, variables: Vec::new() })
            }))),
        }
    }
}

/// The banks of one case.
pub enum Banks<'a> {
    Own(Box<[Bank; 2]>),
    Lent(&'a mut [Bank; 2]),
}

impl std::ops::Deref for Banks<'_> {
    type Target = [Bank; 2];

    fn deref(&self) -> &[Bank; 2] {
        match self {
            Self::Own(banks) => banks,
            Self::Lent(banks) => banks,
        }
    }
}

impl std::ops::DerefMut for Banks<'_> {
    fn deref_mut(&mut self) -> &mut [Bank; 2] {
        match self {
            Self::Own(banks) => banks,
            Self::Lent(banks) => banks,
        }
    }
}

/// The pairs that can be had here: databases only if their programs are there, which whoever runs
/// the tests says by the addresses of others.
pub fn available() -> Vec<Kind> {
    let given = |name| std::env::var_os(name).is_some();
    if given("HANDFAST_TEST_POSTGRES") && given("HANDFAST_TEST_MYSQL") {
        return Kind::ALL.into();
    }
    let required = given("CI") || given("HANDFAST_TEST_REQUIRED");
    assert!(!required, "no database servers are given; use `cargo xtask test`");
    eprintln!("NOT RUN: kill tests over databases: use `cargo xtask test`");
    vec![Kind::Shards]
}
