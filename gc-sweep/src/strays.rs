//! Spans that no list leads to: a sweep that waits for one would never end.
//!
//! Asked by a driver whose sweep finds nothing more to do though spans are due, and by the recount of the ledger, with
//! everybody stopped: only then is a span in no list in nobody's hands either, and the count of due spans exact.
//!
//! Invariant: afterwards every span stands in the list where it belongs, and as many are due as are counted as due.
//!
//! Deliberately absent: the census itself and its repair, which stand with the lists.

use gc_hooks::Check;

use crate::ground::Ground;
use crate::supply::shelf;

impl Ground {
    /// Puts every span into the list where it belongs and counts anew how many are due. True when anything was wrong.
    #[cold]
    pub(crate) fn mend_lists(&self) -> bool {
        let miscounted = self.classes.count_anew(&self.spans, shelf);
        let are_damaged = !self.classes.damages.is_empty();
        self.report_damages();
        // Spans that were missing explain why fewer were due.
        if let Some((counted, due)) = miscounted
            && !are_damaged
        {
            let violation = self.violation(Check::SpanList);
            let violation = violation.with_reason("number of spans to be swept");
            let violation = violation.with_number("counted", counted as u64);
            self.hooks.report(violation.with_number("due", due as u64));
        }
        are_damaged || miscounted.is_some()
    }

    /// Spans are due, and no list leads to one: others have them in hand, or they are lost.
    pub(crate) fn is_sweep_stuck(&self) -> bool {
        self.classes.due() > 0 && !self.classes.has_claimable(&self.spans)
    }
}
