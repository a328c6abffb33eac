//! [`Root`]: a handle that keeps an object alive outside scopes.
//!
//! A root occupies a slot of its heap's root table and keeps the heap itself alive. Reading or
//! dropping one while a cycle marks is a barrier, since the table is scanned once. Roots stay on
//! the thread of their heap.

use core::fmt;
use core::marker::PhantomData;
use std::sync::Arc;

use gc_hooks::{Check, Origin, Violation};

use crate::barrier;
use crate::engine::Engine;
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
    engine: Arc<Engine>,
    key: RootKey,
    /// Not `Send` and not `Sync`: heaps and their handles stay on one thread.
    object: PhantomData<*const T>,
}

impl<T: Object + ?Sized> Root<T> {
    pub(crate) fn new(engine: Arc<Engine>, address: usize) -> Self {
        let key = engine.shared.roots.add(address);
        Root {
            engine,
            key,
            object: PhantomData,
        }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    #[cfg(feature = "fault-inject")]
    pub(crate) fn key(&self) -> RootKey {
        self.key
    }

    /// The address behind the root, shaded if a cycle marks.
    pub(crate) fn address(&self) -> Result<usize, RootError> {
        let found = self.engine.shared.roots.get(self.key);
        self.check(found)?;
        let address = found.map_err(|_| RootError::Damaged)?;
        barrier::shade_removed_root(&self.engine.shared, address);
        Ok(address)
    }

    fn check<R>(&self, found: Result<R, Mismatch>) -> Result<(), RootError> {
        let generation = found.err().map(|mismatch| mismatch.found);
        let holds = self
            .engine
            .shared
            .hooks
            .holds(Check::RootTable, generation.is_none(), || {
                let world = &self.engine.shared.world;
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
            Ok(address) => Root::new(Arc::clone(&self.engine), address),
            Err(_) => Root {
                engine: Arc::clone(&self.engine),
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
        let shared = &self.engine.shared;
        if let Ok(address) = shared.roots.get(self.key) {
            barrier::shade_removed_root(shared, address);
        }
        // A slot that does not fit is left as it is: a pin leaks its object, which is safe.
        let _damaged_slot_stays_as_a_pin = self.check(shared.roots.remove(self.key));
    }
}

impl<T: Object + ?Sized> fmt::Debug for Root<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root({})", self.key.index)
    }
}
