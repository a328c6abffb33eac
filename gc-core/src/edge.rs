//! [`Edge`]: a mutable, nullable reference from one object to another. Its `set` is the barrier.
//!
//! Mutators load and store edges inside `enter`; the marker loads them at any time. One atomic
//! word: stores release, loads acquire, so whoever finds an object through an edge finds it
//! constructed. Several threads may load and store one edge at once; the argument for that, as for
//! when an edge may change threads, stands in gc.rs.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};

use gc_hooks::sync::point;

use crate::gc::{Brand, Gc};
use crate::object::Object;
use crate::scope::Scope;
use crate::trace::{Trace, Tracer};

/// A pointer field that may be changed after its object was allocated.
///
/// Building an object with an edge in it needs no barrier; changing the edge afterwards takes the
/// scope, which is where the barrier finds its mutator.
///
/// An edge of an object that several threads use may be read and set by all of them at once. Each
/// load answers a value that was stored; which of several racing stores stays is not said, and a
/// [`swap`](Edge::swap) or [`take`](Edge::take) is a load and a store, not one step: two of them at
/// once may both be answered the same object. Threads that need more agree on a lock.
pub struct Edge<'gc, T: ?Sized> {
    word: AtomicUsize,
    brand: Brand<'gc>,
    /// Invariant in `T`: an edge is read and written through shared references.
    object: PhantomData<*mut T>,
}

// SAFETY: an edge gives out `Gc`s of its target and takes them in, so its bounds are theirs; the
// word is an atomic, and changing it takes a scope, which stays on its thread.
unsafe impl<T: ?Sized + Send + Sync> Send for Edge<'_, T> {}
// SAFETY: as above: all that a shared edge allows is done through the atomic word.
unsafe impl<T: ?Sized + Send + Sync> Sync for Edge<'_, T> {}

impl<'gc, T: ?Sized> Edge<'gc, T> {
    /// The null edge.
    #[inline]
    pub const fn none() -> Self {
        Edge {
            word: AtomicUsize::new(0),
            brand: PhantomData,
            object: PhantomData,
        }
    }

    /// An edge to an object.
    #[inline]
    pub fn to(target: Gc<'gc, T>) -> Self {
        Edge {
            word: AtomicUsize::new(target.address()),
            brand: PhantomData,
            object: PhantomData,
        }
    }

    /// The object the edge leads to, if any.
    #[inline]
    pub fn get(&self) -> Option<Gc<'gc, T>> {
        // Acquire pairs with the Release of the barrier's store: the target is constructed.
        Self::target(self.word.load(Ordering::Acquire))
    }

    /// Whether the edge is null.
    #[inline]
    pub fn is_none(&self) -> bool {
        self.word.load(Ordering::Relaxed) == 0
    }

    /// Makes the edge lead to `target`, or nowhere.
    #[inline]
    #[track_caller]
    pub fn set(&self, scope: Scope<'gc>, target: impl Into<Option<Gc<'gc, T>>>) {
        scope.set_word(&self.word, address_of(target.into()), Location::caller());
    }

    /// Makes the edge lead to `target`, or nowhere, and answers where it led before. A load and a
    /// store, not one step; see the type.
    #[inline]
    #[track_caller]
    pub fn swap(
        &self,
        scope: Scope<'gc>,
        target: impl Into<Option<Gc<'gc, T>>>,
    ) -> Option<Gc<'gc, T>> {
        let new = address_of(target.into());
        Self::target(scope.replace_word(&self.word, new, Location::caller()))
    }

    /// Makes the edge null and answers where it led before; two steps, as for [`Edge::swap`].
    #[inline]
    #[track_caller]
    pub fn take(&self, scope: Scope<'gc>) -> Option<Gc<'gc, T>> {
        Self::target(scope.replace_word(&self.word, 0, Location::caller()))
    }

    #[inline]
    fn target(word: usize) -> Option<Gc<'gc, T>> {
        if word == 0 {
            return None;
        }
        // SAFETY: only addresses of live objects of type `T` under this brand are ever stored, and
        // the edge itself is reachable in this scope, which keeps its target allocated.
        Some(unsafe { Gc::from_address(word) })
    }
}

#[inline]
fn address_of<T: ?Sized>(target: Option<Gc<'_, T>>) -> usize {
    target.map_or(0, Gc::address)
}

impl<T: ?Sized> Default for Edge<'_, T> {
    fn default() -> Self {
        Edge::none()
    }
}

impl<'gc, T: ?Sized> From<Gc<'gc, T>> for Edge<'gc, T> {
    fn from(target: Gc<'gc, T>) -> Self {
        Edge::to(target)
    }
}

impl<'gc, T: ?Sized> From<Option<Gc<'gc, T>>> for Edge<'gc, T> {
    fn from(target: Option<Gc<'gc, T>>) -> Self {
        target.map_or(Edge::none(), Edge::to)
    }
}

impl<T: ?Sized> fmt::Debug for Edge<'_, T> {
    /// Shows the address only: following edges would not end in a ring.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.word.load(Ordering::Relaxed) {
            0 => f.write_str("Edge(none)"),
            address => write!(f, "Edge({address:#x})"),
        }
    }
}

// SAFETY: `At<'a>` replaces the brand and the object's own; the one word is an atomic and is
// reported unless null.
unsafe impl<T: Object + ?Sized> Trace for Edge<'_, T> {
    type At<'a> = Edge<'a, <T as Object>::At<'a>>;
    const MAY_HOLD_GC: bool = true;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        point();
        // Acquire pairs with the Release of the store: the marker scans what it finds.
        tracer.visit_address(self.word.load(Ordering::Acquire));
    }
}
