//! Looks at the whole space, or closely at one address: lookup, walks over objects, the recount of the ledger.
//!
//! Lookups come from the cold paths of marker and barrier, from any thread in any phase. Walks are for a driver that
//! has stopped everyone else: they see each span as it is when they come to it.
//!
//! Invariant: walks go by address, so that two runs of one program see the same order.
//!
//! Deliberately absent: the marker's lookup, which is `SpanTable::span_of` and the state byte.

use gc_hooks::Check;

use crate::class::ClassId;
use crate::colour::StateByte;
use crate::found::{Found, Place};
use crate::ground::Ground;
use crate::ledger::{BookTotals, Ledger, Usage};
use crate::scan;
use crate::size_class::{GRANULE_BYTES, PAGE_BYTES};
use crate::span::Span;
use crate::span_state::SpanState;
use crate::spans::PageEntry;

impl Ground {
    /// What stands at an address.
    pub(crate) fn find(&self, address: usize) -> Found {
        let offset = address.wrapping_sub(self.base());
        let page = u32::try_from(offset / PAGE_BYTES).ok();
        let Some(entry) = page.and_then(|page| self.spans.entry(page)) else {
            return Found::Outside;
        };
        let span = match entry {
            PageEntry::Never => return Found::UnallocatedSpan { freed_cycle: None },
            PageEntry::Freed(cycle) => {
                return Found::UnallocatedSpan {
                    freed_cycle: Some(cycle),
                };
            }
            PageEntry::Span(first_page) => self.spans.record(first_page),
        };
        match span {
            Some(span) => self.find_in(span, address),
            None => Found::UnallocatedSpan { freed_cycle: None },
        }
    }

    fn find_in(&self, span: &Span, address: usize) -> Found {
        if !address.is_multiple_of(GRANULE_BYTES) {
            return Found::Misaligned;
        }
        let first = span.base(self.base());
        let slot = address.wrapping_sub(first).checked_div(span.slot_bytes());
        let slot = slot
            .and_then(|slot| u32::try_from(slot).ok())
            .filter(|slot| *slot < span.slots());
        let Some(slot) = slot else {
            return Found::UnusedTail {
                span: span.first_page(),
            };
        };
        let base = first + slot as usize * span.slot_bytes();
        let place = Place {
            span: span.first_page(),
            slot,
            base,
            type_index: span.type_index(),
            slot_bytes: span.slot_bytes(),
        };
        let state = self.states.load(base).unwrap_or(StateByte::FREE_FRESH);
        if state.is_free() {
            let stale_cycles = state.stale_cycles(self.context.cycle());
            Found::FreeSlot {
                place,
                stale_cycles,
            }
        } else if !state.is_object() {
            Found::QuarantinedSlot(place)
        } else if address == base {
            Found::Object(place)
        } else {
            Found::Interior(place)
        }
    }

    /// Calls `visit` with each object, by address.
    pub(crate) fn for_each_object(&self, visit: &mut dyn FnMut(usize, &Span, StateByte)) {
        for span in self.vouched() {
            self.for_each_object_in(span, visit);
        }
    }

    /// Calls `visit` with each object of a class, by address.
    pub(crate) fn for_each_object_of(
        &self,
        class: ClassId,
        visit: &mut dyn FnMut(usize, &Span, StateByte),
    ) {
        for span in self
            .spans
            .iter()
            .filter(|span| span.class_index() == class.number())
        {
            self.for_each_object_in(span, visit);
        }
    }

    /// The spans by address, each with a record that may be trusted.
    fn vouched(&self) -> impl Iterator<Item = &Span> {
        self.spans.iter().inspect(|span| self.vouch(span))
    }

    fn for_each_object_in(&self, span: &Span, visit: &mut dyn FnMut(usize, &Span, StateByte)) {
        let base = span.base(self.base());
        scan::for_each_object(self.bytes(span), |granule, _, state| {
            visit(base + granule * GRANULE_BYTES, span, state);
        });
    }

    // ---- The accounts ----

    /// Recounts the accounts, and puts spans back that no list leads to. When the running books do not agree it says so and replaces them by the recount.
    pub(crate) fn ledger(&self) -> Ledger {
        // Before anything is counted: a record that cannot be restored costs its span.
        self.vouch_all();
        self.mend_lists();
        let mut ledger = Ledger {
            books: self.books.totals(),
            ..Ledger::default()
        };
        for span in self.spans.iter() {
            self.count_span(span, &mut ledger);
        }
        let wrong = ledger.first_difference();
        let detail = || {
            let (name, said, counted) = wrong.unwrap_or_default();
            let violation = self.violation(Check::Ledger).with_reason(name);
            let violation = violation.with_number("in the books", said.max(0).unsigned_abs());
            violation.with_number("counted", counted.max(0).unsigned_abs())
        };
        if !self.hooks.holds(Check::Ledger, wrong.is_none(), detail) {
            self.books.rebuild(&ledger.expected);
        }
        ledger
    }

    fn count_span(&self, span: &Span, ledger: &mut Ledger) {
        let (bytes, slot_bytes) = (span.bytes() as u64, span.slot_bytes() as u64);
        ledger.spans += 1;
        ledger.bytes_in_spans += bytes;
        ledger.expected.spans += 1;
        ledger.expected.bytes_in_spans += bytes as i64;
        let state = span.state();
        if state == Some(SpanState::Quarantined) {
            ledger.bytes_quarantined += bytes;
            ledger.expected.bytes_quarantined += bytes as i64;
            return;
        }
        let found = scan::tally(self.bytes(span), self.turn.get().1);
        let (objects, booked) = (i64::from(found.objects), self.books.share(span));
        let live = u64::from(found.objects) * slot_bytes;
        let withdrawn = u64::from(found.quarantined) * slot_bytes;
        ledger.objects += u64::from(found.objects);
        ledger.bytes_live += live;
        ledger.bytes_quarantined += withdrawn;
        ledger.bytes_free += bytes.saturating_sub(live + withdrawn);
        ledger.expected = BookTotals {
            objects: ledger.expected.objects + booked,
            bytes_live: ledger.expected.bytes_live + booked * slot_bytes as i64,
            bytes_quarantined: ledger.expected.bytes_quarantined
                + i64::from(span.slots_quarantined()) * slot_bytes as i64,
            ..ledger.expected
        };
        match state {
            Some(SpanState::Swept) => {
                let is_right = objects == booked
                    && objects == span.booked()
                    && found.quarantined == span.slots_quarantined();
                ledger.spans_miscounted += u64::from(!is_right);
            }
            _ => {
                ledger.bytes_leased += bytes;
                ledger.bytes_unsynced += (objects - booked) * slot_bytes as i64;
            }
        }
    }

    /// How the space stands, from the running books.
    pub(crate) fn usage(&self) -> Usage {
        let books = self.books.totals();
        let pages = self.pages().usage();
        let positive = |total: i64| total.max(0).unsigned_abs();
        Usage {
            bytes_in_spans: positive(books.bytes_in_spans),
            bytes_live: positive(books.bytes_live),
            bytes_quarantined: positive(books.bytes_quarantined),
            spans: positive(books.spans),
            spans_quarantined: self.gauge.spans(),
            slots_quarantined: self.gauge.slots(),
            bytes_released: u64::from(pages.pages_released) * PAGE_BYTES as u64,
            bytes_committed: u64::from(pages.pages_committed) * PAGE_BYTES as u64,
            bytes_allocated_total: self.books.bytes_allocated_total(),
            bytes_freed_total: self.books.bytes_freed_total(),
            objects_freed_total: self.books.objects_freed_total(),
        }
    }
}
