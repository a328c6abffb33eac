//! Damaged lists: what a list of spans cannot hold, and how the lists of a class are made anew.
//!
//! Asked by every verb of `lists` before it takes a span out, under the lock of the class. A span is where it says that it
//! is, and its neighbours say so too; of the three the majority is believed. Where links do not fit, all lists of the class
//! are made anew from the records, in one walk over the page table: nothing is lost, and no chain of links is followed, so
//! that one that leads back into itself holds nobody up.
//!
//! A span that no list leads to is not met on the way through the lists. It is missing where a list ends before its spans
//! do; and when everybody is stopped, so that nobody has a span in hand, a census of all records finds it.
//!
//! Deliberately absent: reports, which wait until nothing is locked.

use crate::link::Listed;
use crate::list::List;
use crate::lists::Lists;
use crate::span::Span;
use crate::span_state::SpanState;
use crate::spans::{PageEntry, SpanTable};

/// A list of a class that held what it cannot hold, or whose links did not fit. It was made anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Damage {
    /// Number of the class.
    pub(crate) class: u32,
    /// Where a link has led, or what none leads to; `None` where a list ends too soon.
    pub(crate) page: Option<u32>,
    /// What is wrong there.
    pub(crate) reason: &'static str,
}

/// What a census of a class has counted so far.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Census {
    /// Spans of the class.
    spans: u32,
    /// Of these, those that the last flip made due.
    pub(crate) due: usize,
    /// The first of them that stands in no list.
    stray: Option<u32>,
}

impl Lists {
    /// Counts a span of the class. One that stands in no list gets a place: the one it names or, where it names none, or
    /// another than its word asks for, that of its word. `shelf` is where it belongs if it is swept. Everybody is stopped.
    pub(crate) fn count(
        &mut self,
        table: &SpanTable,
        span: &Span,
        shelf: Listed,
        census: &mut Census,
    ) {
        let (page, standing) = (table.page_of(span), self.standing(span));
        let is_linked = |list: &mut List| list.is_linked(table, page);
        if !self.list(standing).is_some_and(is_linked) {
            census.stray.get_or_insert(page);
            let named = span.listing().listed();
            let listed = match span.state() {
                Some(SpanState::Leased | SpanState::LeasedClaimed) => Listed::Leased,
                Some(SpanState::Quarantined) => Listed::Quarantined,
                _ if matches!(named, Listed::Partial | Listed::Full | Listed::Unswept) => named,
                _ => shelf,
            };
            // Nobody who lost it can have said whether it was swept: its word does.
            let is_due = span.generation() != self.generation;
            let epoch = self.epoch.wrapping_sub(is_due.into());
            span.listing().set(listed, epoch);
        }
        census.spans += 1;
        census.due += usize::from(self.is_due(span));
    }

    /// Compares the lists with a census of the class, and makes them anew when a span was missing.
    pub(crate) fn compare(&mut self, table: &SpanTable, census: &Census) {
        let mut listed = 0;
        for each in Listed::LISTS {
            listed += self.list(each).map_or(0, |list| list.spans);
        }
        let is_right = listed == census.spans && self.spans == census.spans;
        if census.stray.is_none() && is_right {
            return;
        }
        let reason = if census.stray.is_some() {
            "span that no list leads to"
        } else {
            "number of spans"
        };
        self.note(census.stray, reason);
        self.spans = census.spans;
        self.rebuild(table);
    }

    /// Makes the lists anew when this one ends before its spans do.
    #[inline]
    pub(super) fn mend_cut_off(&mut self, table: &SpanTable, listed: Listed) {
        if self.list(listed).is_some_and(|list| list.is_cut_off()) {
            self.note(None, "list that ends before its spans do");
            self.rebuild(table);
        }
    }

    #[cold]
    fn note(&self, page: Option<u32>, reason: &'static str) {
        let class = self.class;
        // A queue that is full forgets the oldest; the lists are whole in any case.
        let _forgotten = self.damages.force_push(Damage {
            class,
            page,
            reason,
        });
    }

    /// Whether what stands at this page fits a list and its links. If not, that is noted and mended: what the list led to
    /// may stand elsewhere then, or nowhere.
    pub(super) fn make_sure(&mut self, table: &SpanTable, listed: Listed, page: u32) -> bool {
        let is_linked = self
            .list(listed)
            .is_some_and(|list| list.is_linked(table, page));
        let Some(reason) = self.flaw(table, listed, page, is_linked) else {
            return true;
        };
        self.note(Some(page), reason);
        match table.record(page) {
            Some(span) if is_linked && !self.is_stranger(table, span) => {
                self.set_place(span, listed);
            }
            _ => self.rebuild(table),
        }
        false
    }

    /// What is wrong with a list where it leads to this page.
    fn flaw(
        &self,
        table: &SpanTable,
        listed: Listed,
        page: u32,
        is_linked: bool,
    ) -> Option<&'static str> {
        let Some(span) = table.record(page) else {
            return Some("link out of the heap");
        };
        if table.entry(page) != Some(PageEntry::Span(page)) {
            Some("link to pages without a span")
        } else if self.is_stranger(table, span) {
            Some("link to a span of another class")
        } else if self.standing(span) == listed {
            (!is_linked).then_some("links of neighbours do not fit")
        } else if is_linked {
            Some("span that says it stands elsewhere")
        } else {
            Some("link to a span that stands elsewhere")
        }
    }

    /// No span of this class. One whose record is broken may be anybody's, which is another check: it passes here.
    fn is_stranger(&self, table: &SpanTable, span: &Span) -> bool {
        let page = table.page_of(span);
        let is_span = table.entry(page) == Some(PageEntry::Span(page));
        !is_span || (span.class_index() != self.class && table.is_sealed(span))
    }

    fn is_own(&self, table: &SpanTable, span: &Span) -> bool {
        table.class_of(span) == Some(self.class)
    }

    /// Says in the record of a span where its neighbours say that it is.
    fn set_place(&self, span: &Span, listed: Listed) {
        let is_due = match listed {
            Listed::Unswept => true,
            Listed::Leased | Listed::Quarantined => span.generation() != self.generation,
            Listed::Nowhere | Listed::Partial | Listed::Full => false,
        };
        span.listing()
            .set(listed, self.epoch.wrapping_sub(is_due.into()));
    }

    /// Makes all lists anew from what the records of the class say of their place, in the order of their pages; what is due
    /// stands first.
    #[cold]
    fn rebuild(&mut self, table: &SpanTable) {
        for listed in Listed::LISTS {
            if let Some(list) = self.list(listed) {
                *list = List::default();
            }
        }
        for is_due in [true, false] {
            for span in table.iter() {
                let standing = self.standing(span);
                if self.is_own(table, span)
                    && self.is_due(span) == is_due
                    && let Some(list) = self.list(standing)
                {
                    list.push_back(table, span);
                }
            }
        }
    }
}
