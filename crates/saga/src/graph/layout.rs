//! Where nodes stand and lines run: nodes in columns, lines through the columns between, so that
//! no line runs through a node.

pub(super) const NODE_WIDTH: i32 = 190;
pub(super) const NODE_HEIGHT: i32 = 66;
pub(super) const GAP: i32 = 64;
const ROW_GAP: i32 = 26;
/// What a line needs in a column that it passes.
const LINE_HEIGHT: i32 = 20;

/// A line from one node to another, further to the right.
#[derive(Clone, Debug)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
    /// The way forward.
    pub forward: bool,
    /// The way back, from `to` to `from`.
    pub undo: bool,
}

/// The places of all.
pub(super) struct Layout {
    /// The middle of each node.
    pub nodes: Vec<(i32, i32)>,
    /// The places of each line, from left to right.
    pub lines: Vec<Vec<(i32, i32)>>,
    pub width: i32,
    pub height: i32,
}

/// What stands in a column.
#[derive(Clone, Copy)]
enum Cell {
    Node(usize),
    /// A line that passes.
    Line(usize),
}

/// Places nodes by their levels. Every link must lead to a higher level.
pub(super) fn place(levels: &[usize], links: &[Link]) -> Layout {
    let columns = levels.iter().max().map_or(0, |last| last + 1);
    let mut layout = Layout {
        nodes: vec![(0, 0); levels.len()],
        lines: vec![Vec::new(); links.len()],
        width: i32::try_from(columns).unwrap_or(i32::MAX / 1000) * (NODE_WIDTH + GAP) - GAP,
        height: 0,
    };
    let mut left = 0;
    for column in 0..columns {
        let cells = cells(column, levels, links, &layout);
        let height: i32 = cells.iter().map(|cell| cell.height() + ROW_GAP).sum::<i32>() - ROW_GAP;
        layout.height = layout.height.max(height);
        // Around a line through the middle, which is at zero.
        let mut top = -height / 2;
        for cell in cells {
            let y = top + cell.height() / 2;
            top += cell.height() + ROW_GAP;
            match cell {
                Cell::Node(node) => {
                    layout.nodes[node] = (left + NODE_WIDTH / 2, y);
                    end_lines(node, (left, y), links, &mut layout);
                }
                Cell::Line(line) => {
                    layout.lines[line].extend([(left, y), (left + NODE_WIDTH, y)]);
                }
            }
        }
        left += NODE_WIDTH + GAP;
    }
    layout
}

impl Cell {
    fn height(self) -> i32 {
        match self {
            Self::Node(_) => NODE_HEIGHT,
            Self::Line(_) => LINE_HEIGHT,
        }
    }
}

/// What stands in a column, from top to bottom: each near the middle of where it comes from.
fn cells(column: usize, levels: &[usize], links: &[Link], layout: &Layout) -> Vec<Cell> {
    let height_of = |line: usize| layout.lines[line].last().map_or(0, |(_, y)| *y);
    let mut cells: Vec<(i32, Cell)> = Vec::new();
    for node in (0..levels.len()).filter(|node| levels[*node] == column) {
        let comes: Vec<i32> =
            (0..links.len()).filter(|line| links[*line].to == node).map(height_of).collect();
        let count = i32::try_from(comes.len().max(1)).unwrap_or(1);
        cells.push((comes.iter().sum::<i32>() / count, Cell::Node(node)));
    }
    for (line, link) in links.iter().enumerate() {
        if levels[link.from] < column && column < levels[link.to] {
            cells.push((height_of(line), Cell::Line(line)));
        }
    }
    cells.sort_by_key(|(height, _)| *height);
    cells.into_iter().map(|(_, cell)| cell).collect()
}

/// Ends the lines that lead to a node, and begins those that lead on.
fn end_lines(node: usize, (left, y): (i32, i32), links: &[Link], layout: &mut Layout) {
    for (line, link) in links.iter().enumerate() {
        if link.to == node {
            layout.lines[line].push((left, y));
        }
        if link.from == node {
            layout.lines[line].push((left + NODE_WIDTH, y));
        }
    }
}
