//! What every verb of a space stands on: the memory, its tables, the classes, the books, and the place of the cycle.
//!
//! Owns these parts and the words of reports; the verbs stand in the files below (`contain`, `sweep`, `refill`,
//! `walk`), each of them `impl Ground`. Any thread may be here in any phase.
//!
//! Lock order: the page heap, the register of classes and the lists of a class are locked one at a time, never one
//! inside another, with the single exception that `class` states. Nothing is locked while a destructor runs or a
//! violation is reported.
//!
//! Deliberately absent: any decision.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use gc_hooks::sync::{Mutex, MutexGuard};
use gc_hooks::{Address, Check, Hooks, Phase, Violation};

use crate::class::ClassTable;
use crate::colour::{Colour, CycleKind, Kept};
use crate::error::{OsCall, OsError};
use crate::ledger::Books;
use crate::os::Reservation;
use crate::page_heap::PageHeap;
use crate::quarantine::Gauge;
use crate::size_class::GRANULE_BYTES;
use crate::span::Span;
use crate::span_state::Terms;
use crate::spans::SpanTable;
use crate::suspects::Suspects;
use crate::table::StateTable;

/// The parts of a space.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) reservation: Reservation,
    pub(crate) states: StateTable,
    pub(crate) spans: SpanTable,
    pub(crate) classes: ClassTable,
    pub(crate) books: Books,
    pub(crate) gauge: Gauge,
    pub(crate) turn: Turn,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) suspects: Suspects,
    /// Cycle and phase for reports. Written by the driver of the cycle, read by whoever reports.
    pub(crate) context: Context,
    /// Locked by `pages`.
    page_heap: Mutex<PageHeap>,
    /// Chunks to give back at the end of a sweep. Fixed at birth.
    pub(crate) release_chunks_per_cycle: u32,
    /// This cycle's chunks were not given back yet. Set by a flip, cleared by whoever gives them back.
    pub(crate) is_release_due: AtomicBool,
    /// Pages cut into spans since chunks were last given back.
    pub(crate) pages_cut: AtomicU32,
    /// Pages of the longest shared span. Fixed at birth.
    pub(crate) span_pages_max: u32,
    /// A record was written anew since a cycle began to mark. Set by `vouch`.
    pub(crate) is_mended: AtomicBool,
    /// Freed slots get the pattern of `slot-dirty`. Fixed at birth.
    pub(crate) poisons_slots: bool,
}

/// What a ground is made of; the rest begins empty.
pub(crate) struct GroundParts {
    pub(crate) reservation: Reservation,
    pub(crate) states: StateTable,
    pub(crate) spans: SpanTable,
    pub(crate) books: Books,
    pub(crate) page_heap: PageHeap,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) quarantine_limit_bytes: usize,
    pub(crate) release_chunks_per_cycle: u32,
    pub(crate) span_pages_max: u32,
    pub(crate) poisons_slots: bool,
}

/// The cycle whose sweep is going on or was the last, its kind and the colours that it keeps.
#[derive(Debug)]
pub(crate) struct Turn(AtomicU64);

impl Turn {
    const YOUNG: u64 = 1 << 7;

    fn pack(cycle: u32, kept: Kept, kind: CycleKind) -> u64 {
        let young = Turn::YOUNG * u64::from(kind == CycleKind::Young);
        u64::from(cycle) << 8 | young | u64::from(kept.bits())
    }

    /// Written by the flip.
    pub(crate) fn set(&self, cycle: u32, kept: Kept, kind: CycleKind) {
        // Release pairs with the Acquire of `load`: who sees the new colours sees the marks made in them.
        let word = Turn::pack(cycle, kept, kind);
        self.0.store(word, Ordering::Release);
    }

    fn load(&self) -> u64 {
        // Acquire pairs with the Release of `set`.
        self.0.load(Ordering::Acquire)
    }

    /// The cycle.
    pub(crate) fn cycle(&self) -> u32 {
        (self.load() >> 8) as u32
    }

    /// The cycle, and the colours of what it keeps.
    pub(crate) fn get(&self) -> (u32, Kept) {
        let word = self.load();
        let kept = Kept::from_bits((word & (Turn::YOUNG - 1)) as u8);
        let kept = kept.unwrap_or(Kept::alike(Colour::FIRST));
        ((word >> 8) as u32, kept)
    }

    /// The cycle has looked at newborn objects alone: in spans where none were born nothing has died.
    pub(crate) fn is_young(&self) -> bool {
        self.load() & Turn::YOUNG != 0
    }
}

/// What reports say of the cycle.
#[derive(Debug, Default)]
pub(crate) struct Context {
    cycle: AtomicU32,
    phase: AtomicU8,
}

impl Context {
    /// Relaxed: reports take the two as they find them.
    pub(crate) fn set(&self, cycle: u32, phase: Phase) {
        self.cycle.store(cycle, Ordering::Relaxed);
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn set_cycle(&self, cycle: u32) {
        self.cycle.store(cycle, Ordering::Relaxed);
    }

    pub(crate) fn cycle(&self) -> u32 {
        self.cycle.load(Ordering::Relaxed)
    }

    fn phase(&self) -> Phase {
        let phase = self.phase.load(Ordering::Relaxed);
        Phase::ALL
            .get(usize::from(phase))
            .copied()
            .unwrap_or_default()
    }
}

impl Ground {
    pub(crate) fn new(parts: GroundParts) -> Ground {
        Ground {
            reservation: parts.reservation,
            states: parts.states,
            spans: parts.spans,
            classes: ClassTable::default(),
            books: parts.books,
            gauge: Gauge::new(parts.quarantine_limit_bytes),
            turn: Turn(AtomicU64::new(Turn::pack(
                0,
                Kept::alike(Colour::FIRST),
                CycleKind::Full,
            ))),
            hooks: parts.hooks,
            suspects: Suspects::new(),
            context: Context::default(),
            page_heap: Mutex::new(parts.page_heap),
            release_chunks_per_cycle: parts.release_chunks_per_cycle,
            is_release_due: AtomicBool::new(false),
            pages_cut: AtomicU32::new(0),
            span_pages_max: parts.span_pages_max,
            is_mended: AtomicBool::new(false),
            poisons_slots: parts.poisons_slots,
        }
    }

    pub(crate) fn base(&self) -> usize {
        self.states.base()
    }

    /// The page heap. Nothing else is locked while this is held.
    pub(crate) fn pages(&self) -> MutexGuard<'_, PageHeap> {
        self.page_heap
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The state bytes of a span, its tail included; of a large span only the first, since nothing else in it can be an
    /// object. Empty when its record names pages that are not there.
    pub(crate) fn bytes(&self, span: &Span) -> &[AtomicU8] {
        let bytes = if span.is_large() {
            GRANULE_BYTES
        } else {
            span.bytes()
        };
        self.states
            .bytes_of(span.base(self.base()), bytes)
            .unwrap_or_default()
    }

    /// What is asked of a span that is claimed or leased now.
    pub(crate) fn terms(&self) -> Terms {
        let terms = Terms {
            generation: self.turn.cycle(),
            looks_at_generations: true,
            looks_at_seals: true,
        };
        #[cfg(feature = "fault-inject")]
        let terms = Terms {
            looks_at_generations: !self.hooks.is_blind(Check::SweepGeneration),
            looks_at_seals: !self.hooks.is_blind(Check::SpanSeal),
            ..terms
        };
        terms
    }

    // ---- Words for reports ----

    pub(crate) fn address(&self, address: usize) -> Address {
        let offset = address.wrapping_sub(self.base());
        if offset < self.reservation.bytes() {
            Address::Offset(offset as u64)
        } else {
            Address::Raw(address as u64)
        }
    }

    pub(crate) fn violation(&self, check: Check) -> Violation {
        Violation::new(check)
            .with_cycle(self.context.cycle())
            .with_phase(self.context.phase())
    }

    pub(crate) fn violation_in(&self, check: Check, span: &Span) -> Violation {
        let start = self.address(span.base(self.base()));
        let violation = self
            .violation(check)
            .with_span(span.first_page())
            .with_address(start);
        match self.classes.of(span) {
            Some(class) => violation.with_type_name(class.spec().type_name),
            None => violation,
        }
    }

    pub(crate) fn violation_at(&self, check: Check, span: &Span, granule: usize) -> Violation {
        let address = span.base(self.base()) + granule * GRANULE_BYTES;
        let violation = self
            .violation_in(check, span)
            .with_address(self.address(address));
        match slot_of(span, granule) {
            Some(slot) => violation.with_slot(slot),
            None => violation,
        }
    }

    /// Adds what is known of the last suspicious mark in a range of addresses: it may be why a count is wrong.
    pub(crate) fn blame(
        &self,
        violation: Violation,
        span: &Span,
        addresses: Range<usize>,
    ) -> Violation {
        let cycle = self.context.cycle();
        let Some(suspect) = self
            .suspects
            .last_of(cycle, |address| addresses.contains(&address))
        else {
            return violation;
        };
        let granule = suspect.address.wrapping_sub(span.base(self.base())) / GRANULE_BYTES;
        let violation = match slot_of(span, granule) {
            Some(slot) => violation.with_slot(slot),
            None => violation,
        };
        violation
            .with_address(self.address(suspect.address))
            .with_origin(suspect.origin)
            .with_call_site(suspect.call_site)
            .with_stale_cycles(suspect.stale_cycles)
    }

    /// Adds what is known of the last suspicious mark in a span.
    pub(crate) fn blame_in(&self, violation: Violation, span: &Span) -> Violation {
        let base = span.base(self.base());
        self.blame(violation, span, base..base + span.bytes())
    }

    /// Reports a refusal of the operating system that the space can do without.
    pub(crate) fn report_os(&self, error: OsError) {
        let reason = match error.call {
            OsCall::Release => "giving memory back was refused",
            _ => "a call that can be done without was refused",
        };
        let violation = self.violation(Check::OsCall).with_reason(reason);
        self.hooks
            .report(violation.with_number("errno", error.errno.unsigned_abs().into()));
    }
}

/// The slot that a granule of a span is in; `None` in its tail.
pub(crate) fn slot_of(span: &Span, granule: usize) -> Option<u32> {
    let slot = u32::try_from(granule.checked_div(span.slot_granules())?).ok()?;
    (slot < span.slots()).then_some(slot)
}

/// Whether a granule of a span is the first of a slot.
pub(crate) fn is_slot_start(span: &Span, granule: usize) -> bool {
    slot_of(span, granule).is_some_and(|slot| slot as usize * span.slot_granules() == granule)
}
