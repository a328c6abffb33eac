//! What follows a failed check inside a space: withdraw the slot or the span, and keep the books true.
//!
//! Called by the sweep, by the end of a lease and by the embedder, by whoever holds the span. Every containment leaks
//! rather than reuses, computes nothing from the count that was found wrong, and leaves books that balance.
//!
//! Invariants: a quarantined span is in the list of that name and in no other; nothing in it is freed or handed out; its
//! objects keep colours of the last sweep, so that they never look like objects of a cycle to come.
//!
//! Deliberately absent: the checks themselves.

use std::sync::atomic::Ordering;

use gc_hooks::Check;

use crate::class::Class;
use crate::colour::StateByte;
use crate::ground::{Ground, is_slot_start};
use crate::link::Listed;
use crate::quarantine::Crossing;
use crate::scan;
use crate::size_class::GRANULE_BYTES;
use crate::span::Span;
use crate::span_state::{SpanState, SpanWord};

/// How a wish to withdraw a span ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Withdrawal {
    /// The span is quarantined now.
    Done,
    /// It is leased or being swept and will be quarantined when that ends. Until then its run may hand out the slots
    /// it has, and finds no others.
    Deferred,
    /// It was quarantined before.
    Already,
    /// No span covers the address.
    NoSpan,
}

/// When a span is withdrawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Moment {
    /// Instead of being swept: its objects take the colour of the sweep.
    InSweep,
    /// While it is swept already: its objects keep the colours that marking gave them.
    Outside,
}

impl Ground {
    /// Withdraws a span that the caller holds, or that stands in a list where nobody else reaches for it.
    pub(crate) fn withdraw(&self, class: &Class, span: &Span, moment: Moment) {
        let (cycle, colour) = self.turn.get();
        let bytes = self.bytes(span);
        if moment == Moment::InSweep {
            scan::recolour(bytes, colour);
        }
        self.books.span_withdrawn(span);
        span.set_alloc_count(scan::tally(bytes, colour).objects);
        {
            let mut lists = class.lists();
            lists.remove(&self.spans, span);
            span.withdraw(cycle);
            lists.put(&self.spans, span, Listed::Quarantined);
        }
        self.gauge.add_span();
        self.look_at_gauge();
    }

    /// Withdraws the span of an address at the wish of someone who holds nothing.
    pub(crate) fn withdraw_span_of(&self, address: usize) -> Withdrawal {
        let Some(span) = self.spans.span_of(address) else {
            return Withdrawal::NoSpan;
        };
        let Some(class) = self.classes.of(span) else {
            return Withdrawal::NoSpan;
        };
        let was_due = {
            let mut lists = class.lists();
            match lists.standing(span) {
                Listed::Quarantined => return Withdrawal::Already,
                Listed::Leased | Listed::Nowhere => {
                    span.set_withdrawal_due();
                    return Withdrawal::Deferred;
                }
                Listed::Partial | Listed::Full | Listed::Unswept => lists.remove(&self.spans, span),
            }
        };
        self.withdraw(
            &class,
            span,
            if was_due {
                Moment::InSweep
            } else {
                Moment::Outside
            },
        );
        if was_due {
            self.classes.visited(&class);
        }
        Withdrawal::Done
    }

    /// Withdraws a free slot, or pins an object: it stays an object and is never freed. False when the address is not
    /// that of a slot, or the slot is withdrawn already, or its span is in somebody's hands who may be about to use it.
    pub(crate) fn withdraw_slot_at(&self, address: usize) -> bool {
        let Some(span) = self.spans.span_of(address) else {
            return false;
        };
        let granule = address.wrapping_sub(span.base(self.base())) / GRANULE_BYTES;
        let Some(class) = self
            .classes
            .of(span)
            .filter(|_| is_slot_start(span, granule))
        else {
            return false;
        };
        let withdrawn = {
            // Nobody claims the span or ends its lease while this is held.
            let _lists = class.lists();
            self.exchange_for_withdrawn(span, address)
        };
        match withdrawn {
            Some(state) if state.is_object() => self.book_withdrawn_object(span),
            Some(_) => self.book_withdrawn_slot(span),
            None => return false,
        }
        true
    }

    /// Withdraws the slot in its state byte and in the count of the span. The answer is the state before.
    fn exchange_for_withdrawn(&self, span: &Span, address: usize) -> Option<StateByte> {
        let state = self
            .states
            .load(address)
            .filter(|state| !state.is_quarantined())?;
        let may_be_taken = match span.state() {
            Some(SpanState::Swept) => true,
            // A free slot of it may be in the run, which does not look at the byte again.
            Some(SpanState::Leased) => state.is_object(),
            _ => false,
        };
        if !may_be_taken
            || !self
                .states
                .exchange(address, state, state.with_quarantine())
        {
            return None;
        }
        if state.is_object() {
            // One less that counts as an object. The lessee may not have booked its birth yet: as for a sweep beside a
            // lease it is kept apart from those handed out.
            span.add_freed_in_lease(1);
        }
        if span.state() == Some(SpanState::Swept) {
            span.set_alloc_count(span.alloc_count());
        }
        Some(state)
    }

    /// Withdraws the slot at a granule whose state byte shows an object where none can be. A granule that is no slot
    /// has nothing to withdraw: its byte is cleared.
    pub(crate) fn withdraw_zombie(&self, span: &Span, granule: usize) {
        let Some(byte) = self.bytes(span).get(granule) else {
            return;
        };
        if is_slot_start(span, granule) {
            byte.store(StateByte::QUARANTINED.bits(), Ordering::Release);
            self.book_withdrawn_slot(span);
        } else {
            byte.store(StateByte::FREE_FRESH.bits(), Ordering::Release);
        }
    }

    /// Books a slot whose byte is withdrawn already, and in which the books know no object.
    pub(crate) fn book_withdrawn_slot(&self, span: &Span) {
        self.books.slot_withdrawn(span);
        self.count_withdrawn_slot(span);
    }

    /// Books a slot whose byte is withdrawn already, together with the object that the books know in it.
    pub(crate) fn book_withdrawn_object(&self, span: &Span) {
        self.books.object_withdrawn(span);
        self.count_withdrawn_slot(span);
    }

    fn count_withdrawn_slot(&self, span: &Span) {
        span.add_quarantined_slot();
        self.gauge.add_slot();
        self.look_at_gauge();
    }

    fn look_at_gauge(&self) {
        let bytes = self.books.bytes_quarantined();
        if self.gauge.look(bytes) == Crossing::Above {
            let violation = self.violation(Check::QuarantineLimit);
            let violation = violation.with_number("quarantined bytes", bytes);
            self.hooks
                .report(violation.with_number("limit bytes", self.gauge.limit_bytes()));
        }
    }

    /// Reports a state word that cannot be, and withdraws its span.
    pub(crate) fn contain_bad_state(
        &self,
        class: &Class,
        span: &Span,
        word: SpanWord,
        moment: Moment,
    ) {
        let violation = self.violation_in(Check::SpanState, span);
        let violation = violation.with_number("state", word.state_bits().into());
        let violation = violation.with_number("generation", word.generation().into());
        self.hooks
            .report(violation.with_number("cycle of the sweep", self.turn.cycle().into()));
        self.withdraw(class, span, moment);
    }
}
