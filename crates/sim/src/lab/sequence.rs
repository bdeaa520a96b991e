//! A message sequence as SVG: a line for each place, time from top to bottom.
//!
//! Moments follow each other in their order, at even distances: what takes seconds and what takes
//! milliseconds would not fit on one page otherwise. The clock stands at the left.

use std::fmt::Write as _;

use super::{
    chart::{COLOURS, begin, escaped},
    cluster::{Hop, Place},
    ms,
};

/// Something that is true of a place from a moment on, or of all.
pub(super) struct Mark {
    pub(super) place: Option<Place>,
    pub(super) at_us: u64,
    pub(super) text: String,
}

const LEFT: f64 = 180.0;
const APART: f64 = 260.0;
const TOP: f64 = 60.0;
const STEP: f64 = 26.0;
/// A message that is sent again and again is drawn so often.
const REPEATS_MAX: usize = 2;

/// Draws what the places said to each other.
pub(super) fn sequence(places: &[&str], hops: &[Hop], marks: &[Mark]) -> String {
    let hops = without_repeats(hops);
    let mut moments: Vec<u64> = hops.iter().flat_map(|hop| [hop.sent_us, hop.arrives_us]).collect();
    moments.extend(marks.iter().map(|mark| mark.at_us));
    moments.sort_unstable();
    moments.dedup();
    let y = |at_us: u64| {
        let at = moments.partition_point(|moment| *moment < at_us);
        TOP + STEP * (at as f64 + 0.5)
    };
    let height = TOP + STEP * (moments.len() as f64 + 1.0);
    let mut svg = begin(LEFT + APART * (places.len() as f64 - 0.5), height);
    svg.push_str(
        "<defs><marker id=\"arrow\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#333\"/>\
         </marker></defs>\n",
    );
    for (place, name) in places.iter().enumerate() {
        let x = x(place);
        let _ = writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"34\" text-anchor=\"middle\" font-weight=\"bold\">{}</text>\
             <path d=\"M{x:.1} 44V{:.1}\" stroke=\"#999\"/>",
            escaped(name),
            height - 10.0,
        );
    }
    for moment in &moments {
        let _ = writeln!(
            svg,
            "<text x=\"100\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#777\">{} ms</text>",
            y(*moment) + 4.0,
            ms(*moment as f64),
        );
    }
    for hop in &hops {
        arrow(&mut svg, hop, y(hop.sent_us), y(hop.arrives_us));
    }
    for mark in marks {
        mark.draw(&mut svg, y(mark.at_us), LEFT + APART * (places.len() as f64 - 1.0));
    }
    svg.push_str("</svg>\n");
    svg
}

impl Mark {
    fn draw(&self, svg: &mut String, y: f64, right: f64) {
        let text = escaped(&self.text);
        let _ = match self.place.map(x) {
            Some(x) => writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{}\"/><text x=\"{:.1}\" \
                 y=\"{:.1}\" font-weight=\"bold\">{text}</text>",
                COLOURS[0],
                x + 8.0,
                y + 14.0,
            ),
            None => writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{right:.1}\" stroke=\"#999\" stroke-dasharray=\"1 5\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#777\">{text}</text>",
                right + 8.0,
                y + 4.0,
            ),
        };
    }
}

fn x(place: Place) -> f64 {
    LEFT + APART * place as f64
}

/// Messages to itself say nothing here, and what is said again and again is shown a few times.
fn without_repeats(hops: &[Hop]) -> Vec<&Hop> {
    let mut shown: Vec<&Hop> = Vec::new();
    for hop in hops.iter().filter(|hop| hop.from != hop.to) {
        let same =
            |other: &&&Hop| (other.from, other.to, &other.label) == (hop.from, hop.to, &hop.label);
        if shown.iter().filter(same).count() < REPEATS_MAX {
            shown.push(hop);
        }
    }
    shown
}

/// A lost message ends on its way, in a cross.
fn arrow(svg: &mut String, hop: &Hop, from_y: f64, to_y: f64) {
    let (from, to) = (x(hop.from), x(hop.to));
    let (end, end_y) = (from + (to - from) * 0.65, from_y + (to_y - from_y) * 0.65);
    let (label_x, label_y) = (from + (to - from) * 0.3, from_y + (to_y - from_y) * 0.3 - 5.0);
    let label = escaped(&hop.label);
    if hop.lost {
        let colour = COLOURS[1];
        let _ = writeln!(
            svg,
            "<path d=\"M{from:.1} {from_y:.1}L{end:.1} {end_y:.1}\" stroke=\"{colour}\" \
             stroke-dasharray=\"4 3\"/><text x=\"{end:.1}\" y=\"{:.1}\" text-anchor=\"middle\" \
             fill=\"{colour}\" font-weight=\"bold\">×</text>",
            end_y + 4.0,
        );
    } else {
        let _ = writeln!(
            svg,
            "<path d=\"M{from:.1} {from_y:.1}L{to:.1} {to_y:.1}\" stroke=\"#333\" \
             marker-end=\"url(#arrow)\"/>"
        );
    }
    let _ = writeln!(
        svg,
        "<text x=\"{label_x:.1}\" y=\"{label_y:.1}\" text-anchor=\"middle\">{label}</text>"
    );
}
