//! What is said at the end.

use std::{collections::BTreeMap, fmt::Write as _};

use handfast_example_kit::{Standings, Story, Tally, Verdicts};
use serde::Serialize;

use crate::{
    ROLES,
    books::{Books, Counts},
};

/// Everything that was seen, and what follows from it.
#[derive(Debug, Serialize)]
pub struct Report {
    seed: u64,
    orders: usize,
    #[serde(flatten)]
    tally: Tally,
    /// By service, what was done, and what of that was undone.
    services: BTreeMap<&'static str, Counts>,
    #[serde(flatten)]
    standings: Standings,
    charged_twice: Vec<String>,
    charged_for_nothing: Vec<String>,
    missing_stock: Vec<String>,
}

impl Report {
    pub(crate) fn new(
        seed: u64,
        gid: impl Fn(usize) -> String,
        books: &Books,
        story: Story,
    ) -> Self {
        let standing = |order: &str| books.standing(order);
        Self {
            seed,
            orders: story.answers.len(),
            services: ROLES.iter().map(|role| (role.name, books.counts(role.name))).collect(),
            standings: Standings::new(&story.answers, gid, standing, books.orders()),
            charged_twice: books.charged_twice(),
            charged_for_nothing: books.charged_for_nothing(),
            missing_stock: books.missing_stock(),
            tally: Tally::new(story),
        }
    }

    /// True if nothing is wrong.
    pub fn holds(&self) -> bool {
        self.verdicts().hold()
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = self.tally.text("orders");
        let [service, done, undone, left] = ["service", "done", "undone", "left"];
        let _ = writeln!(text, "\n  {service:12}{done:>8}{undone:>8}{left:>8}");
        for role in &ROLES {
            let Counts { done, undone } = self.services[role.name];
            let left = done as i64 - undone as i64;
            let _ = writeln!(text, "  {:12}{done:>8}{undone:>8}{left:>8}", role.name);
        }
        text + &self.verdicts().text(self.seed)
    }

    fn verdicts(&self) -> Verdicts {
        Verdicts::new("order", &self.tally, &self.standings)
            .must("every charge has its refund or its shipment", &self.charged_for_nothing)
            .must("nobody is charged twice", &self.charged_twice)
            .must("the stock is what its movements say", &self.missing_stock)
    }
}
