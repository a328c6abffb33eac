//! The root table: what handles outside scopes keep alive.
//!
//! Handles (root.rs) add, read and remove entries from any thread, with a mutator at hand or without;
//! the collector reads all of them once a cycle, the verifier whenever it runs. To the protocol the
//! table is a heap object: whoever removes an entry shades it first, whoever adds one shades it too.
//! A handle has no mutator whose barrier could say whether that is due, so the table has a barrier of
//! its own: the collector arms it before the mutators, under the lock that every addition and removal
//! takes, and disarms it at the flip. Being armed is thus settled at once.
//!
//! Invariant: an occupied slot's generation is the one its handle carries. A broken one is
//! [`Check::RootTable`](gc_hooks::Check::RootTable): the slot is then pinned, so its target leaks
//! instead of being freed under somebody.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use gc_hooks::sync::{Mutex, MutexGuard, OnceLock, point};
use gc_sweep::Kept;

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

#[derive(Default)]
struct RootSlot {
    /// Address of the object, or zero when the slot is free.
    address: AtomicUsize,
    generation: AtomicU32,
}

/// Slots of the first block; each further block has twice as many as the one before.
const FIRST_BLOCK_SLOTS: usize = 64;
/// Blocks: enough for four thousand million roots.
const BLOCKS_MAX: usize = 26;

/// What the lock guards.
#[derive(Default)]
struct Books {
    free: Vec<u32>,
    /// Slots ever used.
    used: u32,
    /// The colours of the cycle, while one marks.
    armed: Option<Kept>,
}

/// All root slots of a heap.
pub(crate) struct RootTable {
    /// Read by anyone without a lock; a block is made once and stays.
    blocks: [OnceLock<Box<[RootSlot]>>; BLOCKS_MAX],
    books: Mutex<Books>,
}

impl Default for RootTable {
    fn default() -> Self {
        RootTable {
            blocks: [const { OnceLock::new() }; BLOCKS_MAX],
            books: Mutex::new(Books::default()),
        }
    }
}

/// Block of a slot, and its place in the block.
fn place(index: u32) -> (usize, usize) {
    let at = index as usize + FIRST_BLOCK_SLOTS;
    let block = at.ilog2() - FIRST_BLOCK_SLOTS.ilog2();
    (block as usize, at - (FIRST_BLOCK_SLOTS << block))
}

impl RootTable {
    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, index: u32) -> Option<&RootSlot> {
        let (block, at) = place(index);
        self.blocks.get(block)?.get()?.get(at)
    }

    /// Adds an entry, handing it to `shade` with the colours of the cycle if one marks.
    pub(crate) fn add(&self, address: usize, shade: impl FnOnce(usize, Kept)) -> RootKey {
        let mut books = self.lock();
        if let Some(kept) = books.armed {
            shade(address, kept);
        }
        let index = books.free.pop().unwrap_or(books.used);
        let (block, at) = place(index);
        let Some(block) = self.blocks.get(block) else {
            return RootKey::DAMAGED;
        };
        let slots = block.get_or_init(|| {
            let slots = FIRST_BLOCK_SLOTS << place(index).0;
            (0..slots).map(|_| RootSlot::default()).collect()
        });
        books.used = books.used.max(index + 1);
        let slot = &slots[at];
        point();
        // Release pairs with the Acquire of `addresses_into` and `get`: whoever finds the object
        // finds it constructed.
        slot.address.store(address, Ordering::Release);
        RootKey {
            index,
            generation: slot.generation.load(Ordering::Relaxed),
        }
    }

    /// The address behind a key. Takes no lock: the slot of a handle changes with the handle alone.
    #[inline]
    pub(crate) fn get(&self, key: RootKey) -> Result<usize, Mismatch> {
        let slot = self.slot(key.index).ok_or(Mismatch { found: 0 })?;
        let found = slot.generation.load(Ordering::Relaxed);
        // Acquire pairs with the Release of `add`.
        let address = slot.address.load(Ordering::Acquire);
        if found == key.generation && address != 0 {
            Ok(address)
        } else {
            Err(Mismatch { found })
        }
    }

    /// Removes an entry, handing it to `shade` first if a cycle marks. A key that does not fit removes
    /// nothing: the slot stays as a pin.
    pub(crate) fn remove(
        &self,
        key: RootKey,
        shade: impl FnOnce(usize, Kept),
    ) -> Result<(), Mismatch> {
        let mut books = self.lock();
        let address = self.get(key)?;
        if let Some(kept) = books.armed {
            shade(address, kept);
        }
        if let Some(slot) = self.slot(key.index) {
            point();
            slot.address.store(0, Ordering::Relaxed);
            slot.generation
                .store(key.generation.wrapping_add(1), Ordering::Relaxed);
        }
        books.free.push(key.index);
        Ok(())
    }

    /// From now on additions and removals shade. Called before any mutator is asked to arm.
    pub(crate) fn arm(&self, kept: Kept) {
        self.lock().armed = Some(kept);
    }

    /// The end of [`RootTable::arm`].
    pub(crate) fn disarm(&self) {
        self.lock().armed = None;
    }

    /// Appends the addresses of all entries, in order of slot. Entries that come or go meanwhile may
    /// be missed; while armed they are shaded.
    pub(crate) fn addresses_into(&self, addresses: &mut Vec<usize>) {
        let used = self.lock().used as usize;
        let slots = self.blocks.iter().map_while(OnceLock::get).flatten();
        addresses.extend(
            slots
                .take(used)
                .map(|slot| {
                    point();
                    // Acquire pairs with the Release of `add`.
                    slot.address.load(Ordering::Acquire)
                })
                .filter(|address| *address != 0),
        );
    }

    /// Entries in use.
    pub(crate) fn len(&self) -> usize {
        let books = self.lock();
        books.used as usize - books.free.len()
    }

    /// Breaks the generation of a slot, as a stray write would.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn corrupt(&self, key: RootKey) {
        if let Some(slot) = self.slot(key.index) {
            slot.generation.fetch_add(0x5a5a, Ordering::Relaxed);
        }
    }

    /// The key of a slot with whatever generation stands there.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn refitted(&self, key: RootKey) -> RootKey {
        let generation = self
            .slot(key.index)
            .map(|slot| slot.generation.load(Ordering::Relaxed));
        RootKey {
            generation: generation.unwrap_or(key.generation),
            ..key
        }
    }

    /// The key of the first slot that leads to an address.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn key_of(&self, address: usize) -> Option<RootKey> {
        let mut slots = self.blocks.iter().map_while(OnceLock::get).flatten();
        let index = slots.position(|slot| slot.address.load(Ordering::Relaxed) == address)?;
        let any = RootKey {
            index: index as u32,
            generation: 0,
        };
        Some(self.refitted(any))
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use gc_sweep::Colour;

    fn unarmed(_: usize, _: Kept) {
        panic!("nothing is shaded while no cycle marks");
    }

    #[test]
    fn a_key_outlived_by_its_slot_is_refused() {
        let table = RootTable::default();
        let first = table.add(16, unarmed);
        assert_eq!(table.get(first), Ok(16));
        assert_eq!(table.remove(first, unarmed), Ok(()));
        let second = table.add(32, unarmed);
        assert_eq!(
            second,
            RootKey {
                index: 0,
                generation: 1
            }
        );
        assert_eq!(table.get(first), Err(Mismatch { found: 1 }));
        assert_eq!(table.remove(first, unarmed), Err(Mismatch { found: 1 }));
        assert_eq!(table.get(second), Ok(32));
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn an_armed_table_shades_what_comes_and_what_goes() {
        let (table, colour) = (RootTable::default(), Kept::alike(Colour::FIRST));
        let early = table.add(16, unarmed);
        table.arm(colour);
        let mut shaded = Vec::new();
        let late = table.add(32, |address, with| shaded.push((address, with)));
        assert_eq!(
            table.remove(early, |address, with| shaded.push((address, with))),
            Ok(())
        );
        assert_eq!(shaded, [(32, colour), (16, colour)]);
        table.disarm();
        assert_eq!(table.remove(late, unarmed), Ok(()));
    }

    #[test]
    fn blocks_join_without_a_gap() {
        let table = RootTable::default();
        let keys: Vec<_> = (1..=1000).map(|n| table.add(n * 16, unarmed)).collect();
        let mut addresses = Vec::new();
        table.addresses_into(&mut addresses);
        assert!(addresses.into_iter().eq((1..=1000).map(|n| n * 16)));
        assert!(
            keys.iter()
                .enumerate()
                .all(|(at, key)| table.get(*key) == Ok((at + 1) * 16))
        );
        assert_eq!(place(u32::MAX - 64).0, BLOCKS_MAX - 1);
    }
}

#[cfg(all(test, loom))]
mod tests;
