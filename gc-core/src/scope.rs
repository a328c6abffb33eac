//! [`Scope`]: the witness of being inside `enter`, and everything one may do there.
//!
//! Allocation takes a slot from the mutator's own run, writes the value, then publishes the state
//! byte in the mutator's colour; no code of the embedder runs between taking and publishing. The
//! slow path polls, lets the driver collect, and asks the space for another run.
//!
//! Invariant: a scope exists only while its mutator's state word says `In`, on its thread; the
//! brand `'gc` is fresh for each `enter`.
#![allow(unsafe_code)]

use core::marker::PhantomData;
use core::panic::Location;
use core::sync::atomic::AtomicUsize;
use std::sync::Arc;

use gc_hooks::Origin;
use gc_sweep::{AllocError, FreshSlot, Publisher};

use crate::barrier::{self, Store};
use crate::drive::Drive;
use crate::gc::{Brand, Gc};
use crate::handshake;
use crate::local::{Barrier, Key, Local};
use crate::object::sealed::Described;
use crate::object::{self, Object, slot_pointer};
use crate::palette::is_newborn;
use crate::record::Record;
use crate::retention::{RetentionError, RetentionPath};
use crate::root::{Root, RootError};
use crate::shared::Shared;
use crate::trace::Trace;

mod slots;

/// Where a store stands in the source.
type CallSite = &'static Location<'static>;

/// The right to touch the heap: handed to the closure of [`Mutator::enter`](crate::Mutator::enter).
///
/// `Copy`; pass it along. Pointers made with it carry its brand and cannot leave the closure.
pub struct Scope<'gc> {
    inside: &'gc Inside<'gc>,
    brand: Brand<'gc>,
}

/// What a scope leads to, made by `enter`: a scope itself is one word, which is handed from call to call.
pub(crate) struct Inside<'gc> {
    local: &'gc Local,
    publisher: Publisher<'gc>,
    record: &'gc Record,
    drive: &'gc Arc<Drive>,
}

impl<'gc> Inside<'gc> {
    pub(crate) fn new(drive: &'gc Arc<Drive>, record: &'gc Record, local: &'gc Local) -> Self {
        Inside {
            local,
            publisher: drive.shared.space.states().publisher(),
            record,
            drive,
        }
    }
}

impl Copy for Scope<'_> {}

impl Clone for Scope<'_> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<'gc> Scope<'gc> {
    pub(crate) fn new(inside: &'gc Inside<'gc>) -> Self {
        Scope {
            inside,
            brand: PhantomData,
        }
    }

    /// What the collector knows of this mutator.
    #[inline]
    pub(crate) fn record(self) -> &'gc Record {
        self.inside.record
    }

    /// What this mutator keeps for itself.
    #[inline]
    pub(crate) fn local(self) -> &'gc Local {
        self.inside.local
    }

    #[inline]
    fn drive(self) -> &'gc Arc<Drive> {
        self.inside.drive
    }

    #[inline]
    pub(crate) fn shared(self) -> &'gc Shared {
        &self.drive().shared
    }

    /// The barrier of this mutator, for a store at `call_site`.
    #[inline]
    pub(crate) fn store(self, call_site: &'static Location<'static>) -> Store<'gc> {
        Store {
            shared: self.shared(),
            record: self.record(),
            local: self.local(),
            call_site,
        }
    }

    /// Stores `new` into a pointer word that is initialised, with the barrier of this mutator when it is on.
    #[inline]
    pub(crate) fn set_word(self, word: &AtomicUsize, new: usize, call_site: CallSite) {
        barrier::set(self.local(), word, new, || {
            self.replace_watched(word, new, call_site)
        });
    }

    /// A store while the barrier is not off. Between the cycles of a heap with generations most of them are plain: that is
    /// found out with what a scope has at hand.
    #[cold]
    #[inline(never)]
    fn replace_watched(self, word: &AtomicUsize, new: usize, call_site: CallSite) -> usize {
        let local = self.local();
        let is_plain = local.barrier.get() == Barrier::Remembering
            && !is_newborn(local.kept(), self.inside.publisher.load(new));
        if is_plain {
            return barrier::replace_plainly(word, new);
        }
        self.store(call_site).replace_shaded(word, new)
    }

    /// As [`Scope::set_word`]. Answers the old word.
    #[inline]
    pub(crate) fn replace_word(self, word: &AtomicUsize, new: usize, call_site: CallSite) -> usize {
        barrier::replace(self.local(), word, new, || {
            self.replace_watched(word, new, call_site)
        })
    }

    /// Allocates an object.
    ///
    /// # Panics
    ///
    /// When the heap is at its limit, as [`Scope::try_alloc`] reports.
    #[inline]
    #[track_caller]
    pub fn alloc<T: Trace<At<'gc> = T>>(self, value: T) -> Gc<'gc, T> {
        self.try_alloc(value)
            .unwrap_or_else(|error| allocation_failed(&error))
    }

    /// Allocates an object, or says why not; the value is dropped then.
    ///
    /// # Errors
    ///
    /// The heap's limit, its reservation, or the operating system refuses.
    #[inline]
    #[track_caller]
    pub fn try_alloc<T: Trace<At<'gc> = T>>(self, value: T) -> Result<Gc<'gc, T>, AllocError> {
        let info = <T as Described>::INFO;
        let slot = match self.local().take_in_row(Key::fixed(info)) {
            Some(slot) => slot,
            None => self.slot_slow(info, 0, Location::caller())?,
        };
        let address = slot.address();
        // SAFETY: the slot is fresh and its class was made for the size and alignment of `T`.
        unsafe { object::init(slot_pointer(address), value) };
        self.publish(slot);
        // SAFETY: the object was just written; it cannot be freed before this mutator's next
        // snapshot, which is outside `enter`.
        Ok(unsafe { Gc::from_address(address) })
    }

    /// Allocates a slice of the items.
    ///
    /// # Panics
    ///
    /// When the heap is at its limit, as [`Scope::try_alloc_slice`] reports.
    #[track_caller]
    pub fn alloc_slice<T: Trace<At<'gc> = T>>(
        self,
        items: impl IntoIterator<Item = T>,
    ) -> Gc<'gc, [T]> {
        self.try_alloc_slice(items)
            .unwrap_or_else(|error| allocation_failed(&error))
    }

    /// Allocates a slice of the items, or says why not; the items are dropped then.
    ///
    /// # Errors
    ///
    /// As for [`Scope::try_alloc`].
    #[track_caller]
    pub fn try_alloc_slice<T: Trace<At<'gc> = T>>(
        self,
        items: impl IntoIterator<Item = T>,
    ) -> Result<Gc<'gc, [T]>, AllocError> {
        let items: Vec<T> = items.into_iter().collect();
        let slot =
            self.slot_for_items(<[T] as Described>::INFO, items.len(), Location::caller())?;
        let address = slot.address();
        // SAFETY: the slot is fresh and was sized for these items.
        unsafe { object::init_items(slot_pointer(address), items) };
        self.publish(slot);
        // SAFETY: as in `try_alloc`.
        Ok(unsafe { Gc::from_address(address) })
    }

    /// Allocates a copy of a string.
    ///
    /// # Panics
    ///
    /// When the heap is at its limit, as [`Scope::try_alloc_str`] reports.
    #[track_caller]
    pub fn alloc_str(self, text: &str) -> Gc<'gc, str> {
        self.try_alloc_str(text)
            .unwrap_or_else(|error| allocation_failed(&error))
    }

    /// Allocates a copy of a string, or says why not.
    ///
    /// # Errors
    ///
    /// As for [`Scope::try_alloc`].
    #[track_caller]
    pub fn try_alloc_str(self, text: &str) -> Result<Gc<'gc, str>, AllocError> {
        let slot = self.slot_for_items(<str as Described>::INFO, text.len(), Location::caller())?;
        let address = slot.address();
        // SAFETY: the slot is fresh and was sized for the text.
        unsafe { object::init_str(slot_pointer(address), text) };
        self.publish(slot);
        // SAFETY: as in `try_alloc`.
        Ok(unsafe { Gc::from_address(address) })
    }

    /// Makes an object visible to the collector, in this mutator's colour.
    #[inline]
    pub(crate) fn publish(self, slot: FreshSlot) {
        #[cfg(feature = "fault-inject")]
        let Some(slot) = crate::fault::misbear(self, slot) else {
            return;
        };
        let colour = self.local().colour.get();
        self.inside.publisher.publish(slot, colour);
    }

    /// Keeps an object alive beyond this `enter`.
    pub fn root<T: Object + ?Sized>(self, object: Gc<'gc, T>) -> Root<T::At<'static>> {
        Root::new(Arc::clone(self.drive()), object.address())
    }

    /// The object behind a root.
    ///
    /// # Errors
    ///
    /// The root belongs to another heap, or the root table is damaged.
    #[track_caller]
    pub fn get<R: Object + ?Sized>(self, root: &Root<R>) -> Result<Gc<'gc, R::At<'gc>>, RootError> {
        if !core::ptr::eq(root.drive(), Arc::as_ptr(self.drive())) {
            return Err(RootError::ForeignHeap);
        }
        let address = root.address()?;
        self.shade(address, Origin::Root, Location::caller());
        // SAFETY: the root was made from an object of this family, and its table entry has kept
        // the object allocated; reading it shades it, so it outlives this `enter`.
        Ok(unsafe { Gc::from_address(address) })
    }

    /// Why an object is alive, beyond being held here: the shortest way to it from a root or a value
    /// stack. `None` when nothing else leads to it. As [`Heap::retention_path`](crate::Heap::retention_path),
    /// from inside `enter`.
    ///
    /// # Errors
    ///
    /// Mutators of other threads are inside `enter`, or somebody advances the cycle: nothing is waited
    /// for here. A destructor or a hook calls back.
    pub fn retention_path<T: ?Sized>(
        self,
        object: Gc<'gc, T>,
    ) -> Result<Option<RetentionPath>, RetentionError> {
        let address = self.shared().address(object.address());
        self.drive().retention_path(address, Some(self.local()))
    }

    /// Answers the collector and lets the driver do its share. Call it in loops that neither
    /// allocate nor leave `enter`.
    pub fn poll(self) {
        handshake::poll(self.shared(), self.record(), self.local());
        self.drive().assist(self.record());
    }

    /// Shades on behalf of an embedder that stores by itself.
    pub(crate) fn shade(
        self,
        address: usize,
        origin: Origin,
        call_site: &'static Location<'static>,
    ) {
        self.store(call_site).shade(address, origin);
    }

    /// Does what is due before a value is stored.
    pub(crate) fn shade_new(self, address: usize, call_site: &'static Location<'static>) {
        self.store(call_site).shade_new(address);
    }
}

/// The infallible twins of the allocation functions end here, as `Vec` does when memory runs out.
#[cold]
#[track_caller]
fn allocation_failed(error: &AllocError) -> ! {
    panic!("managed allocation failed: {error}")
}
