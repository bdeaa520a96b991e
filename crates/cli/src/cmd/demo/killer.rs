//! The one who kills, and starts again what can be started.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use handfast_example_kit::{Process, Screen};
use rustix::process::Signal;
use tokio::time::Instant;

use super::{
    plan::{Kill, Plan, Victim},
    teller::Tellers,
    world::World,
};
use crate::{args::Decide, output::span_of};

/// How often the first node is stopped to see whom it leaves in doubt, and for how long each time.
const STOPS_MAX: usize = 50;
const STOPPED: Duration = Duration::from_millis(20);

/// Whom the kills met.
#[derive(Default)]
pub struct Kills {
    /// How many.
    pub met: BTreeMap<String, usize>,
    /// Whether the first node left somebody in doubt, if it was killed.
    pub left_in_doubt: Option<bool>,
}

/// Carries out the plan's kills. The first of two nodes is away while others
/// are killed; what else dies is back before the next.
pub async fn run(
    world: &mut World,
    plan: &Arc<Plan>,
    tellers: &Tellers,
    screen: &Screen,
) -> Result<Kills, String> {
    let mut kills = Kills::default();
    let mut back_at = None;
    for kill in &plan.kills {
        tokio::select! {
            () = tellers.reached(kill.after) => {}
            () = until(back_at), if back_at.is_some() => {
                back_at = None;
                world.nodes[0].start().await?;
                tellers.reached(kill.after).await;
            }
        }
        let who = match kill.victim {
            Victim::FirstNode => {
                let left_in_doubt = waits_for_doubt(world).await;
                kills.left_in_doubt = Some(left_in_doubt);
                if !left_in_doubt {
                    screen.say("nobody is in doubt: the next kill shows nothing");
                }
                let node = &mut world.nodes[0];
                node.kill().await;
                let comes_back = plan.decide == Decide::Log;
                back_at = comes_back.then(|| Instant::now() + kill.dead);
                let dead = if comes_back { span_of(kill.dead) } else { "good".into() };
                say(screen, node, kill, &dead);
                node.name.clone()
            }
            Victim::Node | Victim::Bank(_) => strike(world, kill, screen).await?,
        };
        *kills.met.entry(who).or_default() += 1;
    }
    if back_at.is_some() {
        until(back_at).await;
        world.nodes[0].start().await?;
    }
    Ok(kills)
}

/// Stops the first node at a moment when it leaves somebody in doubt: killed at another one, it
/// would show nothing. After some tries, it is any moment; whether it is such a one.
async fn waits_for_doubt(world: &World) -> bool {
    let node = &world.nodes[0];
    for _ in 0..STOPS_MAX {
        node.signal(Signal::STOP);
        tokio::time::sleep(STOPPED).await;
        let before = in_doubt(world).await;
        if !before.is_empty() {
            // What it has sent arrives: who has not heard of it by then is left alone with it.
            tokio::time::sleep(STOPPED).await;
            if !before.is_disjoint(&in_doubt(world).await) {
                return true;
            }
        }
        node.signal(Signal::CONT);
        tokio::time::sleep(STOPPED).await;
    }
    false
}

/// The first node's branches that wait for a decision.
async fn in_doubt(world: &World) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for bank in world.banks.iter() {
        all.extend(bank.in_doubt().await.unwrap_or_default());
    }
    all.retain(|branch| branch.starts_with(&world.first_branches));
    all
}

async fn until(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

fn say(screen: &Screen, process: &Process, kill: &Kill, dead: &str) {
    screen.say(&format!("killed {} after {} transfers, for {dead}", process.name, kill.after));
}

/// Kills, and starts again.
async fn strike(world: &mut World, kill: &Kill, screen: &Screen) -> Result<String, String> {
    let last = world.nodes.len() - 1;
    let process = match kill.victim {
        Victim::Node | Victim::FirstNode => &mut world.nodes[last],
        Victim::Bank(bank) => match world.shards.get_mut(bank) {
            Some(shard) => shard,
            None => {
                let bank = &world.banks[bank];
                let killed = bank.kill_sessions().await?;
                screen.say(&format!("killed {killed} sessions of {}", bank.name()));
                return Ok(format!("sessions of {}", bank.name()));
            }
        },
    };
    process.kill().await;
    say(screen, process, kill, &span_of(kill.dead));
    tokio::time::sleep(kill.dead).await;
    process.start().await?;
    Ok(process.name.clone())
}
