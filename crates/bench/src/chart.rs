//! The report as a picture: for each line a bar of the ratio, with the mark of 1.

use std::fmt::Write as _;

use crate::Line;

const ROW: usize = 26;
const LEFT: f64 = 430.0;
const WIDTH: f64 = 300.0;

/// Bars of the ratios; a bar longer than 3 is cut and says its number.
pub fn svg(lines: &[Line]) -> String {
    let height = lines.len() * ROW + 50;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"900\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"900\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"10\" y=\"20\" font-weight=\"bold\">Handfast against its yardsticks: \
         ratios</text>\n"
    );
    for (index, line) in lines.iter().enumerate() {
        let top = 36 + index * ROW;
        let long = line.ratio().clamp(0.0, 3.0) / 3.0 * WIDTH;
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{}\">{}</text>\
             <rect x=\"{LEFT}\" y=\"{top}\" width=\"{long:.1}\" height=\"16\" fill=\"#4878a8\"/>\
             <text x=\"{:.1}\" y=\"{}\">{:.2} (aim {})</text>",
            top + 13,
            escaped(&line.what),
            LEFT + long + 6.0,
            top + 13,
            line.ratio(),
            escaped(line.aim),
        );
    }
    let one = LEFT + WIDTH / 3.0;
    let _ = writeln!(
        svg,
        "<line x1=\"{one}\" x2=\"{one}\" y1=\"30\" y2=\"{}\" stroke=\"#c33\"/>\n</svg>",
        height - 10
    );
    svg
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
