//! Operations inside `enter`: frames, slots, stores.
//!
//! Each says what it does to the heap and then to the shadow. The stores that break a duty are made here
//! on purpose, one line each, so that reports name them apart.
#![allow(unsafe_code)]

use gc_core::raw::{self, RawGc};
use gc_core::{AllocError, Scope};

use super::{Frames, Machine};
use crate::error::Error;
use crate::ops::{CopyMode, ObjectId, Op, Word};
use crate::reflect;

/// What is to be stored: the word, and the object that the program takes it for.
#[derive(Clone, Copy)]
pub(super) struct Value {
    pub(super) word: usize,
    pub(super) object: ObjectId,
}

impl Machine<'_> {
    fn frames(&mut self) -> &mut Frames {
        &mut self.members[self.seat.mutator].stacks[self.seat.stack]
    }

    fn has_slots(&mut self, from: u32, count: u32) -> bool {
        let slots = self.frames().slots() as u64;
        u64::from(from) + u64::from(count) <= slots
    }

    /// Carries out the operation where the program stands. False when its operands do not exist, and when the limit
    /// that was set for the program refuses it.
    pub(super) fn inside(&mut self, scope: Scope<'_>) -> Result<bool, Error> {
        match self.carry_out(scope) {
            // What no empty heap of that limit could hold is told apart, and refused by it all the same.
            Err(Error::Alloc(AllocError::Limit { .. } | AllocError::TooLarge { .. }))
                if self.is_limited =>
            {
                self.refused.push(self.at);
                Ok(false)
            }
            done => done,
        }
    }

    fn carry_out(&mut self, scope: Scope<'_>) -> Result<bool, Error> {
        let Some(op) = self.program.ops.get(self.at) else {
            return Ok(false);
        };
        match op {
            Op::Push { slots } => Ok(self.frames().push(*slots as usize).is_ok()),
            Op::Pop => {
                let held = self.frames().pop();
                Ok(self.let_go(held.ok()))
            }
            Op::Retire { from, count } => {
                if !self.has_slots(*from, *count) {
                    return Ok(false);
                }
                let held = self.frames().retire(*from as usize, *count as usize);
                Ok(self.let_go(held.ok()))
            }
            Op::Store { slot, value } => Ok(self.store(scope, *slot, *value)),
            Op::CopyBack { slot, value } => Ok(self.copy_back(scope, *slot, *value)),
            Op::Revive { slot } => Ok(self.revive(*slot)),
            Op::Call {
                base,
                result,
                mode,
                arguments,
            } => Ok(self.call(scope, *base, *result, *mode, arguments)),
            Op::New { .. } | Op::Bytes { .. } | Op::Fill { .. } => self.make(scope, op),
            Op::Write { .. } => Ok(self.store_field(scope, op)),
            Op::Root { .. } | Op::Get { .. } => Ok(self.use_root(scope, op)),
            Op::Weak { .. } | Op::Upgrade { .. } | Op::Pair { .. } | Op::Entry { .. } => {
                self.use_weakly(scope, op)
            }
            Op::Shade { old, new } => Ok(self.shade(scope, *old, *new)),
            _ => self.anywhere(Some(scope), op),
        }
    }

    fn let_go(&mut self, held: Option<Vec<ObjectId>>) -> bool {
        let is_done = held.is_some();
        for object in held.unwrap_or_default() {
            self.shadow.unpin(object);
        }
        is_done
    }

    /// What an operand stands for. `None` when it names what the program cannot hold.
    pub(super) fn value(&mut self, scope: Scope<'_>, word: Word) -> Option<Value> {
        let of = |word| Value { word, object: 0 };
        Some(match word {
            Word::Null => of(0),
            Word::Object(object) => Value {
                word: self.usable(scope, object)?,
                object,
            },
            Word::Past(object, bytes) => of(self.usable(scope, object)? + bytes as usize),
            Word::Stale(object) => of((*self.remembered.get(&object)?)?),
            Word::Number(number) => of(number as usize),
            Word::InHeap(bytes) => of(self.base? + bytes as usize),
        })
    }

    /// Notes who brought an address in that leads to no object of the program's.
    pub(super) fn suspect(&mut self, address: usize) {
        if address != 0 {
            self.blame.insert(address, self.at);
        }
    }

    fn suspect_unless_object(&mut self, value: Value) {
        if value.object == 0 {
            self.suspect(value.word);
        }
    }

    /// A slot is taken by another value.
    fn take_slot(&mut self, slot: u32, object: ObjectId) {
        self.shadow.pin(object);
        let old = self.frames().replace(slot as usize, object);
        self.shadow.unpin(old);
    }

    /// Whether the frame has room for so many new objects.
    pub(super) fn slots_for_fill(&mut self, slot: u32, count: u32) -> bool {
        self.has_slots(slot, count)
    }

    /// A new object goes into a slot.
    pub(super) fn store_new(&mut self, slot: u32, raw: RawGc, object: ObjectId) {
        let stack = &self.frames().stack;
        // SAFETY: the object was made in this `enter`, by the mutator of the stack.
        let is_stored = unsafe { stack.init(slot as usize, Some(raw)) };
        if is_stored.is_ok() {
            self.take_slot(slot, object);
        }
    }

    fn store(&mut self, scope: Scope<'_>, slot: u32, value: Word) -> bool {
        let Some(value) = self.value(scope, value).filter(|_| self.has_slots(slot, 1)) else {
            return false;
        };
        self.suspect_unless_object(value);
        let stack = &self.frames().stack;
        // SAFETY: the mutator of the stack is inside, and the value leads to a live object of this heap,
        // unless the program says that it stores something else, which is what it is about.
        let is_stored = unsafe { stack.init(slot as usize, RawGc::from_word(value.word)) }.is_ok();
        self.take_slot(slot, value.object);
        is_stored
    }

    /// Calls a slot live as it is.
    fn revive(&mut self, slot: u32) -> bool {
        let Some(residue) = self.residue(slot).filter(|_| self.has_slots(slot, 1)) else {
            return false;
        };
        self.suspect(residue);
        let stack = &self.frames().stack;
        // SAFETY: deliberately broken: the word is whatever stood there.
        let is_live = unsafe { stack.init(slot as usize, RawGc::from_word(residue)) }.is_ok();
        self.take_slot(slot, 0);
        is_live
    }

    fn residue(&mut self, slot: u32) -> Option<usize> {
        self.frames().stack.residue(slot as usize).ok()
    }

    fn copy_back(&mut self, scope: Scope<'_>, slot: u32, value: Word) -> bool {
        let Some(value) = self.value(scope, value).filter(|_| self.has_slots(slot, 1)) else {
            return false;
        };
        self.copy_into(scope, slot, value)
    }

    fn copy_into(&mut self, scope: Scope<'_>, slot: u32, value: Value) -> bool {
        if let Some(residue) = self.residue(slot) {
            self.suspect(residue);
        }
        let stack = &self.frames().stack;
        // SAFETY: as in `store`; that the slot may not be live is what the operation is about.
        let is_stored = unsafe {
            reflect::copy_back(scope, stack, slot as usize, RawGc::from_word(value.word))
        };
        self.take_slot(slot, value.object);
        is_stored.is_ok()
    }

    fn call(
        &mut self,
        scope: Scope<'_>,
        base: u32,
        result: ObjectId,
        mode: CopyMode,
        arguments: &[ObjectId],
    ) -> bool {
        let slots = arguments.len() as u32 + 1;
        let is_possible = self.has_slots(base, slots)
            && self.usable(scope, result).is_some()
            && arguments
                .iter()
                .all(|argument| self.usable(scope, *argument).is_some());
        if !is_possible {
            return false;
        }
        // First, since an argument may be stored over the slot that alone led to it.
        self.take_up(result);
        for (slot, argument) in (base..).zip(arguments) {
            self.store(scope, slot, Word::Object(*argument));
        }
        self.read_root(scope, result);
        let slot = base + slots - 1;
        let is_called = match mode {
            CopyMode::Barrier => self.copy_back(scope, slot, Word::Object(result)),
            CopyMode::Plain => self.store(scope, slot, Word::Object(result)),
        };
        let held = self.frames().retire(base as usize, slots as usize);
        self.let_go(held.ok()) && is_called
    }

    fn shade(&mut self, scope: Scope<'_>, old: Word, new: Word) -> bool {
        let (Some(old), Some(new)) = (self.value(scope, old), self.value(scope, new)) else {
            return false;
        };
        self.suspect_unless_object(old);
        self.suspect_unless_object(new);
        let (old, new) = (RawGc::from_word(old.word), RawGc::from_word(new.word));
        // SAFETY: the barrier looks at the addresses and follows neither; what is no object is meant to
        // be told.
        unsafe { raw::barrier(scope, old, new) };
        true
    }
}
