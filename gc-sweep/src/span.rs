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
//!                               claim                any state -- withdraw --> Quarantined -- readmit --> Swept
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
//! Who writes what: the shape (first page to class, and three flags) is written by `cut`, while nobody can see the span,
//! and again, as it was, by whoever finds that it does not match its seal (`vouch`); counts by the holder of the lease or
//! of the claim; the links and the list by the holder of the class lock; the word by compare-exchange. Readers come from
//! any thread: the entry of the page table, through which a record is found, is stored with Release after the record.
//!
//! Deliberately absent: addresses (a record knows pages only, so its content does not depend on where the reservation
//! lies), the state bytes, and judgement about violations.
#![allow(unsafe_code)]

mod births;
#[cfg(feature = "fault-inject")]
mod fault;

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use crate::link::{Link, Standing};
use crate::seal::Sealed;
use crate::size_class::{GRANULE_BYTES, PAGE_BYTES};
use crate::span_state::{Claim, Cut, Ended, Refusal, SpanState, SpanWord};
use crate::span_word::StateWord;
use crate::table::ZeroValid;

use self::births::{BORN_SINCE, YOUNG};

#[cfg(feature = "fault-inject")]
pub use self::fault::RecordField;

const POINTER_FREE: u8 = 1;
const NEEDS_DROP: u8 = 2;
const LARGE: u8 = 4;
/// The flags that a cut fixes.
const SHAPE_FLAGS: u8 = POINTER_FREE | NEEDS_DROP | LARGE;
const WITHDRAWAL_DUE: u8 = 8;
const MISCOUNTED: u8 = 32;

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
    standing: Standing,
    flags: AtomicU8,
    /// Of the fields that a cut fixes.
    seal: AtomicU32,
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

    pub(crate) fn listing(&self) -> &Standing {
        &self.standing
    }

    pub(crate) fn is_withdrawal_due(&self) -> bool {
        self.has(WITHDRAWAL_DUE)
    }

    #[inline]
    fn has(&self, flag: u8) -> bool {
        self.flags.load(Ordering::Relaxed) & flag != 0
    }

    // ---- Its life ----

    /// Makes a Swept span of free pages. The caller enters it into the page table afterwards, which publishes it.
    pub(crate) fn cut(&self, cut: Cut, generation: u32) {
        self.flags.store(
            (YOUNG * u8::from(cut.is_large)) | BORN_SINCE,
            Ordering::Relaxed,
        );
        self.write_sealed(&Span::sealed_of(cut), cut.first_page);
        self.alloc_count.store(0, Ordering::Relaxed);
        self.freed_in_lease.store(0, Ordering::Relaxed);
        self.frontier.store(0, Ordering::Relaxed);
        self.slots_quarantined.store(0, Ordering::Relaxed);
        self.link.reset();
        self.standing.reset();
        self.word.begin(generation);
    }

    /// Says in which generation a span begins that was just cut and is still its maker's alone.
    pub(crate) fn begin(&self, generation: u32) {
        self.word.begin(generation);
    }

    /// Takes the span for one run. The error is the word that does not allow it.
    pub(crate) fn lease(&self) -> Result<(), SpanWord> {
        self.word.lease()?;
        self.expect_births();
        Ok(())
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

    /// Brings a withdrawn span back. For the driver that has stopped everyone else.
    pub(crate) fn readmit(&self, generation: u32) {
        self.flags.fetch_and(!WITHDRAWAL_DUE, Ordering::Relaxed);
        self.expect_births();
        self.word.begin(generation);
    }

    /// Its counts did not agree when it was withdrawn.
    pub(crate) fn is_miscounted(&self) -> bool {
        self.has(MISCOUNTED)
    }

    /// For whoever withdraws it.
    pub(crate) fn set_miscounted(&self) {
        self.flags.fetch_or(MISCOUNTED, Ordering::Relaxed);
    }

    /// The span is to be withdrawn by whoever holds it now, when that ends. Under the lock of the class.
    pub(crate) fn set_withdrawal_due(&self) {
        self.flags.fetch_or(WITHDRAWAL_DUE, Ordering::Relaxed);
    }

    // ---- Its seal ----

    /// The words that a record of this shape is sealed with.
    pub(crate) fn sealed_of(cut: Cut) -> Sealed {
        Sealed {
            first_page: cut.first_page,
            pages: cut.pages,
            slot_granules: (cut.slot_bytes / GRANULE_BYTES) as u32,
            slots: cut.slots,
            type_index: cut.type_index,
            class: cut.class,
            flags: (POINTER_FREE * u8::from(cut.is_pointer_free))
                | (NEEDS_DROP * u8::from(cut.needs_drop))
                | (LARGE * u8::from(cut.is_large)),
        }
    }

    /// What the record says of the words that are sealed.
    #[inline]
    pub(crate) fn sealed(&self) -> Sealed {
        Sealed {
            first_page: self.first_page(),
            pages: self.pages(),
            slot_granules: self.slot_granules.load(Ordering::Relaxed),
            slots: self.slots(),
            type_index: self.type_index(),
            class: self.class_index(),
            flags: self.flags.load(Ordering::Relaxed) & SHAPE_FLAGS,
        }
    }

    pub(crate) fn seal(&self) -> u32 {
        self.seal.load(Ordering::Relaxed)
    }

    /// The record, which stands at this page, is as it was cut.
    #[inline]
    pub(crate) fn is_sealed(&self, page: u32) -> bool {
        self.sealed().seal(page) == self.seal()
    }

    /// Writes the sealed words and the seal of a record that stands at this page: in `cut`, and over a record found
    /// broken, which others may be reading.
    pub(crate) fn write_sealed(&self, sealed: &Sealed, page: u32) {
        self.first_page.store(sealed.first_page, Ordering::Relaxed);
        self.pages.store(sealed.pages, Ordering::Relaxed);
        self.slot_granules
            .store(sealed.slot_granules, Ordering::Relaxed);
        self.slots.store(sealed.slots, Ordering::Relaxed);
        self.type_index.store(sealed.type_index, Ordering::Relaxed);
        self.class.store(sealed.class, Ordering::Relaxed);
        self.flags.fetch_and(!SHAPE_FLAGS, Ordering::Relaxed);
        self.flags.fetch_or(sealed.flags, Ordering::Relaxed);
        self.seal.store(sealed.seal(page), Ordering::Relaxed);
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

    /// So many slots are withdrawn no longer, and so many of these hold objects. For whoever holds the span alone.
    pub(crate) fn readmit_slots(&self, objects: u32, slots: u32) {
        self.slots_quarantined.fetch_sub(slots, Ordering::Relaxed);
        self.set_alloc_count(self.alloc_count() + objects);
    }

    /// One more slot is withdrawn. A withdrawn slot counts as handed out for the frontier.
    pub(crate) fn add_quarantined_slot(&self) {
        self.slots_quarantined.fetch_add(1, Ordering::Relaxed);
    }
}
