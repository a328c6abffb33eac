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

use crate::link::Listed;
use crate::span::Span;
use crate::span_state::{Claim, ClaimKind, Refusal};
use crate::spans::SpanTable;

/// A queue of spans, linked through their records.
#[derive(Debug, Default)]
struct List {
    first: Option<u32>,
    last: Option<u32>,
    spans: u32,
}

impl List {
    fn push_back(&mut self, table: &SpanTable, span: &Span) {
        let page = span.first_page();
        span.link().set_previous(self.last);
        span.link().set_next(None);
        match self.last.and_then(|last| table.record(last)) {
            Some(last) => last.link().set_next(Some(page)),
            None => self.first = Some(page),
        }
        self.last = Some(page);
        self.spans += 1;
    }

    fn push_front(&mut self, table: &SpanTable, span: &Span) {
        let mut rest = std::mem::take(self);
        self.push_back(table, span);
        self.append(table, &mut rest);
    }

    fn remove(&mut self, table: &SpanTable, span: &Span) {
        let (previous, next) = (span.link().previous(), span.link().next());
        match previous.and_then(|page| table.record(page)) {
            Some(previous) => previous.link().set_next(next),
            None => self.first = next,
        }
        match next.and_then(|page| table.record(page)) {
            Some(next) => next.link().set_previous(previous),
            None => self.last = previous,
        }
        span.link().set_next(None);
        span.link().set_previous(None);
        self.spans = self.spans.saturating_sub(1);
    }

    fn pop_front<'a>(&mut self, table: &'a SpanTable) -> Option<&'a Span> {
        let span = table.record(self.first?)?;
        self.remove(table, span);
        Some(span)
    }

    /// Moves all spans of `other` to the end, in constant time.
    fn append(&mut self, table: &SpanTable, other: &mut List) {
        let Some(joint) = other.first.and_then(|page| table.record(page)) else {
            return;
        };
        match self.last.and_then(|page| table.record(page)) {
            Some(last) => {
                last.link().set_next(other.first);
                joint.link().set_previous(self.last);
            }
            None => self.first = other.first,
        }
        self.last = other.last;
        self.spans += other.spans;
        *other = List::default();
    }
}

/// The spans of one class.
#[derive(Debug, Default)]
pub(crate) struct Lists {
    partial: List,
    full: List,
    unswept: List,
    leased: List,
    quarantined: List,
    /// Counts flips. A record that carries another number is due.
    epoch: u8,
    /// Cycle of the last flip. A span cut since then counts as swept in it.
    generation: u32,
    /// Spans of the class, wherever they are. The length of the next one follows from it.
    spans: u32,
}

impl Lists {
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
        match span.link().listed() {
            Listed::Partial | Listed::Full if self.is_due(span) => Listed::Unswept,
            listed => listed,
        }
    }

    /// The span is not swept for the last flip, nor taken to be.
    pub(crate) fn is_due(&self, span: &Span) -> bool {
        span.link().epoch() != self.epoch
    }

    /// Puts a span, which is in no list, at the end of one. If a flip came while it was on its way, it is put where it is
    /// found as due.
    pub(crate) fn put(&mut self, table: &SpanTable, span: &Span, listed: Listed) {
        if self.is_due(span) {
            return self.put_due(table, span, listed);
        }
        span.link().set_listed(listed, self.epoch);
        if let Some(list) = self.list(listed) {
            list.push_back(table, span);
        }
    }

    fn put_due(&mut self, table: &SpanTable, span: &Span, listed: Listed) {
        match listed {
            Listed::Nowhere => {}
            Listed::Partial | Listed::Full | Listed::Unswept => self.put_unswept(table, span),
            Listed::Leased | Listed::Quarantined => {
                span.link().set_listed(listed, self.epoch.wrapping_sub(1));
                if let Some(list) = self.list(listed) {
                    list.push_front(table, span);
                }
            }
        }
    }

    /// Puts a span, which is in no list, among the unswept ones.
    pub(crate) fn put_unswept(&mut self, table: &SpanTable, span: &Span) {
        span.link()
            .set_listed(Listed::Unswept, self.epoch.wrapping_sub(1));
        self.unswept.push_back(table, span);
    }

    /// Takes a span out of its list, if it is in one, and says whether it was due there. If it was, the caller sees to
    /// its sweep.
    pub(crate) fn remove(&mut self, table: &SpanTable, span: &Span) -> bool {
        let standing = self.standing(span);
        let was_due = self.is_due(span);
        let Some(list) = self.list(standing) else {
            return false;
        };
        list.remove(table, span);
        span.link().set_listed(Listed::Nowhere, self.epoch);
        was_due
    }

    /// Takes the first swept span with free slots.
    pub(crate) fn take_partial<'a>(&mut self, table: &'a SpanTable) -> Option<&'a Span> {
        let span = self.partial.pop_front(table)?;
        span.link().set_listed(Listed::Nowhere, self.epoch);
        Some(span)
    }

    /// Takes the first unswept span that is neither leased nor quarantined.
    pub(crate) fn take_unswept<'a>(&mut self, table: &'a SpanTable) -> Option<&'a Span> {
        let span = self.unswept.pop_front(table)?;
        span.link().set_listed(Listed::Nowhere, self.epoch);
        Some(span)
    }

    /// The next span to sweep. A leased or quarantined one stays in its list, at its end.
    pub(crate) fn next_due<'a>(&mut self, table: &'a SpanTable) -> Option<&'a Span> {
        if let Some(span) = self.take_unswept(table) {
            return Some(span);
        }
        for listed in [Listed::Leased, Listed::Quarantined] {
            let first = self.list(listed).and_then(|list| list.first);
            if let Some(span) = first.and_then(|page| table.record(page))
                && self.is_due(span)
            {
                self.remove(table, span);
                self.put(table, span, listed);
                return Some(span);
            }
        }
        None
    }

    /// Claims a span that was just taken from the unswept ones, or that stands where it is swept in place. Its word
    /// must say what its place says.
    pub(crate) fn claim(&self, span: &Span, generation: u32) -> Result<Claim, Refusal> {
        let word = span.word();
        let kind = match self.standing(span) {
            Listed::Leased => ClaimKind::Leased,
            Listed::Quarantined => ClaimKind::Quarantined,
            _ => ClaimKind::Whole,
        };
        let claim = span.claim(generation)?;
        if claim.kind() == kind {
            Ok(claim)
        } else {
            Err(Refusal::BadState(word))
        }
    }

    /// Makes every span due, also those on their way between lists, and returns how many there are.
    pub(crate) fn flip(&mut self, table: &SpanTable, generation: u32) -> usize {
        self.epoch = self.epoch.wrapping_add(1);
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
        self.generation.wrapping_sub(self.is_due(span).into())
    }

    pub(crate) fn spans(&self) -> u32 {
        self.spans
    }

    /// Takes a new span in. It is on its way to a list, and not due.
    pub(crate) fn add_span(&mut self, span: &Span) {
        span.link().set_listed(Listed::Nowhere, self.epoch);
        self.spans += 1;
    }

    /// Forgets a span that is in no list.
    pub(crate) fn remove_span(&mut self) {
        self.spans = self.spans.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests;
