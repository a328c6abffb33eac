//! A queue of spans, linked through their records, so that nothing here allocates.
//!
//! Owned by `lists`, under the lock of a class. Links are numbers in records, which a stray store may overwrite: so the two
//! ends are kept apart from them, and each span says who comes before it and who comes after.
//!
//! Deliberately absent: which list it is, and what follows when links do not fit.

use crate::span::Span;
use crate::spans::SpanTable;

/// A queue of spans, linked through their records.
#[derive(Debug, Default)]
pub(crate) struct List {
    pub(crate) first: Option<u32>,
    pub(crate) last: Option<u32>,
    pub(crate) spans: u32,
}

impl List {
    pub(crate) fn push_back(&mut self, table: &SpanTable, span: &Span) {
        let page = table.page_of(span);
        span.link().set_previous(self.last);
        span.link().set_next(None);
        match self.last.and_then(|last| table.record(last)) {
            Some(last) => last.link().set_next(Some(page)),
            None => self.first = Some(page),
        }
        self.last = Some(page);
        self.spans += 1;
    }

    pub(crate) fn push_front(&mut self, table: &SpanTable, span: &Span) {
        let mut rest = std::mem::take(self);
        self.push_back(table, span);
        self.append(table, &mut rest);
    }

    pub(crate) fn remove(&mut self, table: &SpanTable, span: &Span) {
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

    /// The span at this page and those beside it name one another.
    pub(crate) fn is_linked(&self, table: &SpanTable, page: u32) -> bool {
        let Some(link) = table.record(page).map(Span::link) else {
            return false;
        };
        let follows = match link.previous().map(|previous| table.record(previous)) {
            Some(previous) => previous.is_some_and(|span| span.link().next() == Some(page)),
            None => self.first == Some(page),
        };
        let precedes = match link.next().map(|next| table.record(next)) {
            Some(next) => next.is_some_and(|span| span.link().previous() == Some(page)),
            None => self.last == Some(page),
        };
        follows && precedes
    }

    /// Nothing comes first, though there are spans.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.first.is_none() && self.spans > 0
    }

    /// The span at this page stands in the list. Looks at no more links than there are spans in it.
    pub(crate) fn holds(&self, table: &SpanTable, page: u32) -> bool {
        let mut at = self.first;
        for _ in 0..self.spans {
            match at {
                Some(found) if found == page => return true,
                Some(found) => at = table.record(found).and_then(|span| span.link().next()),
                None => return false,
            }
        }
        false
    }

    /// Moves all spans of `other` to the end, in constant time.
    pub(crate) fn append(&mut self, table: &SpanTable, other: &mut List) {
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
