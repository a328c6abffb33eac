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
use std::sync::Arc;
use std::time::Instant;

use gc_hooks::Origin;
use gc_sweep::{AllocError, FreshSlot, SizeClass};

use crate::barrier::Store;
use crate::drive::Drive;
use crate::gc::{Brand, Gc};
use crate::handshake;
use crate::local::{Barrier, Local, lookup_key, next_slot, take_sampled};
use crate::object::sealed::Described;
use crate::object::{self, Object, TypeInfo, slot_pointer};
use crate::record::Record;
use crate::retention::{RetentionError, RetentionPath};
use crate::root::{Root, RootError};
use crate::shared::Shared;
use crate::trace::Trace;
use crate::types::{Wanted, object_bytes};

/// The right to touch the heap: handed to the closure of [`Mutator::enter`](crate::Mutator::enter).
///
/// `Copy`; pass it along. Pointers made with it carry its brand and cannot leave the closure.
pub struct Scope<'gc> {
    drive: &'gc Arc<Drive>,
    record: &'gc Record,
    local: &'gc Local,
    brand: Brand<'gc>,
}

impl Copy for Scope<'_> {}

impl Clone for Scope<'_> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<'gc> Scope<'gc> {
    pub(crate) fn new(drive: &'gc Arc<Drive>, record: &'gc Record, local: &'gc Local) -> Self {
        Scope {
            drive,
            record,
            local,
            brand: PhantomData,
        }
    }

    /// What the collector knows of this mutator.
    pub(crate) fn record(self) -> &'gc Record {
        self.record
    }

    /// What this mutator keeps for itself.
    pub(crate) fn local(self) -> &'gc Local {
        self.local
    }

    pub(crate) fn shared(self) -> &'gc Shared {
        &self.drive.shared
    }

    /// The barrier of this mutator, for a store at `call_site`.
    #[inline]
    pub(crate) fn store(self, call_site: &'static Location<'static>) -> Store<'gc> {
        Store {
            shared: self.shared(),
            record: self.record,
            local: self.local,
            call_site,
        }
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
        let slot = match self.local.take(lookup_key(info, None)) {
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
        self.shared()
            .space
            .states()
            .publish(slot, self.local.colour.get());
    }

    fn slot_for_items(
        self,
        info: &'static TypeInfo,
        items: usize,
        call_site: &'static Location<'static>,
    ) -> Result<FreshSlot, AllocError> {
        let size_class =
            object_bytes(info, items).and_then(|bytes| SizeClass::for_layout(bytes, info.align));
        if let Some(class) = size_class
            && let Some(slot) = self.local.take(lookup_key(info, Some(class)))
        {
            return Ok(slot);
        }
        self.slot_slow(info, items, call_site)
    }

    #[cold]
    #[inline(never)]
    fn slot_slow(
        self,
        info: &'static TypeInfo,
        items: usize,
        call_site: &'static Location<'static>,
    ) -> Result<FreshSlot, AllocError> {
        let shared = self.shared();
        let bytes = object_bytes(info, items).ok_or_else(|| too_large(shared, usize::MAX))?;
        let size_class = if info.is_fixed() {
            None
        } else {
            SizeClass::for_layout(bytes, info.align)
        };
        let key = lookup_key(info, size_class);
        if shared.profile.is_none()
            && let Some(slot) = self.local.take_in_lease(key, &shared.space)
        {
            return Ok(slot);
        }
        let index = shared.types.index_of(info)?;
        self.slot_of_type(index, bytes, call_site, |wanted| {
            if let Wanted::Class(class) = wanted {
                self.local.remember(key, class);
            }
        })
    }

    /// A slot of `bytes` bytes for the type at `index`, collecting or sweeping first when due.
    ///
    /// Polls only when the leased span is used up: whether a descriptor was found in the mutator's
    /// table depends on where the linker put it, and must not show in what the heap does.
    pub(crate) fn slot_of_type(
        self,
        index: u32,
        bytes: usize,
        call_site: &'static Location<'static>,
        remember: impl FnOnce(Wanted),
    ) -> Result<FreshSlot, AllocError> {
        let shared = self.shared();
        let wanted = shared
            .types
            .class(&shared.space, index, bytes)
            .ok_or_else(|| too_large(shared, bytes))?;
        remember(wanted);
        let slot = self.slot_wanted(wanted, bytes)?;
        if let Some(profile) = &shared.profile {
            let (cycle, address) = (shared.world.cycle(), slot.address());
            profile.look(&shared.space, cycle, self.local, wanted, address, call_site);
        }
        Ok(slot)
    }

    fn slot_wanted(self, wanted: Wanted, bytes: usize) -> Result<FreshSlot, AllocError> {
        let shared = self.shared();
        if let Wanted::Class(class) = wanted
            && let Some(slot) = self
                .local
                .with_run(class, |run| next_slot(run, &shared.space))
        {
            return Ok(slot);
        }
        self.poll();
        let begun = Instant::now();
        let slot = self.refill(wanted, bytes);
        self.record.paused_since(begun);
        slot
    }

    /// As [`Scope::slot_of_class`], making room when the heap is at its limit.
    fn refill(self, wanted: Wanted, bytes: usize) -> Result<FreshSlot, AllocError> {
        match self.slot_of_class(wanted, bytes) {
            Err(AllocError::Limit { .. }) if self.drive.relieve(self.record) => {
                self.slot_of_class(wanted, bytes)
            }
            answer => answer,
        }
    }

    /// A slot from a new run, or a span of its own.
    fn slot_of_class(self, wanted: Wanted, bytes: usize) -> Result<FreshSlot, AllocError> {
        let shared = self.shared();
        let space = &shared.space;
        match wanted {
            Wanted::Large(class) => space.alloc_large(class, bytes),
            Wanted::Class(class) => self.local.with_run(class, |run| {
                space.refill(class, run)?;
                take_sampled(run).ok_or_else(|| too_large(shared, bytes))
            }),
        }
    }

    /// Keeps an object alive beyond this `enter`.
    pub fn root<T: Object + ?Sized>(self, object: Gc<'gc, T>) -> Root<T::At<'static>> {
        Root::new(Arc::clone(self.drive), object.address())
    }

    /// The object behind a root.
    ///
    /// # Errors
    ///
    /// The root belongs to another heap, or the root table is damaged.
    #[track_caller]
    pub fn get<R: Object + ?Sized>(self, root: &Root<R>) -> Result<Gc<'gc, R::At<'gc>>, RootError> {
        if !core::ptr::eq(root.drive(), Arc::as_ptr(self.drive)) {
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
        self.drive.retention_path(address, Some(self.local))
    }

    /// Answers the collector and lets the driver do its share. Call it in loops that neither
    /// allocate nor leave `enter`.
    pub fn poll(self) {
        handshake::poll(self.shared(), self.record, self.local);
        self.drive.assist(self.record);
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

    /// Shades a value that is about to be stored, which only a grey mutator does.
    pub(crate) fn shade_new(self, address: usize, call_site: &'static Location<'static>) {
        if self.local.barrier.get() == Barrier::Grey {
            self.shade(address, Origin::BarrierNew, call_site);
        }
    }
}

/// The answer to a request that no heap of this size can serve.
#[cold]
fn too_large(shared: &Shared, requested_bytes: usize) -> AllocError {
    AllocError::TooLarge {
        requested_bytes,
        bytes_max: shared.space.reserve_bytes(),
    }
}

/// The infallible twins of the allocation functions end here, as `Vec` does when memory runs out.
#[cold]
#[track_caller]
fn allocation_failed(error: &AllocError) -> ! {
    panic!("managed allocation failed: {error}")
}
