//! What is ordered: every choice is made from one seed before anything starts.

use std::sync::Arc;

use handfast_example_kit::Chance;
use serde_json::{Value, json};

use crate::{Play, ROLES, inventory::STOCK, payment::DECLINED, shipping::TOO_FAR};

const ITEMS: [&str; 3] = ["lamp", "chair", "table"];

/// All orders.
#[derive(Clone)]
pub struct Orders(Arc<[Order]>);

struct Order {
    item: &'static str,
    quantity: u64,
    /// Who will refuse it, by the rules of its business.
    doomed: Option<String>,
}

impl Orders {
    pub fn new(play: &Play, seed: u64) -> Self {
        let mut chance = Chance(seed);
        let any: Vec<String> = ROLES.iter().map(|role| role.name.into()).collect();
        let failing = if play.fail.is_empty() { &any } else { &play.fail };
        let refused = play.options.refused(!play.fail.is_empty());
        let order = |_| {
            let is_doomed = chance.in_share(refused);
            let by = &failing[chance.below(failing.len() as u64) as usize];
            Order {
                item: ITEMS[chance.below(ITEMS.len() as u64) as usize],
                quantity: 1 + chance.below(5),
                doomed: is_doomed.then(|| by.clone()),
            }
        };
        Self((0..play.orders).map(order).collect())
    }

    /// The saga's input for an order. Its number, which the shop makes up, is the gid.
    pub fn input(&self, number: usize, gid: &str) -> Value {
        let Order { item, quantity, doomed } = &self.0[number];
        let fails = |role| doomed.as_deref() == Some(role);
        json!({
            "order": gid,
            "item": if fails("order") { "unicorn" } else { item },
            "quantity": if fails("inventory") { STOCK as u64 + 1 } else { *quantity },
            "card": if fails("payment") { DECLINED } else { "4711" },
            "address": if fails("shipping") { TOO_FAR } else { "1 Main Street" },
        })
    }
}

#[cfg(test)]
mod tests {
    use handfast_example_kit::Options;

    use super::*;

    fn inputs(fail: &[&str], fail_rate: Option<f64>, seed: u64) -> Vec<Value> {
        let fail = fail.iter().map(ToString::to_string).collect();
        let options = Options { fail_rate, ..Options::default() };
        let orders = Orders::new(&Play { orders: 1_000, fail, options }, seed);
        (0..1_000).map(|number| orders.input(number, "o")).collect()
    }

    #[test]
    fn a_seed_makes_the_same_choices() {
        assert_eq!(inputs(&[], Some(0.1), 7), inputs(&[], Some(0.1), 7));
        assert_ne!(inputs(&[], Some(0.1), 7), inputs(&[], Some(0.1), 8));
    }

    #[test]
    fn those_fail_that_shall() {
        let declined = |inputs: &[Value]| inputs.iter().filter(|i| i["card"] == DECLINED).count();
        let too_far = |inputs: &[Value]| inputs.iter().filter(|i| i["address"] == TOO_FAR).count();
        assert_eq!(declined(&inputs(&[], None, 7)), 0);
        assert_eq!(declined(&inputs(&["payment"], None, 7)), 1_000);
        let some = inputs(&["payment", "shipping"], Some(0.2), 7);
        assert!((60..140).contains(&declined(&some)) && (60..140).contains(&too_far(&some)));
    }
}
