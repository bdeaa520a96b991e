//! After the storm: nothing open at the node, nothing unknown.

use std::time::{Duration, Instant};

use handfast_client::{Error, Handfast, Outcome, wire::ListFilter};

use crate::Answer;

const WITHIN: Duration = Duration::from_secs(60);
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// Waits until the node has finished everything, and sends again what has no answer yet: under the
/// same gid it is the same transaction. Answers what is left when the time is over, in words.
pub async fn settle<F>(
    node: &Handfast,
    answers: &mut [Answer],
    send: impl Fn(Handfast, usize) -> F,
) -> Vec<String>
where
    F: Future<Output = Result<Outcome, Error>>,
{
    let deadline = Instant::now() + WITHIN;
    loop {
        let mut left = Vec::new();
        for (number, answer) in answers.iter_mut().enumerate() {
            if *answer == Answer::Unknown(None) {
                match Answer::of(send(node.clone(), number).await) {
                    known @ (Answer::Committed | Answer::Aborted(_)) => {
                        *answer = Answer::Unknown(Some(Box::new(known)));
                    }
                    still => left.push(format!("the outcome of number {number} is {still:?}")),
                }
            }
        }
        let open = ListFilter { state: Some("open".into()), ..ListFilter::default() };
        match node.list(&open).await {
            Ok(page) => left.extend(page.transactions.iter().map(|line| {
                let stuck = if line.stuck { ", stuck" } else { "" };
                format!("{} is {:?}{stuck}", line.gid, line.state)
            })),
            Err(e) => left.push(format!("the node does not list what is open: {e}")),
        }
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}
