//! The lists that the spans of one class stand in.
//!
//! Allocation slow paths and the sweep move spans between them, under the lock of the class. Every span of a class is in
//! exactly one list, or in the hands of exactly one sweeper or allocator on its way between two. Lists are links in the
//! span records, so that nothing here allocates:
//!
//! * `partial`, `full`: swept in this cycle, with and without free slots;
//! * `unswept`: not yet swept;
//! * `leased`, `quarantined`: swept where they stand; those still due stand before those that are not.
//!
//! A flip takes constant time: it joins `partial` and `full` to `unswept` and advances the epoch. A record keeps the
//! list it was put in and the epoch; with an older epoch it is due, and a record of `partial` or `full` stands in
//! `unswept`. A span that was in somebody's hands at the flip is due like the others, and is put where due ones stand. The state word of the span says the same on its own account, and where the two differ the word was
//! damaged: hence lists never depend on words.
//!
//! Order is first in, first out everywhere and follows from the program alone: no hashing, no addresses.
//!
//! Deliberately absent: locks, state bytes, counts of objects.

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

use crate::link::Listed;
use crate::list::List;
use crate::span::Span;
use crate::span_state::{Claim, ClaimKind, Refusal, SpanState, SpanWord, Terms};
use crate::spans::SpanTable;

pub(crate) use self::damage::{Census, Damage};

/// The spans of one class.
#[derive(Debug)]
pub(crate) struct Lists {
    /// Number of the class. Fixed at birth.
    class: u32,
    /// Where damage is told, once nothing is locked.
    damages: Arc<ArrayQueue<Damage>>,
    partial: List,
    full: List,
    unswept: List,
    leased: List,
    quarantined: List,
    /// Counts flips. A record that carries another number is due.
    epoch: u8,
    /// Cycle of the last flip. A span cut since then counts as swept in it.
    generation: u32,
    /// Cycle of the flip before that: the generation of what the last flip made due.
    generation_due: u32,
    /// The oldest generation among what is due. Older than the above once a flip came before everything was swept.
    generation_due_min: u32,
    /// Spans of the class, wherever they are. The length of the next one follows from it.
    spans: u32,
}

impl Lists {
    pub(crate) fn new(class: u32, damages: Arc<ArrayQueue<Damage>>) -> Lists {
        Lists {
            class,
            damages,
            partial: List::default(),
            full: List::default(),
            unswept: List::default(),
            leased: List::default(),
            quarantined: List::default(),
            epoch: 0,
            generation: 0,
            generation_due: 0,
            generation_due_min: 0,
            spans: 0,
        }
    }

    fn list(&mut self, listed: Listed) -> Option<&mut List> {
        match listed {
            Listed::Nowhere => None,
            Listed::Partial => Some(&mut self.partial),
            Listed::Full => Some(&mut self.full),
            Listed::Unswept => Some(&mut self.unswept),
            Listed::Leased => Some(&mut self.leased),
            Listed::Quarantined => Some(&mut self.quarantined),
        }
    }

    /// The list a span stands in, whether it is due there or not.
    pub(crate) fn standing(&self, span: &Span) -> Listed {
        match span.listing().listed() {
            Listed::Partial | Listed::Full if self.is_due(span) => Listed::Unswept,
            listed => listed,
        }
    }

    /// The span is not swept for the last flip, nor taken to be.
    pub(crate) fn is_due(&self, span: &Span) -> bool {
        span.listing().epoch() != self.epoch
    }

    /// Puts a span, which is in no list, at the end of one. If a flip came while it was on its way, it is put where it is
    /// found as due.
    pub(crate) fn put(&mut self, table: &SpanTable, span: &Span, listed: Listed) {
        if self.is_due(span) {
            return self.put_due(table, span, listed);
        }
        span.listing().set(listed, self.epoch);
        if let Some(list) = self.list(listed) {
            list.push_back(table, span);
        }
    }

    fn put_due(&mut self, table: &SpanTable, span: &Span, listed: Listed) {
        match listed {
            Listed::Nowhere => {}
            Listed::Partial | Listed::Full | Listed::Unswept => self.put_unswept(table, span),
            Listed::Leased | Listed::Quarantined => {
                span.listing().set(listed, self.epoch.wrapping_sub(1));
                if let Some(list) = self.list(listed) {
                    list.push_front(table, span);
                }
            }
        }
    }

    /// Puts a span, which is in no list, among the unswept ones.
    pub(crate) fn put_unswept(&mut self, table: &SpanTable, span: &Span) {
        span.listing()
            .set(Listed::Unswept, self.epoch.wrapping_sub(1));
        self.unswept.push_back(table, span);
    }

    /// Takes a span out of its list, if it is in one, and says whether it was due there. If it was, the caller sees to
    /// its sweep.
    pub(crate) fn remove(&mut self, table: &SpanTable, span: &Span) -> bool {
        let standing = self.standing(span);
        let was_due = self.is_due(span);
        if standing == Listed::Nowhere {
            return false;
        }
        self.make_sure(table, standing, table.page_of(span));
        if let Some(list) = self.list(standing) {
            list.remove(table, span);
        }
        span.listing().set(Listed::Nowhere, self.epoch);
        was_due
    }

    /// The first span of a list, whose links and whose place fit.
    fn first<'a>(&mut self, table: &'a SpanTable, listed: Listed) -> Option<&'a Span> {
        let Some(page) = self.list(listed)?.first else {
            self.mend_cut_off(table, listed);
            return table.record(self.list(listed)?.first?);
        };
        if !self.make_sure(table, listed, page) {
            return table.record(self.list(listed)?.first?);
        }
        table.record(page)
    }

    /// Takes the first swept span with free slots.
    pub(crate) fn take_partial<'a>(&mut self, table: &'a SpanTable) -> Option<&'a Span> {
        let span = self.first(table, Listed::Partial)?;
        self.partial.remove(table, span);
        span.listing().set(Listed::Nowhere, self.epoch);
        Some(span)
    }

    /// Claims the first unswept span that is neither leased nor quarantined, and takes it out of its list. One that is not
    /// sealed stays.
    pub(crate) fn claim_unswept<'a>(
        &mut self,
        table: &'a SpanTable,
        terms: Terms,
    ) -> Option<(&'a Span, Result<Claim, Refusal>)> {
        let span = self.first(table, Listed::Unswept)?;
        if terms.looks_at_seals && !table.is_sealed(span) {
            return Some((span, Err(Refusal::Unsealed)));
        }
        self.unswept.remove(table, span);
        span.listing().set(Listed::Nowhere, self.epoch);
        Some((span, self.claim(span, terms)))
    }

    /// Claims the next span to sweep. A leased or quarantined one stays in its list, at its end; one that is not sealed
    /// stays where it is.
    pub(crate) fn claim_due<'a>(
        &mut self,
        table: &'a SpanTable,
        terms: Terms,
    ) -> Option<(&'a Span, Result<Claim, Refusal>)> {
        if let Some(claimed) = self.claim_unswept(table, terms) {
            return Some(claimed);
        }
        for listed in [Listed::Leased, Listed::Quarantined] {
            if let Some(span) = self.first(table, listed)
                && self.is_due(span)
            {
                if terms.looks_at_seals && !table.is_sealed(span) {
                    return Some((span, Err(Refusal::Unsealed)));
                }
                self.remove(table, span);
                self.put(table, span, listed);
                return Some((span, self.claim(span, terms)));
            }
        }
        None
    }

    /// Claims a span that was just taken from the unswept ones, or that stands where it is swept in place. Its word
    /// must say what its place says.
    fn claim(&self, span: &Span, terms: Terms) -> Result<Claim, Refusal> {
        let word = span.word();
        let kind = match self.standing(span) {
            Listed::Leased => ClaimKind::Leased,
            Listed::Quarantined => ClaimKind::Quarantined,
            _ => ClaimKind::Whole,
        };
        let may_be_due = word.generation() == terms.generation || self.was_due(word.generation());
        if terms.looks_at_generations && can_be_claimed(word) && !may_be_due {
            return Err(Refusal::OutOfStep(word));
        }
        let claim = span.claim(terms.generation)?;
        if claim.kind() == kind {
            Ok(claim)
        } else {
            Err(Refusal::BadState(word))
        }
    }

    /// Whether a span whose lessee is about to end the lease stands among the leased. One that was withdrawn meanwhile does
    /// not, and its word says so; where the word says that it is leased, its place is put right.
    pub(crate) fn is_leased(&mut self, table: &SpanTable, span: &Span) -> bool {
        if self.standing(span) != Listed::Leased
            && matches!(
                span.state(),
                Some(SpanState::Leased | SpanState::LeasedClaimed)
            )
        {
            self.make_sure(table, Listed::Leased, table.page_of(span));
        }
        self.standing(span) == Listed::Leased
    }

    /// Leases a swept span that is in the caller's hand.
    pub(crate) fn lease(
        &mut self,
        table: &SpanTable,
        span: &Span,
        terms: Terms,
    ) -> Result<(), Refusal> {
        let word = span.word();
        let is_swept = word.state() == Some(SpanState::Swept);
        if terms.looks_at_generations && is_swept && !self.is_in_step(span) {
            return Err(Refusal::OutOfStep(word));
        }
        span.lease().map_err(Refusal::BadState)?;
        self.put(table, span, Listed::Leased);
        Ok(())
    }

    /// The generation of a span that nobody is sweeping is the one that its place asks for.
    pub(crate) fn is_in_step(&self, span: &Span) -> bool {
        if self.is_due(span) {
            self.was_due(span.generation())
        } else {
            span.generation() == self.generation
        }
    }

    /// A span of this generation was made due by the last flips.
    fn was_due(&self, generation: u32) -> bool {
        let span = self.generation_due.wrapping_sub(self.generation_due_min);
        generation.wrapping_sub(self.generation_due_min) <= span
    }

    /// One of the lists leads to a span that is due.
    pub(crate) fn lead_to_due(&self, table: &SpanTable) -> bool {
        let first = |list: &List| list.first.and_then(|page| table.record(page));
        let in_place = [&self.leased, &self.quarantined].into_iter();
        let mut in_place = in_place.filter_map(first);
        self.unswept.first.is_some() || in_place.any(|span| self.is_due(span))
    }

    /// The span at this page stands in one of the lists.
    pub(crate) fn holds(&self, table: &SpanTable, page: u32) -> bool {
        let lists = [
            &self.partial,
            &self.full,
            &self.unswept,
            &self.leased,
            &self.quarantined,
        ];
        lists.into_iter().any(|list| list.holds(table, page))
    }

    /// Makes every span due, also those on their way between lists, and returns how many there are. Unless all were swept
    /// for the flip before, some are due twice over.
    pub(crate) fn flip(
        &mut self,
        table: &SpanTable,
        generation: u32,
        were_all_swept: bool,
    ) -> usize {
        self.mend_cut_off(table, Listed::Partial);
        self.mend_cut_off(table, Listed::Full);
        self.epoch = self.epoch.wrapping_add(1);
        self.generation_due = self.generation;
        if were_all_swept {
            self.generation_due_min = self.generation;
        }
        self.generation = generation;
        self.unswept.append(table, &mut self.partial);
        self.unswept.append(table, &mut self.full);
        self.spans as usize
    }

    /// The generation of a span cut now.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// A generation for the word of a span that says whether it is due, as its place does.
    pub(crate) fn generation_of(&self, span: &Span) -> u32 {
        if self.is_due(span) {
            self.generation_due
        } else {
            self.generation
        }
    }

    pub(crate) fn spans(&self) -> u32 {
        self.spans
    }

    /// Takes a new span in. It is on its way to a list, and not due, though a flip may have come since it was cut.
    pub(crate) fn add_span(&mut self, span: &Span) {
        span.begin(self.generation);
        span.listing().set(Listed::Nowhere, self.epoch);
        self.spans += 1;
    }

    /// Forgets a span that is in no list.
    pub(crate) fn remove_span(&mut self) {
        self.spans = self.spans.saturating_sub(1);
    }
}

/// A sweeper may claim a span in the state that this word names.
fn can_be_claimed(word: SpanWord) -> bool {
    matches!(
        word.state(),
        Some(SpanState::Swept | SpanState::Leased | SpanState::Quarantined)
    )
}

/// What follows when links or places do not fit.
mod damage;

#[cfg(test)]
mod tests;
