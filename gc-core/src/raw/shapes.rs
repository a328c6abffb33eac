//! Untyped shapes: objects of so many words, some of which are pointers, described at run time.
//!
//! An embedder registers a shape once and allocates objects of it on its mutators' threads. The
//! pointer map is checked here, once; marking uses the register's compact form of it. The room is
//! unsafe because it zeroes fresh slots.
#![allow(unsafe_code)]

use core::panic::Location;

use bitvec::prelude::BitVec;
use gc_sweep::AllocError;

use super::{RawGc, WORD_BYTES};
use crate::heap::Heap;
use crate::object::{self, slot_pointer};
use crate::scope::Scope;
use crate::types::{SHAPE_WORDS_MAX, ShapeInfo, TypeKind, Types};

/// An untyped shape registered with one heap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    index: u32,
    words: u32,
}

impl Shape {
    /// Words of an object of the shape.
    pub fn words(self) -> usize {
        self.words as usize
    }
}

/// A shape was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShapeError {
    /// The number of words is out of range.
    #[error("a shape of {words} words is out of range: 1 to {max}", max = SHAPE_WORDS_MAX)]
    Words {
        /// Words asked for.
        words: usize,
    },
    /// A pointer word lies outside the object.
    #[error("pointer word {word} lies outside the object's {words} words")]
    OutsideObject {
        /// The word.
        word: usize,
        /// Words of the shape.
        words: usize,
    },
    /// A pointer word is named twice.
    #[error("pointer word {word} is named twice")]
    Duplicate {
        /// The word.
        word: usize,
    },
    /// The register of types is full.
    #[error(transparent)]
    Register(#[from] AllocError),
}

impl Heap {
    /// Registers an untyped shape: `words` words of eight bytes, of which `pointer_words` are
    /// managed pointers. The name appears in reports.
    ///
    /// # Errors
    ///
    /// The shape is empty or too large, a pointer word lies outside or is named twice.
    pub fn register_shape(
        &self,
        name: &'static str,
        words: usize,
        pointer_words: &[usize],
    ) -> Result<Shape, ShapeError> {
        if !(1..=SHAPE_WORDS_MAX).contains(&words) {
            return Err(ShapeError::Words { words });
        }
        let mut map: BitVec = BitVec::repeat(false, words);
        for &word in pointer_words {
            let mut bit = map
                .get_mut(word)
                .ok_or(ShapeError::OutsideObject { word, words })?;
            if bit.replace(true) {
                return Err(ShapeError::Duplicate { word });
            }
        }
        let index = self.shared().types.add_shape(name, &map)?;
        Ok(Shape {
            index,
            words: words as u32,
        })
    }
}

#[cfg(feature = "fault-inject")]
impl Heap {
    /// What this heap knows of a shape.
    pub(crate) fn shape_info(&self, shape: Shape) -> Option<&ShapeInfo> {
        known(&self.shared().types, shape)
    }
}

impl Scope<'_> {
    /// Allocates an object of an untyped shape, all words zero.
    ///
    /// # Errors
    ///
    /// As for [`Scope::try_alloc`]; also when the shape belongs to another heap.
    #[track_caller]
    pub fn alloc_shape(self, shape: Shape) -> Result<RawGc, AllocError> {
        let bytes = shape.words() * WORD_BYTES;
        if known(&self.shared().types, shape).is_none() {
            return Err(AllocError::UnknownClass { class: shape.index });
        }
        let slot = self.slot_of_type(shape.index, bytes, Location::caller(), |_| {})?;
        let address = slot.address();
        // SAFETY: the slot is fresh and at least as large as the shape.
        unsafe { object::init_zeroed(slot_pointer(address), bytes) };
        self.publish(slot);
        Ok(RawGc(slot_pointer(address).addr()))
    }
}

/// What a heap knows of a shape, unless the shape belongs to another heap.
fn known(types: &Types, shape: Shape) -> Option<&ShapeInfo> {
    match &types.get(shape.index)?.kind {
        TypeKind::Shape(info) if info.map.words == shape.words => Some(info),
        _ => None,
    }
}
