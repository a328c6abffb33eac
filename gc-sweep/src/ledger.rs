//! The accounts of a space: running books kept beside the spans, and the ledger that is recounted from them.
//!
//! Owns the running totals, and for each span its share in them: how many objects of it they include. Written with each
//! change of a span's counts, by whoever holds the span; read by anyone. The recount itself walks the spans and stands
//! in `walk`.
//!
//! Invariants:
//!
//! * `bytes_in_spans = bytes_live + bytes_free + bytes_quarantined`;
//! * each running total is the sum over the spans, objects taken from the shares;
//! * the share of a span that nobody uses equals its allocation count and its objects in the state bytes.
//!
//! The shares stand apart from the span records. So when the count of a span is found wrong, its true share is still
//! known and is what leaves the totals.
//!
//! A slot is live while it holds an object that the books know, quarantined while it is withdrawn, else free; the tail
//! behind the last slot of a span is free. All of a quarantined span is quarantined. Totals are signed inside, so that
//! a damaged book shows as a wrong number and never wraps into a huge one.
//!
//! Deliberately absent: judgement. Who finds the books wrong reports it and calls `Books::rebuild`.

use std::sync::atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering};

use crate::error::OsError;
use crate::span::Span;
use crate::table::Table;

/// What is inside the spans, recounted from the span records and the state bytes, with the running books beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Ledger {
    /// Bytes of all spans.
    pub bytes_in_spans: u64,
    /// Bytes of slots that hold an object, outside quarantined spans.
    pub bytes_live: u64,
    /// Bytes of free slots, and of tails behind the last slot of a span.
    pub bytes_free: u64,
    /// Bytes of withdrawn slots and of quarantined spans.
    pub bytes_quarantined: u64,
    /// Bytes of leased spans, counted in the three above.
    pub bytes_leased: u64,
    /// Objects, outside quarantined spans.
    pub objects: u64,
    /// Spans, quarantined ones too.
    pub spans: u64,
    /// Of `bytes_live`, what leased runs handed out and did not sync yet.
    pub bytes_unsynced: i64,
    /// Spans that nobody uses and whose counts disagree with their state bytes.
    pub spans_miscounted: u64,
    /// The running books, as they were before this recount.
    pub books: BookTotals,
    /// What the running books should have said.
    pub(crate) expected: BookTotals,
}

/// The running totals of a space.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BookTotals {
    /// Bytes of all spans.
    pub bytes_in_spans: i64,
    /// Bytes of slots that hold an object, outside quarantined spans.
    pub bytes_live: i64,
    /// Bytes of withdrawn slots and of quarantined spans.
    pub bytes_quarantined: i64,
    /// Objects, outside quarantined spans.
    pub objects: i64,
    /// Spans, quarantined ones too.
    pub spans: i64,
}

impl Ledger {
    /// The accounts agree with one another.
    pub fn is_balanced(&self) -> bool {
        self.imbalance().is_none()
    }

    /// The first account found wrong, in words for a report.
    pub fn imbalance(&self) -> Option<&'static str> {
        let parts = self.bytes_live + self.bytes_free + self.bytes_quarantined;
        if parts != self.bytes_in_spans {
            Some("live, free and quarantined bytes do not add up to the bytes in spans")
        } else if self.spans_miscounted != 0 {
            Some("the count of a span disagrees with its state bytes")
        } else {
            self.first_difference().map(|(name, ..)| name)
        }
    }

    /// The running totals beside what they should say.
    fn pairs(&self) -> [(&'static str, i64, i64); 5] {
        let (books, expected) = (&self.books, &self.expected);
        [
            ("number of spans", books.spans, expected.spans),
            (
                "bytes in spans",
                books.bytes_in_spans,
                expected.bytes_in_spans,
            ),
            (
                "bytes quarantined",
                books.bytes_quarantined,
                expected.bytes_quarantined,
            ),
            ("bytes live", books.bytes_live, expected.bytes_live),
            ("number of objects", books.objects, expected.objects),
        ]
    }

    /// The first running total found wrong, with what it says and what it should say.
    pub(crate) fn first_difference(&self) -> Option<(&'static str, i64, i64)> {
        self.pairs()
            .into_iter()
            .find(|(_, said, counted)| said != counted)
    }
}

/// How a space stands, from its running books: cheap, and good enough to pace collections by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// Bytes of all spans.
    pub bytes_in_spans: u64,
    /// Bytes of slots that hold an object. Slots that a run handed out count from its next sync on.
    pub bytes_live: u64,
    /// Bytes of withdrawn slots and of quarantined spans.
    pub bytes_quarantined: u64,
    /// Spans, quarantined ones too.
    pub spans: u64,
    /// Quarantined spans.
    pub spans_quarantined: u64,
    /// Slots withdrawn one by one.
    pub slots_quarantined: u64,
    /// Bytes of memory given back to the system and not committed again.
    pub bytes_released: u64,
    /// Bytes of memory that may be touched.
    pub bytes_committed: u64,
    /// Bytes of slots ever handed out.
    pub bytes_allocated_total: u64,
    /// Bytes of slots ever freed by a sweep.
    pub bytes_freed_total: u64,
    /// Objects ever freed by a sweep.
    pub objects_freed_total: u64,
}

/// The running books. Each method names the event it books.
#[derive(Debug)]
pub(crate) struct Books {
    bytes_in_spans: AtomicI64,
    bytes_live: AtomicI64,
    bytes_quarantined: AtomicI64,
    objects: AtomicI64,
    spans: AtomicI64,
    bytes_allocated_total: AtomicU64,
    bytes_freed_total: AtomicU64,
    objects_freed_total: AtomicU64,
    /// Objects of each span in `objects`, by first page, as the bits of an `i32`: a sweep beside a lease may book dead
    /// objects before the lessee has booked their birth.
    shares: Table<AtomicU32>,
}

/// Adds a signed amount. Relaxed: totals are read as hints, or when nothing else runs.
fn add(total: &AtomicI64, amount: i64) {
    total.fetch_add(amount, Ordering::Relaxed);
}

impl Books {
    /// Empty books for a reservation of so many pages.
    pub(crate) fn new(pages: usize) -> Result<Books, OsError> {
        Ok(Books {
            bytes_in_spans: AtomicI64::new(0),
            bytes_live: AtomicI64::new(0),
            bytes_quarantined: AtomicI64::new(0),
            objects: AtomicI64::new(0),
            spans: AtomicI64::new(0),
            bytes_allocated_total: AtomicU64::new(0),
            bytes_freed_total: AtomicU64::new(0),
            objects_freed_total: AtomicU64::new(0),
            shares: Table::new(pages)?,
        })
    }

    /// Objects of a span in the totals.
    pub(crate) fn share(&self, span: &Span) -> i64 {
        let share = self.shares.get(span.first_page() as usize);
        share.map_or(0, |share| {
            i64::from(share.load(Ordering::Relaxed).cast_signed())
        })
    }

    /// Changes the share of a span, and the totals with it.
    fn add_objects(&self, span: &Span, objects: i32) {
        if let Some(share) = self.shares.get(span.first_page() as usize) {
            share.fetch_add(objects.cast_unsigned(), Ordering::Relaxed);
            add(&self.objects, i64::from(objects));
            add(
                &self.bytes_live,
                i64::from(objects) * span.slot_bytes() as i64,
            );
        }
    }

    pub(crate) fn span_cut(&self, span: &Span) {
        add(&self.spans, 1);
        add(&self.bytes_in_spans, span.bytes() as i64);
    }

    pub(crate) fn span_released(&self, span: &Span) {
        add(&self.spans, -1);
        add(&self.bytes_in_spans, -(span.bytes() as i64));
    }

    pub(crate) fn handed_out(&self, span: &Span, slots: u32) {
        self.add_objects(span, slots.cast_signed());
        let bytes = u64::from(slots) * span.slot_bytes() as u64;
        self.bytes_allocated_total
            .fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn freed(&self, span: &Span, slots: u32) {
        self.add_objects(span, -slots.cast_signed());
        let bytes = u64::from(slots) * span.slot_bytes() as u64;
        self.bytes_freed_total.fetch_add(bytes, Ordering::Relaxed);
        self.objects_freed_total
            .fetch_add(slots.into(), Ordering::Relaxed);
    }

    /// A slot was withdrawn that the books know no object in.
    pub(crate) fn slot_withdrawn(&self, span: &Span) {
        add(&self.bytes_quarantined, span.slot_bytes() as i64);
    }

    /// A slot was withdrawn with its object.
    pub(crate) fn object_withdrawn(&self, span: &Span) {
        self.add_objects(span, -1);
        self.slot_withdrawn(span);
    }

    /// A span was withdrawn, with the slots of it that had been withdrawn one by one.
    pub(crate) fn span_withdrawn(&self, span: &Span) {
        self.add_objects(span, -(self.share(span) as i32));
        let bytes_before = i64::from(span.slots_quarantined()) * span.slot_bytes() as i64;
        add(&self.bytes_quarantined, span.bytes() as i64 - bytes_before);
    }

    /// A span came back from quarantine, with the objects in its count. Slots withdrawn one by one still are.
    pub(crate) fn span_readmitted(&self, span: &Span) {
        let bytes_withdrawn = i64::from(span.slots_quarantined()) * span.slot_bytes() as i64;
        add(
            &self.bytes_quarantined,
            bytes_withdrawn - span.bytes() as i64,
        );
        self.add_objects(span, span.alloc_count().cast_signed());
    }

    /// So many slots came back from quarantine, and so many of these with an object.
    pub(crate) fn slots_readmitted(&self, span: &Span, objects: u32, slots: u32) {
        let bytes = i64::from(slots) * span.slot_bytes() as i64;
        add(&self.bytes_quarantined, -bytes);
        self.add_objects(span, objects.cast_signed());
    }

    pub(crate) fn totals(&self) -> BookTotals {
        BookTotals {
            bytes_in_spans: self.bytes_in_spans.load(Ordering::Relaxed),
            bytes_live: self.bytes_live.load(Ordering::Relaxed),
            bytes_quarantined: self.bytes_quarantined.load(Ordering::Relaxed),
            objects: self.objects.load(Ordering::Relaxed),
            spans: self.spans.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn bytes_quarantined(&self) -> u64 {
        self.bytes_quarantined
            .load(Ordering::Relaxed)
            .max(0)
            .unsigned_abs()
    }

    pub(crate) fn bytes_live(&self) -> u64 {
        let bytes_live = self.bytes_live.load(Ordering::Relaxed);
        bytes_live.max(0).unsigned_abs()
    }

    pub(crate) fn bytes_allocated_total(&self) -> u64 {
        self.bytes_allocated_total.load(Ordering::Relaxed)
    }

    pub(crate) fn objects_freed_total(&self) -> u64 {
        self.objects_freed_total.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_freed_total(&self) -> u64 {
        self.bytes_freed_total.load(Ordering::Relaxed)
    }

    /// Replaces the running totals by recounted ones.
    pub(crate) fn rebuild(&self, totals: &BookTotals) {
        self.bytes_in_spans
            .store(totals.bytes_in_spans, Ordering::Relaxed);
        self.bytes_live.store(totals.bytes_live, Ordering::Relaxed);
        self.bytes_quarantined
            .store(totals.bytes_quarantined, Ordering::Relaxed);
        self.objects.store(totals.objects, Ordering::Relaxed);
        self.spans.store(totals.spans, Ordering::Relaxed);
    }

    #[cfg(feature = "fault-inject")]
    pub(crate) fn fault_skew(&self, bytes: i64) {
        add(&self.bytes_live, bytes);
    }
}
