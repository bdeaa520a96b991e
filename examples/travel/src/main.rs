//! The travel example, in one command: `cargo run -p handfast-example-travel -- --postgres URL`.
//!
//! Read `trip.rs` first: one transaction with steps (flight and car), a reservation (hotel), a
//! two-phase branch (the invoice, in PostgreSQL) and a message (the mail).

mod agency;
mod books;
mod car;
mod flight;
mod hotel;
mod mailer;
mod trip;

use std::process::ExitCode;

use clap::Parser;
use handfast_example_kit::{
    INTERRUPTED, Options, Part, Role, Setup, Stage, Standings, Tally, Verdicts, WORDS, end,
    stop_signal,
};

use self::{agency::Agency, books::Books, trip::Trips};

/// Trips: flight, hotel and car at three services, an invoice in PostgreSQL, a mail when all of it
/// is sure. Exits with 1 if the books are wrong.
///
/// For a PostgreSQL server that can take part, run `cargo xtask servers` in another terminal, and
/// give the first address of the HANDFAST_TEST_POSTGRES that it prints.
#[derive(Parser)]
#[command(max_term_width = 100, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    part: Option<Part>,
    #[command(flatten)]
    play: Play,
}

/// What is played.
#[derive(clap::Args)]
struct Play {
    /// The agency's database: the invoices are made there, in a schema that is removed at the end.
    #[arg(long, value_name = "URL", required = true)]
    postgres: Option<String>,
    /// How many trips.
    #[arg(long, default_value_t = 200)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    trips: u32,
    /// Who refuses trips; repeatable. Any of them if only --fail-rate is given.
    #[arg(long, value_name = "WHO", value_parser = trip::WHO_CAN_REFUSE)]
    fail: Vec<String>,
    #[command(flatten)]
    options: Options,
}

/// The services.
static ROLES: [Role; 4] = [
    Role { name: "flight", schema: flight::SCHEMA, routes: flight::routes },
    Role { name: "car", schema: car::SCHEMA, routes: car::routes },
    Role { name: "hotel", schema: hotel::SCHEMA, routes: hotel::routes },
    Role { name: "mailer", schema: mailer::SCHEMA, routes: mailer::routes },
];

#[tokio::main]
async fn main() -> ExitCode {
    let Cli { part, play } = Cli::parse();
    end(match part {
        Some(part) => part.run(&ROLES).await.map(|()| true),
        None => run(&play).await.map(|report| {
            println!("{}", report.text());
            report.verdicts.hold()
        }),
    })
}

async fn run(play: &Play) -> Result<Report, String> {
    let url = play.postgres.clone().expect("clap requires it");
    let agency = Agency::open(url.clone()).await?;
    let played = over(&agency, url, play).await;
    // What went wrong is to be looked into; and what is still prepared there could not be dropped.
    let holds = played.as_ref().is_ok_and(|report| report.verdicts.hold());
    if holds && !play.options.keep {
        agency.remove().await?;
    } else {
        eprintln!("kept in PostgreSQL: the schema {}", agency.schema);
    }
    played
}

async fn over(agency: &Agency, url: String, play: &Play) -> Result<Report, String> {
    // Heard from now on, so that what is started is also removed.
    let stop = stop_signal()?;
    let setup = Setup { what: "trips", roles: &ROLES, resources: vec![("agency", url)] };
    let mut stage = Stage::open(&setup, &WORDS, play.trips, &play.options).await?;
    let played = tokio::select! {
        played = act(&mut stage, agency, play) => played,
        () = stop => Err(INTERRUPTED.into()),
    };
    stage.close(played, |report| report.verdicts.hold()).await
}

async fn act(stage: &mut Stage, agency: &Agency, play: &Play) -> Result<Report, String> {
    let refused = play.options.refused(!play.fail.is_empty());
    let trips = Trips::new(stage.seed, play.trips, &play.fail, refused);
    let (gid, send, schema) = (stage.gids(), stage.gids(), agency.schema.clone());
    let story = stage.play(move |node, number| {
        let trip = trips.transaction(&node, send(number), number, &schema);
        async move { trip.run().await }
    });
    let story = story.await?;
    let books = Books::read(stage.directory(), agency).await?;
    let standing = |trip: &str| books.standing(trip);
    let standings = Standings::new(&story.answers, gid, standing, books.trips());
    let tally = Tally::new(story);
    let verdicts = Verdicts::new("trip", &tally, &standings)
        .must("what was invoiced is missing from somebody's credit", &books.missing_credit())
        .must("every room is free or taken by a confirmed booking", &books.missing_rooms());
    Ok(Report { seed: stage.seed, tally, books: books.table(), verdicts })
}

/// What is said at the end.
struct Report {
    seed: u64,
    tally: Tally,
    books: String,
    verdicts: Verdicts,
}

impl Report {
    fn text(&self) -> String {
        format!("{}\n{}{}", self.tally.text("trips"), self.books, self.verdicts.text(self.seed))
    }
}
