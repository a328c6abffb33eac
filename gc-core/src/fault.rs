//! Typed corruption for tests: each function breaks one thing a check watches.
//!
//! Only with the feature `fault-inject`, which is no part of a normal build. Tests and the stress
//! lab call it on the heap's own thread. What can be broken through the [`raw`](crate::raw) layer
//! alone, such as a stale pointer shaded by the barrier, has no entry here.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicU64, Ordering};

use gc_sweep::fault::Fault;

use crate::gc::Gc;
use crate::heap::Heap;
use crate::object::Object;
use crate::raw::Shape;
use crate::root::Root;
use crate::scope::Scope;

pub use gc_sweep::fault as sweep;
pub use gc_sweep::os::fault as os;

/// Armed faults of one heap.
#[derive(Default)]
pub(crate) struct Faults {
    /// Barriers still to be left out.
    barriers_to_skip: AtomicU64,
    /// Barriers left out so far.
    barriers_skipped: AtomicU64,
}

impl Faults {
    /// Whether the barrier that is about to run is left out.
    pub(crate) fn skips_barrier(&self) -> bool {
        let skips = self
            .barriers_to_skip
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_ok();
        if skips {
            self.barriers_skipped.fetch_add(1, Ordering::Relaxed);
        }
        skips
    }
}

/// The faults of one heap.
pub struct FaultInjector<'a> {
    heap: &'a Heap,
}

impl Heap {
    /// Ways to break this heap.
    pub fn fault(&self) -> FaultInjector<'_> {
        FaultInjector { heap: self }
    }
}

impl FaultInjector<'_> {
    /// Faults in spans, state bytes and books.
    pub fn space(&self) -> Fault<'_> {
        self.heap.shared().space.fault()
    }

    /// Leaves the next `count` active write barriers out: the store happens, nothing is shaded.
    pub fn skip_barriers(&self, count: u64) {
        self.heap
            .shared()
            .faults
            .barriers_to_skip
            .store(count, Ordering::Relaxed);
    }

    /// Barriers left out so far: whether the fault was activated.
    pub fn barriers_skipped(&self) -> u64 {
        self.heap
            .shared()
            .faults
            .barriers_skipped
            .load(Ordering::Relaxed)
    }

    /// Breaks the generation of a root's slot.
    pub fn corrupt_root<T: Object + ?Sized>(&self, root: &Root<T>) {
        self.heap.shared().roots.corrupt(root.key());
    }

    /// Breaks the seal of a shape. `false` when the heap does not know the shape.
    pub fn break_shape(&self, shape: Shape) -> bool {
        match self.heap.shape_info(shape) {
            Some(info) => info.break_seal(),
            None => return false,
        }
        true
    }

    /// An edge value that leads to an arbitrary address, as a stray write into an edge would.
    ///
    /// # Safety
    ///
    /// The result is stored in an edge and never dereferenced.
    pub unsafe fn forged<'gc, T: ?Sized>(&self, _scope: Scope<'gc>, address: usize) -> Gc<'gc, T> {
        // SAFETY: the caller never dereferences it.
        unsafe { Gc::from_address(address) }
    }
}
