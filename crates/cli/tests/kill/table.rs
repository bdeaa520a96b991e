//! The tables in docs/testing.md: written by the tests, and compared with what they find.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::{Mutex, PoisonError},
};

use super::{
    stops::{Kind, STOPS, Victim},
    world,
};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/testing.md");
/// The names of the tables: of transfers, and of transactions with services.
pub const TRANSFERS: &str = "kill table";
pub const SERVICES: &str = "service kill table";
const VICTIMS: [Victim; 3] = [Victim::Node, Victim::Debit, Victim::Credit];

/// Results by row, pair and victim.
pub type Cells = BTreeMap<(usize, world::Kind, Victim), String>;

/// Fails if the page says otherwise, times apart; with HANDFAST_BLESS it is written anew.
pub fn compare(name: &str, new: &str) {
    /// Two tests write one page.
    static WRITING: Mutex<()> = Mutex::new(());
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    let begin = format!("<!-- {name}: made by the tests with HANDFAST_BLESS=1 -->\n");
    let end = format!("<!-- end of the {name} -->\n");
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(&begin).expect("the page has the table's beginning");
    let (old, after) = rest.split_once(&end).expect("the page has the table's end");
    if std::env::var_os("HANDFAST_BLESS").is_some() {
        std::fs::write(PAGE, format!("{before}{begin}{new}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(
        without_times(old),
        without_times(new),
        "docs/testing.md is stale: run with HANDFAST_BLESS=1"
    );
}

/// The table of transfers.
pub fn render(cells: &Cells) -> String {
    let columns = world::Kind::ALL.iter().flat_map(|kind| VICTIMS.map(|victim| (*kind, victim)));
    let columns: Vec<_> = columns.collect();
    let titles = columns.iter().map(|(kind, victim)| {
        let [debit, credit] = kind.names();
        let dies = match victim {
            Victim::Node => "node",
            Victim::Debit => "debit's",
            Victim::Credit => "credit's",
        };
        format!("{debit} + {credit}: {dies} |")
    });
    let mut text = format!("\n| stop | {}\n", titles.collect::<Vec<_>>().join(" "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(columns.len()));
    for (row, stop) in STOPS.iter().enumerate() {
        let kind = match stop.kind {
            Kind::Commits => "commit",
            Kind::Aborts => "abort",
        };
        let _ = write!(text, "| {kind}: {} (`{}`) |", stop.means, stop.point);
        for (kind, victim) in &columns {
            let cell = cells.get(&(row, *kind, *victim)).map_or("–", String::as_str);
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
    text.push('\n');
    text
}

/// Without the `, 12 ms` of its cells.
fn without_times(table: &str) -> String {
    let cell = |cell: &str| match cell.rsplit_once(", ") {
        Some((found, time)) if time.ends_with(" ms ") => format!("{found} "),
        _ => cell.to_owned(),
    };
    table.split('|').map(cell).collect::<Vec<_>>().join("|")
}
