//! [`Gc`]: the branded pointer to a managed object, and nothing else.
//!
//! A `Gc<'gc, T>` exists only inside the `enter` whose scope carries the brand `'gc`. Snapshots are
//! taken outside `enter` only, so whatever a mutator could reach when it entered, and whatever it
//! allocated since, stays allocated until it leaves: that is what every dereference leans on.
//!
//! # Threads
//!
//! `Gc`, [`Edge`](crate::Edge), [`Weak`](crate::Weak), [`Ephemeron`](crate::Ephemeron) and
//! [`Root`](crate::Root) are `Send` and `Sync` exactly when all they lead to directly is
//! `Send + Sync`. Auto traits are coinductive, so a type that reaches itself is judged by the rest
//! of it. Why that is enough:
//!
//! 1. *A thread without a scope only reads.* Storing, upgrading, rooting and allocating take a
//!    `Scope`, which is neither `Send` nor `Sync`. The brand is shorter than the call of `enter`,
//!    so only threads that are joined before `enter` ends can hold a `Gc`. The mutator stays inside
//!    meanwhile, no snapshot of it is taken, and what it can reach stays allocated; reading takes
//!    no part in the protocol. Joining, then the Release of the mutator's state word, order those
//!    reads before any sweep that could free what they read.
//! 2. *An object that one thread alone may use is reachable on that thread alone.* It becomes
//!    reachable elsewhere only if a pointer to it crosses over: as a value, in a value, or in an
//!    object that is itself reachable there. Each of those carries the pointer in its type, and so
//!    is not `Send`, nor is a root of it. A mutator that moves to another thread takes no typed
//!    pointer along: between two `enter`s there are none but roots.
//! 3. *The collector may look at every object and drop it.* It shares each object with the
//!    mutators whatever its type, but reads immutable memory and atomics only (duty 2 of
//!    [`Trace`]), never a cell. It drops on any thread, which drop glue must allow (duty 4): glue
//!    is made of leaves, and of payloads of cells, which are `Send`, and a type with a `Drop` of
//!    its own is `Send` as a whole. A type that is not `Send` and still traced is so by a marker or
//!    a managed pointer in it, which have no glue.
//! 4. *`At<'static>` is `Send` exactly when `At<'gc>` is* (duty 1): both are the same definition,
//!    and auto traits do not look at lifetimes. A root is judged by the former, a `Gc` by the
//!    latter.
#![allow(unsafe_code)]

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroUsize;
use core::ops::Deref;
use core::ptr::NonNull;

use crate::object::{Object, slot_pointer};
use crate::trace::{Trace, Tracer};

/// The brand: invariant in `'gc`, so that two scopes never unify.
pub(crate) type Brand<'gc> = PhantomData<fn(&'gc ()) -> &'gc ()>;

/// A pointer to a managed object: one word, `Copy`, valid for the `enter` it was made in.
///
/// It dereferences to the object. Equality by identity is [`Gc::ptr_eq`]; `==` compares values.
/// To keep an object between two `enter`s, make a [`Root`](crate::Root) of it.
pub struct Gc<'gc, T: ?Sized> {
    slot: NonNull<u8>,
    brand: Brand<'gc>,
    object: PhantomData<*const T>,
}

// SAFETY: whoever receives the pointer can share the object for the rest of the brand (`Sync`), and
// nothing else; see "Threads" at the head, which also asks for `Send`.
unsafe impl<T: ?Sized + Send + Sync> Send for Gc<'_, T> {}
// SAFETY: a shared `Gc` is a copy of it away from being a sent one, under the same bounds.
unsafe impl<T: ?Sized + Send + Sync> Sync for Gc<'_, T> {}

impl<T: ?Sized> Copy for Gc<'_, T> {}

impl<T: ?Sized> Clone for Gc<'_, T> {
    #[inline]
    fn clone(&self) -> Self {
        *self
    }
}

impl<'gc, T: ?Sized> Gc<'gc, T> {
    /// A pointer to the object in the slot at `address`.
    ///
    /// # Safety
    ///
    /// A live object of type `T` stands there and stays for `'gc`.
    #[inline]
    pub(crate) unsafe fn from_address(address: usize) -> Self {
        Gc {
            slot: slot_pointer(address),
            brand: PhantomData,
            object: PhantomData,
        }
    }

    /// The address of the object. Stable for the life of the object: nothing moves.
    #[inline]
    pub fn address(self) -> usize {
        self.nonzero_address().get()
    }

    #[inline]
    pub(crate) fn nonzero_address(self) -> NonZeroUsize {
        self.slot.addr()
    }

    /// Whether two pointers lead to the same object.
    #[inline]
    pub fn ptr_eq(a: Self, b: Self) -> bool {
        a.slot == b.slot
    }
}

impl<'gc, T: Object + ?Sized> Gc<'gc, T> {
    /// The object, for as long as the scope lasts rather than as long as this pointer does.
    #[inline]
    #[allow(clippy::should_implement_trait)]
    pub fn as_ref(self) -> &'gc T
    where
        T: 'gc,
    {
        // SAFETY: `from_address` promises a live object of type `T` in the slot.
        let object = unsafe { T::from_slot(self.slot) };
        // SAFETY: it stays for `'gc`; objects are only ever shared, so no unique reference exists.
        unsafe { object.as_ref() }
    }
}

impl<T: Object + ?Sized> Deref for Gc<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `from_address` promises a live object of type `T` in the slot.
        let object = unsafe { T::from_slot(self.slot) };
        // SAFETY: it stays for the brand, which outlives `self`; objects are only ever shared.
        unsafe { object.as_ref() }
    }
}

impl<T: Object + ?Sized + fmt::Debug> fmt::Debug for Gc<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl<T: Object + ?Sized + fmt::Display> fmt::Display for Gc<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&**self, f)
    }
}

impl<T: Object + ?Sized + PartialEq> PartialEq for Gc<'_, T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Object + ?Sized + Eq> Eq for Gc<'_, T> {}

// SAFETY: `At<'a>` replaces the brand and the object's own; the one pointer is reported.
unsafe impl<T: Object + ?Sized> Trace for Gc<'_, T> {
    type At<'a> = Gc<'a, <T as Object>::At<'a>>;
    const MAY_HOLD_GC: bool = true;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        tracer.visit(self.slot);
    }
}
