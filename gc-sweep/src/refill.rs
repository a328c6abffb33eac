//! The allocation slow path: the next run of free slots, from the leased span or from another one.
//!
//! Called by mutators, each with runs of its own. In order of preference: the next free slots of the leased span; a span
//! of the class that is not swept yet, swept here; a swept one with free slots; a new one. When no new one can be had,
//! everything without drop glue is swept first, since empty spans give their pages back.
//!
//! Classes with drop glue are never swept here: a destructor may allocate, and would come back to where it began.
//!
//! Invariants: a run lies in a span that its owner leases, and holds free slots only; the books of a lease are closed
//! before its span is in anybody else's hands. A span whose counts do not agree when its lease begins or ends is
//! withdrawn and another one is taken.
//!
//! Deliberately absent: the fast path, which is `Run::take`, and the colour of new objects.

use std::sync::Arc;

use gc_hooks::sync::yield_now;

use crate::cache::{Lease, Run};
use crate::class::{Class, ClassId};
use crate::contain::Moment;
use crate::error::AllocError;
#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::ground::Ground;
use crate::link::Listed;
use crate::search::{self, Passed};
use crate::size_class::{GRANULE_BYTES, PAGE_BYTES};
use crate::span::Span;
use crate::span_state::{Claim, Ended, Refusal, SpanState};
use crate::supply::has_room;
use crate::sweep::{NothingToReap, Rests, SweepMode};
use crate::table::FreshSlot;

/// Spans that one slow path sweeps in search of a free slot before it looks elsewhere. Bounds the pause where most
/// spans are full.
const SWEEPS_PER_REFILL_MAX: usize = 8;

/// How often a slow path that has nothing else left to try lets other threads finish the spans they sweep. Bounded, so
/// that a damaged count keeps nobody here.
const WAITS_AT_THE_LIMIT: usize = 1000;

/// Spans swept at a time when nothing else is left to try.
const SWEEPS_AT_THE_LIMIT: usize = 64;

impl Ground {
    /// Fills an empty run.
    pub(crate) fn refill(&self, id: ClassId, run: &mut Run) -> Result<(), AllocError> {
        if self.next_run(run) {
            return Ok(());
        }
        let class = self.class(id)?;
        loop {
            self.retire(run);
            let leased = self.lease_any(&class);
            self.report_damages();
            let span = leased?;
            run.begin(
                self.lease_of(&class, span),
                span.base(self.base()),
                span.slots() as usize,
                span.slot_bytes(),
            );
            if self.next_run(run) {
                return Ok(());
            }
        }
    }

    pub(crate) fn class(&self, id: ClassId) -> Result<Arc<Class>, AllocError> {
        self.classes
            .get(id)
            .ok_or(AllocError::UnknownClass { class: id.number() })
    }

    fn lease_of(&self, class: &Class, span: &Span) -> Lease {
        let generation = span.generation();
        Lease {
            span: self.spans.page_of(span),
            class: class.id().number(),
            objects: span.handed_out(),
            passed: Passed::default(),
            generation,
            has_seen_all: false,
        }
    }

    /// Moves the run to the next free slots of its span. False when there are none, or no lease.
    pub(crate) fn next_run(&self, run: &mut Run) -> bool {
        let Some((span, class)) = run
            .lease()
            .and_then(|lease| Some((self.spans.record(lease.span)?, lease.class)))
        else {
            return false;
        };
        if self.looks_for_dirt() {
            // Slots are looked at on the word of the record.
            self.vouch_leased(span, class);
        }
        let (start, bytes, step) = run.unseen();
        if span.is_withdrawal_due() || span.state() == Some(SpanState::Quarantined) {
            return false;
        }
        let states = self.states.bytes_of(start, bytes).unwrap_or_default();
        let (mut found, mut passed) = search::next_free(states, step / GRANULE_BYTES);
        // Each time fewer slots are free, so that this ends.
        while self.looks_for_dirt() && self.withdraws_dirty(span, start, states, found) {
            (found, passed) = search::next_free(states, step / GRANULE_BYTES);
        }
        let has_more = run.open(found, passed);
        #[cfg(feature = "fault-inject")]
        if has_more && self.hooks.strikes(Site::RunCursorMoved) {
            run.fault_skip();
        }
        has_more
    }

    /// A span of the class with room, leased.
    fn lease_any(&self, class: &Class) -> Result<&Span, AllocError> {
        if let Some(span) = self.lease_existing(class) {
            return Ok(span);
        }
        match self.lease_new(class) {
            Ok(span) => Ok(span),
            Err(error) => {
                self.sweep_all_without_drop();
                self.lease_existing(class)
                    .map_or_else(|| self.lease_new(class).map_err(|_| error), Ok)
            }
        }
    }

    fn lease_existing(&self, class: &Class) -> Option<&Span> {
        if !class.needs_drop()
            && let Some(span) = self.lease_unswept(class)
        {
            return Some(span);
        }
        loop {
            let span = class.lists().take_partial(&self.spans)?;
            self.vouch_as(span, class);
            if !span.is_withdrawal_due() && self.audit_for_lease(span).is_ok() {
                if self.lease(class, span) {
                    return Some(span);
                }
            } else {
                self.withdraw(class, span, Moment::Outside);
            }
        }
    }

    fn lease_unswept(&self, class: &Class) -> Option<&Span> {
        for _ in 0..SWEEPS_PER_REFILL_MAX {
            let (span, claim) = class.lists().claim_unswept(&self.spans, self.terms())?;
            let is_leased = match claim {
                Ok(claim) => self.sweep_and_lease(class, span, claim),
                Err(Refusal::Unsealed) => {
                    self.mend(span, Some(class));
                    continue;
                }
                Err(refusal) => {
                    self.refuse(class, span, refusal);
                    false
                }
            };
            self.classes.visited(class);
            if is_leased {
                return Some(span);
            }
        }
        None
    }

    fn sweep_and_lease(&self, class: &Class, span: &Span, claim: Claim) -> bool {
        let swept = self.sweep_span(class, span, claim, &mut NothingToReap);
        if swept.rests == Rests::Listed {
            return false;
        }
        if has_room(span) && !span.is_withdrawal_due() {
            return self.lease(class, span);
        }
        self.place(class, span);
        false
    }

    fn lease_new(&self, class: &Class) -> Result<&Span, AllocError> {
        loop {
            let span = self.cut_span(class, 0)?;
            if self.lease(class, span) {
                return Ok(span);
            }
        }
    }

    /// Leases a swept span in the caller's hand. False when its state does not allow it; it is withdrawn then.
    fn lease(&self, class: &Class, span: &Span) -> bool {
        let leased = class.lists().lease(&self.spans, span, self.terms());
        if let Err(refusal) = leased {
            self.contain_refusal(class, span, refusal, Moment::Outside);
        }
        leased.is_ok()
    }

    fn sweep_all_without_drop(&self) {
        let mut waits = 0;
        while self.classes.due_without_drop() > 0 && waits < WAITS_AT_THE_LIMIT {
            let progress = self.sweep_step(
                SWEEPS_AT_THE_LIMIT,
                SweepMode::WithoutDrop,
                &mut NothingToReap,
            );
            // What is left is in the hands of other threads, which run no code of the embedder meanwhile.
            if progress.spans_swept == 0 {
                waits += 1;
                yield_now();
            }
        }
    }

    // ---- The books of a lease ----

    /// Books the slots taken since the last sync.
    pub(crate) fn sync(&self, run: &Run) {
        let Some(lease) = run.lease() else {
            return;
        };
        let Some(span) = self.spans.record(lease.span) else {
            return;
        };
        let base = self.base() + lease.span as usize * PAGE_BYTES;
        let (slots, frontier) = run.count(base);
        if slots == 0 {
            return;
        }
        self.vouch_leased(span, lease.class);
        span.add_handed_out(slots, frontier);
        // Slots of a span that was withdrawn meanwhile are booked as quarantined already.
        if span.state() != Some(SpanState::Quarantined) {
            self.books.handed_out(span, slots);
        }
    }

    /// Gives the lease of a run back and leaves the run empty.
    pub(crate) fn retire(&self, run: &mut Run) {
        self.sync(run);
        let Some(lease) = run.end() else {
            return;
        };
        let Some(span) = self.spans.record(lease.span) else {
            return;
        };
        let Some(class) = self.classes.numbered(lease.class) else {
            return;
        };
        self.vouch_leased(span, lease.class);
        let looks = self.terms().looks_at_generations;
        let (was_due, is_in_step, ended) = {
            let mut lists = class.lists();
            if !lists.is_leased(&self.spans, span) {
                return;
            }
            let is_in_step = !looks || lists.is_in_step(span);
            let was_due = lists.remove(&self.spans, span);
            (was_due, is_in_step, span.retire())
        };
        self.report_damages();
        let moment = if was_due {
            Moment::InSweep
        } else {
            Moment::Outside
        };
        match ended {
            Ended::Swept if !is_in_step => {
                let refusal = Refusal::OutOfStep(span.word());
                self.contain_refusal(&class, span, refusal, moment);
            }
            Ended::Swept if span.is_withdrawal_due() || !self.lease_was_kept(span, &lease) => {
                self.withdraw(&class, span, moment);
            }
            Ended::Swept if was_due => return class.lists().put_unswept(&self.spans, span),
            Ended::Swept => self.place(&class, span),
            Ended::BadState(word) => self.contain_bad_state(&class, span, word, moment),
            // A withdrawn span is not listed as leased.
            Ended::Quarantined => self.contain_bad_state(&class, span, span.word(), moment),
            Ended::StillLeased | Ended::HandedOver(_) | Ended::LeftToSweeper => return,
        }
        if was_due {
            self.classes.visited(&class);
        }
    }

    /// Compares the books of a lease that just ended with what its search saw, or with the state bytes when a sweep or an
    /// early end leaves that open. Reports it when they do not agree.
    fn lease_was_kept(&self, span: &Span, lease: &Lease) -> bool {
        let saw_everything = lease.has_seen_all
            && span.freed_in_lease() == 0
            && span.generation() == lease.generation;
        if saw_everything
            && lease.passed.objects == lease.objects
            && lease.passed.withdrawn == span.slots_quarantined()
        {
            return true;
        }
        self.audit_after_lease(span).is_ok()
    }

    // ---- Large objects ----

    /// A span of its own for one object.
    pub(crate) fn alloc_large(&self, id: ClassId, bytes: usize) -> Result<FreshSlot, AllocError> {
        let class = self.class(id)?;
        let span = match self.cut_span(&class, bytes) {
            Ok(span) => span,
            Err(error @ AllocError::TooLarge { .. }) => return Err(error),
            Err(error) => {
                self.sweep_all_without_drop();
                self.cut_span(&class, bytes).map_err(|_| error)?
            }
        };
        span.add_handed_out(1, 1);
        self.books.handed_out(span, 1);
        class.lists().put(&self.spans, span, Listed::Full);
        let address = span.base(self.base());
        crate::os::unpoison(address, span.slot_bytes());
        Ok(FreshSlot::new(address))
    }
}
