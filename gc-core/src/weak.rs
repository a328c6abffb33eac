//! [`Weak`]: a reference that does not keep its target alive.
//!
//! A weak reference is a pointer to a cell, an ordinary small object that holds the target's
//! address without tracing it. Between termination and flip the collector nulls every live cell
//! whose target is white ([`clear_dead`]), before any slot can be reused, so a cell never leads to
//! a later object. Mutators run all the while: they read cells, and allocate new ones. An upgrade
//! makes a white object reachable again, so it is a barrier: while marking runs it shades, and after
//! termination it refuses what is not marked (scope.rs).
//!
//! Invariant: a cell's target changes once at most, to zero, and the collector alone changes it.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};

use gc_hooks::sync::point;
use gc_sweep::{ClassId, Kept};

use crate::gc::Gc;
use crate::object::{Object, slot_pointer};
use crate::shared::Shared;
use crate::trace::{Trace, Tracer};

/// The object behind a weak reference.
pub(crate) struct WeakCell {
    /// Address of the target, or zero once it is dead. Written at birth and by `clear_dead`.
    target: AtomicUsize,
}

impl WeakCell {
    pub(crate) fn new(target: usize) -> Self {
        WeakCell {
            target: AtomicUsize::new(target),
        }
    }

    /// The target's address, or zero.
    ///
    /// In `Clear` an upgrade reads the target, then its state byte, then the target again: still
    /// the same, it was not nulled before the byte was read.
    pub(crate) fn target(&self) -> usize {
        point();
        // Acquire pairs with the Release of `clear_dead`, and keeps this load before those that
        // follow it.
        self.target.load(Ordering::Acquire)
    }
}

// SAFETY: the type has no brand, and the target is not to be traced.
unsafe impl Trace for WeakCell {
    type At<'a> = WeakCell;
    const MAY_HOLD_GC: bool = false;

    fn trace(&self, _tracer: &mut Tracer<'_>) {}
}

/// Calls `visit` with the address of each object of `class` that is kept, while mutators go on
/// allocating. The collector calls it when nothing is being swept.
///
/// It sees published objects only: [`for_each_object_of`](gc_sweep::Space::for_each_object_of) loads
/// each state byte with Acquire, which pairs with the Release of the byte's publication, so the
/// object's fields are written. The class is read again after the byte, because a span may be cut
/// for another class between the walk's look at the span and its look at the byte; the publication
/// then makes the new class visible too.
pub(crate) fn for_each_live(
    shared: &Shared,
    class: ClassId,
    kept: Kept,
    visit: &mut dyn FnMut(usize),
) {
    shared
        .space
        .for_each_object_of(class, &mut |address, span, byte| {
            if kept.has(byte) && span.class_index() as usize == class.index() {
                visit(address);
            }
        });
}

/// Address of the target of the weak cell at `address`. `None` when no weak cell stands there, or its
/// target is dead. For snapshots, while nothing is swept.
pub(crate) fn target_at(shared: &Shared, address: usize) -> Option<usize> {
    // The state byte first, as for ephemerons: it shows the span's class and the fields.
    let is_cell = shared.state(address).is_object()
        && shared
            .space
            .span_of(address)
            .is_some_and(|span| span.class_index() as usize == shared.weak_class.index());
    // SAFETY: an object of the class stands there, the class holds weak cells only, and nothing is
    // freed meanwhile.
    let cell = is_cell.then(|| unsafe { slot_pointer(address).cast::<WeakCell>().as_ref() });
    cell.map(WeakCell::target).filter(|target| *target != 0)
}

/// Nulls every live weak cell whose target is about to be swept. Called between termination and
/// flip, by the collector.
///
/// Cells that mutators allocate meanwhile need nothing: their targets are held by mutators that are
/// black, so they are marked. Whether the walk comes by them does not matter.
pub(crate) fn clear_dead(shared: &Shared, class: ClassId, kept: Kept) {
    for_each_live(shared, class, kept, &mut |address| {
        // SAFETY: the class holds weak cells only, and `for_each_live` saw one published here.
        let cell = unsafe { slot_pointer(address).cast::<WeakCell>().as_ref() };
        // Relaxed: the collector alone changes it, and its birth is visible with the state byte.
        let target = cell.target.load(Ordering::Relaxed);
        if target != 0 && !kept.has(shared.state(target)) {
            point();
            // Release pairs with the Acquire of `target`.
            cell.target.store(0, Ordering::Release);
        }
    });
}

/// A reference that does not keep its target alive. Made by [`Scope::downgrade`](crate::Scope::downgrade),
/// followed by [`Scope::upgrade`](crate::Scope::upgrade); `Copy`, one word, may stand in objects.
pub struct Weak<'gc, T: ?Sized> {
    cell: Gc<'gc, WeakCell>,
    object: PhantomData<*const T>,
}

// SAFETY: a weak reference turns into a `Gc` of its target, so its bounds are those of `Gc`; the
// cell is an atomic, and upgrading takes a scope.
unsafe impl<T: ?Sized + Send + Sync> Send for Weak<'_, T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send + Sync> Sync for Weak<'_, T> {}

impl<T: ?Sized> Copy for Weak<'_, T> {}

impl<T: ?Sized> Clone for Weak<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<'gc, T: ?Sized> Weak<'gc, T> {
    pub(crate) fn new(cell: Gc<'gc, WeakCell>) -> Self {
        Weak {
            cell,
            object: PhantomData,
        }
    }

    pub(crate) fn cell(self) -> Gc<'gc, WeakCell> {
        self.cell
    }
}

impl<T: ?Sized> fmt::Debug for Weak<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.cell.target() == 0 {
            "Weak(dead)"
        } else {
            "Weak(..)"
        })
    }
}

// SAFETY: `At<'a>` replaces the brand and the object's own; the cell is kept alive, the target is
// not, which is the meaning of the type.
unsafe impl<T: Object + ?Sized> Trace for Weak<'_, T> {
    type At<'a> = Weak<'a, <T as Object>::At<'a>>;
    const MAY_HOLD_GC: bool = true;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.cell.trace(tracer);
    }
}
