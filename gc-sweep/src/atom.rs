//! What the protocols between threads need of an atomic integer.
//!
//! The tables of a space are zeroed mappings, in which only the standard library's atomics may lie. The loom tests run
//! the very same protocol code on loom's. So that code is written for any [`Atom`]: `state_cell` for the state bytes,
//! `span_word` for the state words of spans.
//!
//! Invariant: an atom is exactly the atomic of its width; nothing is added to its operations.
//!
//! Deliberately absent: protocols, and operations that none of them uses.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

/// An atomic integer.
pub(crate) trait Atom {
    /// Its value.
    type Value;

    /// As the atomic's own.
    fn load(&self, order: Ordering) -> Self::Value;

    /// As the atomic's own.
    fn store(&self, value: Self::Value, order: Ordering);

    /// As the atomic's own.
    fn swap(&self, value: Self::Value, order: Ordering) -> Self::Value;

    /// As the atomic's own.
    fn compare_exchange(
        &self,
        from: Self::Value,
        to: Self::Value,
        success: Ordering,
        failure: Ordering,
    ) -> Result<Self::Value, Self::Value>;
}

macro_rules! atom {
    ($atomic:ty, $value:ty) => {
        impl Atom for $atomic {
            type Value = $value;

            #[inline(always)]
            fn load(&self, order: Ordering) -> $value {
                <$atomic>::load(self, order)
            }

            #[inline(always)]
            fn store(&self, value: $value, order: Ordering) {
                <$atomic>::store(self, value, order);
            }

            #[inline(always)]
            fn swap(&self, value: $value, order: Ordering) -> $value {
                <$atomic>::swap(self, value, order)
            }

            #[inline(always)]
            fn compare_exchange(
                &self,
                from: $value,
                to: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                <$atomic>::compare_exchange(self, from, to, success, failure)
            }
        }
    };
}

atom!(AtomicU8, u8);
atom!(AtomicU64, u64);
#[cfg(loom)]
atom!(gc_hooks::sync::atomic::AtomicU8, u8);
#[cfg(loom)]
atom!(gc_hooks::sync::atomic::AtomicU64, u64);
