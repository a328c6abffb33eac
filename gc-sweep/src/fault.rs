//! Ways to break a space on purpose, so that each check can be seen to fire and to be contained.
//!
//! Only with the feature `fault-inject`: tests and the stress driver use it, from the thread that drives the space.
//! Each method writes one field or byte past its owner and keeps nothing else in step, which is what a stray store would
//! do.
//!
//! Deliberately absent: faults of the operating system, which stand in `os::fault`, and any repair.

use crate::colour::StateByte;
use crate::ground::Ground;
use crate::span::Span;
use crate::state_cell;

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

    /// Writes the type that a span's record names.
    pub fn set_type_index(&self, address: usize, type_index: u32) -> bool {
        self.on_span(address, |span| span.fault_set_type_index(type_index))
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
