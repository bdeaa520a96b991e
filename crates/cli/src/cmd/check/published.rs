//! The published models: is the checker itself right?

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
    /// What was found instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    violation: Option<String>,
    seconds: f64,
}

pub fn run(args: &Check, output: &Output) -> Result<Exit, Failure> {
    let mut rows = Vec::new();
    for case in CASES.iter().filter(|case| args.all || !case.is_long) {
        let mut ticker = Ticker::new(output, args.minutes);
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
            seconds: ticker.finish(),
        });
    }
    output.data(&rows, |rows| text(rows));
    Ok(if rows.iter().all(|row| row.violation.is_none()) { Exit::Ok } else { Exit::No })
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
