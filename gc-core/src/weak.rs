//! [`Weak`]: a reference that does not keep its target alive.
//!
//! A weak reference is a pointer to a cell, an ordinary small object that holds the target's
//! address without tracing it. Between termination and flip the collector nulls every live cell
//! whose target is white ([`clear_dead`]), before any slot can be reused, so a cell never leads to
//! a later object. An upgrade makes a white object reachable again, so it is a barrier: while
//! marking runs it shades, and after termination it refuses what is not marked.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicUsize, Ordering};

use gc_sweep::{ClassId, Colour};

use crate::gc::{Brand, Gc};
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
    pub(crate) fn target(&self) -> usize {
        self.target.load(Ordering::Acquire)
    }
}

// SAFETY: the type has no brand, and the target is not to be traced.
unsafe impl Trace for WeakCell {
    type At<'a> = WeakCell;
    const MAY_HOLD_GC: bool = false;

    fn trace(&self, _tracer: &mut Tracer<'_>) {}
}

/// Nulls every live weak cell whose target is about to be swept. Called between termination and
/// flip, by the collector, with no upgrade in progress.
pub(crate) fn clear_dead(shared: &Shared, class: ClassId, colour: Colour) {
    shared
        .space
        .for_each_object_of(class, &mut |address, _, byte| {
            if byte.colour() != Some(colour) {
                return;
            }
            // SAFETY: the class holds weak cells only, and the byte says that one stands here.
            let cell = unsafe { slot_pointer(address).cast::<WeakCell>().as_ref() };
            let target = cell.target.load(Ordering::Relaxed);
            if target != 0 && shared.state(target).colour() != Some(colour) {
                // Release pairs with the Acquire of `target`.
                cell.target.store(0, Ordering::Release);
            }
        });
}

/// A reference that does not keep its target alive. Made by [`Scope::downgrade`](crate::Scope::downgrade),
/// followed by [`Scope::upgrade`](crate::Scope::upgrade); `Copy`, one word, may stand in objects.
pub struct Weak<'gc, T: ?Sized> {
    cell: Gc<'gc, WeakCell>,
    brand: Brand<'gc>,
    object: PhantomData<*const T>,
}

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
            brand: PhantomData,
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
