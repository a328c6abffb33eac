//! Which field of an object holds a pointer: for reports, long after a scan found it.
//!
//! The cold paths of the marker and of the verifier call this for a holder that is still an object.
//! A field is traced again by itself, and named when the pointer is among what it reports; so this
//! looks through boxes and containers as tracing does, and costs scans nothing. Deliberately absent:
//! words of untyped shapes (scan.rs).
#![allow(unsafe_code)]

use core::ptr::NonNull;

use super::{FieldFn, Object, SCAN_ITEMS_MAX};
use crate::trace::{Trace, Tracer};

/// The field of `value` that holds a pointer to `target`.
fn field_with<T: Trace>(value: &T, target: usize) -> Option<&'static str> {
    let mut found = Vec::new();
    for field in 0.. {
        found.clear();
        let name = value.trace_field(field, &mut Tracer::new(&mut found))?;
        if found.contains(&target) {
            return Some(name);
        }
    }
    None
}

/// Names the field of a sized object that holds a pointer to `target`.
///
/// # Safety
///
/// As for [`scan_sized`].
pub(super) unsafe fn field_of_sized<T: Trace>(
    slot: NonNull<u8>,
    target: usize,
) -> Option<&'static str> {
    // SAFETY: the caller's duty; `Trace` reads only memory that does not change while shared.
    field_with(unsafe { slot.cast::<T>().as_ref() }, target)
}

/// Names the field of an item of a slice object that holds a pointer to `target`. Looks at
/// [`SCAN_ITEMS_MAX`] items at most, so that a report about a long slice takes no longer than a step.
///
/// # Safety
///
/// As for [`scan_items`].
pub(super) unsafe fn field_of_items<T: Trace>(
    slot: NonNull<u8>,
    target: usize,
) -> Option<&'static str> {
    // SAFETY: the caller's duty.
    let items = unsafe { <[T] as Object>::from_slot(slot) };
    // SAFETY: the items are initialised and immutable apart from atomics inside them.
    let items = unsafe { items.as_ref() };
    let mut looked_at = items.iter().take(SCAN_ITEMS_MAX);
    looked_at.find_map(|item| field_with(item, target))
}

/// Names a field through its object's descriptor.
///
/// # Safety
///
/// `field` is that of the object's own type; the slot holds an object of it.
pub(crate) unsafe fn name_field(
    field: FieldFn,
    slot: NonNull<u8>,
    target: usize,
) -> Option<&'static str> {
    // SAFETY: the caller's duty.
    unsafe { field(slot, target) }
}
