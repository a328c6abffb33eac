//! [`HeapStats`]: a snapshot of what a heap holds and has done.

use gc_hooks::{Check, Health, Phase, Severity, Violation};

use crate::pauses::PauseHistogram;
use crate::progress::Reclaiming;

/// What a heap holds and has done, at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct HeapStats {
    /// Name given to the builder.
    pub name: &'static str,
    /// Phase of the cycle in progress.
    pub phase: Phase,
    /// Number of the cycle in progress or of the last one; counts voided ones.
    pub cycle: u32,
    /// Cycles that ran to their end.
    pub cycles_finished: u64,
    /// Of these, cycles that looked at newborn objects alone.
    pub cycles_young: u64,
    /// Cycles ended without freeing anything, because something was in doubt.
    pub cycles_voided: u64,
    /// Whether the heap still frees memory.
    pub reclaiming: Reclaiming,
    /// Objects marked by all finished cycles.
    pub objects_marked_total: u64,
    /// Bytes of allocated slots.
    pub bytes_live: u64,
    /// Spans in use.
    pub spans: u64,
    /// Bytes of pages that belong to spans.
    pub bytes_in_spans: u64,
    /// Bytes withdrawn from use by containment.
    pub bytes_quarantined: u64,
    /// Spans withdrawn from use by containment.
    pub spans_quarantined: u64,
    /// Single slots withdrawn from use by containment.
    pub slots_quarantined: u64,
    /// Bytes of memory obtained from the operating system for objects.
    pub bytes_committed: u64,
    /// Bytes given back to it and not yet taken again.
    pub bytes_released: u64,
    /// Bytes of slots handed out since the heap was built.
    pub bytes_allocated_total: u64,
    /// Bytes of slots freed since the heap was built.
    pub bytes_freed_total: u64,
    /// Objects freed since the heap was built.
    pub objects_freed_total: u64,
    /// Size in bytes the heap aims not to exceed before the next cycle has ended.
    pub bytes_goal: u64,
    /// Mutators of the heap.
    pub mutators: usize,
    /// How long mutators were kept from their work by handshakes, refills, waits at the edges of `enter`
    /// and growing barrier queues, in nanoseconds. Of all mutators since the heap was built.
    pub pauses: PauseHistogram,
    /// How long each phase took in the cycles so far, voided ones included, in nanoseconds: indexed by
    /// phase, as in `phases[Phase::Mark as usize]`. One figure a cycle and phase, which is the sum
    /// where a cycle went back to it; none of [`Phase::Idle`].
    pub phases: Vec<PauseHistogram>,
    /// Roots in existence.
    pub roots: usize,
    /// Violations recorded, over all checks.
    pub violations: u64,
    /// The same by check and severity: every check at least once, with zero and the severity it has
    /// where nothing is known of the origin.
    pub violations_counted: Vec<ViolationCount>,
    /// Violations that were recorded and not handed on.
    pub violations_suppressed: u64,
    /// Whether every violation so far left the heap healthy.
    pub is_healthy: bool,
}

/// How often a check was violated, with a severity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ViolationCount {
    /// The check.
    pub check: Check,
    /// What the violations meant for live data.
    pub severity: Severity,
    /// How many.
    pub count: u64,
}

/// The counts of a heap's violations, in the order of the register of checks.
pub(crate) fn violations_of(health: &Health) -> Vec<ViolationCount> {
    let mut counts = Vec::new();
    for &check in Check::ALL {
        let expected = Violation::new(check).severity();
        for &severity in Severity::ALL {
            let count = health.count_of(check, severity);
            if count > 0 || severity == expected {
                counts.push(ViolationCount {
                    check,
                    severity,
                    count,
                });
            }
        }
    }
    counts
}
