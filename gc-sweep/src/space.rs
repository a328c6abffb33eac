//! The outer face of the crate: the memory of one heap.
//!
//! Owned by the heap above and called, on several threads, from mutators and markers (lookups, runs, state bytes) and from
//! the driver of the cycle (flip, sweep, walks); a method that expects everyone else to be stopped says so.
//!
//! A cycle, seen from here:
//!
//! 1. Precondition: [`Space::is_swept`]. Mutators may allocate in the colour of the cycle before, then, each from its
//!    own moment on, in the new one; the marker marks in the new one.
//! 2. [`Space::flip`] tells the new colour: every span is due, an object of any other colour is dead.
//! 3. [`Space::sweep_step`] until `is_swept`; allocation helps itself to spans of its own class meanwhile.
//!
//! Deliberately absent: types, roots, threads, phases (a phase is known only as a word for reports).

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use gc_hooks::{Check, Checks, Hooks, Phase};

use crate::cache::Run;
use crate::class::{ClassId, ClassSpec};
use crate::colour::{CycleKind, Kept, StateByte};
use crate::contain::Withdrawal;
use crate::error::{AllocError, SpaceError};
#[cfg(feature = "fault-inject")]
use crate::fault::Fault;
use crate::found::Found;
use crate::ground::{Ground, GroundParts};
use crate::ledger::{BookTotals, Books, Ledger, Usage};
use crate::os::Reservation;
use crate::page_heap::{PageHeap, PageHeapConfig, pages_for_bytes};
use crate::readmit::QuarantineReleased;
use crate::size_class::{CHUNK_BYTES, PAGE_BYTES};
use crate::span::Span;
use crate::spans::{PAGES_MAX, SpanTable};
use crate::suspects::Suspects;
use crate::sweep::{Reaper, SweepMode, SweepProgress};
use crate::table::{FreshSlot, StateTable};

/// The least a reservation may shrink to when the system refuses more.
const RESERVE_BYTES_MIN: usize = 64 << 20;

/// Limits of a space. Those that hide rare paths are here so that stress can shrink them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SpaceConfig {
    /// Address space to reserve. When the system refuses, half is tried, down to 64 MiB or to this, if it is less.
    pub reserve_bytes: usize,
    /// What spans may hold at most, quarantine included.
    pub limit_bytes: Option<usize>,
    /// Above so many quarantined bytes `quarantine-limit` is reported.
    pub quarantine_limit_bytes: usize,
    /// Free chunks of 2 MiB given back to the system at the end of each sweep.
    pub release_chunks_per_cycle: usize,
    /// Free chunks that keep their memory in any case.
    pub chunks_kept_min: usize,
    /// Pages of the longest shared span; slots that need longer ones get them.
    pub span_pages_max: u32,
    /// The checks to make. Of those that can be switched, `slot-dirty` is the space's own.
    pub checks: Checks,
}

impl Default for SpaceConfig {
    fn default() -> Self {
        SpaceConfig {
            reserve_bytes: 64 << 30,
            limit_bytes: None,
            quarantine_limit_bytes: 64 << 20,
            release_chunks_per_cycle: 16,
            chunks_kept_min: 8,
            span_pages_max: u32::MAX,
            checks: Checks::default(),
        }
    }
}

/// The memory of one heap.
pub struct Space {
    ground: Ground,
}

impl Space {
    /// Reserves the address space of a heap and maps its tables. No memory stands behind them yet.
    pub fn new(config: SpaceConfig, hooks: Arc<Hooks>) -> Result<Space, SpaceError> {
        check_setting(
            "reserve_bytes",
            config.reserve_bytes,
            1,
            PAGES_MAX * PAGE_BYTES,
        )?;
        check_setting(
            "span_pages_max",
            config.span_pages_max as usize,
            1,
            usize::MAX,
        )?;
        check_setting(
            "limit_bytes",
            config.limit_bytes.unwrap_or(PAGE_BYTES),
            PAGE_BYTES,
            usize::MAX,
        )?;
        let reserve_bytes = config.reserve_bytes.next_multiple_of(CHUNK_BYTES);
        let reservation = Reservation::new(reserve_bytes, reserve_bytes.min(RESERVE_BYTES_MIN))?;
        let pages = reservation.bytes() / PAGE_BYTES;
        let page_heap = PageHeap::new(PageHeapConfig {
            pages_reserved: pages as u32,
            pages_limit: config
                .limit_bytes
                .and_then(|bytes| pages_for_bytes(bytes - bytes % PAGE_BYTES)),
            chunks_kept_min: u32::try_from(config.chunks_kept_min).unwrap_or(u32::MAX),
        });
        let ground = Ground::new(GroundParts {
            states: StateTable::new(reservation.base(), reservation.bytes())?,
            spans: SpanTable::new(reservation.base(), pages)?,
            books: Books::new(pages)?,
            reservation,
            page_heap,
            hooks,
            quarantine_limit_bytes: config.quarantine_limit_bytes,
            release_chunks_per_cycle: u32::try_from(config.release_chunks_per_cycle)
                .unwrap_or(u32::MAX),
            span_pages_max: config.span_pages_max,
            poisons_slots: config.checks.makes(Check::SlotDirty),
        });
        Ok(Space { ground })
    }

    /// Address of the first byte of the reservation.
    #[inline]
    pub fn base(&self) -> usize {
        self.ground.base()
    }

    /// Bytes reserved, which may be fewer than were asked for.
    #[inline]
    pub fn reserve_bytes(&self) -> usize {
        self.ground.reservation.bytes()
    }

    /// Distance of an address from the start of the reservation; `None` outside it.
    #[inline]
    pub fn offset_of(&self, address: usize) -> Option<u64> {
        let offset = address.wrapping_sub(self.base());
        (offset < self.reserve_bytes()).then_some(offset as u64)
    }

    /// The state bytes.
    #[inline]
    pub fn states(&self) -> &StateTable {
        &self.ground.states
    }

    /// The span that covers an address. For the marker: two loads, no lock.
    #[inline]
    pub fn span_of(&self, address: usize) -> Option<&Span> {
        self.ground.spans.span_of(address)
    }

    /// Where the cycle stands, for the words of reports.
    pub fn set_context(&self, cycle: u32, phase: Phase) {
        self.ground.context.set(cycle, phase);
    }

    /// The ring of suspicious marks, for the marker and the barrier.
    pub fn suspects(&self) -> &Suspects {
        &self.ground.suspects
    }

    // ---- Allocation ----

    /// Registers a class. The same class registered twice is two classes.
    pub fn register(&self, spec: ClassSpec) -> ClassId {
        self.ground.classes.register(spec)
    }

    /// Fills a run that is used up with free slots of the class. The run must have served no other class.
    ///
    /// Slots taken before are booked at the latest when their span is used up, see [`Space::sync`]. On an error the run
    /// is empty and leases nothing.
    pub fn refill(&self, class: ClassId, run: &mut Run) -> Result<(), AllocError> {
        self.ground.refill(class, run)
    }

    /// The part of [`Space::refill`] that stays inside the leased span: finds the next free slots there. False when there
    /// are none left, or no span is leased; nothing but a `refill` helps then. Takes no lock and sweeps nothing.
    pub fn refill_in_lease(&self, run: &mut Run) -> bool {
        self.ground.next_run(run)
    }

    /// Books the slots that were taken from the run since the last call, so that [`Space::usage`] knows them.
    pub fn sync(&self, run: &Run) {
        self.ground.sync(run);
    }

    /// Gives the span of a run back. The run is empty then and may be filled again, also for another class.
    pub fn retire(&self, run: &mut Run) {
        self.ground.retire(run);
    }

    /// A slot of at least so many bytes in a span of its own, for a class of [`crate::SlotSize::Large`]. It begins at a
    /// page. The caller publishes it before the flip after the next: one sweep passes by a slot that is not published.
    pub fn alloc_large(&self, class: ClassId, bytes: usize) -> Result<FreshSlot, AllocError> {
        self.ground.alloc_large(class, bytes)
    }

    // ---- The cycle ----

    /// A cycle is about to mark.
    pub fn begin_marking(&self) {
        self.ground.forget_mended();
    }

    /// Looks at the record of every span, once a cycle, after marking and before the flip. True when one was found broken
    /// since [`Space::begin_marking`]: marking may have gone by it and missed objects, so that nothing may be freed.
    pub fn was_record_broken(&self) -> bool {
        self.ground.vouch_all()
    }

    /// Looks at the record of the span at an address. True when it was broken, which was reported and mended.
    pub fn mends_record_of(&self, address: usize) -> bool {
        self.ground.mends_at(address)
    }

    /// Begins the sweep of a cycle, in which objects of the colours `kept` are alive and all others dead. Every span
    /// must be swept for the cycle before; one that is not is reported, and is swept in this cycle instead. Mutators may
    /// allocate and other threads may sweep meanwhile; from here on [`Space::is_swept`] says no until all is swept.
    pub fn flip(&self, cycle: u32, kept: Kept, kind: CycleKind) {
        let due = self.ground.classes.due();
        let detail = || {
            let violation = self.ground.violation(Check::SpanState);
            let violation = violation.with_reason("spans left unswept at a flip");
            violation.with_number("spans", due as u64)
        };
        // A span that was not swept only keeps its dead for another cycle: nothing needs to be contained.
        let _ = self.ground.hooks.holds(Check::SpanState, due == 0, detail);
        self.ground.context.set_cycle(cycle);
        self.ground.is_release_due.store(true, Ordering::Relaxed);
        // Before the lists: who finds a span due there sweeps it for this turn.
        self.ground.turn.set(cycle, kept, kind);
        self.ground
            .classes
            .flip(&self.ground.spans, cycle, due == 0);
        self.ground.report_damages();
    }

    /// Sweeps up to `spans_max` spans and says how many are left. When none is left, free memory is given back to the
    /// system within the cycle's budget. Any number of threads may be here at once: each due span is swept by one of
    /// them, and one that a thread is at work on still counts as left, so a step may find some left and none to take.
    pub fn sweep_step(
        &self,
        spans_max: usize,
        mode: SweepMode,
        reaper: &mut dyn Reaper,
    ) -> SweepProgress {
        let progress = self.ground.sweep_step(spans_max, mode, reaper);
        if progress.remaining == 0 {
            self.ground.release_chunks();
        }
        progress
    }

    /// Every span is swept for the cycle of the last flip, and where it belongs. What the sweepers did happened before the
    /// answer yes, which lasts until the next flip.
    pub fn is_swept(&self) -> bool {
        self.ground.classes.due() == 0
    }

    /// Spans are due, and no list leads to one: others are sweeping them, or they are lost.
    pub fn is_sweep_stuck(&self) -> bool {
        self.ground.is_sweep_stuck()
    }

    /// Puts spans back that no list leads to, for a driver that has stopped everyone else. True when some were.
    pub fn mend_lists(&self) -> bool {
        self.ground.mend_lists()
    }

    // ---- Doubt ----

    /// What stands at an address.
    pub fn find(&self, address: usize) -> Found {
        self.ground.find(address)
    }

    /// Lets a dead object be read again: a mark lets it pass for a live one. Nothing but AddressSanitizer asks for it.
    pub fn exhume(&self, address: usize) {
        self.ground.exhume(address);
    }

    /// Withdraws the span of an address for good: its objects stay readable and are never freed. Reports nothing; the
    /// caller has.
    pub fn quarantine_span_of(&self, address: usize) -> Withdrawal {
        self.ground.withdraw_span_of(address)
    }

    /// Withdraws the slot at an address for good. An object in it is pinned: it stays an object and is never freed.
    /// False when nothing was done, since the address is that of no slot, its slot is withdrawn already, it is a free
    /// slot of a leased span, or its span is being swept or is quarantined.
    pub fn quarantine_slot(&self, address: usize) -> bool {
        self.ground.withdraw_slot_at(address)
    }

    /// Counts everything that is withdrawn once more and puts what is found right back to service: objects live until the
    /// next cycle decides, other slots are free. For a driver that has stopped everyone else and retired every run; what is
    /// leased is left alone.
    ///
    /// Nothing here knows whether the cause of a withdrawal is gone. A slot may come back that a stale pointer still leads
    /// to: that is the caller's risk.
    pub fn release_quarantine(&self) -> QuarantineReleased {
        self.ground.release_quarantine()
    }

    // ---- Walks, for a driver that has stopped everyone else ----

    /// Calls `visit` with address, span and state of each object, by address.
    pub fn for_each_object(&self, visit: &mut dyn FnMut(usize, &Span, StateByte)) {
        self.ground.for_each_object(visit);
    }

    /// Calls `visit` with address, span and state of each object of a class, by address.
    pub fn for_each_object_of(
        &self,
        class: ClassId,
        visit: &mut dyn FnMut(usize, &Span, StateByte),
    ) {
        self.ground.for_each_object_of(class, visit);
    }

    /// Calls `visit` with each span, by address, as it is when the walk comes to it. Stops nobody.
    pub fn for_each_span(&self, visit: &mut dyn FnMut(&Span)) {
        self.ground.spans.iter().for_each(visit);
    }

    /// Recounts the accounts from the state bytes. Reports [`Check::Ledger`] when the books disagree, and rebuilds them.
    pub fn ledger(&self) -> Ledger {
        self.ground.ledger()
    }

    /// Bytes of allocated slots, as [`Space::usage`] has it: one load, for paths that ask often.
    pub fn bytes_live(&self) -> u64 {
        self.ground.books.bytes_live()
    }

    /// Bytes of slots handed out since the space was made, as [`Space::usage`] has it: one load.
    pub fn bytes_allocated_total(&self) -> u64 {
        self.ground.books.bytes_allocated_total()
    }

    /// Bytes of slots freed by sweeps since the space was made, as [`Space::usage`] has it: one load.
    pub fn bytes_freed_total(&self) -> u64 {
        self.ground.books.bytes_freed_total()
    }

    /// The running totals as they stand.
    pub fn books(&self) -> BookTotals {
        self.ground.books.totals()
    }

    /// How the space stands, from its running books. Takes the lock of the page heap.
    pub fn usage(&self) -> Usage {
        self.ground.usage()
    }

    /// Ways to break the space on purpose.
    #[cfg(feature = "fault-inject")]
    pub fn fault(&self) -> Fault<'_> {
        Fault::new(&self.ground)
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Space")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

fn check_setting(
    setting: &'static str,
    value: usize,
    min: usize,
    max: usize,
) -> Result<(), SpaceError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let expected = match setting {
        "reserve_bytes" => "at least 1, at most 16 TiB less a page",
        "limit_bytes" => "at least a page of 8192 bytes",
        _ => "at least 1",
    };
    Err(SpaceError::Setting {
        setting,
        value,
        expected,
    })
}
