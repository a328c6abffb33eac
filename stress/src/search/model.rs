//! What a program may name, kept while it is written: a graph in maps, slots, roots and hands.
//!
//! Used by the writer of a program, before there is a heap. It is stricter than the shadow of the interpreter: a mutator
//! may name what its own hands and the slots of its own stack lead to, and what it has read through a root, since an
//! honest program has its pointers from somewhere. Invariant: an object that is `alive` here is alive in the shadow.

use std::collections::{BTreeMap, BTreeSet};

use crate::ops::ObjectId;

/// Slots of a stack, as the interpreter has them.
const STACK_SLOTS: usize = 256;

/// A slot of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Slot {
    Dead,
    /// It holds an object, or 0 for none.
    Live(ObjectId),
}

/// An object: its kind unless it is a text, and where its words lead.
#[derive(Clone, Default, Debug)]
pub(super) struct Thing {
    pub(super) kind: Option<u16>,
    pub(super) fields: BTreeMap<u32, ObjectId>,
}

/// See the module.
#[derive(Default)]
pub(super) struct Model {
    pub(super) things: BTreeMap<ObjectId, Thing>,
    /// An object as often as it has roots.
    pub(super) roots: Vec<ObjectId>,
    frames: BTreeMap<(u32, u32), Vec<Vec<Slot>>>,
    /// The mutator that is inside, or was last, and its stack.
    pub(super) seat: (u32, u32),
    /// What it has made or read since it went inside.
    pub(super) hand: Vec<ObjectId>,
    pub(super) watches: BTreeMap<u32, ObjectId>,
    pub(super) pairs: BTreeMap<u32, (ObjectId, ObjectId)>,
    pub(super) held: Vec<ObjectId>,
    last: ObjectId,
}

impl Model {
    /// Numbers for so many objects: the first of them.
    pub(super) fn number(&mut self, count: u32) -> ObjectId {
        let first = self.last + 1;
        self.last += count;
        first
    }

    /// Any number that was given out, whatever became of its object.
    pub(super) fn last(&self) -> ObjectId {
        self.last
    }

    /// A new object in hand.
    pub(super) fn add(&mut self, object: ObjectId, thing: Thing) {
        self.things.insert(object, thing);
        self.hand.push(object);
    }

    /// The frames of the stack that was entered last.
    pub(super) fn frames(&mut self) -> &mut Vec<Vec<Slot>> {
        self.frames.entry(self.seat).or_default()
    }

    /// Slots of the top frame.
    pub(super) fn top(&mut self) -> &mut [Slot] {
        self.frames().last_mut().map_or(&mut [], |frame| frame)
    }

    /// Whether a frame of so many slots fits on the stack.
    pub(super) fn has_room(&mut self, slots: u32) -> bool {
        let taken: usize = self.frames().iter().map(Vec::len).sum();
        taken + slots as usize <= STACK_SLOTS
    }

    /// What the mutator that is inside can name without asking a root.
    pub(super) fn at_hand(&mut self) -> Vec<ObjectId> {
        let mut found = self.hand.clone();
        found.extend(slots(self.frames().iter()));
        found
    }

    /// Whether a program may still name the object, whoever names it.
    pub(super) fn is_alive(&self, object: ObjectId) -> bool {
        let mut open = self.roots.clone();
        open.extend(&self.hand);
        open.extend(self.frames.values().flat_map(|frames| slots(frames.iter())));
        let mut seen = BTreeSet::new();
        while let Some(at) = open.pop() {
            if at == object {
                return true;
            }
            if seen.insert(at)
                && let Some(thing) = self.things.get(&at)
            {
                open.extend(thing.fields.values().filter(|target| **target != 0));
            }
        }
        false
    }
}

fn slots<'f>(frames: impl Iterator<Item = &'f Vec<Slot>>) -> Vec<ObjectId> {
    let live = frames.flatten().filter_map(|slot| match slot {
        Slot::Live(object) if *object != 0 => Some(*object),
        _ => None,
    });
    live.collect()
}
