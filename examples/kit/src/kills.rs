//! The one who kills, and starts again.

use std::{collections::BTreeMap, time::Duration};

use crate::{Chance, Process, Screen, callers::Callers, world::World};

/// One kill, by SIGKILL.
pub struct Kill {
    /// After so many calls were answered.
    pub after: u32,
    pub victim: Victim,
    /// How long it stays dead.
    pub dead: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Victim {
    /// The node or a service, by its place among the processes.
    One(usize),
    Everything,
}

/// Kills spread over so many answers, each somewhere in its own part of them; every victim in
/// turn, in an order that differs from turn to turn.
pub fn choose(count: u32, kills: u32, processes: usize, chance: &mut Chance) -> Vec<Kill> {
    let mut turn = Vec::new();
    let part = u64::from(count) / u64::from(kills + 1);
    let mut chosen = Vec::new();
    for number in 1..=u64::from(kills) {
        if turn.is_empty() {
            turn = (0..processes).map(Victim::One).chain([Victim::Everything]).collect();
        }
        let victim = turn.swap_remove(chance.below(turn.len() as u64) as usize);
        let after = number * part - chance.below(part / 2 + 1);
        let dead = Duration::from_millis(chance.below(600));
        chosen.push(Kill { after: after as u32, victim, dead });
    }
    chosen
}

/// Carries them out; how many met whom.
pub async fn strike(
    world: &mut World,
    kills: &[Kill],
    callers: &Callers,
    screen: &Screen,
) -> Result<BTreeMap<String, usize>, String> {
    let mut met = BTreeMap::new();
    for Kill { after, victim, dead } in kills {
        callers.reached(*after).await;
        let (who, victims): (String, &mut [Process]) = match victim {
            Victim::Everything => ("everything at once".into(), world.processes()),
            Victim::One(index) => {
                let one = std::slice::from_mut(&mut world.processes()[*index]);
                (one[0].name.clone(), one)
            }
        };
        for process in victims.iter_mut() {
            process.kill().await;
        }
        screen.say(&format!("killed {who} after {after} answers, for {} ms", dead.as_millis()));
        tokio::time::sleep(*dead).await;
        for process in victims {
            process.start().await?;
        }
        *met.entry(who).or_default() += 1;
    }
    Ok(met)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_are_in_order_and_meet_everyone() {
        let kills = choose(1_000, 12, 5, &mut Chance(7));
        assert!(kills.is_sorted_by_key(|kill| kill.after));
        for victim in (0..5).map(Victim::One).chain([Victim::Everything]) {
            assert_eq!(kills.iter().filter(|kill| kill.victim == victim).count(), 2);
        }
    }
}
