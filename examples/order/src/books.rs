//! The proof: what stands in the services' databases, order by order.

use std::{collections::BTreeMap, path::Path};

use handfast_example_kit::{Book, Standing};
use serde::Serialize;

use crate::{ROLES, inventory::STOCK};

/// What stands in the books of all services.
#[derive(Clone, Debug, Default)]
pub struct Books {
    entries: BTreeMap<String, Entry>,
    /// By item, what is in stock.
    stock: BTreeMap<String, i64>,
}

/// What stands there about one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Entry {
    /// The order's status and total.
    order: Option<(String, i64)>,
    charges: Vec<i64>,
    refunds: Vec<i64>,
    /// Item and quantity.
    reserved: Vec<(String, i64)>,
    released: Vec<(String, i64)>,
    /// The status of each.
    shipments: Vec<String>,
}

/// How often something was done, and undone again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Done.
    pub done: usize,
    /// And undone.
    pub undone: usize,
}

impl Books {
    /// Reads them.
    ///
    /// # Errors
    /// In words: a database cannot be read.
    pub fn read(directory: &Path) -> Result<Self, String> {
        let mut books = Self::default();
        for role in &ROLES {
            books.read_one(&Book::open(directory, role.name)?, role.name)?;
        }
        Ok(books)
    }

    /// How an order stands.
    pub fn standing(&self, order: &str) -> Standing {
        self.entries.get(order).map_or(Standing::Undone, Entry::standing)
    }

    /// Orders that are in the books of some service.
    pub fn orders(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// What was done at a service, and what of that was undone.
    pub fn counts(&self, role: &str) -> Counts {
        let cancelled = |status: &str| usize::from(status == "cancelled");
        let of = |entry: &Entry| match (role, &entry.order) {
            ("order", Some((status, _))) => (1, cancelled(status)),
            ("payment", _) => (entry.charges.len(), entry.refunds.len()),
            ("inventory", _) => (entry.reserved.len(), entry.released.len()),
            ("shipping", _) => {
                (entry.shipments.len(), entry.shipments.iter().map(|s| cancelled(s)).sum())
            }
            _ => (0, 0),
        };
        let sum = |sum: (usize, usize), one: (usize, usize)| (sum.0 + one.0, sum.1 + one.1);
        let (done, undone) = self.entries.values().map(of).fold((0, 0), sum);
        Counts { done, undone }
    }

    /// Orders that were charged more than once.
    pub fn charged_twice(&self) -> Vec<String> {
        self.those(|entry| entry.charges.len() > 1)
    }

    /// Orders with a charge that has neither a refund nor a shipment, or both.
    pub fn charged_for_nothing(&self) -> Vec<String> {
        self.those(|entry| {
            let shipped = entry.shipments.iter().filter(|status| *status == "booked").count();
            entry.charges.len() != entry.refunds.len() + shipped
        })
    }

    /// Items of which the stock is not what the movements say.
    pub fn missing_stock(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for (item, available) in &self.stock {
            let of = |moved: &[(String, i64)]| -> i64 {
                moved.iter().filter(|(of, _)| of == item).map(|(_, quantity)| quantity).sum()
            };
            let out: i64 = self.entries.values().map(|e| of(&e.reserved) - of(&e.released)).sum();
            let expected = STOCK - out;
            if *available != expected {
                wrong.push(format!("of {item} there are {available}, not {expected}"));
            }
        }
        wrong
    }

    fn those(&self, are: impl Fn(&Entry) -> bool) -> Vec<String> {
        let found = self.entries.iter().filter(|(_, entry)| are(entry));
        found.map(|(order, entry)| format!("{order}: {entry}")).collect()
    }

    fn read_one(&mut self, book: &Book, role: &str) -> Result<(), String> {
        match role {
            "order" => {
                for (order, status, total) in book.rows("SELECT id, status, total FROM purchase")? {
                    self.entry(order).order = Some((status, total));
                }
            }
            "payment" => {
                let entries = "SELECT order_id, kind, amount FROM entry";
                for (order, kind, amount) in book.rows::<(_, String, _)>(entries)? {
                    let entry = self.entry(order);
                    let is_charge = kind == "charge";
                    let list = if is_charge { &mut entry.charges } else { &mut entry.refunds };
                    list.push(amount);
                }
            }
            "inventory" => {
                self.stock.extend(book.rows("SELECT item, available FROM stock")?);
                let movements = "SELECT order_id, kind, item, quantity FROM movement";
                for (order, kind, item, quantity) in book.rows::<(_, String, _, _)>(movements)? {
                    let entry = self.entry(order);
                    let is_reserved = kind == "reserved";
                    let list = if is_reserved { &mut entry.reserved } else { &mut entry.released };
                    list.push((item, quantity));
                }
            }
            _ => {
                for (order, status) in book.rows("SELECT order_id, status FROM shipment")? {
                    self.entry(order).shipments.push(status);
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, order: String) -> &mut Entry {
        self.entries.entry(order).or_default()
    }
}

impl Entry {
    fn standing(&self) -> Standing {
        let Self { order, charges, refunds, reserved, released, shipments } = self;
        let status = order.as_ref().map(|(status, _)| status.as_str());
        let total = order.as_ref().map(|(_, total)| *total);
        let complete = status == Some("confirmed")
            && charges.iter().copied().eq(total)
            && (reserved.len(), refunds.len(), released.len()) == (1, 0, 0)
            && shipments == &["booked"];
        let undone = matches!(status, None | Some("cancelled"))
            && (charges.len() <= 1 && charges == refunds)
            && (reserved.len() <= 1 && reserved == released)
            && (shipments.len() <= 1 && shipments.iter().all(|status| status == "cancelled"));
        match (complete, undone) {
            (true, _) => Standing::Complete,
            (_, true) => Standing::Undone,
            _ => Standing::Split(self.to_string()),
        }
    }
}

impl std::fmt::Display for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { order, charges, refunds, reserved, released, shipments } = self;
        let status = order.as_ref().map_or("missing", |(status, _)| status);
        write!(f, "order {status}, charges {charges:?}, refunds {refunds:?}, ")?;
        write!(f, "reserved {reserved:?}, released {released:?}, shipments {shipments:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Entry {
        Entry {
            order: Some(("confirmed".into(), 80)),
            charges: vec![80],
            reserved: vec![("lamp".into(), 2)],
            shipments: vec!["booked".into()],
            ..Entry::default()
        }
    }

    fn undone() -> Entry {
        Entry {
            order: Some(("cancelled".into(), 80)),
            refunds: vec![80],
            released: vec![("lamp".into(), 2)],
            shipments: vec!["cancelled".into()],
            ..complete()
        }
    }

    fn books(entry: Entry) -> Books {
        let stock = BTreeMap::from([("lamp".into(), STOCK - 2)]);
        Books { entries: BTreeMap::from([("o".into(), entry)]), stock }
    }

    #[test]
    fn what_is_whole_is_not_complained_about() {
        assert_eq!(complete().standing(), Standing::Complete);
        assert_eq!(undone().standing(), Standing::Undone);
        assert_eq!(Entry::default().standing(), Standing::Undone);
        let books = books(complete());
        assert_eq!(books.standing("never seen"), Standing::Undone);
        let wrong = [books.charged_twice(), books.charged_for_nothing(), books.missing_stock()];
        assert_eq!(wrong.concat(), [""; 0]);
    }

    #[test]
    fn half_an_order_is_split() {
        let spoil: [fn(&mut Entry); 8] = [
            |entry| entry.order = None,
            |entry| entry.order = Some(("pending".into(), 80)),
            |entry| entry.charges.clear(),
            |entry| entry.charges.push(80),
            |entry| entry.charges[0] = 79,
            |entry| entry.reserved.push(("lamp".into(), 2)),
            |entry| entry.shipments.clear(),
            |entry| entry.shipments.push("booked".into()),
        ];
        for (number, spoil) in spoil.into_iter().enumerate() {
            let mut entry = complete();
            spoil(&mut entry);
            assert!(matches!(entry.standing(), Standing::Split(_)), "{number}: {entry}");
        }
        let spoil: [fn(&mut Entry); 5] = [
            |entry| entry.order = Some(("pending".into(), 80)),
            |entry| entry.refunds.clear(),
            |entry| entry.refunds.push(80),
            |entry| entry.released.clear(),
            |entry| entry.shipments[0] = "booked".into(),
        ];
        for (number, spoil) in spoil.into_iter().enumerate() {
            let mut entry = undone();
            spoil(&mut entry);
            assert!(matches!(entry.standing(), Standing::Split(_)), "{number}: {entry}");
        }
    }

    #[test]
    fn charges_and_stock_are_counted() {
        let twice = Entry { charges: vec![80, 80], ..complete() };
        assert_eq!(books(twice.clone()).charged_twice().len(), 1);
        assert_eq!(books(twice).charged_for_nothing().len(), 1);
        let for_nothing = Entry { shipments: Vec::new(), ..complete() };
        assert_eq!(books(for_nothing).charged_for_nothing().len(), 1);
        let both = Entry { refunds: vec![80], ..complete() };
        assert_eq!(books(both).charged_for_nothing().len(), 1);
        // Two lamps are out of stock, and nobody has them.
        assert_eq!(books(undone()).missing_stock().len(), 1);
    }
}
