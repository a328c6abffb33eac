//! Writes into free slots: the pattern that a freed slot gets, and what follows when it is changed.
//!
//! Done where the heap makes the check `slot-dirty`. The sweep writes the pattern while the slot still counts as an object;
//! a lessee looks at it when the slot comes into its run, and whoever gives an empty span back looks at all of its slots.
//! Between the look and the moment the slot is taken nobody looks again.
//!
//! Invariant: a free slot with a death stamp has the pattern of that stamp, in its first [`PATTERN_BYTES_MAX`] bytes, from
//! the sweep that freed it until it is taken. Slots that were never used, or whose stamp was lost when their pages were cut
//! again, have none and are not looked at; nor are large ones, whose pages go back at once.
//!
//! Deliberately absent: anything on the fast path, and a search for writes into withdrawn slots.

use std::sync::atomic::AtomicU8;

use gc_hooks::Check;

use crate::colour::StateByte;
use crate::ground::Ground;
use crate::os;
use crate::search::FreeSlots;
use crate::size_class::GRANULE_BYTES;
use crate::span::Span;
use crate::state_cell;

/// Bytes at the begin of each slot that carry the pattern. Bounds what a sweep writes for each long slot; a write behind
/// them is not seen.
const PATTERN_BYTES_MAX: usize = 256;

impl Ground {
    /// Ends the use of a slot whose object is dead, before its byte says that it is free. `freed` is what it will say.
    pub(crate) fn bury(&self, address: usize, slot_bytes: usize, freed: StateByte) {
        if self.poisons_slots {
            let offset = address.wrapping_sub(self.base());
            let bytes = slot_bytes.min(PATTERN_BYTES_MAX);
            self.reservation
                .write_pattern(offset, bytes, freed.death_stamp().into());
        }
        os::poison(address, slot_bytes);
    }

    /// Takes back what [`Ground::bury`] tells AddressSanitizer.
    pub(crate) fn exhume(&self, address: usize) {
        if let Some(span) = self.spans.span_of(address) {
            os::unpoison(address, span.slot_bytes());
        }
    }

    /// Free slots are looked at.
    pub(crate) fn looks_for_dirt(&self) -> bool {
        #[cfg(feature = "fault-inject")]
        if self.hooks.is_blind(Check::SlotDirty) {
            return false;
        }
        self.poisons_slots
    }

    /// Withdraws those free slots that a lessee found in the state bytes of its span, `bytes`, and that were written to.
    /// The answer says whether there were any; the search is done again then.
    pub(crate) fn withdraws_dirty(
        &self,
        span: &Span,
        start: usize,
        bytes: &[AtomicU8],
        found: FreeSlots,
    ) -> bool {
        let first = start.wrapping_sub(span.base(self.base())) / GRANULE_BYTES;
        let mut withdrawn = false;
        for at in found.starts(span.slot_granules()) {
            if let Some(byte) = bytes.get(at) {
                withdrawn |= self.withdraws_if_dirty(span, first + at, byte);
            }
        }
        withdrawn
    }

    /// Withdraws every free slot of a span in the caller's hand that was written to.
    pub(crate) fn withdraw_dirty_in(&self, span: &Span) {
        let step = span.slot_granules().max(1);
        for (granule, byte) in self.bytes(span).iter().enumerate().step_by(step) {
            self.withdraws_if_dirty(span, granule, byte);
        }
    }

    fn withdraws_if_dirty(&self, span: &Span, granule: usize, byte: &AtomicU8) -> bool {
        let state = state_cell::load(byte);
        if !state.is_free() || state.death_stamp() == 0 {
            return false;
        }
        let offset = span.offset_bytes() + granule * GRANULE_BYTES;
        let bytes = span.slot_bytes().min(PATTERN_BYTES_MAX);
        let key = state.death_stamp().into();
        let Some(change) = self.reservation.find_change(offset, bytes, key) else {
            return false;
        };
        let violation = self
            .violation_at(Check::SlotDirty, span, granule)
            .with_stale_cycles(state.stale_cycles(self.turn.cycle()))
            .with_number("offset", change.offset_bytes as u64)
            .with_number("byte", change.byte.into());
        self.hooks
            .report(violation.with_number("word", change.word));
        state_cell::set(byte, StateByte::QUARANTINED);
        self.book_withdrawn_slot(span);
        true
    }
}
