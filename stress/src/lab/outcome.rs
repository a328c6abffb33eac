//! What a program came to: plain values that reports, shrinker and tests are made from.
//!
//! All of it follows from the program, the setup and the build.

use gc_core::{Check, Violation};

use crate::ops::{Expected, ObjectId};
use crate::outcome::Site;

/// What a check said while one operation ran.
#[derive(Clone, Debug)]
pub(crate) struct Met {
    /// The operation, by its place.
    pub(crate) op: usize,
    /// The check.
    pub(crate) check: Check,
    /// How often.
    pub(crate) count: u64,
    /// The first report, unless more came than the heap keeps.
    pub(crate) first: Option<Violation>,
    /// The operation that brought the doubtful address in, if the program did.
    pub(crate) store: Option<usize>,
    /// The operation of the workload that was under way.
    pub(crate) mark: u64,
}

impl Met {
    /// The line of source code whose store led here.
    pub(crate) fn call_site(&self) -> Option<String> {
        let site = self.first.as_ref()?.call_site?;
        Some(Site(site).to_string())
    }
}

/// A live object that is not what it should be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Lost {
    /// The operation at which it was noticed.
    pub(crate) op: usize,
    /// The object.
    pub(crate) object: ObjectId,
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    /// Operations of the program.
    pub(crate) ops: usize,
    /// Violations by check.
    pub(crate) violations: Vec<(Check, u64)>,
    /// What was reported, in the order of the operations.
    pub(crate) met: Vec<Met>,
    /// Live objects that were lost.
    pub(crate) lost: Vec<Lost>,
    /// Operations whose operands did not exist.
    pub(crate) skipped: Vec<usize>,
    /// Those of them that the heap's limit refused.
    pub(crate) refused: Vec<usize>,
    /// The cycle in progress, or the last one, when each operation began.
    pub(crate) cycle_at: Vec<u32>,
    /// Objects that were compared at the end.
    pub(crate) live_checked: usize,
    /// Whether the heap calls itself healthy.
    pub(crate) is_healthy: bool,
    /// Whether the accounts agreed at the end.
    pub(crate) is_ledger_balanced: bool,
    /// Cycles begun.
    pub(crate) cycles: u32,
    /// Memory withdrawn by containment.
    pub(crate) quarantined_bytes: u64,
}

impl Outcome {
    /// What was reported, as a file writes it.
    pub(crate) fn expected(&self) -> Vec<Expected> {
        let met = self.met.iter().map(|met| Expected {
            op: met.op,
            check: met.check,
            count: met.count,
        });
        met.collect()
    }

    /// The first report.
    pub(crate) fn first(&self) -> Option<&Met> {
        let first = self.met.iter().filter_map(|met| {
            let sequence = met.first.as_ref()?.sequence;
            Some((sequence, met))
        });
        first
            .min_by_key(|(sequence, _)| *sequence)
            .map(|(_, met)| met)
    }

    /// The first report of a check whose store stands at a place.
    pub(crate) fn of(&self, check: Check, call_site: Option<&str>) -> Option<&Met> {
        let mut met = self.met.iter();
        met.find(|met| met.check == check && met.call_site().as_deref() == call_site)
    }
}
