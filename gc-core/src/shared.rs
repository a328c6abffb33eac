//! What handles, mutators and the collector of one heap share, and how a doubtful pointer is
//! described and refused.
//!
//! Any thread that works on the heap reads these parts; each synchronises itself. The description
//! of a violation starts here because it takes the space's view of an address and the register's
//! name for it. Deliberately absent: the cycle (cycle.rs owns it behind its own lock).

use core::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crossbeam_deque::Injector;
use gc_hooks::{Address, Check, Checks, Hooks, Origin, Violation};
use gc_sweep::{ClassId, Found, Kept, Space, Span, StateByte, Suspect};

use crate::events::Events;
use crate::gate::{Breach, Gate};
use crate::grey::Grey;
use crate::late::LateGreys;
use crate::local::Barrier;
use crate::pacer::Totals;
use crate::profile::Profile;
use crate::progress::{Progress, Reclaiming};
use crate::remembered::{Notes, Remembered};
use crate::roots::RootTable;
use crate::scan::{self, Field, Scanned, Trust};
use crate::signal::Signal;
use crate::stores::{StoreNote, Stores};
use crate::timeline::Timeline;
use crate::types::Types;
use crate::world::World;

/// The shared parts of a heap.
pub(crate) struct Shared {
    pub(crate) space: Space,
    pub(crate) hooks: Arc<Hooks>,
    pub(crate) types: Types,
    pub(crate) world: World,
    pub(crate) roots: RootTable,
    /// Grey objects that belong to no mutator: shaded roots, what exiting mutators hand over.
    pub(crate) injector: Injector<Grey>,
    /// Newborn objects that were stored, in a heap with generations.
    pub(crate) remembered: Remembered,
    /// Marked or unchecked addresses that a marker gave away to others, by the hundred.
    pub(crate) packets: Injector<Vec<usize>>,
    /// Markers that look for work and find none.
    pub(crate) hungry: AtomicU32,
    /// What barriers marked while the termination of the cycle in progress was looked for or decided.
    pub(crate) late_greys: LateGreys,
    /// An object could not be scanned in the cycle in progress: what it leads to may have been missed.
    pub(crate) has_missed: AtomicBool,
    /// Who may mark beside the coordinator.
    pub(crate) marking: Gate,
    /// Who may sweep outside `enter`.
    pub(crate) sweeping: Gate,
    pub(crate) progress: Progress,
    pub(crate) events: Events,
    /// Sampled allocations, if somebody wants to know.
    pub(crate) profile: Option<Profile>,
    /// What happened when, if somebody wants to know.
    pub(crate) timeline: Option<Arc<Timeline>>,
    pub(crate) signal: Signal,
    /// Which checks are made. Fixed at birth.
    pub(crate) checks: Checks,
    /// Sampled stores.
    pub(crate) stores: Stores,
    /// The class of the cells behind weak references.
    pub(crate) weak_class: ClassId,
    /// The class of the cells behind ephemerons.
    pub(crate) ephemeron_class: ClassId,
}

/// Where a doubtful pointer came from.
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// Address of the object whose scan led here, when known.
    pub(crate) holder: Option<usize>,
    /// The store that is to blame, when known.
    pub(crate) call_site: Option<&'static Location<'static>>,
}

impl Source {
    pub(crate) fn of(origin: Origin) -> Self {
        Source {
            origin,
            holder: None,
            call_site: None,
        }
    }
}

impl Shared {
    /// An address as reports give it: relative to the reservation when inside it.
    pub(crate) fn address(&self, address: usize) -> Address {
        match self.space.offset_of(address) {
            Some(offset) => Address::Offset(offset),
            None => Address::Raw(address as u64),
        }
    }

    /// A violation with the cycle, the phase and all that can be found out about an address.
    pub(crate) fn violation_at(&self, check: Check, address: usize, source: Source) -> Violation {
        self.located(check, address, source, &self.space.find(address))
    }

    /// A violation about a gate whose word and books disagree.
    pub(crate) fn breach_of(&self, breach: Breach, reason: &'static str) -> Violation {
        Violation::new(Check::GateCount)
            .with_cycle(self.world.cycle())
            .with_phase(self.world.phase())
            .with_reason(reason)
            .with_number("counted", breach.counted)
            .with_number("went in", breach.entries)
            .with_number("came out", breach.exits)
    }

    fn located(&self, check: Check, address: usize, source: Source, found: &Found) -> Violation {
        let world = &self.world;
        let mut violation = Violation::new(check)
            .with_cycle(world.cycle())
            .with_phase(world.phase())
            .with_address(self.address(address))
            .with_origin(source.origin)
            .with_call_site(source.call_site);
        if source.call_site.is_none() {
            violation = self.with_store(violation, address, source.holder);
        }
        if let Some(holder) = source.holder {
            violation = self.with_holder(violation, address, holder);
        }
        if let Some(place) = found.place() {
            violation = violation.with_span(place.span).with_slot(place.slot);
            if let Some(entry) = self.types.get(place.type_index) {
                violation = violation.with_type_name(entry.name());
            }
        }
        let stale_cycles = match found {
            Found::FreeSlot { stale_cycles, .. } => *stale_cycles,
            Found::UnallocatedSpan {
                freed_cycle: Some(freed),
                ..
            } => Some(world.cycle().saturating_sub(*freed)),
            _ => None,
        };
        violation.with_stale_cycles(stale_cycles)
    }

    /// Names the object that holds `address`, and its field.
    fn with_holder(&self, violation: Violation, address: usize, holder: usize) -> Violation {
        let Some(offset) = self.space.offset_of(holder) else {
            return violation;
        };
        let violation = violation.with_holder(offset);
        let is_object = self.state(holder).is_object();
        let Some(span) = self.space.span_of(holder).filter(|_| is_object) else {
            return violation;
        };
        match scan::field_of(&self.types, span, holder, address) {
            Some(Field::Named(field)) => violation.with_field(Some(field)),
            Some(Field::Word(shape, word)) => violation
                .with_field(Some(shape))
                .with_number("holder word", u64::from(word)),
            None => violation,
        }
    }

    /// Names the store that put `address` where it was found, if that was sampled.
    fn with_store(&self, violation: Violation, address: usize, holder: Option<usize>) -> Violation {
        match self.store_of(address, holder) {
            Some(note) => violation
                .with_call_site(Some(note.call_site))
                .with_number("stored in cycle", u64::from(note.cycle)),
            None => violation,
        }
    }

    fn store_of(&self, address: usize, holder: Option<usize>) -> Option<StoreNote> {
        let words = holder.and_then(|holder| {
            let span = self.space.span_of(holder)?;
            Some(holder..holder + span.slot_bytes())
        });
        self.stores.last_of(address, words)
    }

    /// A mutator's notes go to the next cycle. Where none comes any more they are forgotten.
    pub(crate) fn hand_over(&self, notes: &Notes) {
        if self.progress.reclaiming() == Reclaiming::Stopped {
            notes.clear();
        }
        self.remembered.hand_over(notes);
    }

    /// What the barrier of a mutator is when no cycle marks.
    pub(crate) fn resting_barrier(&self) -> Barrier {
        if self.stores.one_in() > 0 {
            Barrier::Noting
        } else if self.progress.has_generations() {
            Barrier::Remembering
        } else {
            Barrier::Off
        }
    }

    /// The cold path of every pointer test: the state byte of `address` says that no object
    /// starts there. Works out why, reports it, and never marks or follows it.
    ///
    /// Where `free-pointer` is not checked, a free slot of a live span is marked as Go marks it, and not followed; the
    /// store is remembered so that the sweep can name it. Its byte then says "object" until the sweep
    /// withdraws the span, and a second stray pointer may have it scanned: so this is done only to
    /// slots that held an object of the span's type (they carry a death stamp) whose memory no
    /// destructor has touched.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse(&self, address: usize, source: Source) {
        let found = self.space.find(address);
        if let Found::FreeSlot {
            stale_cycles: stale_cycles @ Some(_),
            place,
        } = found
            && self.lets_stale_pass()
            && place.base == address
            && self.may_be_scanned_dead(address)
        {
            self.space.suspects().record(Suspect {
                address,
                cycle: self.world.cycle(),
                origin: source.origin,
                call_site: source.call_site.or_else(|| {
                    let note = self.store_of(address, source.holder)?;
                    Some(note.call_site)
                }),
                stale_cycles,
            });
            // From here on the slot looks like an object, which a second pointer has scanned.
            self.space.exhume(address);
            let byte = self.state(address);
            self.space
                .states()
                .mark(address, byte, self.world.kept().marked());
            return;
        }
        self.report_found(address, source, &found);
    }

    /// Whether a pointer to a free slot is nobody's business. It is where free slots are poisoned: what
    /// the object left is not there any more.
    fn lets_stale_pass(&self) -> bool {
        let is_looked_for = self.checks.makes(Check::FreePointer);
        #[cfg(feature = "fault-inject")]
        let is_looked_for = is_looked_for && !self.hooks.is_blind(Check::FreePointer);
        !is_looked_for && !self.checks.makes(Check::SlotDirty)
    }

    /// Whether tracing the memory of a dead object at `address` reads nothing but what the object
    /// left: its span has no destructors.
    fn may_be_scanned_dead(&self, address: usize) -> bool {
        self.space
            .span_of(address)
            .is_some_and(|span| !span.needs_drop())
    }

    /// Reports a pointer that leads to no object.
    pub(crate) fn report_bad(&self, address: usize, source: Source) {
        self.report_found(address, source, &self.space.find(address));
    }

    fn report_found(&self, address: usize, source: Source, found: &Found) {
        let check = match found {
            Found::FreeSlot { .. } | Found::QuarantinedSlot(_) => Check::FreePointer,
            _ => Check::BadPointer,
        };
        self.hooks.report(
            self.located(check, address, source, found)
                .with_reason(found.reason()),
        );
    }

    /// What a scan of an object comes to whose span names no registered type, or whose shape is broken.
    /// First the record of the span is made sure of, then the second copy of the shape is asked. Where
    /// neither helps nothing is called: the object stays one, its span is withdrawn, and the cycle frees
    /// nothing, since nobody knows what the object leads to.
    #[cold]
    #[inline(never)]
    pub(crate) fn scan_doubtful(
        &self,
        span: &Span,
        address: usize,
        from: usize,
        trust: Trust,
        found: &mut Vec<usize>,
    ) -> Scanned {
        // Another marker may have mended it meanwhile: so the record is asked once more in any case.
        self.space.mends_record_of(address);
        let scanned = scan::scan(&self.types, span, address, from, trust, found);
        if scanned != Scanned::NoDescriptor {
            return scanned;
        }
        if let Some(shape) = scan::scan_by_spare(&self.types, span, address, found) {
            if shape.is_first_to_tell() {
                self.report_descriptor(address, span, "its second copy is followed");
            }
            return Scanned::Whole;
        }
        self.refuse_descriptor(address, span);
        Scanned::NoDescriptor
    }

    /// Reports an object that nothing describes, and contains it.
    fn refuse_descriptor(&self, address: usize, span: &Span) {
        #[cfg(feature = "fault-inject")]
        if self.hooks.is_blind(Check::Descriptor) {
            return;
        }
        self.report_descriptor(address, span, "");
        // Relaxed: read by the holder of the cycle's lock when everybody is out of the gate.
        self.has_missed.store(true, Ordering::Relaxed);
        self.space.quarantine_span_of(address);
    }

    /// Reports an object that its span or its shape does not describe, or not as it should.
    pub(crate) fn report_descriptor(&self, address: usize, span: &Span, reason: &'static str) {
        let violation = self
            .violation_at(Check::Descriptor, address, Source::of(Origin::Scan))
            .with_reason(reason)
            .with_number("type_index", u64::from(span.type_index()));
        self.hooks.report(violation);
    }

    /// Marking begins: what was missed before is of no account.
    pub(crate) fn begin_marking(&self) {
        self.has_missed.store(false, Ordering::Relaxed);
        self.space.begin_marking();
    }

    /// The check that found something which marking cannot have read rightly, if one did: objects may
    /// have been missed. Makes sure of the records of all spans. For the holder of the cycle's lock,
    /// when nobody marks.
    pub(crate) fn doubt_of_marking(&self) -> Option<Check> {
        if self.space.was_record_broken() {
            Some(Check::SpanSeal)
        } else if self.has_missed.load(Ordering::Relaxed) {
            Some(Check::Descriptor)
        } else {
            None
        }
    }

    /// Marks a root, or what stands for one, and queues it for scanning, unless it is kept already.
    pub(crate) fn shade_root(&self, address: usize, kept: Kept, origin: Origin) {
        let byte = self.state(address);
        if kept.has(byte) {
            return;
        }
        if !byte.is_object() {
            return self.refuse(address, Source::of(origin));
        }
        // Pushed before it is marked: a marked object that is in no queue would be missed by the
        // termination test.
        self.injector.push(Grey::new(address, origin));
        self.space.states().mark(address, byte, kept.marked());
    }

    /// The state byte of an address; anything that cannot be an object reads as free.
    #[inline]
    pub(crate) fn state(&self, address: usize) -> StateByte {
        self.space
            .states()
            .load(address)
            .unwrap_or(StateByte::FREE_FRESH)
    }

    /// The running totals.
    pub(crate) fn totals(&self) -> Totals {
        let books = self.space.books();
        let flow = || {
            let freed = self.space.bytes_freed_total();
            self.space.bytes_allocated_total().saturating_sub(freed)
        };
        Totals {
            bytes_live: books.bytes_live,
            bytes_in_spans: books.bytes_in_spans,
            bytes_quarantined: books.bytes_quarantined,
            bytes_kept: (!self.progress.is_flow_doubted()).then(flow),
        }
    }

    /// Brings the books up to date with what parked mutators have handed out.
    pub(crate) fn sync_parked(&self) {
        for record in self.world.records() {
            record.with_held(|local| local.for_each_run(|run| self.space.sync(run)));
        }
    }
}
