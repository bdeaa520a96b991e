//! Whether everything can still end well, from wherever the walk came by.
//!
//! "Every way that goes on for ever without faults settles" is a matter of fairness, and of cycles.
//! What is checked is that no state is lost: from each one, steps that are no faults lead to a
//! settled one. A protocol that blocks has a state from which none do.

/// The steps that are no faults, by the state they begin at.
pub(super) struct Edges {
    to: Vec<u32>,
    /// Where each state's steps end in `to`.
    ends: Vec<usize>,
}

impl Edges {
    pub(super) fn new() -> Self {
        Self { to: Vec::new(), ends: Vec::new() }
    }

    /// Adds a step from the state whose turn it is.
    pub(super) fn push(&mut self, to: u32) {
        self.to.push(to);
    }

    /// The next state's steps follow.
    pub(super) fn end_of_state(&mut self) {
        self.ends.push(self.to.len());
    }

    fn of(&self, at: usize) -> &[u32] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.to[start..self.ends[at]]
    }

    /// The first state, in the order of the walk, from which no settled one can be reached.
    pub(super) fn first_unsettled(&self, is_settled: impl Fn(usize) -> bool) -> Option<usize> {
        let mut settles: Vec<bool> = (0..self.ends.len()).map(is_settled).collect();
        // Most steps lead to later states, so a few sweeps from the end do.
        let mut changed = true;
        while changed {
            changed = false;
            for at in (0..settles.len()).rev() {
                if !settles[at] && self.of(at).iter().any(|to| settles[*to as usize]) {
                    settles[at] = true;
                    changed = true;
                }
            }
        }
        settles.iter().position(|settles| !settles)
    }
}
