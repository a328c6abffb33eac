//! One mutator as the collector knows it: its state word, what it has answered, its local part.
//!
//! A mutator thread owns the local part while the state word says `In`; whoever set it to `Held`
//! owns it meanwhile (the collector, answering on the mutator's behalf; statistics; the mutator's own
//! thread outside `enter`); nobody touches it while the word says `Out`. The one word decides, so
//! there is no race between a store and a load of two.
//!
//! Invariants: `local` is reached only through [`Record::local`] by the owner of the state word.
//! What was answered never runs ahead of what was asked. Deliberately absent: what shading does
//! (barrier.rs), what an answer does (handshake.rs).
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::panic::Location;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_deque::{Stealer, Worker};
use crossbeam_utils::Backoff;
use crossbeam_utils::atomic::AtomicCell;
use gc_hooks::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use gc_hooks::sync::{point, thread_token, yield_now};
use gc_sweep::{ClassId, Colour, FreshSlot, Run, SizeClass};

use crate::object::TypeInfo;
use crate::pauses::Pauses;
use crate::request::Request;
use crate::stack::StackMemory;

/// Who owns a record's local part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Presence {
    /// Outside `enter`: parked, the collector may answer on its behalf.
    Out = 0,
    /// Inside `enter`: the mutator thread owns it.
    In = 1,
    /// Somebody holds it for a moment.
    Held = 2,
}

/// What a mutator does with pointer stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Barrier {
    /// No cycle: stores are plain.
    Off,
    /// Armed, not yet snapshotted: shade the old and the new value.
    Grey,
    /// Snapshotted: shade the old value.
    Black,
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
    /// Changed at `Arm`, `Snapshot` and, back to `Off`, at any poll after the flip.
    pub(crate) barrier: Cell<Barrier>,
    /// Objects this mutator shaded; the collector steals from it.
    pub(crate) grey: Worker<usize>,
    /// Leased spans, indexed by class.
    runs: UnsafeCell<Vec<Run>>,
    /// Lookup key to class, see [`lookup_key`].
    lookup: [Cell<(usize, Option<ClassId>)>; LOOKUP_ENTRIES],
    /// Value stacks whose live slots are roots.
    stacks: UnsafeCell<Vec<Arc<StackMemory>>>,
}

/// One registered mutator.
pub(crate) struct Record {
    presence: AtomicU8,
    /// The request answered last, as bits. Written by the owner of the state word.
    answered: AtomicU64,
    /// The mutator is between reading a weak reference and having shaded its target.
    upgrading: AtomicBool,
    /// Names the thread that is inside, once it has said so; zero outside.
    thread: AtomicU64,
    /// Where it entered.
    call_site: AtomicCell<Option<&'static Location<'static>>>,
    pub(crate) stealer: Stealer<usize>,
    /// For how long this mutator was kept from its work. Written by the owner of the state word.
    pub(crate) pauses: Pauses,
    local: UnsafeCell<Local>,
}

// SAFETY: `local` is only reached by the owner of the state word, see `local`; the rest is atomic.
unsafe impl Sync for Record {}

// SAFETY: nothing in the local part belongs to a thread: runs, deques and stacks may be used by
// whichever thread owns the state word.
unsafe impl Send for Record {}

/// Why a record could not be entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct IsInside;

impl Record {
    /// A record that is out, with the barrier off, allocating in `colour`.
    pub(crate) fn new(colour: Colour) -> Self {
        let grey = Worker::new_lifo();
        Record {
            presence: AtomicU8::new(Presence::Out as u8),
            answered: AtomicU64::new(Request::FIRST.bits()),
            upgrading: AtomicBool::new(false),
            thread: AtomicU64::new(0),
            call_site: AtomicCell::new(None),
            stealer: grey.stealer(),
            pauses: Pauses::new(),
            local: UnsafeCell::new(Local {
                colour: Cell::new(colour),
                barrier_colour: Cell::new(colour),
                barrier: Cell::new(Barrier::Off),
                grey,
                runs: UnsafeCell::new(Vec::new()),
                lookup: core::array::from_fn(|_| Cell::new((0, None))),
                stacks: UnsafeCell::new(Vec::new()),
            }),
        }
    }

    /// The local part.
    ///
    /// # Safety
    ///
    /// The caller owns the state word: it is the mutator's thread and the word says `In`, or it
    /// set the word to `Held`.
    #[inline]
    unsafe fn local(&self) -> &Local {
        // SAFETY: the caller's duty makes this the only thread that reaches `local`; all of its
        // fields change through shared references.
        unsafe { &*self.local.get() }
    }

    /// Takes the state word from `Out`; answers what it said instead when it says something else.
    #[inline]
    fn take(&self, presence: Presence) -> Result<(), u8> {
        point();
        // Acquire pairs with the Release of `let_go`: the last owner's work is visible.
        self.presence
            .compare_exchange(
                Presence::Out as u8,
                presence as u8,
                Ordering::Acquire,
                Ordering::Relaxed,
            )
            .map(drop)
    }

    #[inline]
    fn let_go(&self) {
        point();
        // Release pairs with the Acquire of `take`.
        self.presence.store(Presence::Out as u8, Ordering::Release);
    }

    /// Takes the state word, waiting while somebody else holds it.
    fn take_waiting(&self, presence: Presence) -> Result<(), IsInside> {
        let backoff = Backoff::new();
        loop {
            match self.take(presence) {
                Ok(()) => return Ok(()),
                Err(found) if found == Presence::In as u8 => return Err(IsInside),
                Err(_) if cfg!(any(loom, shuttle)) => yield_now(),
                // Holders are a few instructions from letting go, unless they were preempted.
                Err(_) => backoff.snooze(),
            }
        }
    }

    /// Runs `f` inside: until it ends, however it ends, this thread owns the local part. Waits for
    /// whoever holds the record. `Err` when the mutator is inside already.
    #[inline]
    pub(crate) fn with_entered<R>(
        &self,
        call_site: &'static Location<'static>,
        f: impl FnOnce(&Local) -> R,
    ) -> Result<R, IsInside> {
        struct Leave<'a>(&'a Record);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // A record that is in never carries the token of a thread that has left it.
                self.0.thread.store(0, Ordering::Relaxed);
                self.0.let_go();
            }
        }
        if self.take(Presence::In).is_err() {
            let begun = Instant::now();
            self.take_waiting(Presence::In)?;
            self.paused_since(begun);
        }
        let _leave = Leave(self);
        self.thread.store(thread_token(), Ordering::Relaxed);
        self.call_site.store(Some(call_site));
        // SAFETY: the state word says `In`, set by this thread above.
        let local = unsafe { self.local() };
        Ok(f(local))
    }

    /// Runs `f` on the local part of a mutator that is out, holding it there. `None` when it is in,
    /// or held by somebody else.
    pub(crate) fn with_held<R>(&self, f: impl FnOnce(&Local) -> R) -> Option<R> {
        self.take(Presence::Held).ok()?;
        Some(self.finish_held(f))
    }

    /// As [`Record::with_held`], for the mutator's own thread outside `enter`: waits while somebody
    /// else holds the record.
    pub(crate) fn with_own<R>(&self, f: impl FnOnce(&Local) -> R) -> Result<R, IsInside> {
        self.take_waiting(Presence::Held)?;
        Ok(self.finish_held(f))
    }

    fn finish_held<R>(&self, f: impl FnOnce(&Local) -> R) -> R {
        // SAFETY: the state word says `Held`, set by this thread before.
        let result = f(unsafe { self.local() });
        self.let_go();
        result
    }

    /// Keeps the mutator out until the guard is dropped. `None` when it is in, or held.
    pub(crate) fn hold(self: &Arc<Self>) -> Option<HeldRecord> {
        self.take(Presence::Held).ok()?;
        Some(HeldRecord(Arc::clone(self)))
    }

    /// Whether the mutator is inside `enter`.
    pub(crate) fn is_in(&self) -> bool {
        // Acquire pairs with the Release of `let_go`: who sees it out sees what it did inside.
        self.presence.load(Ordering::Acquire) == Presence::In as u8
    }

    /// Whether the mutator is inside `enter` on this thread.
    pub(crate) fn is_in_here(&self) -> bool {
        // A thread sees its own stores in order, and what it left says zero.
        self.thread.load(Ordering::Relaxed) == thread_token() && self.is_in()
    }

    /// Where the mutator entered last.
    pub(crate) fn call_site(&self) -> Option<&'static Location<'static>> {
        self.call_site.load()
    }

    /// The last request this mutator answered.
    #[inline]
    pub(crate) fn answered(&self) -> Request {
        point();
        // Acquire pairs with the Release of `answer`: what the mutator did before it is visible.
        Request::from_bits(self.answered.load(Ordering::Acquire))
    }

    /// Records an answer. Called by the owner of the state word.
    pub(crate) fn answer(&self, request: Request) {
        point();
        // Release pairs with the Acquire of `answered`.
        self.answered.store(request.bits(), Ordering::Release);
    }

    /// Notes that the mutator was kept from its work since `begun`. Called by the owner of the state
    /// word, or by the mutator's own thread.
    pub(crate) fn paused_since(&self, begun: Instant) {
        let pause_ns = begun.elapsed().as_nanos();
        self.pauses
            .record(u64::try_from(pause_ns).unwrap_or(u64::MAX));
    }

    /// Announces a weak upgrade, or its end.
    #[inline]
    pub(crate) fn set_upgrading(&self, is_upgrading: bool) {
        point();
        // SeqCst pairs with the SeqCst of `is_upgrading` and of the phase: of an upgrade that begins
        // and a termination that begins, one sees the other.
        self.upgrading.store(is_upgrading, Ordering::SeqCst);
    }

    pub(crate) fn is_upgrading(&self) -> bool {
        point();
        // SeqCst pairs with `set_upgrading`; it also acquires what the upgrade shaded.
        self.upgrading.load(Ordering::SeqCst)
    }
}

/// A record kept out of `enter`.
pub(crate) struct HeldRecord(Arc<Record>);

impl HeldRecord {
    pub(crate) fn local(&self) -> &Local {
        // SAFETY: the guard was made by setting the state word to `Held`, and only its end lets go.
        unsafe { self.0.local() }
    }

    pub(crate) fn is(&self, record: &Arc<Record>) -> bool {
        Arc::ptr_eq(&self.0, record)
    }
}

impl Drop for HeldRecord {
    fn drop(&mut self) {
        self.0.let_go();
    }
}

impl Local {
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
