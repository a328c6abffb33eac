//! The counts of a span against its state bytes.
//!
//! Called by the sweep for a span that it holds alone, and by allocation when a lease begins or ends. The state bytes
//! are the primary account: objects are counted there, and what the books say is compared with it before anything is
//! computed from either. Every disagreement is reported here; the caller withdraws the span.
//!
//! Invariant: after `Ok` the books of the span and its state bytes name the same number of objects.
//!
//! Deliberately absent: a repair of the count. A span with a wrong count has a slot of which nobody knows whether it is
//! in use, so no slot of it is reused.

use std::sync::atomic::AtomicU8;

use gc_hooks::{Check, Violation};

use crate::ground::{Ground, is_slot_start, slot_of};
use crate::scan::{self, Tally};
use crate::size_class::GRANULE_BYTES;
use crate::span::Span;

/// The counts of a span could not be trusted, which was reported.
pub(crate) struct Distrusted;

impl Ground {
    /// Audits a span that the caller holds alone, before its dead are freed.
    pub(crate) fn audit_for_sweep(&self, span: &Span) -> Result<Tally, Distrusted> {
        let kept = self.turn.get().1;
        let (used, unused) = self.split_at_frontier(span);
        let mut withdrawn_unused = 0;
        if scan::next_used(unused, 0) < unused.len() {
            self.withdraw_zombies(span, unused, used.len());
            withdrawn_unused = scan::tally(unused, kept).quarantined;
        }
        let allocated = span.handed_out();
        let is_first = span.end_youth();
        let mut tally = scan::tally(used, kept);
        if is_first && tally == Tally::default() {
            // A large object is written by its mutator, for as long as that takes, and published then.
            return Ok(Tally {
                objects: allocated,
                ..tally
            });
        }
        if tally.objects != allocated {
            self.clear_misplaced(span, used);
            tally = scan::tally(used, kept);
        }
        let withdrawn = tally.quarantined + withdrawn_unused;
        let detail = |check| {
            let violation = self.count_violation(check, span, allocated, tally.objects);
            violation.with_number("marked", (tally.objects - tally.whites).into())
        };
        let (least, most) = (Check::AllocCount, Check::SweepCount);
        let grew = !self
            .hooks
            .holds(most, tally.objects <= allocated, || detail(most));
        let shrank = !self
            .hooks
            .holds(least, tally.objects >= allocated, || detail(least));
        if grew || shrank || self.audit_withdrawn(span, withdrawn).is_err() {
            return Err(Distrusted);
        }
        Ok(tally)
    }

    /// Audits the number of withdrawn slots.
    fn audit_withdrawn(&self, span: &Span, found: u32) -> Result<(), Distrusted> {
        let booked = span.slots_quarantined();
        let detail = || {
            let violation = self
                .violation_in(Check::AllocCount, span)
                .with_reason("withdrawn slots");
            violation
                .with_number("withdrawn", booked.into())
                .with_number("found", found.into())
        };
        let is_right = self.hooks.holds(Check::AllocCount, found == booked, detail);
        if is_right { Ok(()) } else { Err(Distrusted) }
    }

    /// Audits a swept span in the caller's hand before slots of it are handed out: its count against its share in the
    /// books. The state bytes are left to the end of the lease, whose search passes them all; until then they alone say
    /// which slots are free.
    pub(crate) fn audit_for_lease(&self, span: &Span) -> Result<(), Distrusted> {
        let allocated = span.handed_out();
        let is_right = i64::from(allocated) == self.books.share(span);
        let detail = || {
            let objects = self.objects_in(span);
            let violation = self.count_violation(Check::AllocCount, span, allocated, objects);
            violation.with_reason("found when its lease began")
        };
        let is_right = self.hooks.holds(Check::AllocCount, is_right, detail);
        if is_right { Ok(()) } else { Err(Distrusted) }
    }

    /// Audits a span whose lease ended, and closes the books of the lease.
    pub(crate) fn audit_after_lease(&self, span: &Span) -> Result<(), Distrusted> {
        let Tally {
            objects,
            quarantined,
            ..
        } = scan::tally(self.bytes(span), self.turn.get().1);
        let (allocated, freed) = (span.handed_out(), span.freed_in_lease());
        let is_right = allocated.checked_sub(freed) == Some(objects);
        let detail = || {
            let violation = self.count_violation(Check::AllocCount, span, allocated, objects);
            violation
                .with_reason("found when its lease ended")
                .with_number("freed", freed.into())
        };
        if !self.hooks.holds(Check::AllocCount, is_right, detail) {
            return Err(Distrusted);
        }
        self.audit_withdrawn(span, quarantined)?;
        span.set_alloc_count(objects);
        Ok(())
    }

    fn objects_in(&self, span: &Span) -> u32 {
        scan::tally(self.bytes(span), self.turn.get().1).objects
    }

    fn count_violation(
        &self,
        check: Check,
        span: &Span,
        allocated: u32,
        objects: u32,
    ) -> Violation {
        let violation = self
            .violation_in(check, span)
            .with_number("allocated", allocated.into());
        self.blame_in(violation.with_number("objects", objects.into()), span)
    }

    fn split_at_frontier(&self, span: &Span) -> (&[AtomicU8], &[AtomicU8]) {
        let bytes = self.bytes(span);
        let granules = span.frontier().min(span.slots()) as usize * span.slot_granules();
        bytes.split_at_checked(granules).unwrap_or((bytes, &[]))
    }

    /// Withdraws what claims to be an object behind the frontier.
    fn withdraw_zombies(&self, span: &Span, unused: &[AtomicU8], first_granule: usize) {
        scan::for_each_object(unused, |index, _, state| {
            let granule = first_granule + index;
            let reason = match slot_of(span, granule) {
                None => "pointer to the unused tail of a span",
                Some(_) if is_slot_start(span, granule) => "slot was never handed out",
                Some(_) => "pointer into the middle of a slot that was never handed out",
            };
            let is_known = state.is_quarantined();
            if !self.hooks.holds(Check::Zombie, is_known, || {
                self.zombie(span, granule, reason)
            }) {
                self.withdraw_zombie(span, granule);
            }
        });
    }

    /// Withdraws what claims to be an object and does not begin a slot.
    fn clear_misplaced(&self, span: &Span, used: &[AtomicU8]) {
        let reason = "pointer into the middle of an object";
        scan::for_each_object(used, |granule, _, _| {
            let is_placed = is_slot_start(span, granule);
            if !self.hooks.holds(Check::Zombie, is_placed, || {
                self.zombie(span, granule, reason)
            }) {
                self.withdraw_zombie(span, granule);
            }
        });
    }

    fn zombie(&self, span: &Span, granule: usize, reason: &'static str) -> Violation {
        let address = span.base(self.base()) + granule * GRANULE_BYTES;
        let violation = self
            .violation_at(Check::Zombie, span, granule)
            .with_reason(reason);
        self.blame(violation, span, address..address + 1)
    }
}
