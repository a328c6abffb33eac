//! Scanning one object: from its span to its descriptor to the pointers it holds.
//!
//! The marker and the verifier call this for addresses whose state byte says "object", and so do
//! reports, which name the field of a holder. The span is typed, so the descriptor found through it
//! is the object's own: that is the only thing the unsafe calls below lean on, and it is why an
//! address whose byte says "free" never comes here.
//!
//! Invariant: nothing is called through an index that the register did not give out, and no copy of a
//! shape whose seal is broken is followed.
#![allow(unsafe_code)]

use core::sync::atomic::{AtomicUsize, Ordering};

use gc_sweep::Span;

use crate::object::{self, ScanFn, Spot, slot_pointer};
use crate::trace::Tracer;
use crate::types::{ShapeInfo, ShapeMap, TypeKind, Types};

/// What a scan did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scanned {
    /// All pointers of the object were reported.
    Whole,
    /// A long slice: go on at this item.
    Until(usize),
    /// The span's type index is not registered, or the shape's seal is broken.
    NoDescriptor,
}

/// How much a scan trusts the register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Trust {
    /// The index must be registered and the shape must fit the slot.
    Registered,
    /// Shapes must carry an unbroken seal as well.
    Sealed,
}

/// The trust of a scan whose check of descriptors may be blind.
#[cfg(feature = "fault-inject")]
pub(crate) fn blinded(is_blind: bool, trust: Trust) -> Trust {
    if is_blind { Trust::Registered } else { trust }
}

/// Reports the pointers of the object at `address`, a live object of `span`, from item `from` on.
#[inline]
pub(crate) fn scan(
    types: &Types,
    span: &Span,
    address: usize,
    from: usize,
    trust: Trust,
    found: &mut Vec<usize>,
) -> Scanned {
    let Some(entry) = types.get(span.type_index()) else {
        return Scanned::NoDescriptor;
    };
    match &entry.kind {
        TypeKind::Rust(info) => match info.scan {
            None => Scanned::Whole,
            Some(scan) => {
                let mut tracer = Tracer::new(found);
                // SAFETY: the span is typed with the entry this function came from, and the state
                // byte says that the slot holds a published object of it.
                match unsafe { object::scan_object(scan, slot_pointer(address), from, &mut tracer) }
                {
                    Some(next) => Scanned::Until(next),
                    None => Scanned::Whole,
                }
            }
        },
        TypeKind::Shape(shape) => {
            let map = &shape.map;
            if !fits(map, span) || (trust == Trust::Sealed && !map.is_sealed()) {
                return Scanned::NoDescriptor;
            }
            scan_words(map, address, found);
            Scanned::Whole
        }
    }
}

/// The scan functions that the register named before, by type index, so that a marker does not go there once an object.
/// Types are never taken out of the register, so what was found once holds for good.
#[derive(Default)]
pub(crate) struct KnownScans {
    by_type: Vec<Option<ScanFn>>,
}

impl KnownScans {
    /// As [`scan`].
    #[inline]
    pub(crate) fn scan(
        &mut self,
        types: &Types,
        span: &Span,
        address: usize,
        from: usize,
        trust: Trust,
        found: &mut Vec<usize>,
    ) -> Scanned {
        let index = span.type_index();
        let Some(Some(scan)) = self.by_type.get(index as usize) else {
            self.learn(types, index);
            return self::scan(types, span, address, from, trust, found);
        };
        let mut tracer = Tracer::new(found);
        // SAFETY: as in `scan` below, which went by the same entry of the register.
        match unsafe { object::scan_object(*scan, slot_pointer(address), from, &mut tracer) } {
            Some(next) => Scanned::Until(next),
            None => Scanned::Whole,
        }
    }

    /// Remembers the scan function of a Rust type. Only an index that was given out makes the list longer.
    #[inline(never)]
    fn learn(&mut self, types: &Types, index: u32) {
        if let Some(TypeKind::Rust(info)) = types.get(index).map(|entry| &entry.kind) {
            let length = self.by_type.len().max(index as usize + 1);
            self.by_type.resize(length, None);
            self.by_type[index as usize] = info.scan;
        }
    }
}

/// Reports the pointers of an untyped object by the second copy of its shape, if there is one that is
/// whole. Answers the shape, whose first copy is broken.
#[cold]
pub(crate) fn scan_by_spare<'a>(
    types: &'a Types,
    span: &Span,
    address: usize,
    found: &mut Vec<usize>,
) -> Option<&'a ShapeInfo> {
    let TypeKind::Shape(shape) = &types.get(span.type_index())?.kind else {
        return None;
    };
    let map = shape.spare().filter(|map| fits(map, span))?;
    scan_words(map, address, found);
    Some(shape)
}

#[inline]
fn fits(map: &ShapeMap, span: &Span) -> bool {
    map.words as usize * size_of::<usize>() <= span.slot_bytes()
}

fn scan_words(map: &ShapeMap, address: usize, found: &mut Vec<usize>) {
    let mut tracer = Tracer::new(found);
    for word in &map.pointer_words {
        tracer.visit_address(shape_word(address, *word));
    }
}

/// A pointer word of an untyped object, which lies inside its slot.
fn shape_word(address: usize, word: u32) -> usize {
    let at = address + word as usize * size_of::<usize>();
    // SAFETY: the word lies inside the slot, since the shape fits it, and untyped objects are
    // zeroed before they are published; pointer words are only ever written as atomics.
    let word = unsafe { AtomicUsize::from_ptr(slot_pointer(at).cast().as_ptr()) };
    // Acquire pairs with the Release of the store that put the pointer there.
    word.load(Ordering::Acquire)
}

/// Where in an object a pointer stands, as far as its type can say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// Type and field, or the type alone.
    Named(&'static str),
    /// A word of an untyped shape.
    Word(&'static str, u32),
}

/// The field of the object at `address`, a live object of `span`, that holds a pointer to `target`.
#[cold]
pub(crate) fn field_of(types: &Types, span: &Span, address: usize, target: usize) -> Option<Field> {
    match &types.get(span.type_index())?.kind {
        TypeKind::Rust(info) => {
            // SAFETY: as in `scan`: the span is typed with the entry, and an object of it stands
            // there.
            let field = unsafe { object::name_field(info.field, slot_pointer(address), target) };
            Some(Field::Named(field.unwrap_or_else(info.name)))
        }
        TypeKind::Shape(shape) => {
            let map = Some(&shape.map).filter(|map| fits(map, span))?;
            let mut words = map.pointer_words.iter();
            let word = words.find(|word| shape_word(address, **word) == target)?;
            Some(Field::Word(shape.name, *word))
        }
    }
}

/// Tells the pointers of the object at `address`, a live object of `span`, from item `from` on, and
/// where in it they stand. For snapshots.
#[cold]
pub(crate) fn edges_of(
    types: &Types,
    span: &Span,
    address: usize,
    from: usize,
    found: &mut Vec<(Spot, usize)>,
) -> Scanned {
    let Some(entry) = types.get(span.type_index()) else {
        return Scanned::NoDescriptor;
    };
    match &entry.kind {
        TypeKind::Rust(info) if info.scan.is_none() => Scanned::Whole,
        TypeKind::Rust(info) => {
            let slot = slot_pointer(address);
            // SAFETY: as in `scan`: the span is typed with the entry, and an object of it stands
            // there.
            match unsafe { object::edges_of_object(info.edges, slot, from, found) } {
                Some(next) => Scanned::Until(next),
                None => Scanned::Whole,
            }
        }
        TypeKind::Shape(shape) => {
            let is_sound = fits(&shape.map, span) && shape.map.is_sealed();
            let Some(map) = Some(&shape.map)
                .filter(|_| is_sound)
                .or_else(|| shape.spare())
            else {
                return Scanned::NoDescriptor;
            };
            if !fits(map, span) {
                return Scanned::NoDescriptor;
            }
            let words = map.pointer_words.iter();
            let pointers = words.map(|&word| (Spot::At(word as usize), shape_word(address, word)));
            found.extend(pointers.filter(|(_, target)| *target != 0));
            Scanned::Whole
        }
    }
}
