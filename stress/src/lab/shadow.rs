//! What a program believes of its objects, kept outside the heap: the oracle of the lab.
//!
//! An object is known while something leads to it: a field, a root, a live slot, the hands of the mutator
//! that is inside, or a weak reference. Pins are what the program itself holds it by. Known and led to by
//! pins is what the program may name; rings that it let go of stay known and cannot be named.
//!
//! Used by the interpreter, on its thread. Invariant: the holders of an object are those whose fields
//! lead to it, each as often as it does.

use std::collections::HashMap;

use crate::ops::ObjectId;

/// What an object is made of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Body {
    /// Words, of a kind of the program.
    Words(u16),
    /// So many bytes.
    Bytes(u32),
}

/// What is known of one object.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) address: usize,
    pub(super) body: Body,
    /// Object behind each word; 0 for none.
    fields: Vec<ObjectId>,
    holders: Vec<ObjectId>,
    pins: u32,
    watches: u32,
    /// It was found to be gone, and is not looked at again.
    pub(super) is_lost: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Shadow {
    objects: HashMap<ObjectId, Known>,
}

impl Shadow {
    /// A new object, with one pin. False, and nothing happens, when the number is taken.
    pub(super) fn add(&mut self, object: ObjectId, address: usize, body: Body, words: u32) -> bool {
        if object == 0 || self.objects.contains_key(&object) {
            return false;
        }
        let known = Known {
            address,
            body,
            fields: vec![0; words as usize],
            holders: Vec::new(),
            pins: 1,
            watches: 0,
            is_lost: false,
        };
        self.objects.insert(object, known);
        true
    }

    pub(super) fn is_free(&self, object: ObjectId) -> bool {
        object != 0 && !self.objects.contains_key(&object)
    }

    /// An object that the program may name.
    pub(super) fn get(&self, object: ObjectId) -> Option<&Known> {
        let known = self.objects.get(&object).filter(|known| !known.is_lost)?;
        (known.pins > 0 || self.is_led_to(object)).then_some(known)
    }

    /// An object that is known, whether or not the program may name it.
    pub(super) fn known(&self, object: ObjectId) -> Option<&Known> {
        self.objects.get(&object)
    }

    /// Whether pins lead to an object, looked for from its end.
    fn is_led_to(&self, object: ObjectId) -> bool {
        let (mut open, mut seen) = (vec![object], vec![object]);
        while let Some(at) = open.pop() {
            let Some(known) = self.objects.get(&at) else {
                continue;
            };
            if known.pins > 0 && !known.is_lost {
                return true;
            }
            for holder in &known.holders {
                if !seen.contains(holder) {
                    seen.push(*holder);
                    open.push(*holder);
                }
            }
        }
        false
    }

    pub(super) fn pin(&mut self, object: ObjectId) {
        if let Some(known) = self.objects.get_mut(&object) {
            known.pins += 1;
        }
    }

    pub(super) fn unpin(&mut self, object: ObjectId) {
        if let Some(known) = self.objects.get_mut(&object) {
            known.pins = known.pins.saturating_sub(1);
            self.forget(object);
        }
    }

    pub(super) fn watch(&mut self, object: ObjectId, is_watched: bool) {
        if let Some(known) = self.objects.get_mut(&object) {
            known.watches = known
                .watches
                .saturating_add_signed(if is_watched { 1 } else { -1 });
        }
    }

    pub(super) fn lose(&mut self, object: ObjectId) {
        if let Some(known) = self.objects.get_mut(&object) {
            known.is_lost = true;
        }
    }

    /// The object that a word leads to; 0 for none.
    pub(super) fn target(&self, object: ObjectId, field: u32) -> ObjectId {
        let known = self.objects.get(&object);
        let target = known.and_then(|known| known.fields.get(field as usize));
        target.copied().unwrap_or(0)
    }

    /// A word leads to another object, or to none.
    pub(super) fn set(&mut self, object: ObjectId, field: u32, target: ObjectId) {
        let Some(place) = self
            .objects
            .get_mut(&object)
            .and_then(|known| known.fields.get_mut(field as usize))
        else {
            return;
        };
        let old = std::mem::replace(place, target);
        if let Some(target) = self.objects.get_mut(&target) {
            target.holders.push(object);
        }
        self.part(object, old);
    }

    /// A field of `holder` does not lead to `target` any more.
    fn part(&mut self, holder: ObjectId, target: ObjectId) {
        if let Some(known) = self.objects.get_mut(&target) {
            if let Some(at) = known.holders.iter().position(|at| *at == holder) {
                known.holders.swap_remove(at);
            }
            self.forget(target);
        }
    }

    /// Forgets an object that nothing leads to, and what only that one led to.
    fn forget(&mut self, object: ObjectId) {
        let mut open = vec![object];
        while let Some(at) = open.pop() {
            let is_let_go = self.objects.get(&at).is_some_and(|known| {
                known.pins == 0 && known.watches == 0 && known.holders.is_empty()
            });
            if !is_let_go {
                continue;
            }
            let Some(gone) = self.objects.remove(&at) else {
                continue;
            };
            for target in gone.fields.into_iter().filter(|target| *target != 0) {
                if let Some(known) = self.objects.get_mut(&target) {
                    if let Some(place) = known.holders.iter().position(|holder| *holder == at) {
                        known.holders.swap_remove(place);
                    }
                    open.push(target);
                }
            }
        }
    }

    /// Every object that pins lead to, in the order of their numbers.
    pub(super) fn live(&self) -> Vec<ObjectId> {
        let mut seen = std::collections::BTreeSet::new();
        let mut open: Vec<ObjectId> = self
            .objects
            .iter()
            .filter(|(_, known)| known.pins > 0)
            .map(|(object, _)| *object)
            .collect();
        while let Some(at) = open.pop() {
            let Some(known) = self.objects.get(&at).filter(|_| seen.insert(at)) else {
                continue;
            };
            open.extend(known.fields.iter().filter(|target| **target != 0));
        }
        seen.retain(|object| self.objects.contains_key(object));
        seen.into_iter().collect()
    }
}
