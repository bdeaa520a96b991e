//! `handfast demo saga`: the order example, with this program as its node and services, and
//! everything killed again and again.

use handfast_example_kit::{ServiceArgs, Words};
use handfast_example_order::{ROLES, Report};

use crate::{
    args::SagaDemo,
    exit::{Exit, Failure},
    output::Output,
};

const WORDS: Words = Words { node: &["serve", "--config"], service: &["demo", "service"] };

pub async fn run(args: SagaDemo, output: &Output) -> Result<Exit, Failure> {
    let played = handfast_example_order::run(&args.into(), &WORDS).await;
    let report = played.map_err(|why| Failure::new(Exit::No, why))?;
    output.data(&report, Report::text);
    Ok(if report.holds() { Exit::Ok } else { Exit::No })
}

/// One of the services, as the demo starts them.
pub async fn service(args: ServiceArgs) -> Result<Exit, Failure> {
    let served = args.serve(&ROLES).await;
    served.map(|()| Exit::Ok).map_err(|why| Failure::new(Exit::No, why))
}
