//! The local part of a mutator: its colour, its barrier, its grey objects, its leased spans, its value
//! stacks.
//!
//! Reached through its record (record.rs) by the owner of the state word alone, in any phase, so
//! nothing here is atomic. Allocation's fast path is here: from the key of a type to the run of its
//! class without hashing.
//!
//! Invariant: no borrow of the runs or the stacks lasts while code runs that could lead back here.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;

use crossbeam_deque::Worker;
use gc_sweep::{ClassId, Colour, FreshSlot, Run, SizeClass, Space};

use crate::grey::Grey;
use crate::object::TypeInfo;
use crate::stack::StackMemory;

/// What a mutator does with pointer stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Barrier {
    /// No cycle: stores are plain.
    Off,
    /// No cycle, and the heap samples stores: plain stores, of which some are noted.
    Noting,
    /// Armed, not yet snapshotted: shade the old and the new value.
    Grey,
    /// Snapshotted: shade the old value.
    Black,
}

impl Barrier {
    /// Whether stores shade.
    #[inline]
    pub(crate) fn shades(self) -> bool {
        matches!(self, Barrier::Grey | Barrier::Black)
    }
}

/// Whose stores a mutator makes without their barrier, as one does whose code was compiled so.
#[cfg(feature = "fault-inject")]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Unbarriered {
    Nobody,
    Everybody,
    /// Objects of the type of this index.
    Type(u32),
}

/// Entries of the descriptor-to-class table in front of the type register. A miss costs a lock and
/// a hash lookup; a collision costs misses, never a different placement.
const LOOKUP_ENTRIES: usize = 64;

/// What only the owner of the state word touches.
pub(crate) struct Local {
    /// Colour of new objects. Changed at the mutator's own snapshot and when it registers.
    pub(crate) colour: Cell<Colour>,
    /// Colour that shading gives. Changed at `Arm`.
    pub(crate) barrier_colour: Cell<Colour>,
    /// Changed at `Arm`, `Snapshot` and, back to `Off` or `Noting`, at any poll after the flip.
    pub(crate) barrier: Cell<Barrier>,
    /// Stores until the next one that is sampled.
    pub(crate) stores_to_sample: Cell<u32>,
    /// Objects this mutator shaded; the collector steals from it.
    pub(crate) grey: Worker<Grey>,
    /// Leased spans, indexed by class.
    runs: UnsafeCell<Vec<Run>>,
    /// Lookup key to class, see [`lookup_key`].
    lookup: [Cell<(usize, Option<ClassId>)>; LOOKUP_ENTRIES],
    /// Value stacks whose live slots are roots.
    stacks: UnsafeCell<Vec<Arc<StackMemory>>>,
    #[cfg(feature = "fault-inject")]
    pub(crate) unbarriered: Cell<Unbarriered>,
}

impl Local {
    /// The local part of a mutator that allocates in `colour`, with the barrier off.
    pub(crate) fn new(colour: Colour, grey: Worker<Grey>) -> Self {
        Local {
            colour: Cell::new(colour),
            barrier_colour: Cell::new(colour),
            barrier: Cell::new(Barrier::Off),
            stores_to_sample: Cell::new(0),
            grey,
            runs: UnsafeCell::new(Vec::new()),
            lookup: core::array::from_fn(|_| Cell::new((0, None))),
            stacks: UnsafeCell::new(Vec::new()),
            #[cfg(feature = "fault-inject")]
            unbarriered: Cell::new(Unbarriered::Nobody),
        }
    }

    /// The next slot of the class that a key stands for, from the run in hand. `None` sends the
    /// caller to the slow path.
    #[inline]
    pub(crate) fn take(&self, key: usize) -> Option<FreshSlot> {
        let (known, class) = self.lookup[lookup_index(key)].get();
        if known != key {
            return None;
        }
        let class = class?;
        // SAFETY: the owner of the state word is here alone, and nothing below re-enters.
        let runs = unsafe { &mut *self.runs.get() };
        runs.get_mut(class.index())?.take()
    }

    /// As [`Local::take`], once the run in hand is used up: goes on to the next free slots of the
    /// leased span. `None` when there are none, or the key is not known.
    pub(crate) fn take_in_lease(&self, key: usize, space: &Space) -> Option<FreshSlot> {
        let (known, class) = self.lookup[lookup_index(key)].get();
        if known != key {
            return None;
        }
        self.with_run(class?, |run| next_slot(run, space))
    }

    /// Remembers which class a key stands for.
    pub(crate) fn remember(&self, key: usize, class: ClassId) {
        self.lookup[lookup_index(key)].set((key, Some(class)));
    }

    /// Runs `f` on the run of a class, making an empty one at first use.
    pub(crate) fn with_run<R>(&self, class: ClassId, f: impl FnOnce(&mut Run) -> R) -> R {
        // The run leaves its place while `f` works on it, so that nothing is aliased even when `f`
        // leads back here for another class.
        let mut run = {
            // SAFETY: the owner of the state word is here alone; the borrow ends in this block.
            let runs = unsafe { &mut *self.runs.get() };
            if runs.len() <= class.index() {
                runs.resize_with(class.index() + 1, Run::default);
            }
            core::mem::take(&mut runs[class.index()])
        };
        let result = f(&mut run);
        // SAFETY: as above; the borrow ends with the statement.
        let runs = unsafe { &mut *self.runs.get() };
        runs[class.index()] = run;
        result
    }

    /// Visits every run in order of class.
    pub(crate) fn for_each_run(&self, mut f: impl FnMut(&mut Run)) {
        // SAFETY: the owner of the state word is here alone, and `f` (the space's own
        // bookkeeping) never leads back to this mutator.
        let runs = unsafe { &mut *self.runs.get() };
        runs.iter_mut().for_each(&mut f);
    }

    /// Registers a value stack.
    pub(crate) fn add_stack(&self, stack: Arc<StackMemory>) {
        // SAFETY: the owner of the state word is here alone; the borrow ends with the statement.
        let stacks = unsafe { &mut *self.stacks.get() };
        stacks.push(stack);
    }

    /// The registered stacks, after dropping those that only this list still knows.
    pub(crate) fn stacks(&self) -> Vec<Arc<StackMemory>> {
        // SAFETY: the owner of the state word is here alone; the borrow ends in this function.
        let stacks = unsafe { &mut *self.stacks.get() };
        stacks.retain(|stack| Arc::strong_count(stack) > 1);
        stacks.clone()
    }
}

/// The next slot of a run, or of the span it leases.
pub(crate) fn next_slot(run: &mut Run, space: &Space) -> Option<FreshSlot> {
    take_sampled(run).or_else(|| {
        let has_more = space.refill_in_lease(run);
        has_more.then(|| take_sampled(run)).flatten()
    })
}

/// The next slot of a run, one that is sampled included.
pub(crate) fn take_sampled(run: &mut Run) -> Option<FreshSlot> {
    run.take()
        .or_else(|| run.pass_stop().then(|| run.take()).flatten())
}

/// The key of objects of one size: the address of the descriptor, with the size class of slices in
/// the bits that no user-space address has.
#[inline]
pub(crate) fn lookup_key(info: &'static TypeInfo, size_class: Option<SizeClass>) -> usize {
    const { assert!(SizeClass::COUNT < 255) };
    core::ptr::from_ref(info).addr() | size_class.map_or(0, |class| (class.index() + 1) << 56)
}

#[inline]
fn lookup_index(key: usize) -> usize {
    // Descriptors are 8-byte aligned constants.
    ((key >> 3) ^ (key >> 56)) % LOOKUP_ENTRIES
}
