//! Request ids that say who asked about what, so that whoever is answered is found again.

use handfast_core::id::{RequestId, RunId};

use super::{Branch, plan};

/// Who asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A caller who begins.
    Caller,
    /// Somebody who says something about a transaction.
    Person,
    /// A coordinator, of a shard.
    Coordinator(Branch),
    /// A shard, of its coordinator.
    Shard(Branch),
}

/// The request of a caller who begins a run.
pub fn of_a_run(run: RunId) -> RequestId {
    pack(1, Branch { coordinator: 0, run, index: 0 })
}

/// The request of somebody who says something about a transaction.
pub fn of_a_person(transaction: usize) -> RequestId {
    let run = RunId { epoch: 0, number: plan::run_number(transaction, 0) };
    pack(2, Branch { coordinator: 0, run, index: 0 })
}

/// The request of a coordinator about a branch.
pub fn of_a_coordinator(branch: Branch) -> RequestId {
    pack(3, branch)
}

/// The request of a shard about a branch.
pub fn of_a_shard(branch: Branch) -> RequestId {
    pack(4, branch)
}

fn pack(kind: u64, branch: Branch) -> RequestId {
    let Branch { coordinator, run, index } = branch;
    let (number, epoch) = (run.number << 16, u64::from(run.epoch) << 40);
    RequestId(u64::from(index) | u64::from(coordinator) << 8 | number | epoch | kind << 60)
}

/// Who asked, by the id.
pub fn asker(request: RequestId) -> Asker {
    let RequestId(bits) = request;
    let run = RunId {
        epoch: u32::try_from(bits >> 40 & 0xf_ffff).expect("20 bits"),
        number: bits >> 16 & 0xff_ffff,
    };
    let (index, coordinator) = ((bits & 0xff) as u8, (bits >> 8 & 0xff) as u8);
    let branch = Branch { coordinator, run, index };
    match bits >> 60 {
        1 => Asker::Caller,
        3 => Asker::Coordinator(branch),
        4 => Asker::Shard(branch),
        _ => Asker::Person,
    }
}
