//! Whether newborn objects may stand in a span, and objects that are not written yet: three flags of its record.
//!
//! Written by who cuts or leases the span and by who has claimed it whole, under a state whose word carries the order. A
//! young cycle's sweep passes by a span in which nothing was born: everything there is old. What was born between the
//! snapshot of a cycle and its sweep is newborn in the next one, so a span is looked at in the two sweeps after each lease.

use std::sync::atomic::Ordering;

use super::Span;

/// It is large and no sweep has come by.
pub(super) const YOUNG: u8 = 16;
/// Objects may have been born here since the last sweep.
pub(super) const BORN_SINCE: u8 = 64;
/// Objects may have been born here between the two sweeps before.
const BORN_BEFORE: u8 = 128;

impl Span {
    /// It is large and no sweep has come by: its slot is handed out, and may not be published yet.
    pub(crate) fn is_young(&self) -> bool {
        self.has(YOUNG)
    }

    /// A sweep has come by. For the holder of the claim, who is told whether it is the first.
    pub(crate) fn end_youth(&self) -> bool {
        self.has(YOUNG) && self.flags.fetch_and(!YOUNG, Ordering::Relaxed) & YOUNG != 0
    }

    /// From now on objects may be born here.
    pub(super) fn expect_births(&self) {
        self.flags.fetch_or(BORN_SINCE, Ordering::Relaxed);
    }

    /// A sweep has come by. For the holder of a claim to the whole span, who is told whether newborn objects may stand in
    /// it: it was leased since the sweep before the last one. What was born between the snapshot of a cycle and its sweep
    /// is newborn in the next.
    pub(crate) fn pass_births(&self) -> bool {
        let births = self.flags.load(Ordering::Relaxed) & (BORN_SINCE | BORN_BEFORE);
        if births != 0 {
            let before = births & BORN_SINCE != 0;
            self.flags
                .fetch_and(!(BORN_SINCE | BORN_BEFORE), Ordering::Relaxed);
            self.flags
                .fetch_or(BORN_BEFORE * u8::from(before), Ordering::Relaxed);
        }
        births != 0
    }
}
