//! Charts as SVG, drawn by hand: bars, and panels of lines.

use std::fmt::Write as _;

/// A quantity with its name.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    /// What is written behind the bar.
    pub(super) shown: String,
}

/// Lines over one pair of axes.
pub(super) struct Panel {
    pub(super) title: String,
    pub(super) x_label: &'static str,
    /// Whether equal distances on the x axis are equal factors.
    pub(super) log_x: bool,
    /// Where the y axis ends, if not where its values do.
    pub(super) y_max: Option<f64>,
    pub(super) series: Vec<Series>,
}

/// One line.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<Point>,
}

/// Where a point of the data is drawn.
type Map<'a> = &'a dyn Fn(&Point) -> Point;
type Point = (f64, f64);

/// Told apart by those who do not see all colours, too.
pub(super) const COLOURS: [&str; 4] = ["#35608f", "#d1662b", "#3d8f6b", "#8a5a9e"];

const ROW: usize = 28;
const PANEL_WIDTH: f64 = 400.0;
const PANEL_HEIGHT: f64 = 260.0;
const MARGIN: f64 = 46.0;

/// Bars, one below the other, the longest as long as there is room.
pub(super) fn bars(title: &str, bars: &[Bar]) -> String {
    let longest = bars.iter().map(|bar| bar.value).fold(f64::MIN_POSITIVE, f64::max);
    let height = bars.len() * ROW + 44;
    let mut svg = begin(860.0, height as f64);
    let _ = writeln!(svg, "<text x=\"10\" y=\"22\" font-weight=\"bold\">{}</text>", escaped(title));
    for (index, bar) in bars.iter().enumerate() {
        let top = 36 + index * ROW;
        let width = bar.value / longest * 280.0;
        let colour = COLOURS[index % 2];
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{}\">{}</text><rect x=\"380\" y=\"{top}\" width=\"{width:.1}\" \
             height=\"18\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{}\">{}</text>",
            top + 14,
            escaped(&bar.label),
            388.0 + width,
            top + 14,
            escaped(&bar.shown),
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// Panels, two in a row.
pub(super) fn lines(panels: &[Panel]) -> String {
    let rows = panels.len().div_ceil(2);
    let columns = panels.len().min(2);
    let mut svg = begin(columns as f64 * PANEL_WIDTH + 20.0, rows as f64 * PANEL_HEIGHT + 10.0);
    for (index, panel) in panels.iter().enumerate() {
        let left = (index % 2) as f64 * PANEL_WIDTH;
        let top = (index / 2) as f64 * PANEL_HEIGHT;
        let _ = writeln!(svg, "<g transform=\"translate({left:.0} {top:.0})\">");
        panel.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg.push_str("</svg>\n");
    svg
}

pub(super) fn begin(width: f64, height: f64) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
         viewBox=\"0 0 {width:.0} {height:.0}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width:.0}\" height=\"{height:.0}\" fill=\"#fff\"/>\n"
    )
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let (x_min, x_max) = points()
            .map(|(x, _)| self.x(*x))
            .fold((f64::MAX, f64::MIN), |(min, max), x| (min.min(x), max.max(x)));
        let highest = points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max);
        let y_max = self.y_max.unwrap_or_else(|| round_up(highest));
        let (width, height) = (PANEL_WIDTH - 2.0 * MARGIN, PANEL_HEIGHT - 2.0 * MARGIN);
        let bottom = PANEL_HEIGHT - MARGIN;
        let place = |(x, y): &Point| {
            let across = (self.x(*x) - x_min) / (x_max - x_min).max(f64::MIN_POSITIVE);
            (MARGIN + across * width, bottom - y / y_max * height)
        };
        let _ = writeln!(
            svg,
            "<text x=\"{MARGIN}\" y=\"22\" font-weight=\"bold\">{}</text>\
             <path d=\"M{MARGIN} {:.1}V{bottom:.1}H{:.1}\" fill=\"none\" stroke=\"#666\"/>",
            escaped(&self.title),
            bottom - height,
            MARGIN + width,
        );
        for step in 0..=4 {
            let value = y_max * f64::from(step) / 4.0;
            let y = bottom - height * f64::from(step) / 4.0;
            let _ = writeln!(
                svg,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#555\">{}</text>",
                MARGIN - 6.0,
                y + 4.0,
                short(value),
            );
        }
        self.x_axis(svg, bottom, &place);
        for (index, series) in self.series.iter().enumerate() {
            series.draw(svg, index, self.series.len(), &place);
        }
    }

    /// Names the places of the first line's points, as far as there is room.
    fn x_axis(&self, svg: &mut String, bottom: f64, place: Map<'_>) {
        let mut free_from = 0.0;
        for point in self.series.iter().take(1).flat_map(|series| &series.points) {
            let (x, _) = place(point);
            if x >= free_from {
                free_from = x + 36.0;
                let _ = writeln!(
                    svg,
                    "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#555\">{}</text>",
                    bottom + 16.0,
                    short(point.0),
                );
            }
        }
        let _ = writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            PANEL_WIDTH / 2.0,
            bottom + 34.0,
            escaped(self.x_label),
        );
    }

    fn x(&self, x: f64) -> f64 {
        if self.log_x { x.ln() } else { x }
    }
}

impl Series {
    fn draw(&self, svg: &mut String, index: usize, of: usize, place: Map<'_>) {
        let colour = COLOURS[index % COLOURS.len()];
        let mut line = String::new();
        for point in &self.points {
            let (x, y) = place(point);
            let _ = write!(line, "{x:.1},{y:.1} ");
            let _ =
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2.5\" fill=\"{colour}\"/>");
        }
        let _ = writeln!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
            line.trim_end()
        );
        let left = MARGIN + 8.0 + index as f64 * (PANEL_WIDTH - 2.0 * MARGIN) / of as f64;
        let _ = writeln!(
            svg,
            "<text x=\"{left:.1}\" y=\"38\" fill=\"{colour}\">{}</text>",
            escaped(&self.name)
        );
    }
}

/// The next number of the kind 1, 2, 5, 10, 20, ... that is not below.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    let steps = [1.0, 2.0, 4.0, 5.0, 8.0, 10.0];
    steps.iter().map(|step| step * power).find(|round| *round >= value).unwrap_or(value)
}

/// A number in as few digits as tell it from its neighbours.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').into()
}
