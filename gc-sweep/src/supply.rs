//! Where spans come from and where they go: pages become spans, spans go to their lists, empty ones become pages again.
//!
//! Called by allocation slow paths and by whoever ends a sweep or a lease and has the span in hand.
//!
//! A class begins with the shortest span of its size and doubles the length with each span it has, so that a program of
//! many types stays small and a program of one soon cuts long spans.
//!
//! Invariants: a span is complete before the page table leads to it, and gone from the page table before its pages are
//! free; the state bytes of a new span are all zero. Those of a span that ended keep their death stamps until its pages
//! are cut again.
//!
//! Deliberately absent: a store of empty spans kept for later. The page heap keeps the memory.

use std::sync::atomic::Ordering;

use gc_hooks::Check;

use crate::class::{Class, SlotSize};
use crate::contain::Moment;
use crate::error::AllocError;
#[cfg(feature = "fault-inject")]
use crate::error::{OsCall, OsError};
#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::ground::Ground;
use crate::link::Listed;
use crate::os;
use crate::page_heap::{bytes_of_pages, pages_for_bytes};
use crate::scan;
use crate::size_class::{CHUNK_PAGES, PAGE_BYTES, SizeClass};
use crate::span::Span;
use crate::span_state::SpanState;
use crate::spans::{Deed, PageEntry};

/// Doublings of span length after which every class has its longest.
const DOUBLINGS_MAX: u32 = 5;

impl Ground {
    /// Cuts a new span for the class; it is Swept, empty, and in the caller's hand. `bytes` is the size of the object of
    /// a large class.
    pub(crate) fn cut_span(&self, class: &Class, bytes: usize) -> Result<&Span, AllocError> {
        let spec = class.spec();
        let (spans, generation) = {
            let lists = class.lists();
            (lists.spans(), lists.generation())
        };
        let pages = match spec.slot {
            SlotSize::Class(size) => self.span_pages(size, spans),
            SlotSize::Large => self.pages_for(bytes)?,
        };
        let first_page = self.take_pages(pages)?;
        let span = self.spans.record(first_page).ok_or(self.exhausted(pages))?;
        span.cut(class.shape(first_page, pages), generation);
        let deed = Deed {
            class: class.id().number(),
            seal: span.seal(),
        };
        self.spans.set_deed(first_page, deed);
        self.clear_states(first_page, pages);
        os::poison(span.base(self.base()), span.bytes());
        self.spans.enter(first_page, pages);
        class.lists().add_span(span);
        self.books.span_cut(span);
        Ok(span)
    }

    /// Takes away what earlier spans left in the state bytes of these pages.
    fn clear_states(&self, first_page: u32, pages: u32) {
        for page in first_page..first_page + pages {
            if self.spans.entry(page) != Some(PageEntry::Never) {
                let address = self.base() + page as usize * PAGE_BYTES;
                scan::clear(
                    self.states
                        .bytes_of(address, PAGE_BYTES)
                        .unwrap_or_default(),
                );
            }
        }
    }

    /// The length of the next span of a class that has so many.
    fn span_pages(&self, size: SizeClass, spans: u32) -> u32 {
        let wanted = size.span_pages_min() << spans.min(DOUBLINGS_MAX);
        size.span_pages(wanted.min(self.span_pages_max))
    }

    fn pages_for(&self, bytes: usize) -> Result<u32, AllocError> {
        let too_large = AllocError::TooLarge {
            requested_bytes: bytes,
            bytes_max: self.reservation.bytes(),
        };
        if bytes > self.reservation.bytes() {
            return Err(too_large);
        }
        Ok(pages_for_bytes(bytes).ok_or(too_large)?.max(1))
    }

    fn exhausted(&self, pages: u32) -> AllocError {
        let requested_bytes = pages as usize * PAGE_BYTES;
        AllocError::Exhausted {
            requested_bytes,
            reserve_bytes: self.reservation.bytes(),
        }
    }

    fn take_pages(&self, pages: u32) -> Result<u32, AllocError> {
        let commit = |range| {
            #[cfg(feature = "fault-inject")]
            self.refused_at(Site::CommitRefused, OsCall::Commit)?;
            self.reservation.commit(bytes_of_pages(range))
        };
        let first_page = self.pages().alloc(pages, commit)?;
        // Relaxed: a hint for `release_chunks`.
        self.pages_cut.fetch_add(pages, Ordering::Relaxed);
        Ok(first_page)
    }

    /// Puts a swept span in the caller's hand where it belongs: a list, the page heap, or quarantine. Its counts were
    /// just found to agree with its state bytes.
    pub(crate) fn place(&self, class: &Class, span: &Span) {
        self.vouch_as(span, class);
        if self.looks_for_dirt() && is_empty(span) && !span.is_large() {
            self.withdraw_dirty_in(span);
        }
        let was_due = {
            let mut lists = class.lists();
            if !span.is_withdrawal_due() {
                if !is_empty(span) || !span.release() {
                    let listed = if has_room(span) {
                        Listed::Partial
                    } else {
                        Listed::Full
                    };
                    return lists.put(&self.spans, span, listed);
                }
                lists.remove_span();
            }
            lists.is_due(span)
        };
        if span.state() != Some(SpanState::Free) {
            return self.withdraw(class, span, Moment::Outside);
        }
        self.give_back(span);
        // A flip came while the span was on its way here. It holds no object to sweep.
        if was_due {
            self.classes.visited(class);
        }
    }

    /// Puts a swept span in the caller's hand into a list. Nobody has looked at its counts, so that its pages are not
    /// given back on their word.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn shelve(&self, class: &Class, span: &Span) {
        class.lists().put(&self.spans, span, shelf(span));
    }

    /// Puts a sound span that was taken from its list by mistake where its state says that it stood.
    pub(crate) fn restore(&self, class: &Class, span: &Span) {
        let mut lists = class.lists();
        let stood = match span.state() {
            Some(SpanState::Leased) => Listed::Leased,
            Some(SpanState::Quarantined) => Listed::Quarantined,
            _ => shelf(span),
        };
        lists.put(&self.spans, span, stood);
    }

    /// Gives the pages of a released span back.
    fn give_back(&self, span: &Span) {
        let (first_page, pages, bytes) = (span.first_page(), span.pages(), span.bytes());
        os::poison(span.base(self.base()), bytes);
        self.spans.leave(first_page, pages, self.turn.cycle());
        self.books.span_released(span);
        let refused = self.pages().free(first_page, pages);
        #[cfg(feature = "fault-inject")]
        let refused = if self.hooks.strikes(Site::PagesFreedTwice) {
            refused.and(self.pages().free(first_page, pages))
        } else {
            refused
        };
        // The page heap keeps pages that it did not hand out as they are: refused ones are leaked, not reused.
        if refused.is_err() {
            let violation = self.violation(Check::SpanState).with_span(first_page);
            let violation = violation.with_reason("the page heap never handed these pages out");
            self.hooks
                .report(violation.with_number("pages", pages.into()));
        }
    }

    /// Gives free chunks back to the system, once a cycle. As much is kept as was cut into spans since the last time: a
    /// heap that goes on as before needs it again, and memory given back costs its first touch anew.
    pub(crate) fn release_chunks(&self) {
        // Relaxed: whoever swaps the flag out does the work; nothing else hangs on it.
        if !self.is_release_due.swap(false, Ordering::Relaxed) {
            return;
        }
        let pages_cut = self.pages_cut.swap(0, Ordering::Relaxed);
        let released = {
            let mut pages = self.pages();
            let usage = pages.usage();
            let pages_idle = usage.pages_committed.saturating_sub(usage.pages_in_use);
            let budget = self
                .release_chunks_per_cycle
                .min(pages_idle.saturating_sub(pages_cut) / CHUNK_PAGES);
            pages.release_free_chunks(budget, |range| {
                #[cfg(feature = "fault-inject")]
                self.refused_at(Site::ReleaseRefused, OsCall::Release)?;
                self.reservation.release(bytes_of_pages(range))
            })
        };
        if let Some(error) = released.failure {
            self.report_os(error);
        }
    }
}

#[cfg(feature = "fault-inject")]
impl Ground {
    /// The system's refusal, when the site strikes.
    fn refused_at(&self, site: Site, call: OsCall) -> Result<(), OsError> {
        let errno = crate::os::fault::ERRNO_INJECTED;
        let refusal = self.hooks.strikes(site).then_some(OsError { call, errno });
        refusal.map_or(Ok(()), Err)
    }
}

/// No object is in the span, and nothing was ever withdrawn from it.
fn is_empty(span: &Span) -> bool {
    span.alloc_count() == 0 && span.slots_quarantined() == 0
}

/// The list of a swept span.
pub(crate) fn shelf(span: &Span) -> Listed {
    if has_room(span) {
        Listed::Partial
    } else {
        Listed::Full
    }
}

/// A slot of the span can be handed out.
pub(crate) fn has_room(span: &Span) -> bool {
    span.alloc_count().saturating_add(span.slots_quarantined()) < span.slots()
}
