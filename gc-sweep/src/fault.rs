//! Ways to break a space on purpose, so that each check can be seen to fire and to be contained.
//!
//! Only with the feature `fault-inject`: tests and the stress driver use it, from the thread that drives the space.
//! Each method writes one field or byte past its owner and keeps nothing else in step, which is what a stray store would
//! do.
//!
//! Deliberately absent: faults of the operating system, which stand in `os::fault`, and any repair.

use crate::class::Class;
use crate::colour::StateByte;
use crate::ground::Ground;
use crate::link::Listed;
use crate::span::Span;
use crate::span_state::SpanState;
use crate::state_cell;
use crate::sweep::{NothingToReap, Rests};

pub use crate::span::RecordField;
pub use gc_hooks::fault::{Persistence, Site};

/// Access to what is private in a space. Methods that take an address mean the span that covers it and answer `None`,
/// or do nothing and answer `false`, when there is none.
#[derive(Debug)]
pub struct Fault<'a> {
    ground: &'a Ground,
}

impl<'a> Fault<'a> {
    pub(crate) fn new(ground: &'a Ground) -> Fault<'a> {
        Fault { ground }
    }

    fn on_span(&self, address: usize, act: impl FnOnce(&Span)) -> bool {
        self.ground.spans.span_of(address).map(act).is_some()
    }

    /// Writes the state byte of the granule at an address.
    pub fn set_state_byte(&self, address: usize, state: StateByte) -> bool {
        let byte = self.ground.states.byte(address);
        byte.map(|byte| state_cell::set(byte, state)).is_some()
    }

    /// Adds to the allocation count of a span, wrapping as a stray store would.
    pub fn add_alloc_count(&self, address: usize, amount: i32) -> bool {
        self.on_span(address, |span| span.fault_add_alloc_count(amount))
    }

    /// Writes the state word of a span: generation and the number of a state, which need not exist.
    pub fn set_span_word(&self, address: usize, generation: u32, state: u32) -> bool {
        self.on_span(address, |span| span.fault_set_word(generation, state))
    }

    /// The state word of a span: generation and the number of its state.
    pub fn span_word(&self, address: usize) -> Option<(u32, u32)> {
        let word = self.ground.spans.span_of(address)?.word();
        Some((word.generation(), word.state_bits()))
    }

    /// Adds to the generation of a span's state word, wrapping, and leaves the state alone.
    pub fn add_generation(&self, address: usize, amount: i32) -> bool {
        self.on_span(address, |span| {
            let word = span.word();
            let generation = word.generation().wrapping_add_signed(amount);
            span.fault_set_word(generation, word.state_bits());
        })
    }

    /// Turns a bit of a field of a span's record that its cut fixed, or of the seal.
    pub fn flip_record_bit(&self, address: usize, field: RecordField, bit: u32) -> bool {
        self.on_span(address, |span| span.fault_flip(field, bit))
    }

    /// Turns a bit of what is kept of a span's record outside of it: the seal, then the number of its class.
    pub fn flip_deed_bit(&self, address: usize, bit: u32) -> bool {
        let spans = &self.ground.spans;
        self.on_span(address, |span| {
            spans.fault_flip_deed(spans.page_of(span), bit);
        })
    }

    /// Overwrites a link of a span in its list: the page of the span that comes after it, or before it. `None` says that
    /// there is none.
    pub fn set_link(&self, address: usize, is_next: bool, page: Option<u32>) -> bool {
        self.on_span(address, |span| {
            if is_next {
                span.link().set_next(page);
            } else {
                span.link().set_previous(page);
            }
        })
    }

    /// Overwrites what a span says of the list that it stands in: 0 is none, 1 to 5 are partial, full, unswept, leased and
    /// quarantined.
    pub fn set_place(&self, address: usize, number: u8) -> bool {
        self.on_span(address, |span| span.listing().fault_set(number))
    }

    /// What a span says of the list that it stands in, as [`Fault::set_place`] numbers them.
    pub fn place(&self, address: usize) -> Option<u8> {
        let span = self.ground.spans.span_of(address)?;
        Some(span.listing().listed() as u8)
    }

    /// Lets AddressSanitizer pass what is written into a free slot on purpose: the checks of the heap are to speak.
    pub fn exhume(&self, address: usize) {
        self.ground.exhume(address);
    }

    /// Takes a span out of its list and leaves it in none, as one does who forgets to put it back.
    pub fn unlist(&self, address: usize) -> bool {
        self.on_span(address, |span| {
            if let Some(class) = self.ground.classes.of(span) {
                class.lists().remove(&self.ground.spans, span);
            }
        })
    }

    /// Takes a span out of its list past the list: its neighbours are linked to one another, the span and the count of the
    /// list stay as they were.
    pub fn unlink(&self, address: usize) -> bool {
        self.on_span(address, |span| {
            let (previous, next) = (span.link().previous(), span.link().next());
            let record = |page: Option<u32>| self.ground.spans.record(page?);
            if let Some(before) = record(previous) {
                before.link().set_next(next);
            }
            if let Some(after) = record(next) {
                after.link().set_previous(previous);
            }
        })
    }

    /// Adds to the number of spans that are due.
    pub fn add_due(&self, spans: usize) {
        self.ground.classes.fault_add_due(spans);
    }

    /// Puts a span among the unswept ones of its class, as a list that is damaged would.
    pub fn requeue_unswept(&self, address: usize) -> bool {
        let Some(span) = self.ground.spans.span_of(address) else {
            return false;
        };
        let Some(class) = self.ground.classes.of(span) else {
            return false;
        };
        let mut lists = class.lists();
        let was_due = lists.remove(&self.ground.spans, span);
        lists.put_unswept(&self.ground.spans, span);
        if !was_due {
            self.ground.classes.add_due(&class);
        }
        true
    }

    /// Writes the type that a span's record names, under a seal that fits, as if the span had been cut so.
    pub fn set_type_index(&self, address: usize, type_index: u32) -> bool {
        let spans = &self.ground.spans;
        self.on_span(address, |span| {
            span.fault_set_type_index(type_index, spans.page_of(span));
        })
    }

    /// Writes the first slot that was never handed out.
    pub fn set_frontier(&self, address: usize, slot: u32) -> bool {
        self.on_span(address, |span| span.fault_set_frontier(slot))
    }

    /// Adds to the running total of live bytes.
    pub fn skew_ledger(&self, bytes: i64) {
        self.ground.books.fault_skew(bytes);
    }
}

/// How the space goes on where a blind check would have stopped it.
impl Ground {
    /// Goes on with a span as if its word said what its place does.
    pub(crate) fn believe_place(&self, class: &Class, span: &Span) {
        let standing = class.lists().standing(span);
        let state = match standing {
            Listed::Leased => SpanState::Leased,
            Listed::Quarantined => SpanState::Quarantined,
            Listed::Nowhere | Listed::Partial | Listed::Full | Listed::Unswept => SpanState::Swept,
        };
        span.fault_set_word(self.turn.cycle(), state as u32);
        if standing == Listed::Nowhere {
            // A lease may have ended here: its books are closed.
            let _counts_are_another_check = self.audit_after_lease(span);
            self.shelve(class, span);
        }
    }

    /// Sweeps a span that was swept in this cycle.
    pub(crate) fn sweep_again(&self, class: &Class, span: &Span) {
        let generation = self.turn.cycle();
        span.fault_set_word(generation.wrapping_sub(1), span.word().state_bits());
        if let Ok(claim) = span.claim(generation)
            && self
                .sweep_span(class, span, claim, &mut NothingToReap)
                .rests
                == Rests::InHand
        {
            self.place(class, span);
        }
    }
}
