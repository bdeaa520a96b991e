//! Pictures: the branches of a definition, or of one transaction, as a graph from left to right
//! through the decision, with the ways of undoing dashed.

mod layout;
mod svg;

use handfast_client::wire::{
    Branch, BranchKind, BranchState, BranchView, Call, Outcome, SagaDefinition, SagaFinding, State,
    TimelineEntry, Transaction,
};

use self::{layout::Link, svg::Look};
use crate::{
    check::misplaced,
    order::{Order, kind},
};

/// A node of the picture: a branch, or the decision.
struct Node {
    title: String,
    /// Two lines under the title.
    lines: [String; 2],
    /// Shown when the pointer rests on it.
    more: String,
    look: Look,
    /// `None` for the decision.
    kind: Option<BranchKind>,
    /// Whether the way back leads here.
    undone: bool,
}

/// An SVG picture of a definition, for light and dark pages.
///
/// # Errors
/// The branches have no order.
pub fn graph(definition: &SagaDefinition) -> Result<String, Vec<SagaFinding>> {
    let SagaDefinition { name, version, description, branches, .. } = definition;
    let order = Order::of(branches)
        .map_err(|faults| faults.iter().map(misplaced).collect::<Vec<SagaFinding>>())?;
    let nodes = branches.iter().map(node_of).collect();
    Ok(draw(&format!("{name} {version}"), description, nodes, "decision", &order))
}

/// An SVG picture of one transaction as it is now, coloured by what is known of its branches.
pub fn graph_of(transaction: &Transaction) -> String {
    let stub = |view: &BranchView| Branch {
        name: view.name.clone(),
        kind: Some(view.kind),
        after: Some(view.after.clone()),
        ..Branch::default()
    };
    let mut branches: Vec<Branch> = transaction.branches.iter().map(stub).collect();
    // What came from elsewhere may be odd; then the branches stand side by side.
    let order = Order::of(&branches).or_else(|_| {
        branches.truncate(crate::BRANCHES_MAX);
        for (index, branch) in branches.iter_mut().enumerate() {
            (branch.name, branch.after) = (index.to_string(), Some(Vec::new()));
        }
        Order::of(&branches)
    });
    let order = order.expect("few branches, with different names, and none after another");
    let aborts = matches!(transaction.state, State::Aborting | State::Aborted)
        || transaction.outcome == Outcome::Aborted;
    let views = transaction.branches.iter().take(branches.len());
    let nodes = views.map(|view| node_of_view(view, aborts, &transaction.timeline)).collect();
    let (word, about) = match (transaction.outcome, &transaction.reason) {
        (Outcome::Committed, _) => ("commit", String::new()),
        (Outcome::Aborted, Some(reason)) => ("abort", reason.message.clone()),
        (Outcome::Aborted, None) => ("abort", String::new()),
        (Outcome::Unknown, _) => ("not decided", String::new()),
    };
    draw(&transaction.gid, &about, nodes, word, &order)
}

fn node_of(branch: &Branch) -> Node {
    let line = |call: &Option<Call>| call.as_ref().map(|call| call.call.clone());
    let act = line(&branch.act).or_else(|| line(&branch.attempt));
    let message = branch.message.as_ref().map(|message| message.kind.clone());
    let sql = branch.sql.as_ref().map(|sql| format!("{} SQL", sql.len()));
    let keys = branch.keys.as_ref().map(|keys| format!("{} keys", keys.len()));
    let work = act.or(message).or(sql).or(keys).unwrap_or_default();
    let ends = [("undo", &branch.undo), ("confirm", &branch.confirm), ("cancel", &branch.cancel)];
    let ends =
        ends.into_iter().filter_map(|(name, call)| Some(format!("\n{name}: {}", line(call)?)));
    Node {
        title: branch.name.clone(),
        more: format!("{}\n{work}{}", branch.resource, ends.collect::<String>()),
        lines: [format!("{} · {}", kind_word(kind(branch)), branch.resource), work],
        look: Look::Plain,
        kind: Some(kind(branch)),
        undone: branch.undo.is_some(),
    }
}

fn node_of_view(view: &BranchView, aborts: bool, timeline: &[TimelineEntry]) -> Node {
    let (look, word) = look_of(view.state);
    // What it waits for, or else its last call that ended.
    let (mut tries, mut ended) = (None, String::new());
    for line in timeline.iter().filter(|line| line.branch.as_ref() == Some(&view.name)) {
        let (Some(call), Some(took_ms)) = (&line.call, line.took_ms) else { continue };
        tries = line.tries;
        let times = tries.filter(|tries| *tries > 1).map(|tries| format!("{tries} tries, "));
        ended += &format!("\n{call}: {}{took_ms} ms", times.unwrap_or_default());
    }
    let tries = if view.attempts > 0 { view.attempts } else { tries.unwrap_or(1) };
    let tries = if tries > 1 { format!(", {tries} tries") } else { String::new() };
    let answer = view.last_answer.as_ref().map(|said| format!("\n{said}")).unwrap_or_default();
    let was_done = matches!(
        view.state,
        BranchState::Undone | BranchState::Done | BranchState::InDoubt | BranchState::Stuck
    );
    Node {
        title: view.name.clone(),
        lines: [format!("{} · {}", kind_word(view.kind), view.resource), format!("{word}{tries}")],
        more: format!("{}\n{}{ended}{answer}", view.resource, view.id),
        look,
        kind: Some(view.kind),
        undone: aborts && view.kind == BranchKind::Step && was_done,
    }
}

fn kind_word(kind: BranchKind) -> &'static str {
    match kind {
        BranchKind::Prepare => "prepare",
        BranchKind::Step => "step",
        BranchKind::Deliver => "deliver",
    }
}

fn look_of(state: BranchState) -> (Look, &'static str) {
    match state {
        BranchState::Waiting => (Look::Idle, "waiting"),
        BranchState::Working => (Look::Busy, "working"),
        BranchState::Done => (Look::Good, "done"),
        BranchState::Undone => (Look::Back, "undone"),
        BranchState::Skipped => (Look::Idle, "skipped"),
        BranchState::NotDone => (Look::Bad, "not done"),
        BranchState::Prepared => (Look::Good, "prepared"),
        BranchState::ReadOnly => (Look::Good, "read only"),
        BranchState::Refused => (Look::Bad, "said no"),
        BranchState::InDoubt => (Look::Busy, "in doubt"),
        BranchState::Stuck => (Look::Bad, "STUCK"),
        BranchState::Finished => (Look::Good, "finished"),
        BranchState::Heuristic => (Look::Bad, "AGAINST DECISION"),
        BranchState::Resolved => (Look::Good, "resolved"),
    }
}

/// Puts the decision between what comes before and after it, and draws the whole.
fn draw(title: &str, about: &str, mut nodes: Vec<Node>, word: &str, order: &Order) -> String {
    let decision = nodes.len();
    let levels = levels(&nodes, order);
    let links = links(&nodes, order);
    nodes.push(Node {
        title: word.into(),
        lines: Default::default(),
        more: String::new(),
        look: Look::Plain,
        kind: None,
        undone: false,
    });
    debug_assert!(links.iter().all(|link| link.from <= decision && link.to <= decision));
    svg::picture(title, about, &nodes, &links, &layout::place(&levels, &links))
}

fn delivers(node: &Node) -> bool {
    node.kind == Some(BranchKind::Deliver)
}

/// How far to the right each node stands: after all that comes before it. The decision is last.
fn levels(nodes: &[Node], order: &Order) -> Vec<usize> {
    let mut levels = vec![0; nodes.len() + 1];
    let sequence = order.sequence();
    for index in sequence.iter().copied().filter(|index| !delivers(&nodes[*index])) {
        let near = order.right_before(index);
        levels[index] = near.map(|before| levels[before] + 1).max().unwrap_or(0);
    }
    let early = (0..nodes.len()).filter(|index| !delivers(&nodes[*index]));
    let decision = early.map(|index| levels[index] + 1).max().unwrap_or(0);
    levels[nodes.len()] = decision;
    for index in sequence.into_iter().filter(|index| delivers(&nodes[*index])) {
        let near = order.before(index).filter(|before| delivers(&nodes[*before]));
        levels[index] = near.map(|before| levels[before]).max().unwrap_or(decision) + 1;
    }
    levels
}

/// Forward from what comes before, through the decision, to the deliveries; and back from the
/// decision through all that is undone.
fn links(nodes: &[Node], order: &Order) -> Vec<Link> {
    let decision = nodes.len();
    let mut links: Vec<Link> = Vec::new();
    let mut link = |from, to, undo: bool| {
        let known = links.iter_mut().find(|link| link.from == from && link.to == to);
        match known {
            Some(link) => link.undo |= undo,
            None => links.push(Link { from, to, forward: !undo, undo }),
        }
    };
    let all = || 0..nodes.len();
    for index in all() {
        // A step that a delivery comes after is before it anyway, by the decision.
        let counts = |before: &usize| delivers(&nodes[*before]) == delivers(&nodes[index]);
        let near: Vec<usize> = order.right_before(index).filter(counts).collect();
        near.iter().for_each(|before| link(*before, index, false));
        let is_last = all().all(|at| !order.is_before(index, at) || delivers(&nodes[at]));
        match delivers(&nodes[index]) {
            true if near.is_empty() => link(decision, index, false),
            false if is_last => link(index, decision, false),
            _ => {}
        }
    }
    for index in all().filter(|index| nodes[*index].undone) {
        let later: Vec<usize> =
            all().filter(|at| nodes[*at].undone && order.is_before(index, *at)).collect();
        let next = |at: &&usize| !later.iter().any(|between| order.is_before(*between, **at));
        later.iter().filter(next).for_each(|at| link(index, *at, true));
        if later.is_empty() {
            link(index, decision, true);
        }
    }
    links
}
