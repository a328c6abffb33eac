//! The way back from quarantine: an operator's decision, never the heap's own.
//!
//! Called by the driver of the cycle with everyone else stopped and every run retired. What was withdrawn is counted once
//! more. Where the state bytes, the count of the record and its share in the books agreed when it was withdrawn, and the
//! bytes have not changed since, it serves again: objects are ordinary objects, whose fate the next cycle decides, and
//! withdrawn slots without an object are free. Everything else stays where it is.
//!
//! Invariant: what comes back leaves the account of what is withdrawn by as much as it enters the others, so that the
//! ledger balances before and after.
//!
//! Deliberately absent: a way to know that the cause is gone. A slot may come back that a stale pointer still leads to, and
//! the next owner of the slot then has a stranger in it; whoever calls this takes that upon himself.

use crate::class::Class;
use crate::colour::{Kept, StateByte};
use crate::ground::{Ground, is_slot_start, slot_of};
use crate::link::Listed;
use crate::scan;
use crate::span::Span;
use crate::span_state::SpanState;
use crate::state_cell;

/// What a release of the quarantine brought back, and what it left.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct QuarantineReleased {
    /// Spans that serve again.
    pub spans: u64,
    /// Slots that were withdrawn one by one and serve again.
    pub slots: u64,
    /// Bytes that came back.
    pub bytes: u64,
    /// Spans that stay, since their counts do not agree.
    pub spans_kept: u64,
    /// Bytes that stay.
    pub bytes_kept: u64,
}

impl Ground {
    /// Puts what is withdrawn and counted rightly back to service.
    pub(crate) fn release_quarantine(&self) -> QuarantineReleased {
        let bytes_before = self.books.bytes_quarantined();
        let mut released = QuarantineReleased::default();
        // Listed first: a span that turns out empty ends.
        let pages: Vec<u32> = self
            .spans
            .iter()
            .map(|span| self.spans.page_of(span))
            .collect();
        for span in pages.into_iter().filter_map(|page| self.spans.record(page)) {
            self.vouch(span);
            if let Some(class) = self.classes.of(span) {
                self.readmit(&class, span, &mut released);
            }
        }
        self.look_at_gauge();
        released.bytes_kept = self.books.bytes_quarantined();
        released.bytes = bytes_before.saturating_sub(released.bytes_kept);
        released
    }

    fn readmit(&self, class: &Class, span: &Span, released: &mut QuarantineReleased) {
        let is_whole = span.state() == Some(SpanState::Quarantined);
        if !is_whole && (span.slots_quarantined() == 0 || span.state() != Some(SpanState::Swept)) {
            return;
        }
        if !self.is_counted_rightly(span, is_whole) {
            released.spans_kept += u64::from(is_whole);
            return;
        }
        let was_due = {
            let mut lists = class.lists();
            if (lists.standing(span) == Listed::Quarantined) != is_whole {
                return;
            }
            let was_due = lists.remove(&self.spans, span);
            if is_whole {
                span.readmit(lists.generation());
            }
            was_due
        };
        let kept = self.turn.get().1;
        if is_whole {
            released.spans += 1;
            self.books.span_readmitted(span);
            self.gauge.remove_span();
        }
        released.slots += u64::from(self.readmit_slots(span, was_due.then_some(kept)));
        if !was_due {
            return self.place(class, span);
        }
        if is_whole {
            // The sweep in progress has not been here. Its objects live through it.
            scan::recolour(self.bytes(span), kept);
            self.place(class, span);
            return self.classes.visited(class);
        }
        class.lists().put_unswept(&self.spans, span);
    }

    /// Objects and withdrawn slots in the state bytes are those of the record and of the books, and stand where they can.
    fn is_counted_rightly(&self, span: &Span, is_whole: bool) -> bool {
        let bytes = self.bytes(span);
        let found = scan::tally(bytes, self.turn.get().1);
        let mut are_placed = true;
        scan::for_each_object(bytes, |granule, _, _| {
            let is_used = slot_of(span, granule).is_some_and(|slot| slot < span.frontier());
            are_placed &= is_used && is_slot_start(span, granule);
        });
        // The share of a withdrawn span left the books; the record says whether it was right then.
        let is_booked = if is_whole {
            !span.is_miscounted()
        } else {
            self.books.share(span) == i64::from(found.objects)
        };
        let is_counted = span.booked() == i64::from(found.objects)
            && span.slots_quarantined() == found.quarantined;
        is_booked && is_counted && are_placed
    }

    /// Withdrawn slots of a span in the caller's hand become what else they are: objects, or free. Objects that the sweep in
    /// progress has not come to and does not keep take the colour of what is marked, so that they live through it.
    fn readmit_slots(&self, span: &Span, sweeping: Option<Kept>) -> u32 {
        let (mut objects, mut free) = (0, 0);
        for byte in self.bytes(span) {
            let state = state_cell::load(byte);
            if !state.is_quarantined() {
                continue;
            }
            if let Some(own) = state.colour() {
                let saved = sweeping.filter(|kept| !kept.has(state));
                let colour = saved.map_or(own, Kept::marked);
                state_cell::set(byte, StateByte::object(colour));
                objects += 1;
            } else {
                state_cell::set(byte, StateByte::FREE_FRESH);
                free += 1;
            }
        }
        if objects + free > 0 {
            span.readmit_slots(objects, objects + free);
            self.books.slots_readmitted(span, objects, objects + free);
            self.gauge.remove_slots((objects + free).into());
        }
        objects + free
    }
}
