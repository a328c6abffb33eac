//! Whether the record of a span may be trusted, and its repair when it may not.
//!
//! Asked before anything is done on the word of a record: when a sweep or a lease begins, when a lease ends, before pages
//! are given back, for a withdrawal, and by walks. Any thread, in any phase, holding no lock.
//!
//! What a cut fixes is known twice. The record has it, under a seal. Outside of it are the place of the record, which is
//! its first page; the page heap, which knows how many pages follow; and the deed, which names the class and repeats the
//! seal. The class knows the rest. So a broken record is written anew from outside, and when the result has the seal of
//! the deed, it is what was cut.
//!
//! Invariant: afterwards the record has a shape that its pages and a class allow, under a seal that fits. When the deed did
//! not confirm that shape, the span is withdrawn, or will be by whoever holds it.
//!
//! What was done on the word of a broken record before it was found is not undone here. Marking may have passed objects by;
//! so all records are looked at once more between the end of marking and the flip, and a cycle in which one was broken
//! frees nothing.
//!
//! Deliberately absent: counts, the state word and the links, which change all the time and are checked against one another
//! elsewhere.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use gc_hooks::{Check, Violation};

use crate::class::Class;
use crate::ground::Ground;
use crate::seal::Sealed;
use crate::size_class::PAGE_BYTES;
use crate::span::Span;
use crate::spans::{Deed, PageEntry};

impl Ground {
    /// Makes sure of the record of a span that the caller found without holding it.
    #[inline]
    pub(crate) fn vouch(&self, span: &Span) {
        if !self.is_trusted(span) && self.stays_broken(span) {
            self.mend(span, None);
        }
    }

    /// Makes sure of the record of a span that the caller holds as one of this class.
    #[inline]
    pub(crate) fn vouch_as(&self, span: &Span, class: &Class) {
        if !self.is_trusted(span) {
            self.mend(span, Some(class));
        }
    }

    /// As [`Ground::vouch_as`], for a lessee, who knows the class by its number.
    #[inline]
    pub(crate) fn vouch_leased(&self, span: &Span, class: u32) {
        if !self.is_trusted(span) {
            self.mend(span, self.classes.numbered(class).as_deref());
        }
    }

    /// Makes sure of the records of all spans. The answer says whether any had to be written anew since the last call of
    /// [`Ground::forget_mended`].
    pub(crate) fn vouch_all(&self) -> bool {
        self.spans.iter().for_each(|span| self.vouch(span));
        // Relaxed: whoever asks has seen to it that nobody marks any more.
        self.is_mended.load(Ordering::Relaxed)
    }

    /// From here on records are looked at anew.
    pub(crate) fn forget_mended(&self) {
        self.is_mended.store(false, Ordering::Relaxed);
    }

    /// Makes sure of the record of the span at an address, and says whether it was broken. For those who were led to
    /// something that cannot be by a record under a seal that fits: of two seals that differ the deed's is believed.
    #[cold]
    pub(crate) fn mends_at(&self, address: usize) -> bool {
        let span = self.spans.span_of(address);
        let broken = span.filter(|span| !self.is_as_deeded(span) && self.stays_undeeded(span));
        broken.map(|span| self.mend(span, None)).is_some()
    }

    fn is_trusted(&self, span: &Span) -> bool {
        #[cfg(feature = "fault-inject")]
        if self.hooks.is_blind(Check::SpanSeal) {
            return true;
        }
        self.spans.is_sealed(span)
    }

    /// As [`Ground::is_trusted`], and the deed repeats the seal.
    fn is_as_deeded(&self, span: &Span) -> bool {
        #[cfg(feature = "fault-inject")]
        if self.hooks.is_blind(Check::SpanSeal) {
            return true;
        }
        self.has_both_seals(span)
    }

    fn has_both_seals(&self, span: &Span) -> bool {
        let deed = self.spans.deed(self.spans.page_of(span));
        self.spans.is_sealed(span) && deed.is_some_and(|deed| deed.seal == span.seal())
    }

    /// Whether what looked broken is. A span that nobody holds still may have ended meanwhile, and its record may have been
    /// cut again while it was read; then either no span begins there, or a second look finds it whole.
    #[cold]
    fn stays_broken(&self, span: &Span) -> bool {
        self.is_span_without(span, |span| self.spans.is_sealed(span))
    }

    /// As [`Ground::stays_broken`], for both seals.
    #[cold]
    fn stays_undeeded(&self, span: &Span) -> bool {
        self.is_span_without(span, |span| self.has_both_seals(span))
    }

    fn is_span_without(&self, span: &Span, is_whole: impl Fn(&Span) -> bool) -> bool {
        let page = self.spans.page_of(span);
        let is_span = || self.spans.entry(page) == Some(PageEntry::Span(page));
        (0..2).all(|_| is_span() && !is_whole(span))
    }

    /// Reports a record that does not match its seal and writes it anew. `class` is the one whose list or run has led here.
    #[cold]
    pub(crate) fn mend(&self, span: &Span, class: Option<&Class>) {
        let page = self.spans.page_of(span);
        let run = self.pages().used_runs().find(|(first, _)| *first == page);
        let pages = run.map_or_else(|| self.spans.pages_from(page), |(_, pages)| pages);
        let shape_in = |class: &Class| Span::sealed_of(class.shape(page, pages));
        let deed = self.spans.deed(page);
        let by_deed = deed.and_then(|deed| {
            let class = self.classes.numbered(deed.class)?;
            (shape_in(&class).seal(page) == deed.seal).then_some(class)
        });
        let is_confirmed = by_deed.is_some();
        let class = by_deed.or_else(|| self.known_class(page, class));
        let Some(class) = class else {
            // Nobody has the span in a list: whoever does at last will know its class.
            return self
                .hooks
                .report(self.broken_seal(page, "no class has the span"));
        };
        let shape = shape_in(&class);
        self.is_mended.store(true, Ordering::Relaxed);
        let reason = if is_confirmed {
            "restored from its second copy"
        } else {
            "its second copy is broken too"
        };
        let violation = self
            .broken_seal(page, reason)
            .with_type_name(class.spec().type_name);
        self.hooks
            .report(with_difference(violation, span, &shape, page));
        span.write_sealed(&shape, page);
        let seal = shape.seal(page);
        let class = shape.class;
        self.spans.set_deed(page, Deed { class, seal });
        if !is_confirmed {
            self.withdraw_span_of(self.base() + page as usize * PAGE_BYTES);
        }
    }

    /// The class that a span must be of since it was found there, or the one that has it in a list.
    fn known_class(&self, page: u32, class: Option<&Class>) -> Option<Arc<Class>> {
        match class {
            Some(class) => self.classes.get(class.id()),
            None => self.classes.holder_of(&self.spans, page),
        }
    }

    /// Words of a report that take nothing from the record.
    fn broken_seal(&self, page: u32, reason: &'static str) -> Violation {
        self.violation(Check::SpanSeal)
            .with_span(page)
            .with_address(self.address(self.base() + page as usize * PAGE_BYTES))
            .with_reason(reason)
    }
}

/// Says in which field a record differs from what it should be, or that its seal alone does.
fn with_difference(violation: Violation, span: &Span, shape: &Sealed, page: u32) -> Violation {
    let seal = || ("seal", span.seal(), shape.seal(page));
    let (field, found, right) = shape.difference(&span.sealed()).unwrap_or_else(seal);
    violation
        .with_number(field, found.into())
        .with_number("as it was cut", right.into())
}
