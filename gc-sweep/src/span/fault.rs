//! Ways to overwrite the record of a span, as a stray store would. Called by `fault`, from the thread that drives the space.
//!
//! Each call writes one field and keeps nothing else in step. Deliberately absent: any check.

use std::sync::atomic::Ordering;

use crate::seal::Sealed;
use crate::span::Span;

/// A field of a span's record that a cut fixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RecordField {
    /// First page.
    FirstPage,
    /// How many pages.
    Pages,
    /// Length of a slot.
    SlotGranules,
    /// How many slots.
    Slots,
    /// Type of the objects.
    TypeIndex,
    /// Number of the class.
    Class,
    /// Pointer-free, with drop glue, large: the lowest three bits.
    Flags,
    /// The seal over all of these.
    Seal,
}

impl Span {
    pub(crate) fn fault_add_alloc_count(&self, amount: i32) {
        self.alloc_count.fetch_add(amount as u32, Ordering::Relaxed);
    }

    pub(crate) fn fault_set_word(&self, generation: u32, state: u32) {
        self.word
            .fault_set(u64::from(generation) << 32 | u64::from(state));
    }

    /// Writes another type, and the seal that fits it.
    pub(crate) fn fault_set_type_index(&self, type_index: u32, page: u32) {
        let shape = Sealed {
            type_index,
            ..self.sealed()
        };
        self.write_sealed(&shape, page);
    }

    /// Turns a bit of a field that a cut fixes.
    pub(crate) fn fault_flip(&self, field: RecordField, bit: u32) {
        let word = match field {
            RecordField::FirstPage => &self.first_page,
            RecordField::Pages => &self.pages,
            RecordField::SlotGranules => &self.slot_granules,
            RecordField::Slots => &self.slots,
            RecordField::TypeIndex => &self.type_index,
            RecordField::Class => &self.class,
            RecordField::Seal => &self.seal,
            RecordField::Flags => {
                self.flags.fetch_xor(1 << (bit % 8), Ordering::Relaxed);
                return;
            }
        };
        word.fetch_xor(1 << (bit % 32), Ordering::Relaxed);
    }

    pub(crate) fn fault_set_frontier(&self, slot: u32) {
        self.frontier.store(slot, Ordering::Relaxed);
    }
}
