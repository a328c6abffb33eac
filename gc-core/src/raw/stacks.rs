//! The handle of a value stack: `init` for virgin slots, `set` for live ones.
//!
//! The mutator that owns the stack calls it inside and outside `enter`; its snapshot reads the
//! live slots. The room is unsafe because it declares unsafe functions: the values stored are the
//! caller's word.
#![allow(unsafe_code)]

use core::cell::Cell;
use core::marker::PhantomData;
use core::ops::Range;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

use gc_hooks::{Check, Origin, Violation};

use super::RawGc;
use crate::mutator::Mutator;
use crate::scope::Scope;
use crate::shared::Source;
use crate::stack::{StackError, StackMemory};

/// A value stack of a mutator: words in frames, never cleared. Its live slots are roots.
pub struct Stack {
    memory: Arc<StackMemory>,
    /// `Send`, as its mutator is, and not `Sync`.
    thread: PhantomData<Cell<()>>,
}

impl Mutator {
    /// A value stack of `slots` slots that belongs to this mutator.
    pub fn stack(&mut self, slots: usize) -> Stack {
        let memory = Arc::new(StackMemory::new(slots));
        self.add_stack(Arc::clone(&memory));
        Stack {
            memory,
            thread: PhantomData,
        }
    }
}

impl Stack {
    /// Pushes a frame. Its slots are virgin: their words are whatever earlier frames left.
    ///
    /// # Errors
    ///
    /// The frame does not fit.
    pub fn push_frame(&self, slots: usize) -> Result<(), StackError> {
        self.memory.push_frame(slots).map(drop)
    }

    /// Pops the top frame: its slots die, its words stay.
    ///
    /// # Errors
    ///
    /// There is no frame.
    pub fn pop_frame(&self) -> Result<(), StackError> {
        self.memory.pop_frame()
    }

    /// Frames on the stack.
    pub fn depth(&self) -> usize {
        self.memory.depth()
    }

    /// Writes a slot of the top frame for the first time: a plain store that reads no old value.
    /// The slot is live from here on.
    ///
    /// # Errors
    ///
    /// The frame has no such slot.
    ///
    /// # Safety
    ///
    /// `value` leads to a live object of the heap whose mutator owns this stack, and the mutator is
    /// inside `enter`: outside, the collector may read the stack at any moment.
    pub unsafe fn init(&self, slot: usize, value: Option<RawGc>) -> Result<(), StackError> {
        let at = self.memory.slot(slot)?;
        self.memory
            .word(at)
            .store(RawGc::word(value), Ordering::Relaxed);
        self.memory.make_live(at);
        Ok(())
    }

    /// Stores into a slot of the top frame through the write barrier, which reads the old word
    /// and shades it while a cycle marks. On a slot that was never initialised the old word is
    /// junk: this is Go bug 30041.
    ///
    /// # Errors
    ///
    /// The frame has no such slot.
    ///
    /// # Safety
    ///
    /// As for [`Stack::init`]; moreover the slot must be live, and the stack must belong to the
    /// scope's mutator.
    #[track_caller]
    pub unsafe fn set(
        &self,
        scope: Scope<'_>,
        slot: usize,
        value: Option<RawGc>,
    ) -> Result<(), StackError> {
        let call_site = Location::caller();
        let at = self.memory.slot(slot)?;
        let (word, new) = (self.memory.word(at), RawGc::word(value));
        if is_slot_usable(scope, self.memory.is_live(at), word, slot, call_site) {
            scope.set_word(word, new, call_site);
        } else {
            // Contained: what should have been `init` is done as `init`.
            word.store(new, Ordering::Relaxed);
        }
        self.memory.make_live(at);
        Ok(())
    }

    /// The pointer in a live slot of the top frame; `None` when it is null or not live.
    ///
    /// # Errors
    ///
    /// The frame has no such slot.
    pub fn get(&self, slot: usize) -> Result<Option<RawGc>, StackError> {
        let at = self.memory.slot(slot)?;
        let word = self.memory.word(at).load(Ordering::Relaxed);
        Ok(if self.memory.is_live(at) {
            RawGc::from_word(word)
        } else {
            None
        })
    }

    /// Ends the life of slots of the top frame: they are no roots any more, their words stay.
    ///
    /// # Errors
    ///
    /// The frame has no such slots.
    pub fn retire(&self, slots: Range<usize>) -> Result<(), StackError> {
        self.memory.retire(slots)
    }

    /// The word in a slot, live or not, for reports.
    ///
    /// # Errors
    ///
    /// The frame has no such slot.
    pub fn residue(&self, slot: usize) -> Result<usize, StackError> {
        Ok(self
            .memory
            .word(self.memory.slot(slot)?)
            .load(Ordering::Relaxed))
    }
}

/// At level `paranoid`, reports a barriered store into a virgin slot at the store itself, in any
/// phase. At other levels the barrier finds out what the old word is, if a cycle marks.
fn is_slot_usable(
    scope: Scope<'_>,
    is_live: bool,
    word: &AtomicUsize,
    slot: usize,
    call_site: &'static Location<'static>,
) -> bool {
    let shared = scope.shared();
    if !shared.checks.makes(Check::VirginSlot) {
        return true;
    }
    shared.hooks.holds(Check::VirginSlot, is_live, || {
        let residue = word.load(Ordering::Relaxed);
        let source = Source {
            origin: Origin::BarrierOld,
            holder: None,
            call_site: Some(call_site),
        };
        let violation = if residue == 0 {
            Violation::new(Check::VirginSlot)
                .with_cycle(shared.world.cycle())
                .with_phase(shared.world.phase())
                .with_origin(Origin::BarrierOld)
                .with_call_site(Some(call_site))
        } else {
            shared.violation_at(Check::VirginSlot, residue, source)
        };
        violation
            .with_reason("write barrier on an uninitialised slot")
            .with_number("frame_slot", slot as u64)
    })
}
