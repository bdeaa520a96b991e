//! The read side, while the log is being written.

use handfast_core::machine::Summary;
use handfast_log::{Batch, Change, Line, ListQuery, Log, Page, Reader, Sqlite, sqlite::WALK_MAX};

use crate::scratch::Scratch;

fn log_with_streams(scratch: &Scratch) -> Sqlite {
    let mut log = scratch.open().unwrap();
    for (number, (name, state, label, open)) in [
        ("pay-1", "committed", "checking savings", false),
        ("pay-2", "committing", "checking", true),
        ("ship-1", "aborted", "savings", false),
        ("ship-2", "committing", "check savings", true),
        ("pay-1", "mixed", "checking savings", true),
    ]
    .into_iter()
    .enumerate()
    {
        let mut batch = Batch::default();
        batch.push(Change {
            stream: name.into(),
            records: vec![format!("{{\"number\":{number}}}")],
            snapshot: false,
            open,
            summary: Summary { state, label: label.into() },
        });
        log.append(&batch, 1_000 * (number as u64 + 1)).unwrap();
    }
    log
}

fn names(reader: &Reader, query: ListQuery) -> Vec<String> {
    reader.list(&query).unwrap().lines.into_iter().map(|line| line.name).collect()
}

#[test]
fn lists_show_the_last_changed_first_and_filter() {
    let scratch = Scratch::new();
    let _log = log_with_streams(&scratch);
    let reader = Sqlite::reader(&scratch.dir).unwrap();
    let any = || ListQuery { limit: 50, ..ListQuery::default() };
    assert_eq!(names(&reader, any()), ["pay-1", "ship-2", "ship-1", "pay-2"]);
    let states = vec!["committing".to_string(), "aborted".into()];
    let labelled = |label: &str| ListQuery { label: Some(label.into()), ..any() };
    let prefixed = |prefix: &str| ListQuery { prefix: Some(prefix.into()), ..any() };
    for open_only in [false, true] {
        let filtered = |query: ListQuery| names(&reader, ListQuery { open_only, ..query });
        let closed = |names: &[&str]| -> Vec<String> {
            let shown = names.iter().filter(|name| !open_only || **name != "ship-1");
            shown.map(ToString::to_string).collect()
        };
        let in_states = ListQuery { states: states.clone(), ..any() };
        assert_eq!(filtered(in_states), closed(&["ship-2", "ship-1", "pay-2"]));
        assert_eq!(filtered(labelled("savings")), closed(&["pay-1", "ship-2", "ship-1"]));
        assert_eq!(filtered(labelled("check")), ["ship-2"], "a whole word");
        let starting = |starts: &str| ListQuery { starts: Some(starts.into()), ..any() };
        assert_eq!(filtered(starting("sav")), closed(&["pay-1", "ship-2", "ship-1"]));
        assert!(filtered(starting("avings")).is_empty(), "the start of a word");
        assert_eq!(filtered(prefixed("ship-")), closed(&["ship-2", "ship-1"]));
        assert_eq!(filtered(prefixed("")).len(), if open_only { 3 } else { 4 });
        let both = ListQuery { states: states.clone(), ..prefixed("pay") };
        assert_eq!(filtered(both), ["pay-2"]);
    }
    let line = &reader.list(&any()).unwrap().lines[0];
    assert_eq!((line.state.as_str(), line.label.as_str()), ("mixed", "checking savings"));
    assert_eq!((line.open, line.changed_at_ms, line.last_position), (true, 5_000, 5));
}

#[test]
fn open_streams_are_counted_by_the_words_of_their_labels() {
    let scratch = Scratch::new();
    let _log = log_with_streams(&scratch);
    let reader = Sqlite::reader(&scratch.dir).unwrap();
    let counted = |starts: &str| reader.count_open(starts).unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(counted("check"), [("".into(), 1), ("ing".into(), 2)]);
    assert_eq!(counted("sav"), [("ings".into(), 2)], "not the one that is closed");
    assert_eq!(counted("avings"), [], "the start of a word");
}

#[test]
fn a_stream_is_found_by_its_mark_for_as_long_as_it_is_kept() {
    let scratch = Scratch::new();
    let mut log = scratch.open().unwrap();
    let mut append = |name: &str, label: &str, open| {
        let mut batch = Batch::default();
        let summary = Summary { state: "s", label: label.into() };
        let records = vec!["{}".to_owned()];
        batch.push(Change { stream: name.into(), records, snapshot: false, open, summary });
        log.append(&batch, 1).unwrap();
    };
    append("a", "!1-1 checking", true);
    append("b", "!1-10 !stuck", true);
    append("c", "checking !1-2", false);
    append("d", "!1-3", false);
    // The words behind it may change.
    append("a", "!1-1 checking !stuck", true);
    let reader = Sqlite::reader(&scratch.dir).unwrap();
    let marked = |mark: &str| reader.marked(mark).unwrap();
    assert_eq!(marked("!1-1").as_deref(), Some("a"));
    assert_eq!(marked("!1-10").as_deref(), Some("b"));
    assert_eq!(marked("!1-3").as_deref(), Some("d"));
    for unknown in ["!1-2", "checking", "!stuck", "!1", ""] {
        assert_eq!(marked(unknown), None, "{unknown}");
    }
    log.prune(u64::MAX, 9).unwrap();
    assert_eq!((marked("!1-1").as_deref(), marked("!1-3")), (Some("a"), None));
}

#[test]
fn pages_follow_each_other() {
    let scratch = Scratch::new();
    let mut log = log_with_streams(&scratch);
    let reader = Sqlite::reader(&scratch.dir).unwrap();
    for (prefix, open_only) in [(None, false), (Some("pay"), false), (None, true)] {
        let query = ListQuery { prefix: prefix.map(Into::into), open_only, ..ListQuery::default() };
        let whole = reader.list(&ListQuery { limit: 50, ..query.clone() }).unwrap();
        assert_eq!(whole.next, None);
        assert_eq!(pages(&reader, &ListQuery { limit: 1, ..query }).concat(), whole.lines);
    }
    log.prune(u64::MAX, 1).unwrap();
    assert_eq!(names(&reader, ListQuery { limit: 9, ..ListQuery::default() }).len(), 3);
}

/// All pages of a list.
fn pages(reader: &Reader, query: &ListQuery) -> Vec<Vec<Line>> {
    let (mut pages, mut query) = (Vec::new(), query.clone());
    loop {
        let Page { lines, next } = reader.list(&query).unwrap();
        pages.push(lines);
        match next {
            Some(_) => query.before = next,
            None => return pages,
        }
    }
}

/// However many do not fit a filter, one page looks at so many records and no more; and what fits
/// is on one page of them.
#[test]
fn a_page_is_bounded_also_where_nothing_fits() {
    let scratch = Scratch::new();
    let mut log = log_with_streams(&scratch);
    let finished = |number: u64| Change {
        stream: format!("done-{number:06}").into(),
        records: vec!["{}".into()],
        snapshot: false,
        open: false,
        summary: Summary { state: "committed", label: "checking".into() },
    };
    let mut batch = Batch::default();
    (0..2 * WALK_MAX + 10).for_each(|number| batch.push(finished(number)));
    log.append(&batch, 9_000).unwrap();
    let reader = Sqlite::reader(&scratch.dir).unwrap();
    let any = ListQuery { limit: 50, ..ListQuery::default() };
    let aborted = ListQuery { states: vec!["aborted".into()], ..any.clone() };
    let common = ListQuery { prefix: Some("".into()), ..aborted.clone() };
    let nobody = ListQuery { label: Some("nobody".into()), ..any.clone() };
    let no_start = ListQuery { starts: Some("ecking".into()), ..any.clone() };
    let found = |query| {
        let pages = pages(&reader, query);
        (pages.len(), pages.concat().into_iter().map(|line| line.name).collect::<Vec<_>>())
    };
    assert_eq!(found(&aborted), (3, vec!["ship-1".into()]));
    assert_eq!(found(&common), (3, vec!["ship-1".into()]));
    assert_eq!(found(&nobody), (3, vec![]));
    assert_eq!(found(&no_start), (3, vec![]));
    let rare = ListQuery { prefix: Some("ship-".into()), ..any.clone() };
    assert_eq!(found(&rare), (1, vec!["ship-2".into(), "ship-1".into()]), "by the index of names");
    let open = ListQuery { open_only: true, ..any };
    assert_eq!(found(&open).0, 1, "by the index of open ones");
}

#[test]
fn a_stream_is_seen_as_soon_as_it_is_appended() {
    let scratch = Scratch::new();
    let mut log = log_with_streams(&scratch);
    let reader = Sqlite::reader(&scratch.dir).unwrap();
    assert_eq!(reader.stream("pay-1").unwrap(), log.read("pay-1").unwrap());
    log.append(&crate::counter::batch("new", &["{}"], true), 9).unwrap();
    assert_eq!(reader.stream("new").unwrap().len(), 1);
    assert_eq!(reader.stream("nobody").unwrap(), []);
}

#[test]
fn there_is_nothing_to_read_where_there_is_no_log() {
    let scratch = Scratch::new();
    let error = Reader::open(&scratch.dir).unwrap_err().to_string();
    assert!(error.contains("log.db"), "{error}");
    assert!(!scratch.dir.exists(), "and nothing is made");
}
