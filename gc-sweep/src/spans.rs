//! The span table: from an address to the record of its span, without locks.
//!
//! Owns the page table and the span records, both side tables with an entry for each page of the reservation. The
//! marker and the barrier look addresses up here from any thread in any phase; spans enter and leave through `space`.
//!
//! A page table entry is
//!
//! * 0: no span ever covered the page;
//! * 1 to 2^31 - 1: the first page of its span, plus one;
//! * 2^31 + c: its last span was given back in cycle c (its low 31 bits).
//!
//! Invariants: all pages of a span, and no others, name its first page; the record there is complete before the entry
//! is written. Entries of the second kind are the only ones whose number minus one is an index of the record table,
//! which the bounds check of the lookup turns into its whole test.
//!
//! Beside each record, in a table of its own, stands its *deed*: the class the span was cut for, and the seal. With the
//! register of classes and the page heap it is a second copy of all that a cut fixes.
//!
//! Deliberately absent: what is inside a span, and which pages are free.

use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crate::error::OsError;
use crate::size_class::PAGE_BYTES;
use crate::span::Span;
use crate::table::Table;

const FREED: u32 = 1 << 31;

/// The most pages a table can tell apart.
pub(crate) const PAGES_MAX: usize = (FREED - 1) as usize;

/// What the page table knows of a page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PageEntry {
    /// No span ever covered it.
    Never,
    /// Part of the span that begins at this page.
    Span(u32),
    /// Its last span was given back in this cycle.
    Freed(u32),
}

/// What is kept of a record outside of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Deed {
    /// Number of the class it was cut for.
    pub(crate) class: u32,
    /// The seal it was given.
    pub(crate) seal: u32,
}

/// The records of all spans of a space, and the way to them.
#[derive(Debug)]
pub(crate) struct SpanTable {
    /// Address of page 0. Written at birth.
    base: usize,
    pages: Table<AtomicU32>,
    records: Table<Span>,
    deeds: Table<AtomicU64>,
    /// No span ever covered this page or a later one. Written when a span enters, read by walks.
    pages_high_water: AtomicU32,
}

impl SpanTable {
    /// A table without spans for `pages` pages from `base` on.
    pub(crate) fn new(base: usize, pages: usize) -> Result<SpanTable, OsError> {
        Ok(SpanTable {
            base,
            pages: Table::new(pages)?,
            records: Table::new(pages)?,
            deeds: Table::new(pages)?,
            pages_high_water: AtomicU32::new(0),
        })
    }

    /// The span that covers this address.
    #[inline]
    pub(crate) fn span_of(&self, address: usize) -> Option<&Span> {
        let page = address.wrapping_sub(self.base) / PAGE_BYTES;
        // Acquire pairs with the Release of `enter`: the record behind the entry is complete.
        let entry = self.pages.get(page)?.load(Ordering::Acquire);
        self.records.get(entry.wrapping_sub(1) as usize)
    }

    /// The record at this page, whether or not a span begins there now.
    pub(crate) fn record(&self, page: u32) -> Option<&Span> {
        self.records.get(page as usize)
    }

    /// The page at which a record of this table stands, whatever the record says.
    #[inline]
    pub(crate) fn page_of(&self, span: &Span) -> u32 {
        let first = self.records.entries().as_ptr().addr();
        (ptr::from_ref(span).addr().wrapping_sub(first) / size_of::<Span>()) as u32
    }

    /// A record of this table is as it was cut.
    #[inline]
    pub(crate) fn is_sealed(&self, span: &Span) -> bool {
        span.is_sealed(self.page_of(span))
    }

    /// The second copy of what a cut fixed in the record at this page.
    pub(crate) fn deed(&self, page: u32) -> Option<Deed> {
        let deed = self.deeds.get(page as usize)?.load(Ordering::Relaxed);
        Some(Deed {
            class: (deed >> 32) as u32,
            seal: deed as u32,
        })
    }

    /// Number of the class of a span: by its record, or by its second copy where the record is broken.
    pub(crate) fn class_of(&self, span: &Span) -> Option<u32> {
        if self.is_sealed(span) {
            return Some(span.class_index());
        }
        self.deed(self.page_of(span)).map(|deed| deed.class)
    }

    /// Writes the second copy. Relaxed: the entry in the page table publishes it with the record.
    pub(crate) fn set_deed(&self, page: u32, deed: Deed) {
        if let Some(entry) = self.deeds.get(page as usize) {
            entry.store(
                u64::from(deed.class) << 32 | u64::from(deed.seal),
                Ordering::Relaxed,
            );
        }
    }

    #[cfg(feature = "fault-inject")]
    pub(crate) fn fault_flip_deed(&self, page: u32, bit: u32) {
        if let Some(deed) = self.deeds.get(page as usize) {
            deed.fetch_xor(1 << (bit % 64), Ordering::Relaxed);
        }
    }

    /// Pages in a row, from this one on, that are part of the span that begins here.
    pub(crate) fn pages_from(&self, page: u32) -> u32 {
        let is_part = |at: &u32| self.entry(*at) == Some(PageEntry::Span(page));
        (page..).take_while(is_part).count() as u32
    }

    /// What is known of a page; `None` outside the reservation.
    pub(crate) fn entry(&self, page: u32) -> Option<PageEntry> {
        // Acquire pairs with the Release of `enter` and `leave`.
        let entry = self.pages.get(page as usize)?.load(Ordering::Acquire);
        Some(match entry {
            0 => PageEntry::Never,
            FREED.. => PageEntry::Freed(entry - FREED),
            _ => PageEntry::Span(entry - 1),
        })
    }

    /// Publishes the span whose record at `first_page` is complete.
    pub(crate) fn enter(&self, first_page: u32, pages: u32) {
        self.pages_high_water
            .fetch_max(first_page + pages, Ordering::Relaxed);
        self.write(first_page, pages, first_page + 1);
    }

    /// Takes the pages of a span that ended in this cycle out again.
    pub(crate) fn leave(&self, first_page: u32, pages: u32, cycle: u32) {
        self.write(first_page, pages, FREED | (cycle & (FREED - 1)));
    }

    fn write(&self, first_page: u32, pages: u32, entry: u32) {
        let first = first_page as usize;
        let covered = self.pages.entries().get(first..first + pages as usize);
        for page in covered.unwrap_or_default() {
            // Release pairs with the Acquire of `span_of` and `entry`.
            page.store(entry, Ordering::Release);
        }
    }

    /// The spans at the moment of the walk, in the order of their addresses. Goes by the page table alone.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Span> {
        let end = self.pages_high_water.load(Ordering::Relaxed);
        let begins = |page: &u32| self.entry(*page) == Some(PageEntry::Span(*page));
        (0..end).filter(begins).filter_map(|page| self.record(page))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::span_state::Cut;

    const BASE: usize = 1 << 40;

    fn cut(spans: &SpanTable, first_page: u32, pages: u32) {
        let shape = Cut {
            first_page,
            pages,
            slot_bytes: 64,
            slots: pages * 128,
            type_index: first_page + 7,
            class: 0,
            is_pointer_free: true,
            needs_drop: false,
            is_large: false,
        };
        spans.record(first_page).unwrap().cut(shape, 1);
        spans.enter(first_page, pages);
    }

    #[test]
    fn every_address_of_a_span_leads_to_its_record() {
        let spans = SpanTable::new(BASE, 64).unwrap();
        cut(&spans, 3, 2);
        for offset in [3 * PAGE_BYTES, 3 * PAGE_BYTES + 1, 5 * PAGE_BYTES - 1] {
            assert_eq!(spans.span_of(BASE + offset).unwrap().type_index(), 10);
        }
        for offset in [0, 3 * PAGE_BYTES - 1, 5 * PAGE_BYTES, 64 * PAGE_BYTES] {
            assert!(spans.span_of(BASE + offset).is_none());
        }
        assert!(spans.span_of(BASE - 1).is_none() && spans.span_of(0).is_none());
    }

    #[test]
    fn a_page_remembers_the_cycle_that_freed_it() {
        let spans = SpanTable::new(BASE, 64).unwrap();
        cut(&spans, 8, 4);
        spans.leave(8, 4, 41);
        assert!(spans.span_of(BASE + 9 * PAGE_BYTES).is_none());
        assert_eq!(spans.entry(11), Some(PageEntry::Freed(41)));
        assert_eq!(spans.entry(12), Some(PageEntry::Never));
        assert_eq!(spans.entry(64), None);
        cut(&spans, 8, 1);
        assert_eq!(spans.entry(8), Some(PageEntry::Span(8)));
        assert_eq!(spans.entry(9), Some(PageEntry::Freed(41)));
    }

    #[test]
    fn a_walk_sees_every_span_once_and_in_order() {
        let spans = SpanTable::new(BASE, 64).unwrap();
        for (first, pages) in [(20, 3), (0, 1), (7, 2), (1, 1)] {
            cut(&spans, first, pages);
        }
        spans.leave(1, 1, 2);
        let firsts: Vec<u32> = spans.iter().map(Span::first_page).collect();
        assert_eq!(firsts, [0, 7, 20]);
    }
}
