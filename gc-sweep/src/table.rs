//! Side tables: typed views of zeroed mappings, and the table of state bytes.
//!
//! Owns `Table`, one entry a page or granule of the heap, and `StateTable`, the state byte of every granule. A space
//! makes them at its birth with one entry for each place that can ever exist, so that no lookup takes a lock and no
//! table ever grows. Allocator, marker, barrier and sweep read and write entries from any thread, in any phase.
//!
//! Invariants:
//!
//! * an entry is a valid value before anyone has written it, since all its bytes are zero ([`ZeroValid`]);
//! * entries change through atomics alone: a table hands out shared references only;
//! * the byte at index i of the state table belongs to the granule at `base + i * GRANULE_BYTES`.
//!
//! Deliberately absent: a way to free or shrink a table, and any knowledge of what its entries mean together.

#![allow(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use gc_hooks::sync::point;

use crate::colour::{Colour, StateByte};
use crate::error::{OsCall, OsError};
use crate::os::{Mapped, out_of_memory};
use crate::size_class::GRANULE_BYTES;
use crate::state_cell;

/// Mappings begin at a page of the system, so no entry may ask for more.
const TABLE_ALIGN_BYTES: usize = 4096;

/// Types that are valid when all their bytes are zero.
///
/// # Safety
///
/// A value of all zero bytes is valid, and a value that is never dropped leaks nothing: tables unmap their entries
/// without dropping them. The type is aligned to at most 4096 bytes.
pub unsafe trait ZeroValid: Send + Sync + 'static {}

// SAFETY: zero is a valid integer and an atomic integer owns nothing.
unsafe impl ZeroValid for AtomicU8 {}
// SAFETY: zero is a valid integer and an atomic integer owns nothing.
unsafe impl ZeroValid for AtomicU32 {}
// SAFETY: zero is a valid integer and an atomic integer owns nothing.
unsafe impl ZeroValid for AtomicU64 {}

/// A fixed number of entries that were all zero at birth.
pub struct Table<T: ZeroValid> {
    /// The first entry, inside `mapping`. Kept beside it so that a lookup takes one load. Written at birth.
    first: NonNull<T>,
    /// Entries in `mapping`. Written at birth.
    entries: usize,
    /// Keeps the entries mapped.
    mapping: Mapped,
    kind: PhantomData<T>,
}

// SAFETY: a table owns its mapping, and its entries may be sent because `ZeroValid` asks for `Send`.
unsafe impl<T: ZeroValid> Send for Table<T> {}
// SAFETY: a table hands out shared references only, and its entries may be shared because `ZeroValid` asks for `Sync`.
unsafe impl<T: ZeroValid> Sync for Table<T> {}

impl<T: ZeroValid> Table<T> {
    const IS_PLAIN: () =
        assert!(align_of::<T>() <= TABLE_ALIGN_BYTES && !std::mem::needs_drop::<T>());

    /// A table of this many zero entries. Memory stands behind an entry only once one nearby is written.
    pub fn new(entries: usize) -> Result<Table<T>, OsError> {
        let () = Table::<T>::IS_PLAIN;
        let refused = out_of_memory(OsCall::MapTable);
        let bytes = entries.checked_mul(size_of::<T>()).ok_or(refused)?;
        let mapping = Mapped::zeroed(bytes)?;
        let first = NonNull::new(mapping.pointer().cast::<T>()).ok_or(refused)?;
        Ok(Table {
            first,
            entries,
            mapping,
            kind: PhantomData,
        })
    }

    /// All entries.
    #[inline]
    pub fn entries(&self) -> &[T] {
        // SAFETY: the mapping holds `entries` values of `T`, aligned because mappings are aligned to 4096 bytes and
        // valid because they began as zeros (`ZeroValid`); it lives as long as `self` and is never borrowed mutably.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.entries) }
    }

    /// The entry at this index; `None` behind the end.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.entries().get(index)
    }

    /// How many entries there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.entries
    }

    /// The table has no entries.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes of address space that the table takes.
    pub fn mapped_bytes(&self) -> usize {
        self.mapping.bytes()
    }
}

impl<T: ZeroValid> fmt::Debug for Table<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Table")
            .field("entries", &self.entries)
            .finish_non_exhaustive()
    }
}

/// A free slot that was handed to one allocator and to nobody else. Publishing it makes it an object. Every fresh slot is
/// published: the books count it as handed out, so one that is dropped shows as a wrong count when its lease ends.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a fresh slot that is not published makes the count of its span wrong"]
pub struct FreshSlot {
    address: usize,
}

impl FreshSlot {
    /// Takes the slot at this address. Only the owner of the run that holds it may do so, once.
    #[inline]
    pub(crate) fn new(address: usize) -> FreshSlot {
        FreshSlot { address }
    }

    /// Address of the slot, a multiple of the granule.
    #[inline]
    pub fn address(&self) -> usize {
        self.address
    }
}

/// The state byte of every granule of the heap.
#[derive(Debug)]
pub struct StateTable {
    /// Address of the first granule. Written at birth.
    base: usize,
    bytes: Table<AtomicU8>,
}

impl StateTable {
    /// The state of `reserve_bytes` bytes of heap from `base` on: all free and never used. `base` is a multiple of the
    /// granule.
    pub fn new(base: usize, reserve_bytes: usize) -> Result<StateTable, OsError> {
        let bytes = Table::new(reserve_bytes / GRANULE_BYTES)?;
        Ok(StateTable { base, bytes })
    }

    /// The byte of the granule that begins at this address; `None` if none does.
    #[inline]
    pub fn byte(&self, address: usize) -> Option<&AtomicU8> {
        self.bytes.get(index_of(address, self.base))
    }

    /// The table as an allocator keeps it at hand.
    #[inline]
    pub fn publisher(&self) -> Publisher<'_> {
        Publisher {
            base: self.base,
            bytes: self.bytes.entries(),
        }
    }

    /// The bytes of all granules that begin in `address .. address + bytes`; `None` if the range leaves the heap or
    /// begins between two granules.
    #[inline]
    pub fn bytes_of(&self, address: usize, bytes: usize) -> Option<&[AtomicU8]> {
        let first = index_of(address, self.base);
        let last = first.checked_add(bytes.div_ceil(GRANULE_BYTES))?;
        self.bytes.entries().get(first..last)
    }

    /// The state of the granule that begins at this address; `None` if none does. Who sees an object here sees its value
    /// as it was when [`StateTable::publish`] was called.
    #[inline]
    pub fn load(&self, address: usize) -> Option<StateByte> {
        point();
        Some(state_cell::load(self.byte(address)?))
    }

    /// What [`StateTable::load`] and [`StateTable::mark`] go by, looked up once for both.
    #[inline]
    pub fn at(&self, address: usize) -> Option<StateCell<'_>> {
        point();
        Some(StateCell(self.byte(address)?))
    }

    /// Makes the slot an object of this colour. Its value is written already.
    #[inline]
    pub fn publish(&self, slot: FreshSlot, colour: Colour) {
        self.publisher().publish(slot, colour);
    }

    /// Marks the object that begins at this address if its state still is `from`, and says whether this call did it.
    /// The object is then of colour `to`; a quarantined slot stays quarantined.
    #[inline]
    pub fn mark(&self, address: usize, from: StateByte, to: Colour) -> bool {
        self.exchange(address, from, from.with_colour(to))
    }

    /// Replaces `from` by `to` if it still stands there, and says whether it did. What the last writer of the byte
    /// published is seen, and passed on to the next reader.
    #[inline]
    pub fn exchange(&self, address: usize, from: StateByte, to: StateByte) -> bool {
        self.byte(address)
            .is_some_and(|byte| state_cell::exchange(byte, from, to))
    }

    /// Address of the first granule.
    #[inline]
    pub fn base(&self) -> usize {
        self.base
    }

    /// Bytes of address space that the table takes.
    pub fn mapped_bytes(&self) -> usize {
        self.bytes.mapped_bytes()
    }
}

/// The state byte of one granule.
#[derive(Clone, Copy, Debug)]
pub struct StateCell<'a>(&'a AtomicU8);

impl StateCell<'_> {
    /// As [`StateTable::load`].
    #[inline]
    pub fn load(self) -> StateByte {
        state_cell::load(self.0)
    }

    /// As [`StateTable::mark`].
    #[inline]
    pub fn mark(self, from: StateByte, to: Colour) -> bool {
        state_cell::exchange(self.0, from, from.with_colour(to))
    }
}

/// Where the table keeps the byte of the granule at this address. The rotation carries the four low bits of an unaligned
/// offset to the top, where they exceed any index: one comparison refuses addresses below, above and between granules.
#[inline]
fn index_of(address: usize, base: usize) -> usize {
    address
        .wrapping_sub(base)
        .rotate_right(GRANULE_BYTES.ilog2())
}

/// The state table with base and length beside the pointer to its bytes, so that a mutator that is handed one publishes
/// without going through the table.
#[derive(Clone, Copy, Debug)]
pub struct Publisher<'a> {
    base: usize,
    bytes: &'a [AtomicU8],
}

impl Publisher<'_> {
    /// As [`StateTable::load`]; an address outside the table reads as free.
    #[inline]
    pub fn load(self, address: usize) -> StateByte {
        point();
        let byte = self.bytes.get(index_of(address, self.base));
        byte.map_or(StateByte::FREE_FRESH, state_cell::load)
    }

    /// As [`StateTable::publish`].
    #[inline]
    pub fn publish(self, slot: FreshSlot, colour: Colour) {
        if let Some(byte) = self.bytes.get(index_of(slot.address, self.base)) {
            state_cell::publish(byte, colour);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::Ordering::Relaxed;

    const BASE: usize = 1 << 40;
    const BYTES: usize = 1 << 16;

    fn states() -> StateTable {
        StateTable::new(BASE, BYTES).unwrap()
    }

    #[test]
    fn a_new_table_is_zero_and_refuses_indices_behind_its_end() {
        let table = Table::<AtomicU32>::new(5).unwrap();
        assert_eq!(table.len(), 5);
        assert!(table.entries().iter().all(|entry| entry.load(Relaxed) == 0));
        assert!(
            table.get(4).is_some() && table.get(5).is_none() && table.get(usize::MAX).is_none()
        );
        assert!(Table::<AtomicU64>::new(0).unwrap().is_empty());
    }

    #[test]
    fn a_table_too_large_for_the_world_is_a_typed_error() {
        for entries in [usize::MAX, usize::MAX / 8, 1 << 59] {
            let error = Table::<AtomicU64>::new(entries).unwrap_err();
            assert_eq!(error.call, OsCall::MapTable);
        }
    }

    #[test]
    fn only_granules_of_the_heap_have_a_byte() {
        let states = states();
        for offset in 0..64 {
            assert_eq!(states.byte(BASE + offset).is_some(), offset % 16 == 0);
        }
        assert!(states.byte(BASE + BYTES - 16).is_some());
        let strays = [
            BASE - 16,
            BASE + BYTES,
            BASE + BYTES + 8,
            0,
            16,
            usize::MAX,
            usize::MAX - 15,
            BASE.wrapping_sub(1),
        ];
        for stray in strays {
            assert!(states.byte(stray).is_none(), "{stray:#x}");
            assert_eq!(states.load(stray), None);
            assert!(!states.mark(stray, StateByte::FREE_FRESH, Colour::FIRST));
        }
    }

    #[test]
    fn the_bytes_of_a_range_are_those_of_its_granules() {
        let states = states();
        let slice = states.bytes_of(BASE + 32, 40).unwrap();
        assert_eq!(slice.len(), 3);
        assert!(std::ptr::eq(&slice[0], states.byte(BASE + 32).unwrap()));
        assert_eq!(states.bytes_of(BASE, BYTES).unwrap().len(), BYTES / 16);
        assert!(states.bytes_of(BASE, BYTES + 1).is_none());
        assert!(states.bytes_of(BASE + 8, 16).is_none());
        assert!(states.bytes_of(BASE - 16, 32).is_none());
        assert!(states.bytes_of(BASE, usize::MAX).is_none());
    }

    #[test]
    fn a_published_slot_is_an_object_and_is_marked_once() {
        let states = states();
        let address = BASE + 160;
        let white = Colour::FIRST;
        states.publish(FreshSlot::new(address), white);
        assert_eq!(states.load(address), Some(StateByte::object(white)));
        assert_eq!(states.load(address + 16), Some(StateByte::FREE_FRESH));
        let from = StateByte::object(white);
        assert!(states.mark(address, from, white.next()));
        assert!(
            !states.mark(address, from, white.next()),
            "the second marker finds the mark"
        );
        assert_eq!(states.load(address), Some(StateByte::object(white.next())));
    }

    #[test]
    fn a_mark_keeps_the_quarantine_of_its_slot() {
        let states = states();
        let pinned = StateByte::object(Colour::FIRST).with_quarantine();
        assert!(states.exchange(BASE, StateByte::FREE_FRESH, pinned));
        assert!(states.mark(BASE, pinned, Colour::FIRST.next()));
        let state = states.load(BASE).unwrap();
        assert!(state.is_quarantined() && state.has_colour(Colour::FIRST.next()));
    }
}
