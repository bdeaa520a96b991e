//! Virtual time: events, each at its moment, taken one by one.

use std::collections::BTreeMap;

/// What will happen, and when, in µs. Of two events at one moment, the first that was planned
/// happens first.
#[derive(Clone, Debug)]
pub struct Agenda<E> {
    now_us: u64,
    planned: u64,
    events: BTreeMap<(u64, u64), E>,
}

impl<E> Agenda<E> {
    /// Nothing planned, at moment 0.
    pub fn new() -> Self {
        Self { now_us: 0, planned: 0, events: BTreeMap::new() }
    }

    /// The moment of the event that was taken last.
    pub fn now_us(&self) -> u64 {
        self.now_us
    }

    /// Whether nothing is planned.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Plans an event; one in the past happens now.
    pub fn at(&mut self, at_us: u64, event: E) {
        self.planned += 1;
        self.events.insert((at_us.max(self.now_us), self.planned), event);
    }

    /// Plans an event for so long from now.
    pub fn after(&mut self, delay_us: u64, event: E) {
        self.at(self.now_us.saturating_add(delay_us), event);
    }

    /// Takes the next event that happens up to a moment, and lets time pass until then.
    pub fn next_until(&mut self, end_us: u64) -> Option<E> {
        let first = self.events.first_entry().filter(|event| event.key().0 <= end_us)?;
        self.now_us = first.key().0;
        Some(first.remove())
    }
}

impl<E> Default for Agenda<E> {
    fn default() -> Self {
        Self::new()
    }
}
