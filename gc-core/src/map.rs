//! The map of a heap: its spans by address, for people who want to see how full it is and of what.
//!
//! Made by whoever asks, on any thread in any phase, from the span records alone. Nobody is stopped, so each
//! span is told as it is when the walk comes to it, and what a lease has not booked yet is missing. Owns
//! nothing. Deliberately absent: single objects, which are the snapshot's and `retention`'s.

use gc_sweep::{PAGE_BYTES, SpanState};

use crate::shared::Shared;

/// One span of a heap: a run of pages cut into equal slots for objects of one type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanReport {
    /// First page, in pages of 8192 bytes from the start of the heap.
    pub first_page: u32,
    /// How many pages it has.
    pub pages: u32,
    /// The type of every object in it; `None` when its record names none that is registered.
    pub type_name: Option<&'static str>,
    /// Bytes of each slot.
    pub slot_bytes: usize,
    /// How many slots it has.
    pub slots: u32,
    /// Slots that hold an object, as far as they are in the books.
    pub objects: u32,
    /// Single slots that containment has withdrawn.
    pub slots_quarantined: u32,
    /// Containment has withdrawn all of it.
    pub is_quarantined: bool,
}

impl SpanReport {
    /// Bytes of the span, the tail behind its last slot included.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.pages as usize * PAGE_BYTES
    }

    /// Bytes of the slots that hold an object.
    #[must_use]
    pub const fn bytes_live(&self) -> usize {
        self.objects as usize * self.slot_bytes
    }
}

/// The spans by address.
pub(crate) fn spans(shared: &Shared) -> Vec<SpanReport> {
    shared.sync_parked();
    let mut spans = Vec::new();
    shared.space.for_each_span(&mut |span| {
        let entry = shared.types.get(span.type_index());
        spans.push(SpanReport {
            first_page: span.first_page(),
            pages: span.pages(),
            type_name: entry.map(|entry| entry.name()),
            slot_bytes: span.slot_bytes(),
            slots: span.slots(),
            objects: span.alloc_count(),
            slots_quarantined: span.slots_quarantined(),
            is_quarantined: span.state() == Some(SpanState::Quarantined),
        });
    });
    spans
}
