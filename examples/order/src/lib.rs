//! An order saga over four small services, each with a database of its own.
//!
//! Read `order.yaml` first, which is the saga, then one of the services, such as `payment.rs`: that
//! is all that somebody who uses Handfast would write. The rest makes up orders, and checks the
//! [books] at the end.

pub mod books;
mod inventory;
mod order;
mod orders;
mod payment;
mod report;
mod saga;
mod shipping;

use clap::Args;
use handfast_example_kit::{INTERRUPTED, Options, Role, Setup, Stage, Words, stop_signal};

use self::{books::Books, orders::Orders};
pub use self::{report::Report, saga::DEFINITION};

/// The services, in the order in which the saga calls them.
pub static ROLES: [Role; 4] = [
    Role { name: "order", schema: order::SCHEMA, routes: order::routes },
    Role { name: "payment", schema: payment::SCHEMA, routes: payment::routes },
    Role { name: "inventory", schema: inventory::SCHEMA, routes: inventory::routes },
    Role { name: "shipping", schema: shipping::SCHEMA, routes: shipping::routes },
];

/// What is played.
#[derive(Args, Clone, Debug, Default)]
pub struct Play {
    /// How many orders.
    #[arg(long, default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub orders: u32,
    /// A service that refuses orders; repeatable. Any of the four if only --fail-rate is given.
    #[arg(long, value_name = "SERVICE")]
    #[arg(value_parser = ["order", "payment", "inventory", "shipping"])]
    pub fail: Vec<String>,
    /// And how.
    #[command(flatten)]
    pub options: Options,
}

/// Plays it: starts a node and the services, lets customers order while things go wrong, waits
/// until nothing is open, and checks the books. `words` start the processes.
///
/// # Errors
/// In words: it could not be played to the end.
pub async fn run(play: &Play, words: &Words) -> Result<Report, String> {
    // Heard from now on, so that what is started is also removed.
    let stop = stop_signal()?;
    let setup = Setup { what: "orders", roles: &ROLES, resources: Vec::new() };
    let mut stage = Stage::open(&setup, words, play.orders, &play.options).await?;
    let played = tokio::select! {
        played = act(&mut stage, play) => played,
        () = stop => Err(INTERRUPTED.into()),
    };
    stage.close(played, Report::holds).await
}

async fn act(stage: &mut Stage, play: &Play) -> Result<Report, String> {
    saga::apply(&stage.node()?).await?;
    let orders = Orders::new(play, stage.seed);
    let (gid, send) = (stage.gids(), stage.gids());
    let story = stage.play(move |node, number| {
        let gid = send(number);
        let input = orders.input(number, &gid);
        async move { saga::run(&node, gid, input).await }
    });
    let story = story.await?;
    let books = Books::read(stage.directory())?;
    Ok(Report::new(stage.seed, gid, &books, story))
}
