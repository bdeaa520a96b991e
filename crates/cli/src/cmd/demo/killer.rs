//! The one who kills, and starts again what can be started.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

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

/// Carries out the plan's kills; how many met whom. The first of two nodes is away while others
/// are killed; what else dies is back before the next.
pub async fn run(
    world: &mut World,
    plan: &Arc<Plan>,
    tellers: &Tellers,
    screen: &Screen,
) -> Result<BTreeMap<String, usize>, String> {
    let mut kills = BTreeMap::new();
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
                wait_for_doubt(world).await;
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
        *kills.entry(who).or_default() += 1;
    }
    if back_at.is_some() {
        until(back_at).await;
        world.nodes[0].start().await?;
    }
    Ok(kills)
}

/// Stops the first node at a moment when it leaves somebody in doubt: killed at another one, it
/// would show nothing. After some tries, it is any moment.
async fn wait_for_doubt(world: &World) {
    let node = &world.nodes[0];
    for _ in 0..STOPS_MAX {
        node.signal(Signal::STOP);
        // What it has sent arrives.
        tokio::time::sleep(STOPPED).await;
        for bank in world.banks.iter() {
            let in_doubt = bank.in_doubt().await.unwrap_or_default();
            if in_doubt.iter().any(|branch| branch.starts_with(&world.first_branches)) {
                return;
            }
        }
        node.signal(Signal::CONT);
        tokio::time::sleep(STOPPED).await;
    }
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
