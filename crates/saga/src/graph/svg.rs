//! SVG text.

use std::fmt::Write as _;

use handfast_client::wire::BranchKind;

use super::{
    Node,
    layout::{GAP, Layout, Link, NODE_HEIGHT, NODE_WIDTH},
};

const MARGIN: i32 = 24;
const HEAD: i32 = 56;
const FOOT: i32 = 34;
/// How far apart the way forward and the way back run.
const APART: i32 = 7;
const TITLE_CHARS: usize = 20;
const LINE_CHARS: usize = 24;
/// How wide a character of the head is, at most.
const HEAD_CHAR: i32 = 8;

/// Colours for a light page, and others for a dark one. No variables: few programs but browsers
/// know them.
const STYLE: &str = "\
.page{fill:#fff}
text{font:13px system-ui,sans-serif;fill:#5b6675}
.name{font-weight:600;font-size:14px;fill:#1c2430}
.head{font-weight:600;font-size:17px;fill:#1c2430}
.mid{text-anchor:middle}
.node{fill:#f4f6f9;stroke:#8a94a3;stroke-width:1.5}
.good{fill:#e2f3e6;stroke:#2c8a4b}
.busy{fill:#fdf1d4;stroke:#b27b0b}
.bad{fill:#fbe3e1;stroke:#c0342b;stroke-width:2.5}
.back{fill:#eee6f7;stroke:#7a4fb0}
.idle{stroke-dasharray:2 3}
.go,.undo{fill:none;stroke:#8a94a3;stroke-width:1.6}
.undo{stroke:#b3541e;stroke-dasharray:6 4}
.go-tip{fill:#8a94a3}
.undo-tip{fill:#b3541e}
@media (prefers-color-scheme:dark){
.page{fill:#12161c}
text{fill:#9aa5b4}
.name,.head{fill:#e6eaf0}
.node{fill:#1d242d;stroke:#6d7887}
.good{fill:#16341f;stroke:#55bd78}
.busy{fill:#3a2e10;stroke:#e0ad3d}
.bad{fill:#43201d;stroke:#f0736a}
.back{fill:#2c2140;stroke:#b08be0}
.go{stroke:#6d7887}
.undo{stroke:#f0975a}
.go-tip{fill:#6d7887}
.undo-tip{fill:#f0975a}
}
";

/// How a node looks.
#[derive(Clone, Copy)]
pub(super) enum Look {
    /// Part of a definition.
    Plain,
    /// Nothing has happened.
    Idle,
    /// Something is under way.
    Busy,
    /// As it should be.
    Good,
    /// Taken back.
    Back,
    /// Refused, or a person is needed.
    Bad,
}

impl Look {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "node",
            Self::Idle => "node idle",
            Self::Busy => "node busy",
            Self::Good => "node good",
            Self::Back => "node back",
            Self::Bad => "node bad",
        }
    }
}

/// The whole picture.
pub(super) fn picture(
    title: &str,
    about: &str,
    nodes: &[Node],
    links: &[Link],
    layout: &Layout,
) -> String {
    let about = cut(about, 90);
    let head = about.chars().count().max(cut(title, 64).chars().count());
    let head = i32::try_from(head).unwrap_or(0) * HEAD_CHAR;
    let width = layout.width.max(head).max(400) + 2 * MARGIN;
    let height = HEAD + layout.height + FOOT + 2 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}\
         </style>\n<defs>{}{}</defs>\n<rect class=\"page\" width=\"{width}\" \
         height=\"{height}\"/>\n",
        text(title),
        tip("go"),
        tip("undo"),
    );
    write(&mut svg, MARGIN, MARGIN + 17, "head", &cut(title, 64));
    write(&mut svg, MARGIN, MARGIN + 38, "about", &about);
    let middle = MARGIN + HEAD + layout.height / 2;
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {middle})\">");
    for (link, points) in links.iter().zip(&layout.lines) {
        if link.forward {
            let apart = if link.undo { APART } else { 0 };
            line(&mut svg, "go", points.iter().map(|(x, y)| (*x, y - apart)));
        }
        if link.undo {
            line(&mut svg, "undo", points.iter().rev().map(|(x, y)| (*x, y + APART)));
        }
    }
    for (node, at) in nodes.iter().zip(&layout.nodes) {
        draw_node(&mut svg, node, *at);
    }
    svg.push_str("</g>\n");
    legend(&mut svg, height - MARGIN, links.iter().any(|link| link.undo));
    svg.push_str("</svg>\n");
    svg
}

fn draw_node(svg: &mut String, node: &Node, (x, y): (i32, i32)) {
    let class = node.look.class();
    let (left, top) = (x - NODE_WIDTH / 2, y - NODE_HEIGHT / 2);
    let corner = match node.kind {
        Some(BranchKind::Prepare) => 3,
        Some(BranchKind::Step) => 14,
        Some(BranchKind::Deliver) => NODE_HEIGHT / 2,
        None => {
            let (right, bottom) = (left + NODE_WIDTH, top + NODE_HEIGHT);
            let _ = writeln!(
                svg,
                "<path class=\"{class}\" d=\"M{left} {y}L{x} {top}L{right} {y}L{x} {bottom}Z\"/>"
            );
            return write(svg, x, y + 5, "name mid", &cut(&node.title, TITLE_CHARS));
        }
    };
    let _ = writeln!(
        svg,
        "<g><title>{}</title><rect class=\"{class}\" x=\"{left}\" y=\"{top}\" \
         width=\"{NODE_WIDTH}\" height=\"{NODE_HEIGHT}\" rx=\"{corner}\"/>",
        text(&format!("{}\n{}", node.title, node.more)),
    );
    write(svg, x, top + 22, "name mid", &cut(&node.title, TITLE_CHARS));
    for (line, down) in node.lines.iter().zip([40, 57]) {
        write(svg, x, top + down, "mid", &cut(line, LINE_CHARS));
    }
    svg.push_str("</g>\n");
}

/// A line through the points with soft bends, and an arrow where it ends.
fn line(svg: &mut String, class: &str, mut points: impl Iterator<Item = (i32, i32)>) {
    let Some((mut x, mut y)) = points.next() else { return };
    let mut path = format!("M{x} {y}");
    for (to_x, to_y) in points {
        let bend = (x + to_x) / 2;
        let _ = write!(path, "C{bend} {y} {bend} {to_y} {to_x} {to_y}");
        (x, y) = (to_x, to_y);
    }
    let _ = writeln!(svg, "<path class=\"{class}\" d=\"{path}\" marker-end=\"url(#hf-{class})\"/>");
}

fn tip(class: &str) -> String {
    format!(
        "<marker id=\"hf-{class}\" viewBox=\"0 0 8 8\" refX=\"7.5\" refY=\"4\" markerWidth=\"8\" \
         markerHeight=\"8\" markerUnits=\"userSpaceOnUse\" orient=\"auto\">\
         <path class=\"{class}-tip\" d=\"M0 0L8 4L0 8Z\"/></marker>"
    )
}

fn legend(svg: &mut String, y: i32, undoes: bool) {
    let entry = |svg: &mut String, left: i32, class, words| {
        line(svg, class, [(left, y - 4), (left + GAP / 2, y - 4)].into_iter());
        write(svg, left + GAP / 2 + 8, y, "key", words);
    };
    entry(svg, MARGIN, "go", "comes after");
    if undoes {
        entry(svg, MARGIN + 150, "undo", "undone after, if it aborts");
    }
}

fn write(svg: &mut String, x: i32, y: i32, class: &str, words: &str) {
    if !words.is_empty() {
        let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", text(words));
    }
}

/// At most so many characters.
fn cut(words: &str, chars: usize) -> String {
    match words.char_indices().nth(chars) {
        None => words.into(),
        Some(_) => words.chars().take(chars - 1).chain(['…']).collect(),
    }
}

/// Text as XML takes it, whoever wrote it.
fn text(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    for c in words.chars() {
        match c {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&quot;"),
            '\'' => text.push_str("&#39;"),
            '\n' => text.push('\n'),
            // XML has no place for these, not even escaped.
            '\u{fffe}' | '\u{ffff}' => text.push(' '),
            c if c.is_control() => text.push(' '),
            c => text.push(c),
        }
    }
    text
}
