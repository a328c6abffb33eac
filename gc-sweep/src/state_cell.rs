//! The accesses to one state byte, with their orders.
//!
//! Every file that reads or writes a state byte comes here, or to `words` for eight of them at a time: the allocator,
//! the marker, the barrier, the sweep and withdrawal, from any thread in any phase.
//!
//! Who may write a byte, and how:
//!
//! * the lessee of its span turns a free byte into an object, by a store: nobody else writes a free byte of a leased span;
//! * markers and barriers turn a colour into another, by exchange with the state that they saw;
//! * the sweeper turns the colour of a dead object into a death stamp, by a store, and nothing else: whoever exchanges
//!   too late finds the stamp and fails. A late mark between the sweeper's look and its store is lost, as it is when it
//!   comes after the store: when marking ends every object that a mutator can name has the colour of the cycle;
//! * a withdrawal exchanges under the lock of the class, when nobody sweeps or, for a free byte, leases the span.
//!
//! Every write is a Release and every read an Acquire, so each read of a byte is ordered after all that its writers did
//! before: the value of an object before its publication, the uses of a dead object before its slot is free.
//!
//! Deliberately absent: which byte, and the meaning of its bits.

use std::sync::atomic::Ordering;

use gc_hooks::sync::point;

use crate::atom::Atom;
use crate::colour::{Colour, StateByte};

/// The state.
#[inline(always)]
pub(crate) fn load(cell: &impl Atom<Value = u8>) -> StateByte {
    // Acquire pairs with the Release of `publish`, `exchange`, `free` and `set`.
    StateByte::from_bits(cell.load(Ordering::Acquire))
}

/// Makes a free slot an object, whose value is written already. For the lessee of its span.
#[inline(always)]
pub(crate) fn publish(cell: &impl Atom<Value = u8>, colour: Colour) {
    point();
    // Release pairs with the Acquire of `load`: who sees the object sees its value.
    cell.store(StateByte::object(colour).bits(), Ordering::Release);
}

/// Replaces a state by another if it still stands there, and says whether it did.
#[inline(always)]
pub(crate) fn exchange(cell: &impl Atom<Value = u8>, from: StateByte, to: StateByte) -> bool {
    point();
    // AcqRel: Acquire pairs with the Release of the last write, and Release passes that on to the next Acquire, in
    // `load`. Acquire on failure pairs with the Release of the write that came first.
    cell.compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire)
        .is_ok()
}

/// Ends a dead object. For the sweeper of its span.
#[inline(always)]
pub(crate) fn free(cell: &impl Atom<Value = u8>, freed: StateByte) {
    point();
    // Release pairs with the Acquire of `load` in the search of the allocator: uses of the dead object come before the
    // slot is written again.
    cell.store(freed.bits(), Ordering::Release);
}

/// Writes a state over one that nobody else writes at this time.
#[inline(always)]
pub(crate) fn set(cell: &impl Atom<Value = u8>, state: StateByte) {
    point();
    // Release pairs with the Acquire of `load`, and passes on what the last write published.
    cell.store(state.bits(), Ordering::Release);
}

#[cfg(all(test, loom))]
mod tests;
