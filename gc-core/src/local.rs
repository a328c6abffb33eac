//! The local part of a mutator: its colour, its barrier, its grey objects, its leased spans, its value
//! stacks.
//!
//! Reached through its record (record.rs) by the owner of the state word alone, in any phase, so
//! nothing here is atomic. Allocation's fast path is here: from the key of a type to the run of its
//! class by one comparison, without hashing.
//!
//! Invariant: no borrow of the runs or the stacks lasts while code runs that could lead back here.
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::sync::Arc;

use crossbeam_deque::Worker;
use gc_sweep::{ClassId, Colour, FreshSlot, Kept, Run, SizeClass, Space};

use crate::grey::Grey;
use crate::object::TypeInfo;
use crate::remembered::Notes;
use crate::stack::StackMemory;

/// What a mutator does with pointer stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Barrier {
    /// No cycle: stores are plain.
    Off,
    /// No cycle, and the heap samples stores: plain stores, of which some are noted.
    Noting,
    /// No cycle, and the heap has generations: plain stores of objects that are not newborn; of those that are
    /// a note is kept.
    Remembering,
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

/// Lanes of the table that leads from a descriptor to its run, in front of the type register. A miss costs a
/// lock and a hash lookup; a collision costs misses, never a different placement. Descriptors mostly stand side
/// by side, five lanes apart, so that a few hundred types share none.
const LANES: usize = 512;

/// The run of one class. What borrows it does so for a moment, see the head.
type RunCell = UnsafeCell<Run>;

/// The way from a [`Key`] to a run: what the fast path of allocation reads first.
#[derive(Clone, Copy)]
struct Lane {
    /// Zero in a lane that leads nowhere: no descriptor is there.
    key: usize,
    /// One of `Local::runs`.
    run: *const RunCell,
}

const NO_LANE: Lane = Lane {
    key: 0,
    run: core::ptr::null(),
};

/// What only the owner of the state word touches.
pub(crate) struct Local {
    /// Colour of new objects. Changed at the mutator's own snapshot and when it registers.
    pub(crate) colour: Cell<Colour>,
    /// Colour that shading gives. Changed at `Arm`.
    pub(crate) barrier_colour: Cell<Colour>,
    /// Changed at `Arm`, `Snapshot` and, back to what the heap rests at, at any poll after the flip.
    pub(crate) barrier: Cell<Barrier>,
    /// Stores until the next one that is sampled.
    pub(crate) stores_to_sample: Cell<u32>,
    /// Objects this mutator shaded; the collector steals from it.
    pub(crate) grey: Worker<Grey>,
    /// Newborn objects it has stored, in a heap with generations.
    pub(crate) notes: Notes,
    /// Leased spans, indexed by class. Each keeps its place for as long as this part lives, since lanes lead there.
    runs: UnsafeCell<Vec<Arc<RunCell>>>,
    lanes: [Cell<Lane>; LANES],
    /// Value stacks whose live slots are roots.
    stacks: UnsafeCell<Vec<Arc<StackMemory>>>,
    #[cfg(feature = "fault-inject")]
    pub(crate) unbarriered: Cell<Unbarriered>,
}

impl Local {
    /// The local part of a mutator that marks and allocates in these colours, with the barrier off.
    pub(crate) fn new(kept: Kept, grey: Worker<Grey>) -> Self {
        Local {
            colour: Cell::new(kept.born()),
            barrier_colour: Cell::new(kept.marked()),
            barrier: Cell::new(Barrier::Off),
            stores_to_sample: Cell::new(0),
            grey,
            notes: Notes::default(),
            runs: UnsafeCell::new(Vec::new()),
            lanes: [const { Cell::new(NO_LANE) }; LANES],
            stacks: UnsafeCell::new(Vec::new()),
            #[cfg(feature = "fault-inject")]
            unbarriered: Cell::new(Unbarriered::Nobody),
        }
    }

    /// The colours in which this mutator marks and allocates. They are those of one cycle once it has taken its
    /// snapshot of it.
    #[inline]
    pub(crate) fn kept(&self) -> Kept {
        Kept::new(self.barrier_colour.get(), self.colour.get())
    }

    /// The next slot of the class that a key stands for, when it follows the last one without a gap.
    /// `None` sends the caller to the slow path.
    #[inline]
    pub(crate) fn take_in_row(&self, key: Key) -> Option<FreshSlot> {
        let cell = self.lane(key)?;
        // SAFETY: the owner of the state word is here alone; the borrow ends with the statement.
        unsafe { &mut *cell.get() }.take_in_row()
    }

    /// As [`Local::take_in_row`], beyond a gap, and beyond the run in hand: goes on to the next free slots of the
    /// leased span. `None` when there are none, or the key is not known.
    pub(crate) fn take_in_lease(&self, key: Key, space: &Space) -> Option<FreshSlot> {
        let cell = self.lane(key)?;
        // SAFETY: as in `take_in_row`.
        let slot = unsafe { &mut *cell.get() }.take();
        slot.or_else(|| with_run_of(cell, |run| next_slot(run, space)))
    }

    #[inline]
    fn lane(&self, key: Key) -> Option<&RunCell> {
        let lane = self.lanes[key.lane].get();
        if lane.key != key.bits {
            return None;
        }
        // SAFETY: a lane with a key leads to a cell that `runs` keeps.
        Some(unsafe { &*lane.run })
    }

    /// Remembers which class a key stands for.
    pub(crate) fn remember(&self, key: Key, class: ClassId) {
        let run = Arc::as_ptr(&self.run_of(class));
        self.lanes[key.lane].set(Lane { key: key.bits, run });
    }

    /// The run of a class, an empty one at first use.
    fn run_of(&self, class: ClassId) -> Arc<RunCell> {
        // SAFETY: the owner of the state word is here alone; the borrow ends in this function.
        let runs = unsafe { &mut *self.runs.get() };
        if runs.len() <= class.index() {
            runs.resize_with(class.index() + 1, Arc::default);
        }
        Arc::clone(&runs[class.index()])
    }

    /// Runs `f` on the run of a class, making an empty one at first use.
    pub(crate) fn with_run<R>(&self, class: ClassId, f: impl FnOnce(&mut Run) -> R) -> R {
        with_run_of(&self.run_of(class), f)
    }

    /// Visits every run in order of class.
    pub(crate) fn for_each_run(&self, mut f: impl FnMut(&mut Run)) {
        // SAFETY: the owner of the state word is here alone, and `f` (the space's own
        // bookkeeping) never leads back to this mutator.
        let runs = unsafe { &*self.runs.get() };
        for run in runs {
            // SAFETY: as above.
            f(unsafe { &mut *run.get() });
        }
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

/// Runs `f` on a run of the calling thread's own local part. The run leaves its place meanwhile, so that nothing is
/// aliased even when `f` leads back here.
fn with_run_of<R>(cell: &RunCell, f: impl FnOnce(&mut Run) -> R) -> R {
    // SAFETY: the owner of the state word is here alone; the borrow ends with the statement.
    let mut run = core::mem::take(unsafe { &mut *cell.get() });
    let result = f(&mut run);
    // SAFETY: as above.
    unsafe { *cell.get() = run };
    result
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

/// What objects of one type and one size of slot are found by.
#[derive(Clone, Copy)]
pub(crate) struct Key {
    /// The address of the descriptor, with the size class of slices in the bits that no user-space address has.
    bits: usize,
    lane: usize,
}

impl Key {
    /// Of objects that all have the size of their type.
    #[inline]
    pub(crate) fn fixed(info: &'static TypeInfo) -> Key {
        // The low bits of the address, as they are, are the offset of a lane.
        const { assert!(size_of::<Lane>() == align_of::<TypeInfo>()) };
        let bits = core::ptr::from_ref(info).addr();
        let lane = bits / size_of::<Lane>() % LANES;
        Key { bits, lane }
    }

    /// Of slices in slots of one size.
    #[inline]
    pub(crate) fn sized(info: &'static TypeInfo, size_class: SizeClass) -> Key {
        const { assert!(SizeClass::COUNT < 255) };
        let (of_type, number) = (Key::fixed(info), size_class.index() + 1);
        Key {
            bits: of_type.bits | number << 56,
            lane: (of_type.lane ^ number) % LANES,
        }
    }
}
