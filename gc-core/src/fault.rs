//! Faults on demand: one heap broken on purpose, so that each check can be seen to fire and to be
//! contained.
//!
//! Only with the feature `fault-inject`, which is no part of a normal build. Two kinds:
//!
//! * *strokes* write memory of the heap at once, between two operations of the program;
//! * *sites* are places inside the heap at which something goes wrong at the n-th hit
//!   ([`Site`], [`FaultInjector::arm`]).
//!
//! [`CLASSES`] lists all of them with what may report them and what is at stake. Strokes are made on
//! the thread that drives the heap; sites are hit by whichever thread comes by. What can be broken
//! through the [`raw`](crate::raw) layer alone, such as a junk word on a value stack, has no entry here.
#![allow(unsafe_code)]

use gc_hooks::Check;
use gc_sweep::FreshSlot;
use gc_sweep::fault::Fault;

use crate::edge::Edge;
use crate::gc::Gc;
use crate::heap::Heap;
use crate::local::Barrier;
use crate::object::Object;
use crate::raw::Shape;
use crate::root::Root;
use crate::scope::Scope;
use crate::trace::{Trace, Tracer};
use crate::types::TypeKind;

mod class;
mod classes;
mod strokes;

pub use class::{Aim, Bench, Class, How, Moment, Stake, State, Stroke, Struck};
pub use classes::{CLASSES, NOT_APPLICABLE};
pub use gc_hooks::fault::{BLIND_VARIABLE, Persistence, Site};
pub use gc_sweep::fault as sweep;
pub use gc_sweep::os::fault as os;

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

impl<'a> FaultInjector<'a> {
    /// Faults in spans, state bytes and books.
    pub fn space(&self) -> Fault<'a> {
        self.heap.shared().space.fault()
    }

    /// Makes a check look away, or look again: it is as if the check and its containment were not
    /// there, as far as the heap can go on at all.
    pub fn set_blind(&self, check: Check, is_blind: bool) {
        self.heap.shared().hooks.set_blind(check, is_blind);
    }

    /// Makes the hit number `nth` of a site strike, counted from now and from zero. What was armed
    /// there before is forgotten; counts go on.
    pub fn arm(&self, site: Site, nth: u64, persistence: Persistence) {
        self.heap
            .shared()
            .hooks
            .faults()
            .arm(site, nth, persistence);
    }

    /// Lets a site alone again.
    pub fn disarm(&self, site: Site) {
        self.heap.shared().hooks.faults().disarm(site);
    }

    /// Counts hits from now on, though nothing is armed: how often a program passes each site.
    pub fn watch(&self) {
        self.heap.shared().hooks.faults().watch();
    }

    /// Times a site was passed since something was first watched or armed.
    pub fn hits(&self, site: Site) -> u64 {
        self.heap.shared().hooks.faults().hits(site)
    }

    /// Times a site struck: whether the fault was activated.
    pub fn strikes(&self, site: Site) -> u64 {
        self.heap.shared().hooks.faults().strikes(site)
    }

    /// Breaks the generation of a root's slot.
    pub fn corrupt_root<T: Object + ?Sized>(&self, root: &Root<T>) {
        self.heap.shared().roots.corrupt(root.key());
    }

    /// Breaks the seal of a shape. `false` when the heap does not know the shape.
    pub fn break_shape(&self, shape: Shape) -> bool {
        let info = self.heap.shape_info(shape);
        info.map(|info| info.break_seal()).is_some()
    }

    /// Breaks the seal of the second copy of a shape. `false` when the heap does not know the shape.
    pub fn break_spare_shape(&self, shape: Shape) -> bool {
        let info = self.heap.shape_info(shape);
        info.map(|info| info.break_spare()).is_some()
    }

    /// Breaks the seal of the shape of the object at an address. `false` when no untyped object stands
    /// there.
    pub fn break_shape_of(&self, address: usize) -> bool {
        let shared = self.heap.shared();
        let span = shared.space.span_of(address);
        let entry = span.and_then(|span| shared.types.get(span.type_index()));
        match entry.map(|entry| &entry.kind) {
            Some(TypeKind::Shape(info)) => info.break_seal(),
            _ => return false,
        }
        true
    }

    /// Writes what the pacer believes to have survived the last cycle.
    pub fn set_pacer(&self, bytes_live: u64, objects_marked: u64) {
        let progress = &self.heap.shared().progress;
        progress.set_survived(bytes_live, objects_marked);
    }

    /// Adds to the number of helpers behind the marker's gate, as a stray store or a helper who comes
    /// out twice would.
    pub fn skew_marking_gate(&self, by: i64) {
        self.heap.shared().marking.skew(by);
    }

    /// As [`FaultInjector::skew_marking_gate`], for the gate of the sweep.
    pub fn skew_sweeping_gate(&self, by: i64) {
        self.heap.shared().sweeping.skew(by);
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

/// An object whose edge was forged. Nobody gets at the edge but the collector.
pub(crate) struct Planted<'gc> {
    edge: Edge<'gc, Planted<'gc>>,
}

// SAFETY: `At<'a>` replaces the brand alone, and the one edge is reported.
unsafe impl Trace for Planted<'_> {
    type At<'a> = Planted<'a>;
    const MAY_HOLD_GC: bool = true;

    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.edge.trace(tracer);
    }
}

/// An object whose destructor panics.
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        die();
    }
}

// SAFETY: there is nothing to trace, and the destructor may run on any thread.
unsafe impl Trace for Explosive {
    type At<'a> = Explosive;
    const MAY_HOLD_GC: bool = false;

    fn trace(&self, _tracer: &mut Tracer<'_>) {}
}

/// What may go wrong when an object is published: it may be born white, or not at all. Answers the
/// slot when nothing does.
pub(crate) fn misbear(scope: Scope<'_>, slot: FreshSlot) -> Option<FreshSlot> {
    let shared = scope.shared();
    if scope.local().barrier.get() == Barrier::Black && shared.hooks.strikes(Site::AllocationWhite)
    {
        let white = shared.world.request().born_before();
        shared.space.states().publish(slot, white);
        return None;
    }
    (!shared.hooks.strikes(Site::AllocationUnpublished)).then_some(slot)
}

/// Unwinds, as a panic would, without calling the panic hook.
pub(crate) fn die() -> ! {
    std::panic::resume_unwind(Box::new("a fault that was injected"))
}
