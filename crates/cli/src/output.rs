//! Data goes to stdout, talk to stderr.

use std::{
    fmt::Write as _,
    io::{ErrorKind, Write as _},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::Serialize;

use crate::exit::Failure;

/// How results are shown.
pub struct Output {
    json: bool,
}

impl Output {
    pub fn new(json: bool) -> Self {
        Self { json }
    }

    /// Shows a result: its JSON, or its text.
    pub fn data<T: Serialize>(&self, value: &T, text: impl FnOnce(&T) -> String) {
        let text = match self.json {
            true => serde_json::to_string_pretty(value).expect("results have string keys only"),
            false => text(value),
        };
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        match writeln!(std::io::stdout(), "{text}") {
            // The reader, such as `head`, has seen enough.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
            Err(e) => self.talk(&format!("failed to write to stdout: {e}")),
            Ok(()) => {}
        }
    }

    /// Says something to the person at the terminal.
    pub fn talk(&self, text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    pub fn failure(&self, failure: &Failure) {
        if self.json {
            let value = serde_json::json!({
                "error": failure.message, "code": failure.code, "cure": failure.cure,
                "exit": failure.exit as u8,
            });
            return self.talk(&value.to_string());
        }
        let code = failure.code.as_ref().map(|code| format!(" [{code}]")).unwrap_or_default();
        self.talk(&format!("error{code}: {}", failure.message));
        if !failure.cure.is_empty() {
            self.talk(&format!("  try: {}", failure.cure));
        }
    }
}

/// Rows under a head, in columns as wide as their widest cell.
pub fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let mut text = String::new();
    let mut line = |cells: &mut dyn Iterator<Item = &str>| {
        let mut line = String::new();
        for (cell, width) in cells.zip(&widths) {
            // What others said may hold line breaks, and worse.
            let cell = cell.replace(char::is_control, " ");
            let _ = write!(line, "{cell:width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    };
    line(&mut head.iter().copied());
    for row in rows {
        line(&mut row.iter().map(String::as_str));
    }
    text
}

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis().try_into().unwrap_or(u64::MAX)
}

/// `4 ms`, `1.2 s`, `3 min 5 s`, `2 h 10 min`, `3 d 4 h`.
pub fn span(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1000 / 100),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3600),
    }
}

/// As [`span`], for what was measured here.
pub fn span_of(time: Duration) -> String {
    span(time.as_millis().try_into().unwrap_or(u64::MAX))
}

/// `3 min 5 s ago`, or `in 4 s`.
pub fn relative(at_ms: u64, now_ms: u64) -> String {
    match now_ms.checked_sub(at_ms) {
        Some(past) => format!("{} ago", span(past)),
        None => format!("in {}", span(at_ms - now_ms)),
    }
}

/// `2026-11-21 14:40:08.123 UTC`.
pub fn utc(at_ms: u64) -> String {
    let (days, ms) = (at_ms / 86_400_000, at_ms % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:03} UTC", ms % 1000)
}

/// The Gregorian date that many days after 1970-01-01. Years begin in March here, so that the
/// leap day is the last of its year and a month's first day is (153 m + 2) / 5.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(utc(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00.000 UTC");
        assert_eq!(utc(951_868_799_999), "2000-02-29 23:59:59.999 UTC");
        assert_eq!(utc(951_868_800_000), "2000-03-01 00:00:00.000 UTC");
        assert_eq!(utc(1_795_272_008_123), "2026-11-21 14:40:08.123 UTC");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00.000 UTC");
    }

    #[test]
    fn spans_are_short() {
        let spans = [999, 1_000, 61_500, 3_660_000, 90_000_000].map(span);
        assert_eq!(spans, ["999 ms", "1.0 s", "1 min 1 s", "1 h 1 min", "1 d 1 h"]);
        assert_eq!(relative(1_000, 5_000), "4.0 s ago");
        assert_eq!(relative(5_000, 1_000), "in 4.0 s");
        let far = relative(u64::MAX, 0);
        assert!(far.starts_with("in "), "{far}");
    }

    #[test]
    fn columns_are_aligned() {
        let text = table(&["A", "LONG"], &[vec!["xyz".into(), "é".into()]]);
        assert_eq!(text, "A    LONG\nxyz  é\n");
    }
}
