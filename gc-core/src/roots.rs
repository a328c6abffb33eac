//! The root table: what handles outside scopes keep alive.
//!
//! Handles (root.rs) add, read and remove entries; the collector reads all of them once at the
//! snapshot, the verifier whenever it runs. The table is a heap object to the protocol: whoever
//! removes an entry while a barrier is on shades it first, a grey mutator shades what it adds.
//!
//! Invariant: an occupied slot's generation is the one its handle carries. A broken one is
//! [`Check::RootTable`](gc_hooks::Check::RootTable): the slot is then pinned, so its target leaks
//! instead of being freed under somebody.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Names a slot of the table together with the generation it was handed out in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RootKey {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl RootKey {
    /// Fits no slot: the table never grows this far.
    pub(crate) const DAMAGED: RootKey = RootKey {
        index: u32::MAX,
        generation: u32::MAX,
    };
}

/// The key does not fit the slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Mismatch {
    /// Generation found in the slot.
    pub(crate) found: u32,
}

#[derive(Clone, Copy)]
struct RootSlot {
    /// Address of the object, or zero when the slot is free.
    address: usize,
    generation: u32,
}

#[derive(Default)]
struct Slots {
    slots: Vec<RootSlot>,
    free: Vec<u32>,
}

/// All root slots of a heap.
#[derive(Default)]
pub(crate) struct RootTable {
    slots: Mutex<Slots>,
}

impl RootTable {
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds an entry.
    pub(crate) fn add(&self, address: usize) -> RootKey {
        let mut table = self.lock();
        match table.free.pop() {
            Some(index) => {
                let slot = &mut table.slots[index as usize];
                slot.address = address;
                RootKey {
                    index,
                    generation: slot.generation,
                }
            }
            None => {
                let index = table.slots.len() as u32;
                table.slots.push(RootSlot {
                    address,
                    generation: 0,
                });
                RootKey {
                    index,
                    generation: 0,
                }
            }
        }
    }

    /// The address behind a key.
    pub(crate) fn get(&self, key: RootKey) -> Result<usize, Mismatch> {
        let table = self.lock();
        match table.slots.get(key.index as usize) {
            Some(slot) if slot.generation == key.generation && slot.address != 0 => {
                Ok(slot.address)
            }
            Some(slot) => Err(Mismatch {
                found: slot.generation,
            }),
            None => Err(Mismatch { found: 0 }),
        }
    }

    /// Removes an entry. A key that does not fit removes nothing: the slot stays as a pin.
    pub(crate) fn remove(&self, key: RootKey) -> Result<(), Mismatch> {
        let mut table = self.lock();
        match table.slots.get_mut(key.index as usize) {
            Some(slot) if slot.generation == key.generation && slot.address != 0 => {
                slot.address = 0;
                slot.generation = slot.generation.wrapping_add(1);
                table.free.push(key.index);
                Ok(())
            }
            Some(slot) => Err(Mismatch {
                found: slot.generation,
            }),
            None => Err(Mismatch { found: 0 }),
        }
    }

    /// Appends the addresses of all entries, in order of slot.
    pub(crate) fn addresses_into(&self, addresses: &mut Vec<usize>) {
        let table = self.lock();
        addresses.extend(
            table
                .slots
                .iter()
                .map(|slot| slot.address)
                .filter(|address| *address != 0),
        );
    }

    /// Entries in use.
    pub(crate) fn len(&self) -> usize {
        let table = self.lock();
        table.slots.len() - table.free.len()
    }

    /// Breaks the generation of a slot, as a stray write would.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn corrupt(&self, key: RootKey) {
        if let Some(slot) = self.lock().slots.get_mut(key.index as usize) {
            slot.generation = slot.generation.wrapping_add(0x5a5a);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_outlived_by_its_slot_is_refused() {
        let table = RootTable::default();
        let first = table.add(16);
        assert_eq!(table.get(first), Ok(16));
        assert_eq!(table.remove(first), Ok(()));
        let second = table.add(32);
        assert_eq!(
            second,
            RootKey {
                index: 0,
                generation: 1
            }
        );
        assert_eq!(table.get(first), Err(Mismatch { found: 1 }));
        assert_eq!(table.remove(first), Err(Mismatch { found: 1 }));
        assert_eq!(table.get(second), Ok(32));
        assert_eq!(table.len(), 1);
    }
}
