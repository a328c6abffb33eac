//! [`Root`]: a handle that keeps an object alive outside scopes.
//!
//! A root occupies a slot of its heap's root table and keeps the heap itself alive. Making or dropping
//! one while a cycle marks is a barrier, since the table is scanned once; a mutator that reads one
//! shades it too. A root may be used by other threads when all that it leads to may.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

use gc_hooks::{Check, Origin, Violation};

use crate::drive::Drive;
#[cfg(feature = "fault-inject")]
use crate::fault::Site;
use crate::object::Object;
use crate::roots::{Mismatch, RootKey};
use crate::shared::Source;

/// Why a root could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RootError {
    /// The root belongs to another heap than the scope.
    #[error("the root belongs to another heap")]
    ForeignHeap,
    /// The root table no longer agrees with the handle: the table was damaged. The object is
    /// pinned.
    #[error("the root table does not agree with this root; its object is kept for good")]
    Damaged,
}

/// A handle to a managed object that keeps it alive between `enter`s.
///
/// `T` is the object's type with the brand `'static`: `scope.root(node)` of a `Gc<'gc, Node<'gc>>`
/// is a `Root<Node<'static>>`. Read it with [`Scope::get`](crate::Scope::get).
pub struct Root<T: Object + ?Sized> {
    drive: Arc<Drive>,
    key: RootKey,
    /// Neither `Send` nor `Sync` by itself, see below.
    object: PhantomData<*const T>,
}

// SAFETY: whoever receives the root reaches the object and all that its type leads to; `T` stands for
// all of that (the pointer types are `Send` exactly when what they lead to is `Send + Sync`), and the
// handle itself is an index into a table that locks.
unsafe impl<T: Object + ?Sized + Send + Sync> Send for Root<T> {}

// SAFETY: as above; a shared root gives out what an own one gives out.
unsafe impl<T: Object + ?Sized + Send + Sync> Sync for Root<T> {}

impl<T: Object + ?Sized> Root<T> {
    pub(crate) fn new(drive: Arc<Drive>, address: usize) -> Self {
        let shared = &drive.shared;
        let key = shared.roots.add(address, |address, kept| {
            #[cfg(feature = "fault-inject")]
            if shared.hooks.strikes(Site::RootUnshaded) {
                return;
            }
            shared.shade_root(address, kept, Origin::Root);
        });
        Root {
            drive,
            key,
            object: PhantomData,
        }
    }

    pub(crate) fn drive(&self) -> &Drive {
        &self.drive
    }

    #[cfg(feature = "fault-inject")]
    pub(crate) fn key(&self) -> RootKey {
        self.key
    }

    /// The key that the table is asked with: the handle's own. While the check of the table is blind,
    /// one that fits whatever generation stands there.
    #[inline]
    fn believed(&self) -> RootKey {
        #[cfg(feature = "fault-inject")]
        if self.drive.shared.hooks.is_blind(Check::RootTable) {
            return self.drive.shared.roots.refitted(self.key);
        }
        self.key
    }

    /// The address behind the root. A mutator that is going to use it shades it.
    pub(crate) fn address(&self) -> Result<usize, RootError> {
        let found = self.drive.shared.roots.get(self.believed());
        self.check(found)?;
        found.map_err(|_| RootError::Damaged)
    }

    fn check<R>(&self, found: Result<R, Mismatch>) -> Result<(), RootError> {
        let generation = found.err().map(|mismatch| mismatch.found);
        let holds = self
            .drive
            .shared
            .hooks
            .holds(Check::RootTable, generation.is_none(), || {
                let world = &self.drive.shared.world;
                Violation::new(Check::RootTable)
                    .with_cycle(world.cycle())
                    .with_phase(world.phase())
                    .with_origin(Source::of(Origin::Root).origin)
                    .with_number("slot", u64::from(self.key.index))
                    .with_number("generation_expected", u64::from(self.key.generation))
                    .with_number(
                        "generation_found",
                        u64::from(generation.unwrap_or_default()),
                    )
            });
        if holds {
            Ok(())
        } else {
            Err(RootError::Damaged)
        }
    }
}

impl<T: Object + ?Sized> Clone for Root<T> {
    /// A second root of the same object. A damaged root clones to one that reads as damaged.
    fn clone(&self) -> Self {
        match self.address() {
            Ok(address) => Root::new(Arc::clone(&self.drive), address),
            Err(_) => Root {
                drive: Arc::clone(&self.drive),
                key: RootKey::DAMAGED,
                object: PhantomData,
            },
        }
    }
}

impl<T: Object + ?Sized> Drop for Root<T> {
    fn drop(&mut self) {
        if self.key == RootKey::DAMAGED {
            return;
        }
        let shared = &self.drive.shared;
        let removed = shared.roots.remove(self.believed(), |address, kept| {
            #[cfg(feature = "fault-inject")]
            if shared.hooks.strikes(Site::RootUnshaded) {
                return;
            }
            shared.shade_root(address, kept, Origin::Root);
        });
        // A slot that does not fit is left as it is: a pin leaks its object, which is safe.
        let _damaged_slot_stays_as_a_pin = self.check(removed);
    }
}

impl<T: Object + ?Sized> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({})", self.key.index)
    }
}
