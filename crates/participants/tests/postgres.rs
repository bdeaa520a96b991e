//! PostgreSQL: the conformance suite, and what only PostgreSQL has.

mod bed;
mod traps;
mod values;

use self::bed::bed;

handfast_participants::conformance!(bed);
