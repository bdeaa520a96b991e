//! What stands in the books of all services and of the agency, trip by trip.

use std::{collections::BTreeMap, fmt::Write as _, path::Path};

use handfast_example_kit::{Book, Standing};

use crate::{agency::Agency, hotel::ROOMS};

/// All of it.
#[derive(Default)]
pub struct Books {
    entries: BTreeMap<String, Entry>,
    free_rooms: i64,
    spent: i64,
}

/// What stands there about one trip: the status of each booking, invoices, mails.
#[derive(Clone, Default, Debug)]
struct Entry {
    flight: Vec<String>,
    car: Vec<String>,
    hotel: Vec<String>,
    invoices: Vec<i64>,
    mails: usize,
}

impl Books {
    /// Reads them.
    pub async fn read(directory: &Path, agency: &Agency) -> Result<Self, String> {
        let mut books = Self::default();
        books.read_services(directory)?;
        for (trip, amount) in agency.invoices().await? {
            books.entry(trip).invoices.push(amount);
        }
        books.spent = agency.spent().await?;
        Ok(books)
    }

    fn read_services(&mut self, directory: &Path) -> Result<(), String> {
        const BOOKINGS: &str = "SELECT trip, status FROM booking";
        for (trip, status) in Book::open(directory, "flight")?.rows(BOOKINGS)? {
            self.entry(trip).flight.push(status);
        }
        for (trip, status) in Book::open(directory, "car")?.rows(BOOKINGS)? {
            self.entry(trip).car.push(status);
        }
        let hotel = Book::open(directory, "hotel")?;
        for (trip, status) in hotel.rows(BOOKINGS)? {
            self.entry(trip).hotel.push(status);
        }
        for (free,) in hotel.rows::<(i64,)>("SELECT free FROM rooms")? {
            self.free_rooms += free;
        }
        for (trip,) in Book::open(directory, "mailer")?.rows("SELECT trip FROM mail")? {
            self.entry(trip).mails += 1;
        }
        Ok(())
    }

    fn entry(&mut self, trip: String) -> &mut Entry {
        self.entries.entry(trip).or_default()
    }

    /// Trips that are in some book.
    pub fn trips(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// How a trip stands.
    pub fn standing(&self, trip: &str) -> Standing {
        self.entries.get(trip).map_or(Standing::Undone, Entry::standing)
    }

    /// Whether the credit that is gone is not what was invoiced.
    pub fn missing_credit(&self) -> Vec<String> {
        let invoiced: i64 = self.entries.values().flat_map(|entry| &entry.invoices).sum();
        let differs = invoiced != self.spent;
        differs
            .then(|| format!("{} is spent, {invoiced} invoiced", self.spent))
            .into_iter()
            .collect()
    }

    /// Whether the rooms that are taken are not those of confirmed bookings.
    pub fn missing_rooms(&self) -> Vec<String> {
        let confirmed = self.count(|entry| count(&entry.hotel, "confirmed"));
        let taken = ROOMS - self.free_rooms;
        let differs = i64::try_from(confirmed) != Ok(taken);
        differs.then(|| format!("{taken} are taken, {confirmed} confirmed")).into_iter().collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut text = format!("  {:12}{:>8}{:>8}{:>8}\n", "who", "done", "undone", "left");
        let mut line = |who: &str, done: usize, undone: usize| {
            let left = done as i64 - undone as i64;
            let _ = writeln!(text, "  {who:12}{done:>8}{undone:>8}{left:>8}");
        };
        type Of = fn(&Entry) -> &[String];
        let lists: [(&str, Of); 3] =
            [("flight", |e| &e.flight), ("car", |e| &e.car), ("hotel", |e| &e.hotel)];
        for (who, list) in lists {
            let undone = self.count(|entry| count(list(entry), "cancelled"));
            line(who, self.count(|entry| list(entry).len()), undone);
        }
        line("invoice", self.count(|entry| entry.invoices.len()), 0);
        line("mail", self.count(|entry| entry.mails), 0);
        text
    }

    fn count(&self, of: impl Fn(&Entry) -> usize) -> usize {
        self.entries.values().map(of).sum()
    }
}

fn count(statuses: &[String], status: &str) -> usize {
    statuses.iter().filter(|one| *one == status).count()
}

impl Entry {
    fn standing(&self) -> Standing {
        let Self { flight, car, hotel, invoices, mails } = self;
        let complete = flight == &["booked"]
            && car == &["booked"]
            && hotel == &["confirmed"]
            && (invoices.len(), *mails) == (1, 1);
        let cancelled = |list: &[String]| list.is_empty() || list == ["cancelled"];
        let undone = [flight, car, hotel].into_iter().all(|list| cancelled(list))
            && (invoices.len(), *mails) == (0, 0);
        match (complete, undone) {
            (true, _) => Standing::Complete,
            (_, true) => Standing::Undone,
            _ => Standing::Split(format!("{self:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete() -> Entry {
        Entry {
            flight: vec!["booked".into()],
            car: vec!["booked".into()],
            hotel: vec!["confirmed".into()],
            invoices: vec![120],
            mails: 1,
        }
    }

    #[test]
    fn a_trip_is_whole_or_it_is_split() {
        assert_eq!(complete().standing(), Standing::Complete);
        assert_eq!(Entry::default().standing(), Standing::Undone);
        let hotel = vec!["cancelled".into()];
        assert_eq!(Entry { hotel, ..Entry::default() }.standing(), Standing::Undone);
        let spoil: [fn(&mut Entry); 7] = [
            |entry| entry.flight.clear(),
            |entry| entry.car[0] = "cancelled".into(),
            |entry| entry.car.push("booked".into()),
            |entry| entry.hotel[0] = "held".into(),
            |entry| entry.invoices.clear(),
            |entry| entry.invoices.push(120),
            |entry| entry.mails = 0,
        ];
        for (number, spoil) in spoil.into_iter().enumerate() {
            let mut entry = complete();
            spoil(&mut entry);
            assert!(matches!(entry.standing(), Standing::Split(_)), "{number}: {entry:?}");
        }
        let told_too_early = Entry { mails: 1, ..Entry::default() };
        assert!(matches!(told_too_early.standing(), Standing::Split(_)));
    }

    #[test]
    fn credit_and_rooms_are_counted() {
        let entries = BTreeMap::from([("t".into(), complete())]);
        let books = Books { entries, free_rooms: ROOMS - 1, spent: 120 };
        assert!(books.missing_credit().is_empty() && books.missing_rooms().is_empty());
        let books = Books { free_rooms: ROOMS, spent: 0, ..books };
        assert!(!books.missing_credit().is_empty() && !books.missing_rooms().is_empty());
    }
}
