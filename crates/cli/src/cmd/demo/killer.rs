//! The one who kills, and starts again what can be started.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    plan::{Kill, Plan, Victim},
    screen::Screen,
    teller::Tellers,
    world::World,
};
use crate::output::span_of;

/// Carries out the plan's kills; how many met whom.
pub async fn run(
    world: &mut World,
    plan: &Arc<Plan>,
    tellers: &Tellers,
    screen: &Screen,
) -> Result<BTreeMap<String, usize>, String> {
    let mut kills = BTreeMap::new();
    for kill in &plan.kills {
        tellers.reached(kill.after).await;
        let who = strike(world, kill, screen).await?;
        *kills.entry(who).or_default() += 1;
    }
    Ok(kills)
}

async fn strike(world: &mut World, kill: &Kill, screen: &Screen) -> Result<String, String> {
    let process = match kill.victim {
        Victim::Node => &mut world.node,
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
    let dead = span_of(kill.dead);
    screen.say(&format!("killed {} after {} transfers, for {dead}", process.name, kill.after));
    tokio::time::sleep(kill.dead).await;
    process.start().await?;
    Ok(process.name.clone())
}
