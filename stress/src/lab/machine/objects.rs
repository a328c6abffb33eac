//! Objects: making them, their fields, their roots, and whether they are still there.
//!
//! The first word of an object is its number, and texts are written from it, so that whoever finds another
//! object in its place can tell. Called inside `enter`.
#![allow(unsafe_code)]

use gc_core::raw::{self, RawGc};
use gc_core::{Found, Gc, Scope};

use super::survey::name_for_ever;
use super::{Lost, Machine, Opaque};
use crate::error::Error;
use crate::lab::shadow::Body;
use crate::ops::{Kind, ObjectId, Op, Word, Write};

/// Largest text.
const BYTES_MAX: u32 = 1 << 20;
/// Most objects of one `Fill`.
const FILL_MAX: u32 = 4096;

/// What the text of an object says.
fn text_of(object: ObjectId, bytes: u32) -> String {
    let letter = |at: u32| char::from(b'a' + ((object ^ at.wrapping_mul(7)) % 26) as u8);
    (0..bytes).map(letter).collect()
}

impl Machine<'_> {
    /// The program has an object in hand until its mutator leaves.
    pub(super) fn take_up(&mut self, object: ObjectId) {
        self.shadow.pin(object);
        self.hand.push(object);
    }

    /// The address of an object that the program can name and that is still there.
    pub(super) fn usable(&mut self, scope: Scope<'_>, object: ObjectId) -> Option<usize> {
        let address = self.shadow.get(object)?.address;
        self.is_there(scope, object).then_some(address)
    }

    /// Looks whether a live object is still what it was, and books it when it is not.
    pub(super) fn is_there(&mut self, scope: Scope<'_>, object: ObjectId) -> bool {
        let Some(known) = self.shadow.known(object) else {
            return false;
        };
        let (address, body) = (known.address, known.body);
        if known.is_lost {
            return false;
        }
        let is_there = matches!(
            self.heap.locate(address),
            Found::Object(place) if place.base == address
        ) && is_whole(scope, address, object, body);
        if !is_there {
            self.shadow.lose(object);
            let op = self.at.min(self.program.ops.len().saturating_sub(1));
            self.lost.push(Lost { op, object });
        }
        is_there
    }

    /// Makes new objects.
    pub(super) fn make(&mut self, scope: Scope<'_>, op: &Op) -> Result<bool, Error> {
        match op {
            Op::New {
                object,
                kind,
                fields,
            } => self.make_words(scope, *object, *kind, fields),
            Op::Bytes { object, bytes } => {
                if *bytes > BYTES_MAX || !self.shadow.is_free(*object) {
                    return Ok(false);
                }
                let text = scope.try_alloc_str(&text_of(*object, *bytes))?;
                self.book(*object, text.address(), Body::Bytes(*bytes), 0);
                self.take_up_new(*object);
                Ok(true)
            }
            Op::Fill { .. } => self.fill(scope, op),
            _ => Ok(false),
        }
    }

    /// A new object comes with one pin, which is that of the hand.
    fn take_up_new(&mut self, object: ObjectId) {
        self.hand.push(object);
    }

    fn book(&mut self, object: ObjectId, address: usize, body: Body, words: u32) {
        self.shadow.add(object, address, body, words);
        if let Some(place) = self.remembered.get_mut(&object) {
            *place = Some(address);
        }
        if self.base.is_none() {
            let offset = self.heap.offset_of(address);
            self.base = offset.map(|offset| address - offset as usize);
        }
    }

    fn make_words(
        &mut self,
        scope: Scope<'_>,
        object: ObjectId,
        kind_number: u16,
        fields: &[(u32, Word)],
    ) -> Result<bool, Error> {
        let Some(kind) = self
            .kind(kind_number)
            .filter(|_| self.shadow.is_free(object))
        else {
            return Ok(false);
        };
        let mut values = Vec::new();
        for (field, word) in fields {
            match self.value(scope, *word) {
                Some(value) if kind.pointers.contains(field) => values.push((*field, value)),
                _ => return Ok(false),
            }
        }
        let raw = self.alloc(scope, object, kind_number, kind)?;
        for (field, value) in values {
            if value.object == 0 {
                self.suspect(value.word);
            }
            // SAFETY: the object is new, the word is one of its pointer words, and the value leads to a
            // live object, unless the program says otherwise.
            unsafe { raw::init_word(raw, field as usize, RawGc::from_word(value.word)) };
            self.shadow.set(object, field, value.object);
        }
        self.take_up_new(object);
        Ok(true)
    }

    /// A new object of a kind, which says its number and leads nowhere.
    fn alloc(
        &mut self,
        scope: Scope<'_>,
        object: ObjectId,
        number: u16,
        kind: &Kind,
    ) -> Result<RawGc, Error> {
        let place = usize::from(number);
        let shape = match self.shapes[place] {
            Some(shape) => shape,
            None => {
                let pointers: Vec<usize> = kind.pointers.iter().map(|at| *at as usize).collect();
                let name = name_for_ever(&kind.name);
                let words = kind.words as usize;
                let shape = self.heap.register_shape(name, words, &pointers)?;
                *self.shapes[place].insert(shape)
            }
        };
        let raw = scope.alloc_shape(shape)?;
        // SAFETY: the first word of a kind is no pointer word.
        unsafe { raw::set_data(raw, 0, object as usize) };
        self.book(object, raw.address(), Body::Words(number), kind.words);
        Ok(raw)
    }

    fn fill(&mut self, scope: Scope<'_>, op: &Op) -> Result<bool, Error> {
        let Op::Fill {
            slot,
            count,
            first,
            kind: kind_number,
            shared,
        } = *op
        else {
            return Ok(false);
        };
        let Some(kind) = self.kind(kind_number).filter(|_| count <= FILL_MAX) else {
            return Ok(false);
        };
        let shared = shared.and_then(|(number, group)| Some((number, self.kind(number)?, group)));
        let mut numbers = first..first.saturating_add(count.saturating_mul(2));
        let is_taken = numbers.clone().any(|number| !self.shadow.is_free(number));
        if is_taken || !self.slots_for_fill(slot, count) {
            return Ok(false);
        }
        let mut group_of = 0;
        for at in 0..count {
            if let Some((number, kind, group)) = shared
                && at.is_multiple_of(group.max(1))
                && let Some(object) = numbers.next()
            {
                self.alloc(scope, object, number, kind)?;
                self.take_up_new(object);
                group_of = object;
            }
            let Some(object) = numbers.next() else {
                return Ok(false);
            };
            let raw = self.alloc(scope, object, kind_number, kind)?;
            self.take_up_new(object);
            if let (Some(field), Some(leads_to)) = (
                kind.pointers.first(),
                self.shadow.known(group_of).map(|known| known.address),
            ) {
                // SAFETY: the object is new, and the other was made a moment ago in this `enter`.
                unsafe { raw::init_word(raw, *field as usize, RawGc::from_word(leads_to)) };
                self.shadow.set(object, *field, group_of);
            }
            self.store_new(slot + at, raw, object);
        }
        Ok(true)
    }

    /// Writes a field.
    pub(super) fn store_field(&mut self, scope: Scope<'_>, op: &Op) -> bool {
        let Op::Write {
            how,
            object,
            field,
            value,
        } = *op
        else {
            return false;
        };
        let Some(raw) = self.usable(scope, object).and_then(RawGc::from_word) else {
            return false;
        };
        let is_of_data = matches!(how, Write::Hide | Write::Pun);
        if self.is_pointer_word(object, field) != Some(!is_of_data) {
            return false;
        }
        let Some(value) = self.value(scope, value) else {
            return false;
        };
        if value.object == 0 || !matches!(how, Write::Init | Write::Set) {
            self.suspect(value.word);
        }
        let (word, new) = (field as usize, RawGc::from_word(value.word));
        if how == Write::Hide {
            // SAFETY: a word that is no pointer word, as was asked above.
            unsafe { raw::set_data(raw, word, value.word) };
        } else {
            let is_known = how == Write::Set && self.shadow.target(object, field) != 0;
            self.store_word(scope, raw, (word, how, is_known), new);
        }
        self.shadow.set(object, field, value.object);
        true
    }

    fn store_word(
        &mut self,
        scope: Scope<'_>,
        raw: RawGc,
        (word, how, is_known): (usize, Write, bool),
        new: Option<RawGc>,
    ) {
        // SAFETY: a live object with that word. Of a word that is no pointer this is deliberately broken:
        // what it holds is taken for one.
        let old = unsafe { raw::get_word(raw, word) };
        if !is_known {
            self.suspect(old.map_or(0, RawGc::address));
        }
        if how == Write::Swapped {
            // SAFETY: deliberately broken: each is told for the other.
            unsafe { raw::barrier(scope, new, old) };
        }
        if matches!(how, Write::Set | Write::Pun) {
            // SAFETY: a pointer word of a live object; the value leads to a live one, unless the program
            // says otherwise. Of a word that is no pointer it is deliberately broken.
            unsafe { raw::set_word(scope, raw, word, new) };
        } else {
            // SAFETY: of a new object `init` is right; of a published one it is deliberately broken.
            unsafe { raw::init_word(raw, word, new) };
        }
    }

    /// Whether a word of an object is one of its pointer words; `None` when it has no such word, or it is
    /// the one that says its number.
    fn is_pointer_word(&self, object: ObjectId, field: u32) -> Option<bool> {
        let Body::Words(kind) = self.shadow.known(object)?.body else {
            return None;
        };
        let kind = self.kind(kind)?;
        (1..kind.words)
            .contains(&field)
            .then(|| kind.pointers.contains(&field))
    }

    /// Makes a root of an object, or reads the object through one.
    pub(super) fn use_root(&mut self, scope: Scope<'_>, op: &Op) -> bool {
        match *op {
            Op::Root { object } => match self.usable(scope, object).and_then(RawGc::from_word) {
                Some(raw) => {
                    let root = scope.root(opaque(scope, raw));
                    self.roots.entry(object).or_default().push(root);
                    self.shadow.pin(object);
                    true
                }
                None => false,
            },
            Op::Get { object } => self.read_root(scope, object),
            _ => false,
        }
    }

    /// Reads an object through a root, which is a barrier.
    pub(super) fn read_root(&mut self, scope: Scope<'_>, object: ObjectId) -> bool {
        let root = self.roots.get(&object).and_then(|roots| roots.first());
        let is_read = root.is_some_and(|root| scope.get(root).is_ok());
        if is_read {
            self.take_up(object);
        }
        is_read
    }
}

/// An object that nothing can be read of.
pub(super) fn opaque<'gc>(scope: Scope<'gc>, raw: RawGc) -> Gc<'gc, Opaque> {
    // SAFETY: the address is that of a live object. Its type is another one, but `Opaque` has no bytes that
    // could be read as something that they are not.
    unsafe { Gc::from_raw(scope, raw) }
}

/// Whether what stands at the address of an object says that it is this one.
fn is_whole(scope: Scope<'_>, address: usize, object: ObjectId, body: Body) -> bool {
    let Some(raw) = RawGc::from_word(address) else {
        return false;
    };
    match body {
        Body::Words(_) => {
            // SAFETY: an object begins at the address, and spans hold objects of one type, so it has a
            // first word, which is no pointer word in any kind.
            let number = unsafe { raw::get_data(raw, 0) };
            number == object as usize
        }
        Body::Bytes(bytes) => {
            // SAFETY: as above: an object begins there, and texts are the only objects of their type.
            let text: Gc<'_, str> = unsafe { Gc::from_raw(scope, raw) };
            text.len() == bytes as usize && *text == *text_of(object, bytes)
        }
    }
}
