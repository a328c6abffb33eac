//! A span as whoever looks at the heap from outside sees it: what it is, and the state byte of each slot.
//!
//! For tools that draw maps of a heap. Read at one moment, without stopping anybody: beside running threads
//! the bytes may be from different moments. Deliberately absent: the contents of slots.

use gc_sweep::{PAGE_BYTES, SpanState};

use crate::heap::Heap;

/// A span, at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpanView {
    /// First page of the span, in pages of 8 KiB from the start of the heap; reports call it the span.
    pub first_page: u32,
    /// Bytes from the start of the heap to its first slot.
    pub offset: u64,
    /// Pages of the span.
    pub pages: u32,
    /// Bytes of each slot.
    pub slot_bytes: usize,
    /// The type of every object in it.
    pub type_name: Option<&'static str>,
    /// What it is doing: `swept`, `leased`, `claimed`, `quarantined`, or `nonsense`.
    pub state: &'static str,
    /// The cycle it was last swept in.
    pub generation: u32,
    /// Objects in its books.
    pub alloc_count: u32,
    /// Slots of it that are withdrawn one by one.
    pub slots_quarantined: u32,
    /// The state byte of each slot, in order: see `docs/src/ARCHITECTURE.md`, "The state byte".
    pub states: Vec<u8>,
}

impl Heap {
    /// The span that covers a page, by its number as reports tell it; `None` where there is none.
    pub fn view_span(&self, page: u32) -> Option<SpanView> {
        let shared = self.shared();
        let space = &shared.space;
        let address = space.base() + (page as usize).checked_mul(PAGE_BYTES)?;
        let offset = space.offset_of(address)?;
        let span = space.span_of(address)?;
        let (base, slot_bytes) = (span.base(space.base()), span.slot_bytes());
        // A record that was overwritten may say anything.
        let slots = (span.slots() as usize).min(span.bytes() / slot_bytes.max(16));
        let states = (0..slots).map_while(|slot| space.states().load(base + slot * slot_bytes));
        Some(SpanView {
            first_page: span.first_page(),
            offset: space.offset_of(base).unwrap_or(offset),
            pages: span.pages(),
            slot_bytes,
            type_name: shared
                .types
                .get(span.type_index())
                .map(|entry| entry.name()),
            state: match span.state() {
                Some(SpanState::Free) => return None,
                Some(SpanState::Swept) => "swept",
                Some(SpanState::Leased) => "leased",
                Some(SpanState::Claimed | SpanState::LeasedClaimed) => "claimed",
                Some(SpanState::Quarantined) => "quarantined",
                None => "nonsense",
            },
            generation: span.generation(),
            alloc_count: span.alloc_count(),
            slots_quarantined: span.slots_quarantined(),
            states: states.map(gc_sweep::StateByte::bits).collect(),
        })
    }

    /// The state byte of the granule at a place; `None` outside the heap.
    pub fn state_byte(&self, offset: u64) -> Option<u8> {
        let space = &self.shared().space;
        let address = space.base().checked_add(usize::try_from(offset).ok()?)?;
        space.states().load(address).map(gc_sweep::StateByte::bits)
    }

    /// The number of the colour of the cycle in progress, or else of the last one: 1 to 7.
    pub fn colour(&self) -> u8 {
        self.shared().world.kept().marked().number()
    }
}
