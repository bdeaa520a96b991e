//! A play: a node and services, callers, kills, and what was seen.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use handfast_client::{Error, Handfast, Outcome};

use crate::{
    Answer, Chance, Options, Screen, Setup, Words,
    callers::Callers,
    fresh_name,
    kills::{self, Kill},
    settle::settle,
    world::World,
};

/// Why there is nothing to tell if somebody wanted it to stop.
pub const INTERRUPTED: &str = "interrupted";

/// What is needed to play.
pub struct Stage {
    world: World,
    /// Where talk goes.
    pub screen: Arc<Screen>,
    /// Makes the gids different from those of every other play.
    name: String,
    /// What all choices are made from.
    pub seed: u64,
    count: u32,
    callers: u32,
    kills: Vec<Kill>,
    keep: bool,
}

/// What was seen.
pub struct Story {
    /// What was told to each.
    pub answers: Vec<Answer>,
    /// How many kills met whom.
    pub kills: BTreeMap<String, usize>,
    /// What had not settled, in words.
    pub left: Vec<String>,
    /// From the first call to the last answer.
    pub took: Duration,
}

impl Stage {
    /// Starts a node and services for `count` calls; `words` start the processes.
    ///
    /// # Errors
    /// In words: something does not start.
    pub async fn open(
        setup: &Setup,
        words: &Words,
        count: u32,
        options: &Options,
    ) -> Result<Self, String> {
        let seed = options.seed.unwrap_or_else(Chance::fresh_seed);
        let screen = Arc::new(Screen::new(setup.what, count as usize));
        screen.say(&format!("seed {seed} (the same seed makes the same choices)"));
        let world = World::start(setup, words, options).await?;
        let services: Vec<_> = setup.roles.iter().map(|role| role.name).collect();
        let services = services.join(", ");
        screen.say(&format!("running: the node ({}), {services}", world.url()));
        let kills = kills::choose(count, options.kills, setup.roles.len() + 1, &mut Chance(seed));
        let Options { callers, keep, .. } = *options;
        Ok(Self { world, screen, name: fresh_name(), seed, count, callers, kills, keep })
    }

    /// A client of the node.
    ///
    /// # Errors
    /// In words.
    pub fn node(&self) -> Result<Handfast, String> {
        Handfast::builder(self.world.url()).build().map_err(|e| e.to_string())
    }

    /// Where the services' databases are, each with its role's name and `.db`.
    pub fn directory(&self) -> &Path {
        self.world.directory()
    }

    /// The gids, by number.
    pub fn gids(&self) -> impl Fn(usize) -> String + Clone + Send + use<> {
        let name = self.name.clone();
        move |number| format!("{name}-{number}")
    }

    /// Lets callers `send` all numbers while things are killed, and waits until nothing is open.
    ///
    /// # Errors
    /// In words: it could not be played to the end.
    pub async fn play<F>(
        &mut self,
        send: impl Fn(Handfast, usize) -> F + Clone + Send + 'static,
    ) -> Result<Story, String>
    where
        F: Future<Output = Result<Outcome, Error>> + Send,
    {
        let node = self.node()?;
        let began = Instant::now();
        let many = (self.count, self.callers);
        let callers = Callers::open(self.world.url(), many, &self.screen, send.clone())?;
        let kills = kills::strike(&mut self.world, &self.kills, &callers, &self.screen).await?;
        let mut answers = callers.join().await?;
        let took = began.elapsed();
        self.screen.say("all are answered; waiting until nothing is open");
        let left = settle(&node, &mut answers, send).await;
        Ok(Story { answers, kills, left, took })
    }

    /// Stops everything and removes it, unless there is something to be looked into. Hands back
    /// what was played.
    ///
    /// # Errors
    /// What was played is one.
    pub async fn close<R>(
        self,
        played: Result<R, String>,
        holds: impl Fn(&R) -> bool,
    ) -> Result<R, String> {
        self.screen.finish();
        let keep = match &played {
            Ok(played) => !holds(played),
            Err(why) => why != INTERRUPTED,
        };
        match (played, self.world.end(keep || self.keep).await) {
            (Err(why), Some(kept)) => Err(format!("{why}\n{kept}")),
            (played, kept) => {
                kept.iter().for_each(|kept| self.screen.say(kept));
                played
            }
        }
    }
}
