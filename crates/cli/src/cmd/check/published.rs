//! The published models: is the checker itself right?

use std::time::Instant;

use handfast_sim::published::CASES;
use serde::Serialize;

use super::{super::ticker::Ticker, how_far};
use crate::{
    args::Check,
    exit::{Exit, Failure},
    output::{Output, table},
};

#[derive(Serialize)]
struct Row {
    model: &'static str,
    parameters: &'static str,
    known: usize,
    /// How many states were counted; absent if something else was found.
    counted: Option<usize>,
    /// What was found instead, or that it is not finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<String>,
    seconds: f64,
}

pub fn run(args: &Check, output: &Output) -> Result<Exit, Failure> {
    let mut rows: Vec<Row> = Vec::new();
    let mut ticker = Ticker::of_walk(output, args.minutes)?;
    output.talk("walking models of others");
    for case in CASES.iter().filter(|case| args.all || !case.is_long) {
        let begun = Instant::now();
        let checked = case.check(&mut |progress| {
            let (model, parameters) = (case.model, case.parameters);
            ticker.tick(|| format!("{model}, {parameters}: {}", how_far(progress)))
        });
        rows.push(Row {
            model: case.model,
            parameters: case.parameters,
            known: case.distinct,
            counted: checked.as_ref().ok().map(|progress| progress.distinct),
            violation: checked.err(),
            seconds: begun.elapsed().as_secs_f64(),
        });
        if ticker.broke_off() {
            break;
        }
    }
    let broke_off = ticker.broke_off();
    ticker.finish();
    output.data(&rows, |rows| text(rows));
    // The one that was broken off says nothing.
    let whole = &rows[..rows.len() - usize::from(broke_off)];
    Ok(match whole.iter().all(|row| row.violation.is_none()) {
        false => Exit::No,
        true if broke_off => Exit::NOT_FINISHED,
        true => Exit::Ok,
    })
}

fn text(rows: &[Row]) -> String {
    let cells = |row: &Row| {
        let counted = row.counted.map(|counted| counted.to_string());
        let counted = counted.or(row.violation.clone()).unwrap_or_default();
        let [model, parameters] = [row.model, row.parameters].map(String::from);
        vec![model, parameters, row.known.to_string(), counted, format!("{:.1}", row.seconds)]
    };
    let rows: Vec<_> = rows.iter().map(cells).collect();
    table(&["model", "parameters", "states known", "states counted", "seconds"], &rows)
}
