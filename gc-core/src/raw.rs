//! The unsafe layer for embedders that lay out their own objects: untyped shapes, value stacks,
//! `init` for virgin words against `set` for initialised ones, the bare barrier.
//!
//! The safe layer cannot write a pointer through the barrier into memory that was never
//! initialised: an [`Edge`](crate::Edge) is born null. Here it can be done, and that is Go bug
//! 30041: [`Stack::set`] on a slot that no [`Stack::init`] has written reads whatever an earlier
//! frame left there and shades it as the "old value". At level `paranoid` each such store is
//! reported where it happens.
#![allow(unsafe_code)]

use core::num::NonZeroUsize;
use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};

use gc_hooks::Origin;
use gc_sweep::Found;

use crate::gc::Gc;
use crate::heap::Heap;
use crate::object::{Object, slot_pointer};
use crate::scope::Scope;
pub use crate::stack::StackError;

mod shapes;
mod spans;
mod stacks;

pub use shapes::{Shape, ShapeError};
pub use spans::SpanView;
pub use stacks::Stack;

/// Bytes of a word of an untyped object.
const WORD_BYTES: usize = size_of::<usize>();

/// The address of a managed object, without its brand and type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RawGc(NonZeroUsize);

impl RawGc {
    /// The address.
    pub fn address(self) -> usize {
        self.0.get()
    }

    /// A pointer from a word, `None` for zero. The word is not checked.
    pub fn from_word(word: usize) -> Option<Self> {
        NonZeroUsize::new(word).map(RawGc)
    }

    fn word(pointer: Option<Self>) -> usize {
        pointer.map_or(0, RawGc::address)
    }
}

impl<'gc, T: ?Sized> Gc<'gc, T> {
    /// Forgets brand and type.
    pub fn into_raw(self) -> RawGc {
        RawGc(self.nonzero_address())
    }
}

impl<'gc, T: Object + ?Sized> Gc<'gc, T> {
    /// Gives a raw pointer its type and the brand of `scope` back.
    ///
    /// # Safety
    ///
    /// `raw` leads to a live object of type `T` of the scope's heap, and is reachable or was
    /// loaded in this `enter`.
    pub unsafe fn from_raw(_scope: Scope<'gc>, raw: RawGc) -> Self {
        // SAFETY: the caller's duty.
        unsafe { Gc::from_address(raw.address()) }
    }
}

impl Heap {
    /// What stands at an address: an object, a free slot, or why it is neither.
    pub fn locate(&self, address: usize) -> Found {
        self.shared().space.find(address)
    }

    /// An address as reports give it: its offset from the heap's base, `None` outside the heap.
    pub fn offset_of(&self, address: usize) -> Option<u64> {
        self.shared().space.offset_of(address)
    }
}

/// The word at index `word` of an untyped object.
///
/// # Safety
///
/// `object` is a live untyped object with more than `word` words.
unsafe fn word_of<'a>(object: RawGc, word: usize) -> &'a AtomicUsize {
    let pointer = slot_pointer(object.address() + word * WORD_BYTES)
        .cast()
        .as_ptr();
    // SAFETY: the caller's duty; all words of untyped objects are accessed as atomics.
    unsafe { AtomicUsize::from_ptr(pointer) }
}

/// Writes a pointer into a word of an object that nobody else has seen yet. Reads no old value.
///
/// # Safety
///
/// `object` is an untyped object that was allocated in this `enter`, and that no object, root or stack leads to yet; `word`
/// is one of its pointer words; `value` leads to a live object of the same heap.
pub unsafe fn init_word(object: RawGc, word: usize, value: Option<RawGc>) {
    // SAFETY: the caller's duty.
    let at = unsafe { word_of(object, word) };
    // Release pairs with the Acquire of the marker's load.
    at.store(RawGc::word(value), Ordering::Release);
}

/// Stores a pointer into a word of a published object, through the barrier.
///
/// # Safety
///
/// As for [`init_word`], of an object that may be shared.
#[track_caller]
pub unsafe fn set_word(scope: Scope<'_>, object: RawGc, word: usize, value: Option<RawGc>) {
    // SAFETY: the caller's duty.
    let at = unsafe { word_of(object, word) };
    scope.set_word(at, RawGc::word(value), Location::caller());
}

/// Loads a pointer word.
///
/// # Safety
///
/// `object` is a live untyped object with more than `word` words, and `word` is a pointer word.
pub unsafe fn get_word(object: RawGc, word: usize) -> Option<RawGc> {
    // SAFETY: the caller's duty.
    let at = unsafe { word_of(object, word) };
    // Acquire pairs with the Release of the store that put the pointer there.
    RawGc::from_word(at.load(Ordering::Acquire))
}

/// Stores a word that is not a pointer.
///
/// # Safety
///
/// `object` is a live untyped object with more than `word` words, and `word` is no pointer word.
pub unsafe fn set_data(object: RawGc, word: usize, value: usize) {
    // SAFETY: the caller's duty.
    unsafe { word_of(object, word) }.store(value, Ordering::Relaxed);
}

/// Loads a word that is not a pointer.
///
/// # Safety
///
/// As for [`set_data`].
pub unsafe fn get_data(object: RawGc, word: usize) -> usize {
    // SAFETY: the caller's duty.
    unsafe { word_of(object, word) }.load(Ordering::Relaxed)
}

/// The bare barrier, for embedders that store by themselves: shades `old` before it is
/// overwritten, and `new` while this mutator is grey. Call it before the store, with no poll
/// between the load of `old`, this call and the store.
///
/// # Safety
///
/// `old` was loaded from an initialised pointer word of this heap; `new` leads to a live object.
#[track_caller]
pub unsafe fn barrier(scope: Scope<'_>, old: Option<RawGc>, new: Option<RawGc>) {
    scope.shade(RawGc::word(old), Origin::BarrierOld, Location::caller());
    scope.shade_new(RawGc::word(new), Location::caller());
}
