//! The mutators of a heap: their records, their state words, the handshakes they owe.
//!
//! A mutator thread owns its [`Record`] while the state word says `In`; the collector owns it while
//! the word says `Held`; nobody touches the local part while it says `Out`. The one word decides,
//! so there is no race between a store and a load of two.
//!
//! Handshakes (DESIGN 4.2, gc-design 2.2): `Arm` and `Settle` are answered at any poll, `Snapshot`
//! only with empty hands. The collector answers for mutators that are `Out`.
//!
//! Invariants: `local` is reached only through [`Record::local`] by the owner of the state word.
//! `answered` never runs ahead of the handshake asked for. Deliberately absent: what shading does
//! (barrier.rs) and when handshakes are asked for (cycle.rs).
#![allow(unsafe_code)]

use std::cell::{Cell, UnsafeCell};
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crossbeam_deque::{Stealer, Worker};
use crossbeam_utils::CachePadded;
use gc_hooks::Phase;
use gc_sweep::{ClassId, Colour, FreshSlot, Run, SizeClass};

use crate::object::TypeInfo;
use crate::stack::StackMemory;

/// Who owns a record's local part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Presence {
    /// Outside `enter`: parked, the collector may answer on its behalf.
    Out = 0,
    /// Inside `enter`: the mutator thread owns it.
    In = 1,
    /// The collector is answering a handshake for it.
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

/// The handshakes of a cycle, in order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub(crate) enum Handshake {
    /// Nothing is asked for.
    None = 0,
    /// Turn the barrier on.
    Arm = 1,
    /// Every barrier begun before all were armed has ended.
    Settle = 2,
    /// Hand over the roots, turn black.
    Snapshot = 3,
}

impl Handshake {
    fn from_word(word: u8) -> Self {
        match word {
            1 => Handshake::Arm,
            2 => Handshake::Settle,
            3 => Handshake::Snapshot,
            _ => Handshake::None,
        }
    }
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
    pub(crate) stacks: UnsafeCell<Vec<Arc<StackMemory>>>,
}

/// One mutator as the collector knows it.
pub(crate) struct Record {
    presence: AtomicU8,
    /// The last handshake answered. Written by the owner of the state word.
    answered: AtomicU8,
    /// The cycle that `answered` belongs to.
    answered_cycle: AtomicU32,
    pub(crate) stealer: Stealer<usize>,
    local: UnsafeCell<Local>,
}

// SAFETY: `local` is only reached by the owner of the state word, see `local`; the rest is atomic.
unsafe impl Sync for Record {}

impl Record {
    pub(crate) fn new(colour: Colour) -> Self {
        let grey = Worker::new_lifo();
        Record {
            presence: AtomicU8::new(Presence::Out as u8),
            answered: AtomicU8::new(Handshake::None as u8),
            answered_cycle: AtomicU32::new(0),
            stealer: grey.stealer(),
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
    /// set the word to `Held`, or the record is not registered (any more).
    #[inline]
    unsafe fn local(&self) -> &Local {
        // SAFETY: the caller's duty makes this the only thread that reaches `local`; all of its
        // fields change through shared references.
        unsafe { &*self.local.get() }
    }

    /// Runs `f` inside: until it ends, however it ends, this thread owns the local part. `None`
    /// when the mutator is in already, or the collector is just answering for it.
    pub(crate) fn with_entered<R>(&self, f: impl FnOnce(&Local) -> R) -> Option<R> {
        struct Leave<'a>(&'a Record);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                // Release pairs with the Acquire of `with_held` and `with_entered`.
                self.0
                    .presence
                    .store(Presence::Out as u8, Ordering::Release);
            }
        }
        // Acquire pairs with the Release of `Leave` and of `with_held`.
        let (out, inside) = (Presence::Out as u8, Presence::In as u8);
        self.presence
            .compare_exchange(out, inside, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        let _leave = Leave(self);
        // SAFETY: the state word says `In`, set by this thread two lines above.
        let local = unsafe { self.local() };
        Some(f(local))
    }

    /// Runs `f` on the local part of a mutator that is out, holding it there. `None` when it is in.
    pub(crate) fn with_held<R>(&self, f: impl FnOnce(&Local) -> R) -> Option<R> {
        // Acquire pairs with the Release of `with_entered`'s end.
        let (out, held) = (Presence::Out as u8, Presence::Held as u8);
        self.presence
            .compare_exchange(out, held, Ordering::Acquire, Ordering::Relaxed)
            .ok()?;
        // SAFETY: the state word says `Held`, set by this thread one line above.
        let result = f(unsafe { self.local() });
        // Release pairs with the Acquire of `with_entered`.
        self.presence.store(out, Ordering::Release);
        Some(result)
    }

    /// Whether the mutator is inside `enter`.
    pub(crate) fn is_in(&self) -> bool {
        self.presence.load(Ordering::Acquire) == Presence::In as u8
    }

    /// The last handshake this mutator answered in `cycle`.
    pub(crate) fn answered(&self, cycle: u32) -> Handshake {
        // Acquire pairs with the Release of `answer`: what the mutator did before it is visible.
        let answered = self.answered.load(Ordering::Acquire);
        if self.answered_cycle.load(Ordering::Relaxed) == cycle {
            Handshake::from_word(answered)
        } else {
            Handshake::None
        }
    }

    /// Records an answer. Called by the owner of the state word.
    pub(crate) fn answer(&self, cycle: u32, handshake: Handshake) {
        self.answered_cycle.store(cycle, Ordering::Relaxed);
        // Release pairs with the Acquire of `answered`.
        self.answered.store(handshake as u8, Ordering::Release);
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

/// The registered mutators and what is asked of them.
pub(crate) struct World {
    /// In order of registration. Locked by attach, exit and the collector's rounds.
    records: Mutex<Vec<Arc<Record>>>,
    /// The handshake asked for. Written by the collector, read at every poll: on a cache line of its
    /// own, so that attaching and phase changes do not take it from the mutators.
    asked: CachePadded<AtomicU8>,
    phase: AtomicU8,
    cycle: AtomicU32,
    /// The colour of the cycle in progress, or of the last one.
    colour: AtomicU8,
    settled_colour: AtomicU8,
}

/// Only colours are ever stored, so the fallback is never taken.
fn colour_from_word(word: u8) -> Colour {
    Colour::from_number(word).unwrap_or(Colour::FIRST)
}

/// Only phases are ever stored, so the fallback is never taken.
fn phase_from_word(word: u8) -> Phase {
    let phase = Phase::ALL.get(usize::from(word));
    phase.copied().unwrap_or_default()
}

impl World {
    pub(crate) fn new(colour: Colour) -> Self {
        World {
            records: Mutex::new(Vec::new()),
            asked: CachePadded::new(AtomicU8::new(0)),
            phase: AtomicU8::new(Phase::Idle as u8),
            cycle: AtomicU32::new(0),
            colour: AtomicU8::new(colour.number()),
            settled_colour: AtomicU8::new(colour.number()),
        }
    }

    /// The mutators, in order of registration.
    pub(crate) fn records(&self) -> Vec<Arc<Record>> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Record>>> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a record, running `prepare` under the registry lock so that no round misses it.
    pub(crate) fn attach(&self, record: Arc<Record>, prepare: impl FnOnce(&Record)) {
        let mut records = self.lock();
        prepare(&record);
        records.push(record);
    }

    /// Removes a record.
    pub(crate) fn detach(&self, record: &Arc<Record>) {
        self.lock().retain(|known| !Arc::ptr_eq(known, record));
    }

    /// Whether any mutator is inside `enter`.
    pub(crate) fn is_anyone_in(&self) -> bool {
        self.lock().iter().any(|record| record.is_in())
    }

    pub(crate) fn asked(&self) -> Handshake {
        // Acquire pairs with the Release of `ask`: cycle and colour are visible with it.
        Handshake::from_word(self.asked.load(Ordering::Acquire))
    }

    /// Asks every mutator for a handshake.
    pub(crate) fn ask(&self, handshake: Handshake) {
        // Release pairs with the Acquire of `asked`.
        self.asked.store(handshake as u8, Ordering::Release);
    }

    pub(crate) fn phase(&self) -> Phase {
        // Acquire pairs with the Release of `set_phase`.
        phase_from_word(self.phase.load(Ordering::Acquire))
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        // Release pairs with the Acquire of `phase`.
        self.phase.store(phase as u8, Ordering::Release);
    }

    pub(crate) fn cycle(&self) -> u32 {
        self.cycle.load(Ordering::Relaxed)
    }

    pub(crate) fn colour(&self) -> Colour {
        colour_from_word(self.colour.load(Ordering::Relaxed))
    }

    /// The colour that every object had at the last flip: what a mutator that registers between
    /// cycles, or before the snapshot of one, allocates in.
    pub(crate) fn settled_colour(&self) -> Colour {
        colour_from_word(self.settled_colour.load(Ordering::Relaxed))
    }

    pub(crate) fn settle_colour(&self, colour: Colour) {
        self.settled_colour
            .store(colour.number(), Ordering::Relaxed);
    }

    /// Opens a cycle: its number and colour become visible with the next `ask`.
    pub(crate) fn open_cycle(&self, cycle: u32, colour: Colour) {
        self.cycle.store(cycle, Ordering::Relaxed);
        self.colour.store(colour.number(), Ordering::Relaxed);
    }
}
