//! The heap's register of types: what the spans' type indices mean.
//!
//! Mutators register a type at its first allocation; the marker, the sweeper's reaper and reports
//! look indices up. Entries are only ever added, so a lookup takes no lock. An index that was
//! never given out, or an untyped shape whose seal is broken, is what [`Check::Descriptor`]
//! (gc-hooks) reports; the answer of [`Types::get`] is then `None` and the caller does not call
//! anything.
//!
//! Invariant: indices are dense and given out in order of registration, so that placement never
//! depends on addresses or hashing.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bitvec::prelude::{BitSlice, BitVec};
use gc_hooks::sync::{Mutex, MutexGuard, OnceLock};
use gc_sweep::{AllocError, ClassId, ClassSpec, DropGlue, Scan, SizeClass, SlotSize, Space};

use crate::object::{Extent, TypeInfo};

/// Entries in one block of the register.
const BLOCK_ENTRIES: usize = 256;
/// Blocks of the register: 65,536 types in all.
const BLOCKS_MAX: usize = 256;
/// Words of the largest untyped shape: 32 KiB, the largest slot of a shared span.
pub(crate) const SHAPE_WORDS_MAX: usize = 4096;

/// What a type index stands for.
pub(crate) struct TypeEntry {
    /// The shape of the objects.
    pub(crate) kind: TypeKind,
    /// One class for each size class, and one for large objects; most types use a single one.
    classes: Box<[OnceLock<ClassId>]>,
}

/// A Rust type, or an untyped shape described at run time.
pub(crate) enum TypeKind {
    /// Described by the compiler.
    Rust(&'static TypeInfo),
    /// Described by the embedder.
    Shape(ShapeInfo),
}

/// An untyped shape: so many words, some of which are pointers.
pub(crate) struct ShapeInfo {
    /// Name for reports.
    pub(crate) name: &'static str,
    /// What scans go by.
    pub(crate) map: ShapeMap,
    /// A second copy, for the day on which the first one is broken.
    spare: ShapeMap,
    /// The first copy was found broken, and that was told.
    is_broken_told: AtomicBool,
}

/// Which words of an untyped object are pointers.
pub(crate) struct ShapeMap {
    /// Words of 8 bytes.
    pub(crate) words: u32,
    /// Which words are pointers, in ascending order.
    pub(crate) pointer_words: Box<[u32]>,
    /// Checksum over the fields above. Never written again, but by tests that break it.
    seal: AtomicU64,
}

impl ShapeInfo {
    fn new(name: &'static str, words: u32, pointers: &BitSlice) -> Self {
        ShapeInfo {
            name,
            map: ShapeMap::new(words, pointers),
            spare: ShapeMap::new(words, pointers),
            is_broken_told: AtomicBool::new(false),
        }
    }

    /// The second copy, if it is whole.
    pub(crate) fn spare(&self) -> Option<&ShapeMap> {
        self.spare.is_sealed().then_some(&self.spare)
    }

    /// Remembers that the first copy was found broken. True for whoever does so first.
    pub(crate) fn is_first_to_tell(&self) -> bool {
        !self.is_broken_told.swap(true, Ordering::Relaxed)
    }

    /// Breaks the seal of the first copy, as a stray write into the map would.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn break_seal(&self) {
        self.map.seal.fetch_add(1, Ordering::Relaxed);
    }

    /// As [`ShapeInfo::break_seal`], for the second copy.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn break_spare(&self) {
        self.spare.seal.fetch_add(1, Ordering::Relaxed);
    }
}

impl ShapeMap {
    fn new(words: u32, pointers: &BitSlice) -> Self {
        let pointer_words = pointers
            .iter_ones()
            .map(|word| word as u32)
            .collect::<Box<[u32]>>();
        let seal = Self::seal_of(words, &pointer_words);
        ShapeMap {
            words,
            pointer_words,
            seal: AtomicU64::new(seal),
        }
    }

    /// Whether the map is still what was registered.
    pub(crate) fn is_sealed(&self) -> bool {
        self.seal.load(Ordering::Relaxed) == Self::seal_of(self.words, &self.pointer_words)
    }

    /// FNV-1a over the words (Fowler, Noll, Vo; 64 bit).
    fn seal_of(words: u32, pointer_words: &[u32]) -> u64 {
        core::iter::once(&words)
            .chain(pointer_words)
            .fold(0xcbf2_9ce4_8422_2325, |hash, word| {
                (hash ^ u64::from(*word)).wrapping_mul(0x0100_0000_01b3)
            })
    }
}

impl TypeEntry {
    fn new(kind: TypeKind) -> Self {
        TypeEntry {
            kind,
            classes: (0..=SizeClass::COUNT).map(|_| OnceLock::new()).collect(),
        }
    }

    /// The name reports use.
    pub(crate) fn name(&self) -> &'static str {
        match &self.kind {
            TypeKind::Rust(info) => (info.name)(),
            TypeKind::Shape(shape) => shape.name,
        }
    }

    /// Whether objects of the type can hold managed pointers.
    pub(crate) fn scan(&self) -> Scan {
        let traced = match &self.kind {
            TypeKind::Rust(info) => info.scan.is_some(),
            TypeKind::Shape(shape) => !shape.map.pointer_words.is_empty(),
        };
        if traced {
            Scan::Traced
        } else {
            Scan::PointerFree
        }
    }

    fn drop_glue(&self) -> DropGlue {
        match &self.kind {
            TypeKind::Rust(info) if info.drop.is_some() => DropGlue::Needed,
            _ => DropGlue::None,
        }
    }

    /// Alignment in bytes.
    fn align(&self) -> usize {
        match &self.kind {
            TypeKind::Rust(info) => info.align,
            TypeKind::Shape(_) => align_of::<usize>(),
        }
    }
}

/// One block of the register.
type Block = Box<[OnceLock<TypeEntry>]>;

/// The register.
pub(crate) struct Types {
    /// Read by anyone without a lock; an entry is written once, under `index`.
    blocks: Box<[OnceLock<Block>]>,
    /// Type to index, and the next free index. Locked at a type's first allocation in a
    /// mutator, and while a class is made.
    index: Mutex<Index>,
}

struct Index {
    by_id: HashMap<TypeId, u32>,
    next: u32,
}

/// Which size of slot an allocation wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// A slot of a shared span.
    Class(ClassId),
    /// A span of its own.
    Large(ClassId),
}

/// Types and shapes one heap can know.
const TYPES_MAX: usize = BLOCK_ENTRIES * BLOCKS_MAX;
/// The register of types is full.
const TOO_MANY_TYPES: AllocError = AllocError::TooManyTypes {
    types_max: TYPES_MAX,
};

impl Types {
    pub(crate) fn new() -> Self {
        Types {
            blocks: (0..BLOCKS_MAX).map(|_| OnceLock::new()).collect(),
            index: Mutex::new(Index {
                by_id: HashMap::new(),
                next: 0,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The entry of an index, or `None` when it was never given out.
    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&TypeEntry> {
        let index = index as usize;
        self.blocks
            .get(index / BLOCK_ENTRIES)?
            .get()?
            .get(index % BLOCK_ENTRIES)?
            .get()
    }

    /// The index of a Rust type, registering it at first sight.
    pub(crate) fn index_of(&self, info: &'static TypeInfo) -> Result<u32, AllocError> {
        let mut index = self.lock();
        if let Some(known) = index.by_id.get(&(info.id)()) {
            return Ok(*known);
        }
        let added = self.add(&mut index, TypeKind::Rust(info))?;
        index.by_id.insert((info.id)(), added);
        Ok(added)
    }

    /// Registers an untyped shape of `words` words, of which `pointers` are managed pointers.
    pub(crate) fn add_shape(
        &self,
        name: &'static str,
        pointers: &BitVec,
    ) -> Result<u32, AllocError> {
        let shape = ShapeInfo::new(name, pointers.len() as u32, pointers);
        let mut index = self.lock();
        self.add(&mut index, TypeKind::Shape(shape))
    }

    fn add(&self, index: &mut Index, kind: TypeKind) -> Result<u32, AllocError> {
        let at = index.next;
        let block = self
            .blocks
            .get(at as usize / BLOCK_ENTRIES)
            .ok_or(TOO_MANY_TYPES)?;
        let block = block.get_or_init(|| (0..BLOCK_ENTRIES).map(|_| OnceLock::new()).collect());
        let entry = block
            .get(at as usize % BLOCK_ENTRIES)
            .ok_or(TOO_MANY_TYPES)?;
        entry.get_or_init(|| TypeEntry::new(kind));
        index.next = at + 1;
        Ok(at)
    }

    /// The class that serves objects of `bytes` bytes of the type at `index`.
    pub(crate) fn class(&self, space: &Space, index: u32, bytes: usize) -> Option<Wanted> {
        let entry = self.get(index)?;
        let size_class = SizeClass::for_layout(bytes, entry.align());
        let (at, slot) = match size_class {
            Some(class) => (class.index(), SlotSize::Class(class)),
            None => (SizeClass::COUNT, SlotSize::Large),
        };
        let known = entry.classes.get(at)?;
        let class = known.get().copied().unwrap_or_else(|| {
            // The space takes locks of its own, so threads wait for each other here and not in
            // the cell.
            let _index = self.lock();
            *known.get_or_init(|| {
                space.register(ClassSpec {
                    type_index: index,
                    type_name: entry.name(),
                    slot,
                    scan: entry.scan(),
                    drop: entry.drop_glue(),
                })
            })
        });
        Some(if size_class.is_some() {
            Wanted::Class(class)
        } else {
            Wanted::Large(class)
        })
    }
}

/// Bytes of an object of a Rust type with `items` items, or `None` when that overflows.
pub(crate) fn object_bytes(info: &TypeInfo, items: usize) -> Option<usize> {
    match info.extent {
        Extent::Fixed => Some(info.bytes),
        Extent::Items { item_bytes } => items.checked_mul(item_bytes)?.checked_add(info.bytes),
    }
}
