//! Where in an object its pointers stand: for snapshots of the heap.
//!
//! Called with objects that nobody frees meanwhile, and that mutators may be using. The fields of a
//! type are traced one by one, so that each pointer is told with the name of its field; a type that
//! does not know its fields, such as a bare pointer, tells its pointers alone. Deliberately absent:
//! words of untyped shapes (scan.rs).
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::{EdgesFn, Object, SCAN_ITEMS_MAX};
use crate::trace::{Trace, Tracer};

/// Where in its object a pointer stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Spot {
    /// In a field, as its type names it.
    Field(&'static str),
    /// In an item of a slice, or in a word of an untyped shape.
    At(usize),
}

/// Tells every pointer of a value, which is the item of that number in its object.
fn edges_with<T: Trace>(value: &T, item: usize, found: &mut Vec<(Spot, usize)>) {
    let mut targets = Vec::new();
    for field in 0.. {
        targets.clear();
        let Some(name) = value.trace_field(field, &mut Tracer::new(&mut targets)) else {
            if field == 0 {
                value.trace(&mut Tracer::new(&mut targets));
                found.extend(targets.drain(..).map(|target| (Spot::At(item), target)));
            }
            return;
        };
        found.extend(targets.drain(..).map(|target| (Spot::Field(name), target)));
    }
}

/// Tells the pointers of a sized object.
///
/// # Safety
///
/// As for [`scan_sized`](super::scan_sized).
pub(super) unsafe fn edges_of_sized<T: Trace>(
    slot: NonNull<u8>,
    _from: usize,
    found: &mut Vec<(Spot, usize)>,
) -> Option<usize> {
    // SAFETY: the caller's duty; `Trace` reads only memory that does not change while shared.
    edges_with(unsafe { slot.cast::<T>().as_ref() }, 0, found);
    None
}

/// Tells the pointers of up to [`SCAN_ITEMS_MAX`] items of a slice object.
///
/// # Safety
///
/// As for [`scan_items`](super::scan_items).
pub(super) unsafe fn edges_of_items<T: Trace>(
    slot: NonNull<u8>,
    from: usize,
    found: &mut Vec<(Spot, usize)>,
) -> Option<usize> {
    // SAFETY: the caller's duty.
    let items = unsafe { <[T] as Object>::from_slot(slot) };
    // SAFETY: the items are initialised and immutable apart from atomics inside them.
    let items = unsafe { items.as_ref() };
    let end = items.len().min(from.saturating_add(SCAN_ITEMS_MAX));
    for (at, item) in items.iter().enumerate().take(end).skip(from) {
        edges_with(item, at, found);
    }
    (end < items.len()).then_some(end)
}

/// Tells the pointers of an object through its descriptor.
///
/// # Safety
///
/// `edges` is that of the object's own type; the slot holds an object of it.
pub(crate) unsafe fn edges_of_object(
    edges: EdgesFn,
    slot: NonNull<u8>,
    from: usize,
    found: &mut Vec<(Spot, usize)>,
) -> Option<usize> {
    // SAFETY: the caller's duty.
    unsafe { edges(slot, from, found) }
}
