//! MariaDB and MySQL: the conformance suite, and what only they have.

mod bed;
mod checks;
mod traps;
mod values;

use self::bed::bed;

handfast_participants::conformance!(bed);
