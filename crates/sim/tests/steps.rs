//! The exhaustive walks of transactions with a plan: steps, deliveries, and branches that prepare
//! among them.

use handfast_core::plan::Kind::{Deliver, Prepare, Step};
use handfast_sim::{
    marks::Mark,
    world::{Budget, Plan, Searches, Wish},
};

use crate::{
    check::walk,
    worlds::{NONE, beside, message, steps, using, with, with_callers},
};

const EVERY_FAULT: Budget = Budget { crashes: 1, drops: 1, duplicates: 1, delays: 1, ..NONE };

#[test]
fn two_steps_and_every_fault() {
    let plan = with(with_callers(steps(&[Step, Step]), 2, 1), EVERY_FAULT);
    walk("steps: two in order, every fault", plan).reached(&[
        Mark::StepsDone,
        Mark::Undone,
        Mark::Barred,
        Mark::Resumed,
        Mark::ToldCommitted,
        Mark::ToldAborted,
        Mark::Torn,
        Mark::LeftAhead,
    ]);
}

/// Of several that come after one, of one that comes after several, and with a branch that prepares
/// among them: what left ahead is done or undone like all else.
#[test]
fn steps_ahead_in_graphs() {
    let budget = Budget { crashes: 2, ..NONE };
    let graphs: [(&str, _, [&[u8]; 3]); 3] = [
        ("steps: two after one, two crashes", [Step, Step, Step], [&[], &[0], &[0]]),
        ("steps: one after two, two crashes", [Step, Step, Step], [&[], &[], &[0, 1]]),
        (
            "mixed: a step after a step and a vote, two crashes",
            [Step, Prepare, Step],
            [&[], &[], &[0, 1]],
        ),
    ];
    for (name, kinds, afters) in graphs {
        let mut plan = with(with_callers(steps(&kinds), 1, 1), budget);
        for (branch, after) in plan.transactions[0].branches.iter_mut().zip(afters) {
            branch.after = after.to_vec();
        }
        walk(name, plan).reached(&[Mark::StepsDone, Mark::Undone, Mark::LeftAhead]);
    }
}

#[test]
fn a_step_that_uses_what_another_put_out() {
    let budget = Budget { crashes: 2, delays: 1, duplicates: 1, ..NONE };
    let plan = with(with_callers(using(), 1, 1), budget);
    walk("steps: two in order, the second uses the first's output", plan).reached(&[
        Mark::StepsDone,
        Mark::Undone,
        Mark::Torn,
    ]);
}

#[test]
fn two_steps_side_by_side() {
    let budget = Budget { crashes: 1, delays: 1, duplicates: 1, ..NONE };
    let plan = with(with_callers(beside(&[Step, Step]), 1, 1), budget);
    walk("steps: two side by side", plan.folded()).reached(&[
        Mark::StepsDone,
        Mark::Undone,
        Mark::Barred,
    ]);
    let budget = Budget { crashes: 1, ..NONE };
    let plan = with(with_callers(beside(&[Step; 3]), 1, 1), budget);
    walk("steps: three side by side, a crash", plan.folded()).reached(&[
        Mark::StepsDone,
        Mark::Undone,
        Mark::Barred,
    ]);
}

#[test]
fn three_steps_and_two_crashes() {
    let budget = Budget { crashes: 2, delays: 1, ..NONE };
    let plan = with(with_callers(steps(&[Step, Step, Step]), 1, 1), budget);
    walk("steps: three in order, two crashes", plan).reached(&[Mark::StepsDone, Mark::Undone]);
}

#[test]
fn a_step_a_database_and_a_message() {
    let plan = with(with_callers(steps(&[Step, Prepare, Deliver]), 1, 1), EVERY_FAULT);
    walk("mixed: a step, a branch that prepares, a message, every fault", plan).reached(&[
        Mark::StepsDone,
        Mark::Undone,
        Mark::Delivered,
        Mark::InDoubtToCommit,
        Mark::ToldAborted,
    ]);
}

#[test]
fn a_step_after_a_branch_that_prepares() {
    let budget = Budget { crashes: 1, drops: 1, delays: 1, ..NONE };
    let plan = with(with_callers(steps(&[Step, Prepare, Step]), 1, 1), budget);
    walk("mixed: a step after a branch that prepares", plan).reached(&[
        Mark::StepsDone,
        Mark::Undone,
        Mark::InDoubtToCommit,
    ]);
}

/// They prepare at somebody who can list nothing, so that no search finds them. The plan must
/// suffice.
#[test]
fn branches_that_nobody_can_list() {
    let plan = with(with_callers(steps(&[Prepare, Prepare, Step]), 1, 1), EVERY_FAULT);
    let plan = Plan { searches: Searches::Never, ..plan };
    walk("prepared unlisted: two and a step, no search, every fault", plan).reached(&[
        Mark::StepsDone,
        Mark::InDoubtToCommit,
        Mark::ToldAborted,
    ]);
}

#[test]
fn two_messages_in_order() {
    let plan = with(with_callers(steps(&[Deliver, Deliver]), 2, 0), EVERY_FAULT);
    walk("deliveries: two in order, every fault", plan).reached(&[Mark::Delivered, Mark::Resumed]);
}

#[test]
fn a_message_that_follows_a_local_transaction() {
    let budget = Budget { crashes: 2, duplicates: 1, delays: 1, ..NONE };
    walk("a two-phase message: two crashes", with(message(), budget)).reached(&[
        Mark::AskedBack,
        Mark::Delivered,
        Mark::ToldCommitted,
        Mark::Resumed,
    ]);
}

#[test]
fn steps_with_a_deadline() {
    let plan = with(steps(&[Step, Step]), Budget { crashes: 1, delays: 1, ..NONE });
    let wish = Wish { deadline: true, ..plan.transactions[0].clone() };
    walk("steps: two and a deadline, a crash", Plan { transactions: vec![wish], ..plan })
        .reached(&[Mark::StepsDone, Mark::Undone, Mark::ToldAborted]);
}

#[test]
fn steps_that_are_held() {
    let plan = with(with_callers(steps(&[Step, Prepare]), 1, 1), Budget { crashes: 1, ..NONE });
    let wish = Wish { hold: true, ..plan.transactions[0].clone() };
    walk(
        "mixed: a step and a branch that prepares, held",
        Plan { transactions: vec![wish], ..plan },
    )
    .reached(&[Mark::Held, Mark::StepsDone, Mark::Undone]);
}

#[test]
fn an_undo_that_only_an_operator_can_mend() {
    let budget = Budget { crashes: 1, breaks: 2, ..NONE };
    let plan = with(with_callers(steps(&[Step, Deliver]), 1, 1), budget);
    // That it was mended is recorded in the place of that it was stuck; that it always can be is
    // what a walk asks of every state.
    walk("steps: what only an operator can mend", plan).reached(&[
        Mark::StepStuck,
        Mark::Delivered,
        Mark::Undone,
    ]);
}
