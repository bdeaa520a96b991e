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

    /// The first state, in the order of the walk, from which no settled one can be reached, and of
    /// which `beyond` knows no better.
    pub(super) fn first_unsettled(
        &self,
        is_settled: impl Fn(usize) -> bool,
        beyond: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let mut settles: Vec<bool> = (0..self.ends.len()).map(is_settled).collect();
        self.spread(&mut settles, |_| false);
        // Asked from the end, `beyond` is asked only where the walk itself had to end.
        self.spread(&mut settles, beyond);
        settles.iter().position(|settles| !settles)
    }

    /// Most steps lead to later states, so a few sweeps from the end do.
    fn spread(&self, settles: &mut [bool], beyond: impl Fn(usize) -> bool) {
        let mut changed = true;
        let mut is_asked = false;
        while changed {
            changed = false;
            for at in (0..settles.len()).rev() {
                let leads_on =
                    |settles: &[bool]| self.of(at).iter().any(|to| settles[*to as usize]);
                if !settles[at] && (leads_on(settles) || (!is_asked && beyond(at))) {
                    settles[at] = true;
                    changed = true;
                }
            }
            is_asked = true;
        }
    }
}
