//! Two-phase commit with presumed abort.
