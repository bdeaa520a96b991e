//! Tables of docs/proof.md, which come from the tests: compared, or written anew with
//! HANDFAST_BLESS=1.

use std::sync::Mutex;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/proof.md");

/// Tests run side by side, and the page is one.
static WRITING: Mutex<()> = Mutex::new(());

/// Compares what stands between the marks of that name, or replaces it.
pub fn table(name: &str, table: &str) {
    between(name, |_| table.to_owned());
}

/// The same for one row of a table, which is named by its first cell; rows are in the order of
/// their names.
pub fn row(name: &str, cells: &[String]) {
    let row = format!("| {} |", cells.join(" | "));
    let key = format!("| {} |", cells[0]);
    between(name, |old| {
        let (head, rows) = old.split_at(old.find("-|\n").expect("the table has a head") + 3);
        let others = rows.lines().filter(|line| !line.starts_with(&key));
        let mut rows: Vec<&str> = others.chain([row.as_str()]).collect();
        rows.sort_unstable();
        format!("{head}{}\n", rows.join("\n"))
    });
}

fn between(name: &str, renew: impl FnOnce(&str) -> String) {
    let _alone = WRITING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let page = std::fs::read_to_string(PAGE).unwrap();
    let begin = format!("<!-- {name}: made by the tests with HANDFAST_BLESS=1 -->\n");
    let end = format!("<!-- end of the {name} -->\n");
    let (before, rest) = page.split_once(&begin).expect("the page has the table's beginning");
    let (old, after) = rest.split_once(&end).expect("the page has the table's end");
    let new = renew(old);
    if std::env::var_os("HANDFAST_BLESS").is_some() {
        std::fs::write(PAGE, format!("{before}{begin}{new}{end}{after}")).unwrap();
        return;
    }
    assert_eq!(old, new, "docs/proof.md is stale: run with HANDFAST_BLESS=1");
}
