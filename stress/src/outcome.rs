//! What a run comes to: plain values that the reports are written from.
//!
//! Everything here but the elapsed times follows from the options alone.

use std::fmt;
use std::panic::Location;

use gc_core::{Address, Check, VerifyReport, Violation};

use crate::audit::Audit;
use crate::options::Options;

/// The first violation of a run, and when it was found.
#[derive(Clone, Debug)]
pub struct First {
    /// The report of the heap.
    pub violation: Violation,
    /// The operation that had begun when it was found, from 1.
    pub at_op: u64,
    /// Milliseconds since the run began. The one figure that differs from run to run.
    pub elapsed_ms: u64,
}

/// The result of a run that came to its end.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What the run was told.
    pub options: Options,
    /// The first violation, if there was one.
    pub first: Option<First>,
    /// Violations by check, those that never happened left out.
    pub violations: Vec<(Check, u64)>,
    /// Violations that the hook was called for.
    pub hook_deliveries: u64,
    /// Whether the heap still calls itself healthy.
    pub is_healthy: bool,
    /// Operations served.
    pub ops: u64,
    /// Operations served after the first violation.
    pub ops_after_first: u64,
    /// Cycles begun.
    pub cycles: u32,
    /// What the oracle found when everything had come to rest.
    pub at_rest: Audit,
    /// What it found while operations ran.
    pub under_way: Audit,
    /// The second opinion when everything had come to rest.
    pub verification: VerifyReport,
    /// Whether the accounts agreed then.
    pub is_ledger_balanced: bool,
    /// Memory withdrawn by containment.
    pub quarantined_bytes: u64,
    /// Spans withdrawn by containment.
    pub quarantined_spans: u64,
    /// Milliseconds that the run took.
    pub elapsed_ms: u64,
}

/// What a run means, and the exit code that says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// A control without a violation.
    Clean,
    /// A violation was found and nothing live was harmed.
    Survived,
    /// The violation that the scenario is about did not come up.
    Missing,
    /// Something live was damaged, or the accounts do not agree: containment failed.
    Damaged,
}

impl Verdict {
    /// The exit code of the process.
    pub const fn exit_code(self) -> u8 {
        match self {
            Verdict::Clean => 0,
            Verdict::Survived => 10,
            Verdict::Missing => 11,
            Verdict::Damaged => 70,
        }
    }
}

impl Outcome {
    /// Damaged objects that the oracle met, at any time.
    pub fn objects_damaged(&self) -> u64 {
        self.at_rest.damaged + self.under_way.damaged
    }

    /// What the run means.
    pub fn verdict(&self) -> Verdict {
        if self.objects_damaged() > 0 || !self.is_ledger_balanced {
            Verdict::Damaged
        } else if self.first.is_some() {
            Verdict::Survived
        } else if self.options.is_control() {
            Verdict::Clean
        } else {
            Verdict::Missing
        }
    }
}

/// A line of source code, as reports name it.
pub struct Site(pub &'static Location<'static>);

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The same on a machine that writes paths the other way round.
        let file = self.0.file().replace('\\', "/");
        write!(formatter, "{file}:{}:{}", self.0.line(), self.0.column())
    }
}

/// The offset of an address in the heap; none for one outside it, which is not the same from run to
/// run.
pub fn offset(address: Option<Address>) -> Option<u64> {
    match address {
        Some(Address::Offset(offset)) => Some(offset),
        Some(Address::Raw(_)) | None => None,
    }
}

/// The name of a type without its brand, which compilers print in different ways.
pub fn type_name(name: &str) -> String {
    name.replace("<'_>", "")
}
