//! The runtime whose bug is re-enacted: fibers with value stacks, compiled code and reflective
//! calls.
//!
//! A fiber plays a goroutine. Its stack is made of frames; a frame is some locals followed by an
//! outgoing area, in which the arguments and results of every call that the frame makes stand, one
//! call after the other. The area belongs to the caller and nobody ever clears it, for nobody reads
//! a result before the callee wrote it: a slot is live from the store of a pointer until the area
//! is retired, and what a call leaves in it stays there as a word.
//!
//! Compiled code stores into slots with [`Running::store`], which takes no barrier, as no compiler
//! emits one for a stack. A function from [`make_func`] is called through
//! [`Running::call_reflect`], and there stands the bug.
//!
//! A room where unsafe code may stand. Invariants: a [`Running`] pairs the scope
//! of an `enter` with a stack of the very mutator that entered, and only this file can make one; a
//! slot with a kind is live and holds a pointer to an object of that kind, so a typed load needs
//! no trust in its caller. A runtime and its fibers are used by the thread that made them.
#![allow(unsafe_code)]

use core::any::{TypeId, type_name};
use core::marker::PhantomData;
use std::cell::RefCell;
use std::fmt;

use gc_core::raw::{RawGc, Stack, StackError};
use gc_core::{Gc, Heap, Mutator, Object, Scope};

use crate::error::Error;
use crate::ops::{CopyMode, Op};
use crate::options::CopyBack;
use crate::recorder;

/// The type of a value at run time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Kind {
    /// Of the type with its brand replaced by `'static`.
    id: TypeId,
    name: &'static str,
}

impl Kind {
    pub(crate) fn of<T: Object + ?Sized>() -> Self {
        Kind {
            id: TypeId::of::<T::At<'static>>(),
            name: type_name::<T::At<'static>>(),
        }
    }
}

/// A managed pointer that carries its type: what reflective functions take and answer.
#[derive(Clone, Copy)]
pub(crate) struct Value<'gc> {
    raw: RawGc,
    kind: Kind,
    /// The scope in which the object is known to live.
    brand: PhantomData<Scope<'gc>>,
}

impl<'gc> Value<'gc> {
    pub(crate) fn of<T: Object + ?Sized>(object: Gc<'gc, T>) -> Self {
        Value {
            raw: object.into_raw(),
            kind: Kind::of::<T>(),
            brand: PhantomData,
        }
    }

    /// The pointer, if it leads to an object of the family `T`.
    pub(crate) fn downcast<T: Object + ?Sized>(
        self,
        scope: Scope<'gc>,
    ) -> Result<Gc<'gc, T::At<'gc>>, Error> {
        let expected = Kind::of::<T>();
        if self.kind != expected {
            return Err(Error::Kind {
                expected: expected.name,
                found: self.kind.name,
            });
        }
        // SAFETY: the value was made from a pointer to an object of this family, which lives as
        // long as the scope whose brand the value carries.
        Ok(unsafe { Gc::from_raw(scope, self.raw) })
    }
}

/// A place in the top frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Slot {
    /// A local of the frame.
    Local(usize),
    /// A word of its outgoing area.
    Outgoing(usize),
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slot::Local(index) => write!(formatter, "local {index}"),
            Slot::Outgoing(index) => write!(formatter, "outgoing word {index}"),
        }
    }
}

/// The map of a stack: what its frames look like and what its live slots hold.
#[derive(Default)]
struct StackMap {
    /// First slot and number of locals of each frame.
    frames: Vec<(usize, usize)>,
    /// Kind of each slot up to the top; `None` when it is not live.
    kinds: Vec<Option<Kind>>,
}

/// A simulated thread of execution with a stack of its own.
struct Fiber {
    stack: Stack,
    map: RefCell<StackMap>,
}

impl Fiber {
    /// The number of a slot within the top frame, and its number on the stack.
    fn number(&self, slot: Slot) -> (usize, usize) {
        let (first, locals) = self.map.borrow().frames.last().copied().unwrap_or_default();
        let within = match slot {
            Slot::Local(index) => index,
            Slot::Outgoing(index) => locals + index,
        };
        (within, first + within)
    }

    fn set_kind(&self, slot: Slot, kind: Option<Kind>) {
        let (_, at) = self.number(slot);
        if let Some(known) = self.map.borrow_mut().kinds.get_mut(at) {
            *known = kind;
        }
    }
}

/// All fibers of one mutator.
pub(crate) struct Runtime {
    mutator: Mutator,
    fibers: Vec<Fiber>,
    copy_back: CopyBack,
    /// What recordings call the mutator.
    number: u32,
}

impl Runtime {
    /// Fibers whose stacks have room for `slots` words each.
    pub(crate) fn new(heap: &Heap, fibers: usize, slots: usize, copy_back: CopyBack) -> Self {
        let mut mutator = heap.mutator();
        let fibers = (0..fibers)
            .map(|_| Fiber {
                stack: mutator.stack(slots),
                map: RefCell::default(),
            })
            .collect();
        Runtime {
            mutator,
            fibers,
            copy_back,
            number: recorder::mutator(),
        }
    }

    /// Runs `body` while the mutator is parked.
    pub(crate) fn parked<R>(&mut self, body: impl FnOnce() -> R) -> R {
        self.mutator.parked(body)
    }

    /// Lets one fiber run.
    pub(crate) fn enter<R>(
        &mut self,
        fiber: usize,
        body: impl for<'gc> FnOnce(Running<'gc, '_>) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let running = self.fibers.get(fiber).ok_or(Error::NoFiber { fiber })?;
        let (copy_back, mutator, stack) = (self.copy_back, self.number, fiber as u32);
        let result = self.mutator.enter(|scope| {
            recorder::tell(|_| Op::Enter { mutator, stack });
            body(Running {
                scope,
                fiber: running,
                copy_back,
            })
        });
        recorder::tell(|_| Op::Leave);
        result
    }
}

/// Copies a result into the frame of its caller through the write barrier.
///
/// # Safety
///
/// As for [`Stack::set`], but that the slot need not be live.
pub(crate) unsafe fn copy_back(
    scope: Scope<'_>,
    stack: &Stack,
    slot: usize,
    value: Option<RawGc>,
) -> Result<(), StackError> {
    // Go bug 30041 is this store. The slot is part of a stack, and nobody has written it in this call, so
    // there is no old value; `set` takes the word it finds there for one, and shades it while a cycle
    // marks.
    //
    // SAFETY: the caller's duty; that the slot is not live is what the heap has to contain.
    unsafe { stack.set(scope, slot, value) } // GUILTY
}

/// A fiber that is running.
#[derive(Clone, Copy)]
pub(crate) struct Running<'gc, 'r> {
    scope: Scope<'gc>,
    fiber: &'r Fiber,
    copy_back: CopyBack,
}

impl<'gc> Running<'gc, '_> {
    pub(crate) fn scope(self) -> Scope<'gc> {
        self.scope
    }

    /// The number of a slot within the top frame.
    pub(crate) fn place(self, slot: Slot) -> usize {
        self.fiber.number(slot).0
    }

    /// Begins a call: a frame whose words are whatever earlier calls at this depth left.
    pub(crate) fn push_frame(self, locals: usize, outgoing: usize) -> Result<(), Error> {
        let slots = locals + outgoing;
        self.fiber.stack.push_frame(slots)?;
        recorder::tell(|_| Op::Push {
            slots: slots as u32,
        });
        let mut map = self.fiber.map.borrow_mut();
        let first = map.kinds.len();
        map.frames.push((first, locals));
        map.kinds.resize(first + locals + outgoing, None);
        Ok(())
    }

    /// Ends a call. Its words stay where they are.
    pub(crate) fn pop_frame(self) -> Result<(), Error> {
        self.fiber.stack.pop_frame()?;
        recorder::tell(|_| Op::Pop);
        let mut map = self.fiber.map.borrow_mut();
        if let Some((first, _)) = map.frames.pop() {
            map.kinds.truncate(first);
        }
        Ok(())
    }

    /// Stores a pointer as compiled code does: no barrier, no look at what was there.
    pub(crate) fn store(self, slot: Slot, value: Value<'gc>) -> Result<(), Error> {
        let (within, _) = self.fiber.number(slot);
        // SAFETY: the value carries the brand of this scope, so its object lives, and the stack
        // belongs to the mutator of this scope.
        unsafe { self.fiber.stack.init(within, Some(value.raw)) }?;
        self.fiber.set_kind(slot, Some(value.kind));
        recorder::tell(|recorder| Op::Store {
            slot: within as u32,
            value: recorder.word(value.raw.address()),
        });
        Ok(())
    }

    /// Loads a pointer from a live slot.
    pub(crate) fn load(self, slot: Slot) -> Result<Value<'gc>, Error> {
        let (within, at) = self.fiber.number(slot);
        let kind = self.fiber.map.borrow().kinds.get(at).copied().flatten();
        match (self.fiber.stack.get(within)?, kind) {
            (Some(raw), Some(kind)) => Ok(Value {
                raw,
                kind,
                brand: PhantomData,
            }),
            _ => Err(Error::EmptySlot {
                slot: slot.to_string(),
            }),
        }
    }

    /// Ends the life of the first `words` words of the outgoing area. They stay there as junk.
    pub(crate) fn retire_outgoing(self, words: usize) -> Result<(), Error> {
        let (first, _) = self.fiber.number(Slot::Outgoing(0));
        self.fiber.stack.retire(first..first + words)?;
        (0..words).for_each(|word| self.fiber.set_kind(Slot::Outgoing(word), None));
        recorder::tell(|_| Op::Retire {
            from: first as u32,
            count: words as u32,
        });
        Ok(())
    }

    /// Ends the life of one slot. Its word stays there as junk.
    pub(crate) fn retire(self, slot: Slot) -> Result<(), Error> {
        let (within, _) = self.fiber.number(slot);
        self.fiber.stack.retire(within..within + 1)?;
        self.fiber.set_kind(slot, None);
        recorder::tell(|_| Op::Retire {
            from: within as u32,
            count: 1,
        });
        Ok(())
    }

    /// Calls a reflective function on the arguments in the outgoing area and copies its result
    /// back into the word after them: Go's `callReflect`.
    fn call_reflect(self, function: &Func) -> Result<(), Error> {
        let arguments = (0..function.parameters)
            .map(|word| self.load(Slot::Outgoing(word)))
            .collect::<Result<Vec<_>, _>>()?;
        let result = (function.body)(self.scope, &arguments)?;
        let slot = Slot::Outgoing(function.parameters);
        let (within, _) = self.fiber.number(slot);
        match self.copy_back {
            CopyBack::Barriered => {
                // SAFETY: the value lives and the stack belongs to this mutator, but the slot is not live:
                // the broken duty is what this scenario is about, and what the heap has to contain.
                unsafe { copy_back(self.scope, &self.fiber.stack, within, Some(result.raw)) }?
            }
            CopyBack::Plain => {
                // SAFETY: the value lives, and the stack belongs to this mutator.
                unsafe { self.fiber.stack.init(within, Some(result.raw)) }?;
            }
        }
        self.fiber.set_kind(slot, Some(result.kind));
        Ok(())
    }
}

/// What a reflective function does: arguments in, result out.
type Body = dyn for<'gc> Fn(Scope<'gc>, &[Value<'gc>]) -> Result<Value<'gc>, Error>;

/// A function made at run time.
pub(crate) struct Func {
    /// Arguments it takes.
    parameters: usize,
    body: Box<Body>,
}

/// Makes a function out of a closure over values, as Go's `reflect.MakeFunc` does.
pub(crate) fn make_func(
    parameters: usize,
    body: impl for<'gc> Fn(Scope<'gc>, &[Value<'gc>]) -> Result<Value<'gc>, Error> + 'static,
) -> Func {
    Func {
        parameters,
        body: Box::new(body),
    }
}

impl Func {
    /// Calls the function from compiled code in the top frame: arguments into its outgoing area,
    /// the result out of it, and the area is free for the next call.
    pub(crate) fn call<'gc>(
        &self,
        running: Running<'gc, '_>,
        arguments: &[Value<'gc>],
    ) -> Result<Value<'gc>, Error> {
        if arguments.len() != self.parameters {
            return Err(Error::Arguments {
                expected: self.parameters,
                found: arguments.len(),
            });
        }
        let call = || {
            for (word, argument) in arguments.iter().enumerate() {
                running.store(Slot::Outgoing(word), *argument)?;
            }
            running.call_reflect(self)?;
            let result = running.load(Slot::Outgoing(self.parameters))?;
            running.retire_outgoing(self.parameters + 1)?;
            Ok(result)
        };
        recorder::tell_as_one(call, |recorder, result: &Result<Value<'gc>, Error>| {
            let known = |value: &Value<'gc>| recorder.known(value.raw.address());
            Op::Call {
                base: running.place(Slot::Outgoing(0)) as u32,
                result: result.as_ref().map_or(0, known),
                mode: match running.copy_back {
                    CopyBack::Barriered => CopyMode::Barrier,
                    CopyBack::Plain => CopyMode::Plain,
                },
                arguments: arguments.iter().map(known).collect(),
            }
        })
    }
}

#[cfg(test)]
mod tests;
