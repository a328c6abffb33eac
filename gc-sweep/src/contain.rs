//! What follows a failed check inside a space: withdraw the slot or the span, and keep the books true.
//!
//! Called by the sweep, by the end of a lease and by the embedder, by whoever holds the span. Every containment leaks
//! rather than reuses, computes nothing from the count that was found wrong, and leaves books that balance.
//!
//! Invariants: a quarantined span is in the list of that name and in no other; nothing in it is freed or handed out; its
//! objects keep colours of the last sweep, so that they never look like objects of a cycle to come.
//!
//! Deliberately absent: the checks themselves.

use std::ptr;
use std::sync::Arc;

use gc_hooks::Check;

use crate::class::Class;
use crate::colour::StateByte;
use crate::ground::{Ground, is_slot_start};
use crate::link::Listed;
use crate::lists::Lists;
use crate::quarantine::Crossing;
use crate::scan;
use crate::size_class::GRANULE_BYTES;
use crate::span::Span;
use crate::span_state::{Refusal, SpanState, SpanWord};
use crate::state_cell;

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
        let kept = self.turn.get().1;
        let bytes = self.bytes(span);
        if moment == Moment::InSweep {
            scan::recolour(bytes, kept);
        }
        {
            let lists = class.lists();
            if lists.standing(span) == Listed::Quarantined {
                // It is in the books as withdrawn; only its word was found broken.
                return span.withdraw(lists.generation_of(span));
            }
        }
        let found = scan::tally(bytes, kept);
        let is_right = self.books.share(span) == i64::from(found.objects)
            && span.slots_quarantined() == found.quarantined;
        if !is_right {
            span.set_miscounted();
        }
        self.books.span_withdrawn(span);
        span.set_alloc_count(found.objects);
        {
            let mut lists = class.lists();
            lists.remove(&self.spans, span);
            span.withdraw(lists.generation_of(span));
            lists.put(&self.spans, span, Listed::Quarantined);
        }
        self.report_damages();
        self.gauge.add_span();
        self.look_at_gauge();
    }

    /// Calls `act` with the span of an address, under the lock of its class: nobody claims the span, ends its lease or
    /// moves it between lists meanwhile. `None` when no span covers the address.
    fn with_span_at<R>(
        &self,
        address: usize,
        act: impl FnOnce(&Arc<Class>, &Span, &mut Lists) -> R,
    ) -> Option<R> {
        let span = self.spans.span_of(address)?;
        self.vouch(span);
        let class = self.classes.of(span)?;
        let mut lists = class.lists();
        // Until the lock was had, the span may have ended, and its record may have begun anew.
        let is_same = self
            .spans
            .span_of(address)
            .is_some_and(|now| ptr::eq(now, span))
            && span.class_index() == class.id().number()
            && span.state() != Some(SpanState::Free);
        is_same.then(|| act(&class, span, &mut lists))
    }

    /// Withdraws the span of an address at the wish of someone who holds nothing.
    pub(crate) fn withdraw_span_of(&self, address: usize) -> Withdrawal {
        let taken = self.with_span_at(address, |class, span, lists| match lists.standing(span) {
            Listed::Quarantined => Err(Withdrawal::Already),
            Listed::Leased | Listed::Nowhere => {
                span.set_withdrawal_due();
                Err(Withdrawal::Deferred)
            }
            Listed::Partial | Listed::Full | Listed::Unswept => Ok((
                Arc::clone(class),
                span.first_page(),
                lists.remove(&self.spans, span),
            )),
        });
        let (class, first_page, was_due) = match taken {
            Some(Ok(taken)) => taken,
            Some(Err(answer)) => return answer,
            None => return Withdrawal::NoSpan,
        };
        let Some(span) = self.spans.record(first_page) else {
            return Withdrawal::NoSpan;
        };
        let moment = if was_due {
            Moment::InSweep
        } else {
            Moment::Outside
        };
        self.withdraw(&class, span, moment);
        if was_due {
            self.classes.visited(&class);
        }
        Withdrawal::Done
    }

    /// Withdraws a free slot, or pins an object: it stays an object and is never freed. False when the address is not
    /// that of a slot, or the slot is withdrawn already, or its span is in somebody's hands who may be about to use it.
    pub(crate) fn withdraw_slot_at(&self, address: usize) -> bool {
        let is_done = self.with_span_at(address, |_, span, lists| {
            let granule = address.wrapping_sub(span.base(self.base())) / GRANULE_BYTES;
            // In no list, it is in the hands of someone who counts on its counts.
            let may_be = is_slot_start(span, granule) && lists.standing(span) != Listed::Nowhere;
            let withdrawn = may_be
                .then(|| self.exchange_for_withdrawn(span, address))
                .flatten();
            // Booked under the lock: whoever takes the span next compares books and counts.
            match withdrawn {
                Some(state) if state.is_object() => self.count_withdrawn_object(span),
                Some(_) => self.count_withdrawn_slot(span),
                None => return false,
            }
            true
        });
        if is_done == Some(true) {
            self.look_at_gauge();
        }
        is_done == Some(true)
    }

    /// Withdraws the slot in its state byte and in the count of the span. The answer is the state before.
    fn exchange_for_withdrawn(&self, span: &Span, address: usize) -> Option<StateByte> {
        let span_state = span.state();
        let state = loop {
            let state = self
                .states
                .load(address)
                .filter(|state| !state.is_quarantined())?;
            let may_be_taken = match span_state {
                // A large slot that was handed out may not be published yet.
                Some(SpanState::Swept) => state.is_object() || !span.is_young(),
                // A free slot of it may be in the run, which does not look at the byte again.
                Some(SpanState::Leased) => state.is_object(),
                _ => false,
            };
            if !may_be_taken {
                return None;
            }
            // A mark may come first: at most one for each colour.
            if self
                .states
                .exchange(address, state, state.with_quarantine())
            {
                break state;
            }
        };
        if state.is_object() {
            // One less that counts as an object. The lessee may not have booked its birth yet: as for a sweep beside a
            // lease it is kept apart from those handed out.
            span.add_freed_in_lease(1);
        }
        if span_state == Some(SpanState::Swept) {
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
            state_cell::set(byte, StateByte::QUARANTINED);
            self.book_withdrawn_slot(span);
        } else {
            state_cell::set(byte, StateByte::FREE_FRESH);
        }
    }

    /// Books a slot whose byte is withdrawn already, and in which the books know no object.
    pub(crate) fn book_withdrawn_slot(&self, span: &Span) {
        self.count_withdrawn_slot(span);
        self.look_at_gauge();
    }

    /// Books a slot whose byte is withdrawn already, together with the object that the books know in it.
    pub(crate) fn book_withdrawn_object(&self, span: &Span) {
        self.count_withdrawn_object(span);
        self.look_at_gauge();
    }

    fn count_withdrawn_slot(&self, span: &Span) {
        self.books.slot_withdrawn(span);
        span.add_quarantined_slot();
        self.gauge.add_slot();
    }

    fn count_withdrawn_object(&self, span: &Span) {
        self.books.object_withdrawn(span);
        span.add_quarantined_slot();
        self.gauge.add_slot();
    }

    pub(crate) fn look_at_gauge(&self) {
        let bytes = self.books.bytes_quarantined();
        if self.gauge.look(bytes) == Crossing::Above {
            let violation = self.violation(Check::QuarantineLimit);
            let violation = violation.with_number("quarantined bytes", bytes);
            self.hooks
                .report(violation.with_number("limit bytes", self.gauge.limit_bytes()));
        }
    }

    /// Reports what was found wrong in lists. Whoever has let go of the lock of a class asks.
    #[inline]
    pub(crate) fn report_damages(&self) {
        while !self.classes.damages.is_empty() {
            self.report_damage();
        }
    }

    #[cold]
    fn report_damage(&self) {
        if let Some(damage) = self.classes.damages.pop() {
            let violation = self.violation(Check::SpanList).with_reason(damage.reason);
            let violation = match self.classes.numbered(damage.class) {
                Some(class) => violation.with_type_name(class.spec().type_name),
                None => violation,
            };
            self.hooks.report(match damage.page {
                Some(page) => violation.with_span(page),
                None => violation,
            });
        }
    }

    /// Reports why a claim or a lease was refused, or how it ended, and withdraws the span.
    pub(crate) fn contain_refusal(
        &self,
        class: &Class,
        span: &Span,
        refusal: Refusal,
        moment: Moment,
    ) {
        match refusal {
            Refusal::BadState(word) => self.contain_bad_state(class, span, word, moment),
            Refusal::OutOfStep(word) => self.contain_out_of_step(class, span, word, moment),
            Refusal::AlreadySwept(word) => {
                let reason = "swept in this cycle by its word alone";
                self.report_word(Check::SweepGeneration, span, word, reason);
                self.withdraw(class, span, moment);
            }
            Refusal::Unsealed => self.mend(span, Some(class)),
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
        #[cfg(feature = "fault-inject")]
        if self.hooks.is_blind(Check::SpanState) {
            return self.believe_place(class, span);
        }
        self.report_word(Check::SpanState, span, word, "");
        self.withdraw(class, span, moment);
    }

    /// Reports a generation that cannot be, and withdraws its span.
    fn contain_out_of_step(&self, class: &Class, span: &Span, word: SpanWord, moment: Moment) {
        // Generations wrap: the sign of the difference says which is later.
        let is_ahead = word
            .generation()
            .wrapping_sub(self.turn.cycle())
            .cast_signed()
            > 0;
        let reason = if is_ahead {
            "ahead of the cycle"
        } else {
            "too far behind the cycle"
        };
        self.report_word(Check::SweepGeneration, span, word, reason);
        self.withdraw(class, span, moment);
    }

    fn report_word(&self, check: Check, span: &Span, word: SpanWord, reason: &'static str) {
        let violation = self.violation_in(check, span).with_reason(reason);
        let violation = violation.with_number("state", word.state_bits().into());
        let violation = violation.with_number("generation", word.generation().into());
        self.hooks
            .report(violation.with_number("cycle of the sweep", self.turn.cycle().into()));
    }
}
