//! The operation language of the lab: what a program does to a heap, one operation after the other.
//!
//! Objects, mutators, stacks and slots have numbers. A program is valid whatever is left out of it: an
//! operation whose operands do not exist does nothing, which is what makes shrinking simple. An object
//! may be named wherever the program could hold it: while roots, live slots of stacks or what was
//! allocated in the same `enter` lead to it.
//!
//! Plain data, used by recorder, interpreter and shrinker alike. Deliberately absent: what an operation
//! does (`lab`), its text (`ops/text.rs`) and the file round it (`ops/file.rs`).

mod file;
mod read;
mod regime;
mod text;

pub use file::{Header, Trace, TraceError, op_text};
pub use regime::Regime;

use gc_core::{Check, Phase};

/// The number of an object, from 1.
pub type ObjectId = u32;

/// What is stored into a word.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Word {
    /// Nothing.
    Null,
    /// A pointer to an object.
    Object(ObjectId),
    /// An address so many bytes behind the beginning of an object.
    Past(ObjectId, u32),
    /// The address that an object once had, whatever became of it.
    Stale(ObjectId),
    /// A number that was never a pointer.
    Number(u64),
    /// A number that looks like a pointer: so many bytes behind the beginning of the heap.
    InHeap(u64),
}

impl Word {
    /// The object it names, if any.
    pub fn object_mut(&mut self) -> Option<&mut ObjectId> {
        match self {
            Word::Object(object) | Word::Past(object, _) | Word::Stale(object) => Some(object),
            Word::Null | Word::Number(_) | Word::InHeap(_) => None,
        }
    }
}

/// How a reflective call writes its result into the frame of its caller.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum CopyMode {
    /// Through the write barrier: Go bug 30041.
    Barrier,
    /// By a plain store: its fix.
    Plain,
}

/// How a word of an object is written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Write {
    /// As that of a new object is: without a barrier, before anybody sees it.
    Init,
    /// Through the write barrier.
    Set,
    /// Of a published object, without its barrier.
    Bare,
    /// By a barrier that takes the new value for the old one, and the old one for the new.
    Swapped,
    /// A pointer, into a word of which the object's map says that it is none.
    Hide,
    /// Through the write barrier, into a word of which the object's map says that it is no pointer.
    Pun,
}

/// One operation.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Op {
    /// A mutator runs on one of its stacks. Both are made when they are first named.
    Enter { mutator: u32, stack: u32 },
    /// It has left `enter`.
    Leave,
    /// A frame whose slots are whatever earlier frames left there.
    Push { slots: u32 },
    /// The frame is gone. Its words stay.
    Pop,
    /// Slots of the frame are dead. Their words stay.
    Retire { from: u32, count: u32 },
    /// A new object of a kind of the program, its fields written before anybody sees it.
    New {
        object: ObjectId,
        kind: u16,
        fields: Vec<(u32, Word)>,
    },
    /// A new object without pointers, of so many bytes.
    Bytes { object: ObjectId, bytes: u32 },
    /// A word of an object is written.
    Write {
        how: Write,
        object: ObjectId,
        field: u32,
        value: Word,
    },
    /// A slot is written as compiled code does: no barrier, no look at what was there.
    Store { slot: u32, value: Word },
    /// A slot is written through the write barrier.
    CopyBack { slot: u32, value: Word },
    /// A slot is called live though nothing was stored: its word is what was there.
    Revive { slot: u32 },
    /// A reflective call: arguments into slots from `base` on, the result into the slot behind them,
    /// and all of them retired.
    Call {
        base: u32,
        result: ObjectId,
        mode: CopyMode,
        arguments: Vec<ObjectId>,
    },
    /// A struct returned by value: new objects of a kind into slots from `slot` on. With `shared`, each
    /// group of so many leads by its first pointer word to a new object of that kind, made before the
    /// group. Objects are numbered from `first` in the order in which they are made.
    Fill {
        slot: u32,
        count: u32,
        first: ObjectId,
        kind: u16,
        shared: Option<(u16, u32)>,
    },
    /// A root of an object.
    Root { object: ObjectId },
    /// One root of it is dropped.
    Unroot { object: ObjectId },
    /// The object is read through its root.
    Get { object: ObjectId },
    /// The program keeps the object as a number, of which the collector does not know.
    Hold { object: ObjectId },
    /// It does not any more.
    Release { object: ObjectId },
    /// A weak reference to an object, behind a root.
    Weak { weak: u32, object: ObjectId },
    /// What the weak reference leads to, if it answers, is in hand.
    Upgrade { weak: u32 },
    /// An ephemeron behind a root.
    Pair {
        pair: u32,
        key: ObjectId,
        value: ObjectId,
    },
    /// Key and value of the ephemeron, if it answers, are in hand.
    Entry { pair: u32 },
    /// The bare barrier is told an old and a new value; nothing is stored.
    Shade { old: Word, new: Word },
    /// A cycle is asked for.
    Start,
    /// A cycle is asked for that may be young, where the heap has generations.
    StartYoung,
    /// The collector works, so many units.
    Step { units: u32 },
    /// The collector works up to a phase of the cycle that runs, or else of a new one. A mutator that is
    /// inside answers it meanwhile.
    Until { phase: Phase },
    /// The collector works to the end of its cycle.
    Finish,
    /// A whole collection.
    Collect,
    /// A whole cycle that may be young, where the heap has generations.
    CollectYoung,
    /// A second opinion.
    Verify,
    /// The mutator gives back what it keeps for itself.
    Park,
    /// A fault of `gc_core::fault`, by the name of its class and the place of its stroke.
    Fault {
        class: String,
        stroke: u32,
        nth: u32,
        object: Option<ObjectId>,
    },
    /// The workload begins its operation of that number.
    Mark { number: u64 },
}

impl Op {
    /// Shows every number of an object that the operation names; those that a `Fill` gives out by
    /// itself follow from its first.
    pub fn for_each_object(&mut self, see: &mut dyn FnMut(&mut ObjectId)) {
        match self {
            Op::New { object, fields, .. } => {
                see(object);
                fields
                    .iter_mut()
                    .filter_map(|(_, word)| word.object_mut())
                    .for_each(see);
            }
            Op::Write { object, value, .. } => {
                see(object);
                value.object_mut().into_iter().for_each(see);
            }
            Op::Store { value, .. } | Op::CopyBack { value, .. } => {
                value.object_mut().into_iter().for_each(see);
            }
            Op::Call {
                result, arguments, ..
            } => {
                arguments.iter_mut().for_each(&mut *see);
                see(result);
            }
            Op::Shade { old, new } => {
                for word in [old, new] {
                    word.object_mut().into_iter().for_each(&mut *see);
                }
            }
            Op::Pair { key, value, .. } => {
                see(key);
                see(value);
            }
            Op::Bytes { object, .. }
            | Op::Fill { first: object, .. }
            | Op::Root { object }
            | Op::Unroot { object }
            | Op::Get { object }
            | Op::Hold { object }
            | Op::Release { object }
            | Op::Weak { object, .. } => see(object),
            Op::Fault { object, .. } => object.iter_mut().for_each(see),
            // Seats, slots, weak references and the collector are named by other numbers.
            _ => {}
        }
    }

    /// How many objects a `Fill` makes.
    pub fn objects_of_fill(count: u32, shared: Option<(u16, u32)>) -> u32 {
        count + shared.map_or(0, |(_, group)| count.div_ceil(group.max(1)))
    }
}

/// What a check said of one operation: so often, while it ran.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expected {
    /// The operation, by its place.
    pub op: usize,
    /// The check.
    pub check: Check,
    /// How often.
    pub count: u64,
}

/// A kind of objects: so many words, of which the first holds the object's number and some are pointers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Kind {
    /// Its name, without blanks.
    pub name: String,
    /// Words of eight bytes.
    pub words: u32,
    /// Which of them are pointers, in ascending order; never the first.
    pub pointers: Vec<u32>,
}

/// A program: the kinds of its objects, and its operations.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Program {
    /// Kinds of objects, by number.
    pub kinds: Vec<Kind>,
    /// What is done.
    pub ops: Vec<Op>,
}

#[cfg(test)]
mod tests;
