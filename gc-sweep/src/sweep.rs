//! The sweep: objects that a cycle did not mark give their slots back.
//!
//! Called by the driver of the cycle in steps, and by allocation for a span of its own class. A span is swept by whoever
//! has its claim; nothing is locked meanwhile, and destructors run with the state byte of their object still coloured.
//!
//! For a span that nobody leases, in this order:
//!
//! 1. **zombie**: an object byte in a slot that was never handed out, or on no slot at all, is withdrawn;
//! 2. **sweep-count**, **alloc-count**: objects in the state bytes = objects in the books. If not, the books take the
//!    state bytes' word, nothing is freed, and the span is withdrawn;
//! 3. objects without a colour that the cycle keeps are reaped and freed.
//!
//! Beside a lease only the third is done, since the books of the lease are
//! not closed; the count is checked when the lease ends. In a quarantined span objects take the colour of the cycle.
//!
//! Invariant: the number freed is computed after the counts were found to agree, so that it never exceeds them.
//!
//! Deliberately absent: how marks were made, and types.

use gc_hooks::Check;

use crate::audit::Distrusted;
use crate::class::Class;
use crate::colour::StateByte;
use crate::contain::Moment;
#[cfg(feature = "fault-inject")]
use crate::fault::{Fault, Site};
use crate::ground::{Ground, is_slot_start};
use crate::link::Listed;
use crate::scan::{self, Writers};
use crate::size_class::GRANULE_BYTES;
use crate::span::Span;
use crate::span_state::{Claim, ClaimKind, Ended, Refusal};
use crate::state_cell;

/// An object that no cycle will reach again, on its way to its destructor. Its slot still counts as an object until the
/// reaper returns, so nobody else can be given it.
#[derive(Debug, PartialEq, Eq)]
pub struct DeadSlot {
    address: usize,
    slot_bytes: usize,
    type_index: u32,
}

impl DeadSlot {
    /// Address of the object.
    pub fn address(&self) -> usize {
        self.address
    }

    /// Bytes of its slot.
    pub fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    /// The type of its span.
    pub fn type_index(&self) -> u32 {
        self.type_index
    }
}

/// What became of a dead object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reaped {
    /// It is gone; its slot may be reused.
    Done,
    /// Its destructor panicked: nobody knows what is left of it, so its slot is withdrawn.
    Panicked,
}

/// Runs destructors. Called by the sweep with no lock held, once for each dead object of a class with drop glue; it may
/// allocate from the same space.
pub trait Reaper {
    /// Ends the life of the object in the slot.
    fn reap(&mut self, dead: DeadSlot) -> Reaped;
}

/// Which spans a step of the sweep takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SweepMode {
    /// All.
    Any,
    /// Those whose objects have no drop glue, so that no code of the embedder runs.
    WithoutDrop,
}

/// What a step of the sweep did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct SweepProgress {
    /// Spans swept in this step.
    pub spans_swept: usize,
    /// Spans not yet swept in this cycle, with and without drop glue.
    pub remaining: usize,
    /// Bytes of slots freed in this step.
    pub bytes_freed: usize,
}

/// A reaper for spans whose objects have no drop glue: it is never called.
pub(crate) struct NothingToReap;

impl Reaper for NothingToReap {
    fn reap(&mut self, _dead: DeadSlot) -> Reaped {
        Reaped::Panicked
    }
}

/// What the sweep of one span did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct SweptSpan {
    pub(crate) bytes_freed: usize,
    pub(crate) rests: Rests,
}

/// Where a span is after its sweep.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rests {
    /// Swept and in no list: the caller places or leases it.
    InHand,
    /// In the list it belongs to.
    Listed,
}

/// What became of the dead objects of a span.
#[derive(Clone, Copy, Default)]
struct Dead {
    freed: u32,
    panicked: u32,
}

impl Ground {
    /// Sweeps up to `spans_max` due spans.
    pub(crate) fn sweep_step(
        &self,
        spans_max: usize,
        mode: SweepMode,
        reaper: &mut dyn Reaper,
    ) -> SweepProgress {
        let mut progress = SweepProgress::default();
        while progress.spans_swept < spans_max {
            let due = match mode {
                SweepMode::Any => self.classes.due(),
                SweepMode::WithoutDrop => self.classes.due_without_drop(),
            };
            let admits = |class: &Class| mode == SweepMode::Any || !class.needs_drop();
            if due == 0 {
                break;
            }
            let Some((class, span, claim)) =
                self.classes
                    .claim_next(&self.spans, || self.terms(), admits)
            else {
                break;
            };
            self.report_damages();
            match claim {
                #[cfg(feature = "fault-inject")]
                Ok(claim) if self.hooks.strikes(Site::SweepSkipped) => {
                    if let Ended::Swept = self.finish(&class, span, claim) {
                        self.shelve(&class, span);
                    }
                }
                Ok(claim) => {
                    let swept = self.sweep_span(&class, span, claim, reaper);
                    progress.spans_swept += 1;
                    progress.bytes_freed += swept.bytes_freed;
                    #[cfg(feature = "fault-inject")]
                    if swept.rests == Rests::InHand && self.hooks.strikes(Site::SpanUnlisted) {
                        self.classes.visited(&class);
                        continue;
                    }
                    if swept.rests == Rests::InHand {
                        self.place(&class, span);
                    }
                }
                Err(Refusal::Unsealed) => {
                    self.mend(span, Some(&class));
                    continue;
                }
                Err(refusal) => self.refuse(&class, span, refusal),
            }
            self.classes.visited(&class);
            #[cfg(feature = "fault-inject")]
            if self.hooks.strikes(Site::SweepRepeated) {
                Fault::new(self).requeue_unswept(span.base(self.base()));
            }
        }
        self.report_damages();
        progress.remaining = self.classes.due();
        progress
    }

    /// Sweeps a claimed span. The caller counts it as visited once it has put it where it belongs.
    pub(crate) fn sweep_span(
        &self,
        class: &Class,
        span: &Span,
        claim: Claim,
        reaper: &mut dyn Reaper,
    ) -> SweptSpan {
        let (dead, ended) = match claim.kind() {
            ClaimKind::Quarantined => {
                scan::recolour(self.bytes(span), self.turn.get().1);
                (Dead::default(), Ok(Ended::Quarantined))
            }
            ClaimKind::Leased => self.sweep_beside_lease(class, span, claim, reaper),
            ClaimKind::Whole => self.sweep_whole(class, span, claim, reaper),
        };
        let rests = match ended {
            Ok(Ended::Swept) => Rests::InHand,
            Ok(Ended::BadState(word)) => {
                self.contain_bad_state(class, span, word, Moment::InSweep);
                Rests::Listed
            }
            Ok(_) => Rests::Listed,
            Err(Distrusted) => {
                self.withdraw(class, span, Moment::InSweep);
                Rests::Listed
            }
        };
        SweptSpan {
            bytes_freed: dead.freed as usize * span.slot_bytes(),
            rests,
        }
    }

    fn sweep_whole(
        &self,
        class: &Class,
        span: &Span,
        claim: Claim,
        reaper: &mut dyn Reaper,
    ) -> (Dead, Result<Ended, Distrusted>) {
        if span.is_withdrawal_due() {
            return (Dead::default(), Err(Distrusted));
        }
        let may_hold_newborn = span.pass_births();
        #[cfg(feature = "fault-inject")]
        let may_hold_newborn = may_hold_newborn && !self.hooks.strikes(Site::BirthsForgotten);
        if !may_hold_newborn && self.turn.is_young() {
            return (Dead::default(), Ok(self.finish(class, span, claim)));
        }
        let Ok(tally) = self.audit_for_sweep(span) else {
            return (Dead::default(), Err(Distrusted));
        };
        let mut dead = Dead::default();
        if tally.whites > 0 {
            dead = self.free_dead(class, span, Writers::CallerAlone, reaper);
        }
        self.recolour_pinned(span);
        // Cannot wrap: each was among `tally.objects`, and nobody else frees in a span that is claimed whole.
        span.set_alloc_count(tally.objects.saturating_sub(dead.freed + dead.panicked));
        self.books.freed(span, dead.freed);
        (dead, Ok(self.finish(class, span, claim)))
    }

    fn sweep_beside_lease(
        &self,
        class: &Class,
        span: &Span,
        claim: Claim,
        reaper: &mut dyn Reaper,
    ) -> (Dead, Result<Ended, Distrusted>) {
        let mut dead = Dead::default();
        if span.is_withdrawal_due() {
            scan::recolour(self.bytes(span), self.turn.get().1);
        } else {
            dead = self.free_dead(class, span, Writers::Lessee, reaper);
            self.recolour_pinned(span);
        }
        span.add_freed_in_lease(dead.freed + dead.panicked);
        self.books.freed(span, dead.freed);
        match self.finish(class, span, claim) {
            Ended::HandedOver(_) if self.audit_after_lease(span).is_err() => {
                (dead, Err(Distrusted))
            }
            Ended::HandedOver(claim) => (dead, Ok(self.finish(class, span, claim))),
            ended => (dead, Ok(ended)),
        }
    }

    /// Pinned objects take the colour of the cycle, so that they never look like objects of one to come.
    fn recolour_pinned(&self, span: &Span) {
        if span.slots_quarantined() > 0 {
            scan::recolour_pinned(self.bytes(span), self.turn.get().1);
        }
    }

    fn finish(&self, class: &Class, span: &Span, claim: Claim) -> Ended {
        let _lists = class.lists();
        span.finish(claim)
    }

    /// Answers a claim that was refused. The caller counts the span as visited.
    pub(crate) fn refuse(&self, class: &Class, span: &Span, refusal: Refusal) {
        match refusal {
            #[cfg(feature = "fault-inject")]
            Refusal::AlreadySwept(_)
                if !self.was_not_swept(span) && self.hooks.is_blind(Check::DoubleSweep) =>
            {
                self.sweep_again(class, span);
            }
            Refusal::AlreadySwept(word) if !self.was_not_swept(span) => {
                let violation = self.violation_in(Check::DoubleSweep, span);
                self.hooks
                    .report(violation.with_number("generation", word.generation().into()));
                // The span itself is sound: it goes back to where it would be had nobody asked.
                if class.lists().standing(span) == Listed::Nowhere {
                    self.restore(class, span);
                }
            }
            refusal => self.contain_refusal(class, span, refusal, Moment::InSweep),
        }
    }

    /// Objects in the span are of other colours than that of the cycle, as no sweep leaves them.
    fn was_not_swept(&self, span: &Span) -> bool {
        #[cfg(feature = "fault-inject")]
        if self.hooks.is_blind(Check::SweepGeneration) {
            return false;
        }
        scan::tally(self.bytes(span), self.turn.get().1).whites > 0
    }

    // ---- The dead ----

    fn free_dead(
        &self,
        class: &Class,
        span: &Span,
        writers: Writers,
        reaper: &mut dyn Reaper,
    ) -> Dead {
        let (cycle, kept) = self.turn.get();
        let freed = StateByte::freed_at(cycle);
        let bytes = self.bytes(span);
        if span.needs_drop() {
            return self.reap_dead(class, span, reaper);
        }
        if (cfg!(softfail_asan) || self.poisons_slots) && !span.is_large() {
            scan::for_each_object(bytes, |granule, _, state| {
                let is_dead = !state.is_quarantined() && !kept.has(state);
                // A byte in the middle of a slot, which only damage puts there, names no slot to write into.
                if is_dead && is_slot_start(span, granule) {
                    let address = span.base(self.base()) + granule * GRANULE_BYTES;
                    self.bury(address, span.slot_bytes(), freed);
                }
            });
        }
        Dead {
            freed: scan::free_whites(bytes, kept, freed, writers),
            panicked: 0,
        }
    }

    /// The shape of the span is read once: destructors are code of the embedder, which may write anywhere.
    fn reap_dead(&self, class: &Class, span: &Span, reaper: &mut dyn Reaper) -> Dead {
        let (cycle, kept) = self.turn.get();
        let (base, slot_bytes) = (span.base(self.base()), span.slot_bytes());
        let (type_index, end) = (span.type_index(), span.slots() as usize * slot_bytes);
        let mut dead = Dead::default();
        scan::for_each_object(self.bytes(span), |granule, byte, state| {
            let offset = granule * GRANULE_BYTES;
            let is_slot = offset < end && offset.is_multiple_of(slot_bytes);
            if state.is_quarantined() || kept.has(state) || !is_slot {
                return;
            }
            let address = base + offset;
            match reaper.reap(DeadSlot {
                address,
                slot_bytes,
                type_index,
            }) {
                Reaped::Done => {
                    dead.freed += 1;
                    self.bury(address, slot_bytes, StateByte::freed_at(cycle));
                    state_cell::free(byte, StateByte::freed_at(cycle));
                }
                Reaped::Panicked => {
                    dead.panicked += 1;
                    state_cell::set(byte, StateByte::QUARANTINED);
                    self.vouch_as(span, class);
                    self.book_withdrawn_object(span);
                }
            }
        });
        self.vouch_as(span, class);
        dead
    }
}
