//! The record of a span: a run of pages cut into equal slots, all of one class.
//!
//! Records live in a zeroed side table, one for each page of the reservation, used at the first page of a span. This
//! file owns the fields; `span_word` has the changes of its state, and other files call the verbs here.
//!
//! ```text
//!            cut                lease                  claim
//!   Free ----------> Swept <-----------> Leased -----------------> LeasedClaimed
//!     ^               |  ^    retire                  finish  <-------   |
//!     |    release    |  |                                               | retire
//!     +---------------+  +------------------- Claimed <-----------------+
//!                     |        finish            ^
//!                     +--------------------------+
//!                               claim                any state -- withdraw --> Quarantined (for good)
//! ```
//!
//! State and generation share one word. The generation is the cycle the span was last swept in, so a Swept, Leased or
//! Quarantined span of an older generation is unswept, and a flip touches no span.
//!
//! Invariants, while nobody sweeps the span and its lease, if any, is in the books:
//!
//! * `alloc_count - freed_in_lease` = state bytes of the span with a colour, all at slot starts below `frontier`;
//! * `slots_quarantined` = withdrawn slots without an object;
//! * `alloc_count + slots_quarantined <= slots`.
//!
//! Who writes what: the shape (first page to flags) is written by `cut` alone, while nobody can see the span; counts by
//! the holder of the lease or of the claim; the links and the list by the holder of the class lock; the word by
//! compare-exchange. Readers come from any thread: a record found through the page table is complete, since the entry
//! there is stored with Release after the record.
//!
//! Deliberately absent: addresses (a record knows pages only, so its content does not depend on where the reservation
//! lies), the state bytes, and judgement about violations.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::link::Link;
use crate::size_class::{GRANULE_BYTES, PAGE_BYTES};
use crate::span_state::{Claim, Cut, Ended, Refusal, SpanState, SpanWord};
use crate::span_word::StateWord;
use crate::table::ZeroValid;

const POINTER_FREE: u8 = 1;
const NEEDS_DROP: u8 = 2;
const LARGE: u8 = 4;
const WITHDRAWAL_DUE: u8 = 8;
const YOUNG: u8 = 16;

/// A span of the heap, as anyone may read it. See the head of the file for its life.
#[repr(C, align(64))]
pub struct Span {
    word: StateWord,
    first_page: AtomicU32,
    pages: AtomicU32,
    slot_granules: AtomicU32,
    slots: AtomicU32,
    type_index: AtomicU32,
    class: AtomicU32,
    /// Slots handed out and not freed, as far as they are in the books.
    alloc_count: AtomicU32,
    /// Slots that a sweep freed while the span was leased. Kept apart from `alloc_count`, which may not yet know of
    /// the slots it would be subtracted from.
    freed_in_lease: AtomicU32,
    /// The first slot that was never handed out, as far as it is in the books.
    frontier: AtomicU32,
    slots_quarantined: AtomicU32,
    link: Link,
    flags: AtomicU8,
}

const _: () = assert!(size_of::<Span>() == 64, "a record is one cache line");

// SAFETY: every field is an atomic integer, for which zero is a value; zero in all of them is a Free span.
unsafe impl ZeroValid for Span {}

impl Span {
    // ---- What anyone may read ----

    /// First page of the span, in pages from the start of the reservation.
    #[inline]
    pub fn first_page(&self) -> u32 {
        self.first_page.load(Ordering::Relaxed)
    }

    /// Bytes from the start of the reservation to the first slot.
    #[inline]
    pub fn offset_bytes(&self) -> usize {
        self.first_page() as usize * PAGE_BYTES
    }

    /// Address of the first slot, in a reservation that begins at `space_base`.
    #[inline]
    pub fn base(&self, space_base: usize) -> usize {
        space_base + self.offset_bytes()
    }

    /// How many pages the span has.
    #[inline]
    pub fn pages(&self) -> u32 {
        self.pages.load(Ordering::Relaxed)
    }

    /// Bytes of the span, the tail behind its last slot included.
    #[inline]
    pub fn bytes(&self) -> usize {
        self.pages() as usize * PAGE_BYTES
    }

    /// Bytes of each slot.
    #[inline]
    pub fn slot_bytes(&self) -> usize {
        self.slot_granules() * GRANULE_BYTES
    }

    /// How many slots the span has.
    #[inline]
    pub fn slots(&self) -> u32 {
        self.slots.load(Ordering::Relaxed)
    }

    /// The type of every object in it.
    #[inline]
    pub fn type_index(&self) -> u32 {
        self.type_index.load(Ordering::Relaxed)
    }

    /// Number of the class it was cut for.
    #[inline]
    pub fn class_index(&self) -> u32 {
        self.class.load(Ordering::Relaxed)
    }

    /// Its objects hold no managed pointer.
    #[inline]
    pub fn is_pointer_free(&self) -> bool {
        self.has(POINTER_FREE)
    }

    /// Its objects have drop glue.
    #[inline]
    pub fn needs_drop(&self) -> bool {
        self.has(NEEDS_DROP)
    }

    /// It holds one object that is too large for a shared span.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.has(LARGE)
    }

    /// Objects in the books: slots handed out and not freed. Lags behind while the span is leased.
    pub fn alloc_count(&self) -> u32 {
        let allocated = self.alloc_count.load(Ordering::Relaxed);
        allocated.saturating_sub(self.freed_in_lease.load(Ordering::Relaxed))
    }

    /// Slots withdrawn for good.
    pub fn slots_quarantined(&self) -> u32 {
        self.slots_quarantined.load(Ordering::Relaxed)
    }

    /// The first slot never handed out, as far as it is in the books.
    pub fn frontier(&self) -> u32 {
        self.frontier.load(Ordering::Relaxed)
    }

    /// What the span is doing; `None` when its state word was overwritten with nonsense.
    pub fn state(&self) -> Option<SpanState> {
        self.word().state()
    }

    /// The cycle it was last swept in.
    pub fn generation(&self) -> u32 {
        self.word().generation()
    }

    // ---- For the other files of the crate ----

    pub(crate) fn word(&self) -> SpanWord {
        self.word.load()
    }

    #[inline]
    pub(crate) fn slot_granules(&self) -> usize {
        self.slot_granules.load(Ordering::Relaxed) as usize
    }

    /// Objects in the books of a leased span may be fewer than were freed in it, hence the sign.
    pub(crate) fn booked(&self) -> i64 {
        let allocated = i64::from(self.alloc_count.load(Ordering::Relaxed));
        allocated - i64::from(self.freed_in_lease.load(Ordering::Relaxed))
    }

    /// Objects in the books, not counting what a sweep freed during the lease.
    pub(crate) fn handed_out(&self) -> u32 {
        self.alloc_count.load(Ordering::Relaxed)
    }

    pub(crate) fn freed_in_lease(&self) -> u32 {
        self.freed_in_lease.load(Ordering::Relaxed)
    }

    pub(crate) fn link(&self) -> &Link {
        &self.link
    }

    pub(crate) fn is_withdrawal_due(&self) -> bool {
        self.has(WITHDRAWAL_DUE)
    }

    /// It is large and no sweep has come by: its slot is handed out, and may not be published yet.
    pub(crate) fn is_young(&self) -> bool {
        self.has(YOUNG)
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    // ---- Its life ----

    /// Makes a Swept span of free pages. The caller enters it into the page table afterwards, which publishes it.
    pub(crate) fn cut(&self, cut: Cut, generation: u32) {
        let flag = |holds: bool, flag: u8| if holds { flag } else { 0 };
        let flags = flag(cut.is_pointer_free, POINTER_FREE)
            | flag(cut.needs_drop, NEEDS_DROP)
            | flag(cut.is_large, LARGE | YOUNG);
        self.first_page.store(cut.first_page, Ordering::Relaxed);
        self.pages.store(cut.pages, Ordering::Relaxed);
        self.slot_granules
            .store((cut.slot_bytes / GRANULE_BYTES) as u32, Ordering::Relaxed);
        self.slots.store(cut.slots, Ordering::Relaxed);
        self.type_index.store(cut.type_index, Ordering::Relaxed);
        self.class.store(cut.class, Ordering::Relaxed);
        self.alloc_count.store(0, Ordering::Relaxed);
        self.freed_in_lease.store(0, Ordering::Relaxed);
        self.frontier.store(0, Ordering::Relaxed);
        self.slots_quarantined.store(0, Ordering::Relaxed);
        self.link.reset();
        self.flags.store(flags, Ordering::Relaxed);
        self.word.begin(generation);
    }

    /// Takes the span for one run. The error is the word that does not allow it.
    pub(crate) fn lease(&self) -> Result<(), SpanWord> {
        self.word.lease()
    }

    /// Ends a lease whose slots are in the books.
    pub(crate) fn retire(&self) -> Ended {
        self.word.retire()
    }

    /// Takes the right to sweep the span in this generation.
    pub(crate) fn claim(&self, generation: u32) -> Result<Claim, Refusal> {
        self.word.claim(generation)
    }

    /// Gives the right to sweep back.
    pub(crate) fn finish(&self, claim: Claim) -> Ended {
        self.word.finish(claim)
    }

    /// Ends the span, which no list holds and no object is in. False when its state does not allow it.
    pub(crate) fn release(&self) -> bool {
        self.word.release()
    }

    /// Withdraws the span for good, whatever its word says.
    pub(crate) fn withdraw(&self, generation: u32) {
        self.word.withdraw(generation);
    }

    /// The span is to be withdrawn by whoever holds it now, when that ends. Under the lock of the class.
    pub(crate) fn set_withdrawal_due(&self) {
        self.flags.fetch_or(WITHDRAWAL_DUE, Ordering::Relaxed);
    }

    /// A sweep has come by. For the holder of the claim, who is told whether it is the first.
    pub(crate) fn end_youth(&self) -> bool {
        self.has(YOUNG) && self.flags.fetch_and(!YOUNG, Ordering::Relaxed) & YOUNG != 0
    }

    // ---- Counts. Relaxed: they are read under a state whose word carries the order ----

    /// Books slots handed out by the lessee, and how far it has come.
    pub(crate) fn add_handed_out(&self, slots: u32, frontier: u32) {
        self.alloc_count.fetch_add(slots, Ordering::Relaxed);
        self.frontier.fetch_max(frontier, Ordering::Relaxed);
    }

    /// Books slots freed by a sweep beside a lease.
    pub(crate) fn add_freed_in_lease(&self, slots: u32) {
        self.freed_in_lease.fetch_add(slots, Ordering::Relaxed);
    }

    /// Sets the count of a span that the caller alone holds.
    pub(crate) fn set_alloc_count(&self, objects: u32) {
        self.alloc_count.store(objects, Ordering::Relaxed);
        self.freed_in_lease.store(0, Ordering::Relaxed);
    }

    /// One more slot is withdrawn. A withdrawn slot counts as handed out for the frontier.
    pub(crate) fn add_quarantined_slot(&self) {
        self.slots_quarantined.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(feature = "fault-inject")]
impl Span {
    pub(crate) fn fault_add_alloc_count(&self, amount: i32) {
        self.alloc_count.fetch_add(amount as u32, Ordering::Relaxed);
    }

    pub(crate) fn fault_set_word(&self, generation: u32, state: u32) {
        self.word
            .fault_set(u64::from(generation) << 32 | u64::from(state));
    }

    pub(crate) fn fault_set_type_index(&self, type_index: u32) {
        self.type_index.store(type_index, Ordering::Relaxed);
    }

    pub(crate) fn fault_set_frontier(&self, slot: u32) {
        self.frontier.store(slot, Ordering::Relaxed);
    }
}
