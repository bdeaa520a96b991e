//! `handfast barrier`: what services need that use the barrier.

use handfast_client::barrier::{Dialect, schema};

use crate::{
    args::{Barrier, BarrierCommand, Database},
    exit::{Exit, Failure},
    output::Output,
};

pub fn run(args: Barrier, output: &Output) -> Result<Exit, Failure> {
    let BarrierCommand::Schema { database } = args.command;
    let dialect = match database {
        Database::Postgres => Dialect::Postgres,
        Database::Mysql => Dialect::Mysql,
        Database::Sqlite => Dialect::Sqlite,
    };
    output.data(&schema(dialect), |schema| (*schema).into());
    Ok(Exit::Ok)
}
