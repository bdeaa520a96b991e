//! After the storm: nothing open at the node, nothing in doubt in the banks, nothing unknown.

use std::time::{Duration, Instant};

use handfast_client::{Error, Handfast, Outcome, wire::ListFilter};
use handfast_example_kit::Answer;

use super::{plan::Plan, world::World};

const WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Longer than a branch that nobody asks for any more may wait for its locks.
const LATE_BRANCHES: Duration = Duration::from_millis(1_500);

/// Waits for all of that; answers what is left when the time is over, in words.
pub async fn settle(world: &World, plan: &Plan, answers: &mut [Answer]) -> Vec<String> {
    let deadline = Instant::now() + WITHIN;
    let alive = world.nodes.iter().filter(|node| node.child.is_some());
    let alive = alive.map(|node| Handfast::builder(&node.url).build()).collect::<Result<_, _>>();
    let nodes: Vec<Handfast> = match alive {
        Ok(nodes) => nodes,
        Err(e) => return vec![e.to_string()],
    };
    let someone_is_gone = nodes.len() < world.nodes.len();
    if someone_is_gone {
        tokio::time::sleep(LATE_BRANCHES).await;
    }
    loop {
        // Unknown ones first: one that is still running now is open, and then seen below.
        for (number, answer) in answers.iter_mut().enumerate() {
            if *answer == Answer::Unknown(None) {
                let found = ask(&nodes, &plan.gid(number), someone_is_gone).await;
                *answer = Answer::Unknown(found.map(Box::new));
            }
        }
        let mut left = in_doubt(world, &nodes).await;
        if left.is_empty() && someone_is_gone {
            // What the dead node knew, the books know too, now that nothing is in doubt.
            left.extend(look_up(world, plan, answers).await.err());
        }
        left.extend(unknown(plan, answers));
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// What became of it; `None` if that is not known yet, or only to a node that is gone.
async fn ask(nodes: &[Handfast], gid: &str, someone_is_gone: bool) -> Option<Answer> {
    for hf in nodes {
        match hf.outcome(gid).await {
            Ok(Outcome::Unknown(_)) => return None,
            Ok(known) => return Some(Answer::of(Ok(known))),
            Err(Error::NotFound(_)) => {}
            Err(_) => return None,
        }
    }
    // Nobody sends it any more, and no node decided it: it never happens.
    (!someone_is_gone).then(|| Answer::Aborted("never decided".into()))
}

/// Answers from the books what no living node knows.
async fn look_up(world: &World, plan: &Plan, answers: &mut [Answer]) -> Result<(), String> {
    let books = [world.banks[0].books().await?, world.banks[1].books().await?];
    for (number, answer) in answers.iter_mut().enumerate() {
        if *answer == Answer::Unknown(None) {
            let gid = plan.gid(number);
            let happened = books.iter().any(|books| books.entries.contains_key(&gid));
            let found = match happened {
                true => Answer::Committed,
                false => Answer::Aborted("not in the books".into()),
            };
            *answer = Answer::Unknown(Some(Box::new(found)));
        }
    }
    Ok(())
}

async fn in_doubt(world: &World, nodes: &[Handfast]) -> Vec<String> {
    let mut left = Vec::new();
    for hf in nodes {
        let state = Some("open".into());
        match hf.list(&ListFilter { state, limit: Some(10), ..ListFilter::default() }).await {
            Ok(page) => {
                let open = page.transactions.iter();
                left.extend(open.map(|line| format!("{} is {:?}", line.gid, line.state)));
            }
            Err(e) => left.push(format!("a node does not list what is open: {e}")),
        }
    }
    for bank in world.banks.iter() {
        match bank.in_doubt().await {
            Ok(branches) => {
                let there = branches.iter().take(10);
                left.extend(there.map(|b| format!("{b} is in doubt in {}", bank.name())));
            }
            Err(e) => left.push(format!("{} does not list what is in doubt: {e}", bank.name())),
        }
    }
    left
}

fn unknown<'a>(plan: &'a Plan, answers: &'a [Answer]) -> impl Iterator<Item = String> + 'a {
    let unknown = answers.iter().enumerate().filter(|(_, one)| **one == Answer::Unknown(None));
    unknown.map(|(number, _)| format!("the outcome of {} is still unknown", plan.gid(number)))
}
