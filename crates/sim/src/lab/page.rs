//! One page with everything on it.

use std::fmt::Write as _;

use super::{Experiment, Table, chart::escaped};

/// The report: an HTML page that needs no other file.
pub fn page(experiments: &[Experiment]) -> String {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <title>Handfast lab</title>\n<style>\n\
         body { font: 16px/1.5 sans-serif; max-width: 60em; margin: 2em auto; padding: 0 1em; }\n\
         table { border-collapse: collapse; font-size: 14px; margin: 1em 0; }\n\
         th, td { border-bottom: 1px solid #ddd; padding: 2px 12px 2px 0; text-align: left; }\n\
         svg { max-width: 100%; height: auto; }\n\
         </style></head><body>\n<h1>Handfast lab</h1>\n\
         <p>Experiments with Handfast's own state machines in virtual time. \
         The same seed gives the same numbers.</p>\n",
    );
    for experiment in experiments {
        let Experiment { name, title, text, table, picture } = experiment;
        let _ =
            writeln!(page, "<h2 id=\"{name}\">{}</h2>\n<p>{}</p>", escaped(title), escaped(text));
        page.push_str(picture);
        rows(&mut page, table);
    }
    page.push_str("</body></html>\n");
    page
}

fn rows(page: &mut String, table: &Table) {
    page.push_str("<table>\n<tr>");
    for cell in &table.head {
        let _ = write!(page, "<th>{}</th>", escaped(cell));
    }
    page.push_str("</tr>\n");
    for row in &table.rows {
        page.push_str("<tr>");
        for cell in row {
            let _ = write!(page, "<td>{}</td>", escaped(cell));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table>\n");
}
