//! Upgrades: from a weak reference or an ephemeron to the objects it leads to.
//!
//! Mutators call these inside `enter`, in any phase. An upgrade makes a white object reachable again,
//! so it is a barrier, and it must not come between a termination's last look and its decision
//! (DESIGN 4.2; the order of stores and loads is checked by the models).
#![allow(unsafe_code)]

use core::panic::Location;

use gc_hooks::sync::yield_now;
use gc_hooks::{Origin, Phase};
use gc_sweep::AllocError;

use crate::ephemeron::{Ephemeron, EphemeronCell};
use crate::gc::Gc;
use crate::scope::Scope;
use crate::weak::{Weak, WeakCell};

impl<'gc> Scope<'gc> {
    /// A reference to the object that does not keep it alive.
    ///
    /// # Panics
    ///
    /// When the heap is at its limit: a weak reference owns a small object.
    #[track_caller]
    pub fn downgrade<T: ?Sized>(self, object: Gc<'gc, T>) -> Weak<'gc, T> {
        Weak::new(self.alloc(WeakCell::new(object.address())))
    }

    /// As [`Scope::downgrade`], or says why not.
    ///
    /// # Errors
    ///
    /// As for [`Scope::try_alloc`].
    pub fn try_downgrade<T: ?Sized>(self, object: Gc<'gc, T>) -> Result<Weak<'gc, T>, AllocError> {
        let cell = WeakCell::new(object.address());
        self.try_alloc(cell).map(Weak::new)
    }

    /// The target of a weak reference, unless it is dead.
    #[track_caller]
    pub fn upgrade<T: ?Sized>(self, weak: Weak<'gc, T>) -> Option<Gc<'gc, T>> {
        let [target] = self.resurrect(|| [weak.cell().target()], Location::caller())?;
        // SAFETY: a cell is nulled before its target is swept, so the target is allocated; while
        // marking runs it was shaded, so it outlives this `enter`.
        Some(unsafe { Gc::from_address(target) })
    }

    /// A pair of which the key keeps the value alive: the value lives as long as both the ephemeron
    /// and the key do, even if the value itself leads to the key.
    ///
    /// # Panics
    ///
    /// When the heap is at its limit: an ephemeron owns a small object.
    #[track_caller]
    pub fn ephemeron<K: ?Sized, V: ?Sized>(
        self,
        key: Gc<'gc, K>,
        value: Gc<'gc, V>,
    ) -> Ephemeron<'gc, K, V> {
        Ephemeron::new(self.alloc(EphemeronCell::new(key.address(), value.address())))
    }

    /// As [`Scope::ephemeron`], or says why not.
    ///
    /// # Errors
    ///
    /// As for [`Scope::try_alloc`].
    pub fn try_ephemeron<K: ?Sized, V: ?Sized>(
        self,
        key: Gc<'gc, K>,
        value: Gc<'gc, V>,
    ) -> Result<Ephemeron<'gc, K, V>, AllocError> {
        let cell = EphemeronCell::new(key.address(), value.address());
        self.try_alloc(cell).map(Ephemeron::new)
    }

    /// The key of an ephemeron, unless it is dead.
    #[track_caller]
    pub fn ephemeron_key<K: ?Sized, V: ?Sized>(
        self,
        ephemeron: Ephemeron<'gc, K, V>,
    ) -> Option<Gc<'gc, K>> {
        Some(self.ephemeron_entry(ephemeron)?.0)
    }

    /// The value of an ephemeron, unless its key is dead.
    #[track_caller]
    pub fn ephemeron_value<K: ?Sized, V: ?Sized>(
        self,
        ephemeron: Ephemeron<'gc, K, V>,
    ) -> Option<Gc<'gc, V>> {
        Some(self.ephemeron_entry(ephemeron)?.1)
    }

    /// Key and value of an ephemeron, unless the key is dead.
    #[track_caller]
    pub fn ephemeron_entry<K: ?Sized, V: ?Sized>(
        self,
        ephemeron: Ephemeron<'gc, K, V>,
    ) -> Option<(Gc<'gc, K>, Gc<'gc, V>)> {
        let cell = ephemeron.cell();
        let read = || cell.entry().map_or([0; 2], |(key, value)| [key, value]);
        let [key, value] = self.resurrect(read, Location::caller())?;
        // SAFETY: a cell is nulled before its key is swept, so the key is allocated; while marking
        // runs it was shaded, so it outlives this `enter`.
        let key = unsafe { Gc::from_address(key) };
        // SAFETY: as for the key: a value is allocated as long as its key is, and was shaded too.
        Some((key, unsafe { Gc::from_address(value) }))
    }

    /// Takes hold of objects that a cell leads to without keeping them alive. `None` when the cell is
    /// empty or its objects are dead.
    ///
    /// While marking runs this is a barrier: the objects are shaded. It must not come between a
    /// termination's last look and its decision, so the mutator says that it is at it, and the
    /// collector, having said that it terminates, waits until nobody is. What comes later waits for
    /// the decision.
    fn resurrect<const N: usize>(
        self,
        read: impl Fn() -> [usize; N],
        call_site: &'static Location<'static>,
    ) -> Option<[usize; N]> {
        if !self.local().barrier.get().shades() {
            // The cycle cannot end before this mutator is armed and has left `enter`; what the one
            // before left white was nulled before the barrier went off.
            return held(read());
        }
        loop {
            self.record().set_shading(true);
            let decided = self.try_resurrect(&read, call_site);
            self.record().set_shading(false);
            match decided {
                Some(objects) => return objects,
                None => yield_now(),
            }
        }
    }

    /// One attempt; `None` while a termination is undecided.
    #[allow(clippy::option_option)]
    fn try_resurrect<const N: usize>(
        self,
        read: &impl Fn() -> [usize; N],
        call_site: &'static Location<'static>,
    ) -> Option<Option<[usize; N]>> {
        let shared = self.shared();
        let phase = shared.world.phase();
        let Some(objects) = held(read()) else {
            return Some(None);
        };
        let kept = self.local().kept();
        // A slot that was swept and taken again meanwhile looks marked; then its cell was nulled
        // before, which the second look sees.
        let are_alive = || {
            let mut marked = objects.iter();
            marked.all(|object| kept.has(shared.state(*object))) && read() == objects
        };
        match phase {
            Phase::Idle | Phase::Sweep => Some(Some(objects)),
            // Nobody waits for an upgrade that begins now: it may last until after the flip.
            Phase::Terminate => are_alive().then_some(Some(objects)),
            Phase::Clear if are_alive() => Some(Some(objects)),
            // What is white is dead, though its cell may not be nulled yet. But the phase may be out of
            // date, and others may have marked in the colour of the next cycle already.
            Phase::Clear => (shared.world.phase() == Phase::Clear).then_some(None),
            Phase::Arm | Phase::Settle | Phase::Snapshot | Phase::Mark => {
                objects.iter().for_each(|object| {
                    self.shade(*object, Origin::Resurrection, call_site);
                });
                Some(Some(objects))
            }
        }
    }
}

/// What a cell leads to, unless it is empty.
fn held<const N: usize>(objects: [usize; N]) -> Option<[usize; N]> {
    (!objects.contains(&0)).then_some(objects)
}
