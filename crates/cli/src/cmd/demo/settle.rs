//! After the storm: nothing open at the node, nothing in doubt in the banks, nothing unknown.

use std::time::{Duration, Instant};

use handfast_client::{Error, Handfast, Outcome, wire::ListFilter};

use super::{plan::Plan, teller::Answer, world::World};

const WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Waits for all of that; answers what is left when the time is over, in words.
pub async fn settle(world: &World, plan: &Plan, answers: &mut [Answer]) -> Vec<String> {
    let deadline = Instant::now() + WITHIN;
    let hf = match Handfast::builder(&world.node.url).build() {
        Ok(hf) => hf,
        Err(e) => return vec![e.to_string()],
    };
    loop {
        // Unknown ones first: one that is still running now is open, and then seen below.
        for (number, answer) in answers.iter_mut().enumerate() {
            if *answer == Answer::Unknown(None) {
                *answer = Answer::Unknown(ask(&hf, &plan.gid(number)).await.map(Box::new));
            }
        }
        let left = left(world, &hf, plan, answers).await;
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// What became of it; `None` if that is not known yet.
async fn ask(hf: &Handfast, gid: &str) -> Option<Answer> {
    match hf.outcome(gid).await {
        Ok(Outcome::Unknown(_)) => None,
        Ok(known) => Some(Answer::of(Ok(known))),
        // Nobody sends it any more, and no node decided it: it never happens.
        Err(Error::NotFound(_)) => Some(Answer::Aborted("never decided".into())),
        Err(_) => None,
    }
}

async fn left(world: &World, hf: &Handfast, plan: &Plan, answers: &[Answer]) -> Vec<String> {
    let mut left = Vec::new();
    let state = Some("open".into());
    match hf.list(&ListFilter { state, limit: Some(10), ..ListFilter::default() }).await {
        Ok(page) => {
            let open = page.transactions.iter();
            left.extend(open.map(|line| format!("{} is {:?}", line.gid, line.state)));
        }
        Err(e) => left.push(format!("the node does not list what is open: {e}")),
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
    for (number, answer) in answers.iter().enumerate() {
        if *answer == Answer::Unknown(None) {
            left.push(format!("the outcome of {} is still unknown", plan.gid(number)));
        }
    }
    left
}
