//! [`Trace`] for the types of the standard library.
//!
//! Called by the marker through derived code, on objects that mutators may be using at that moment.
//! Three kinds of impl, one macro each:
//! - *leaves* hold no managed pointer and are not looked at;
//! - *leaves over a payload* have interior mutability or shared ownership, so their payload is
//!   `'static + Send`: a cell of `Gc` would be a store without a write barrier, and an `Arc` of
//!   `Gc` would outlive the scope;
//! - *containers* own their items and cannot change while the value is shared, so they may hold
//!   managed pointers and report what their items report. Their drop glue runs that of the items
//!   and looks at nothing else.
//!
//! Invariant: no impl here calls code that a user can write; iterating over a map neither hashes
//! nor compares.
//!
//! Deliberately absent: `Rc`, which drops on the thread of the sweeper what another thread still
//! counts; references other than `&'static str`; `UnsafeCell` and raw pointers; boxed trait objects
//! and closures, whose contents nobody can report.
#![allow(unsafe_code)]

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::marker::PhantomData;
use std::ops::{Bound, Range, RangeFrom, RangeInclusive, RangeTo, RangeToInclusive};
use std::sync::{Arc, Mutex, OnceLock, RwLock};

use crate::trace::{Trace, Tracer};

/// What a cell or a lock inside an object may own: nothing branded, and nothing that one thread
/// alone may drop. Holds for every type that is `'static + Send`, and names the rule in the
/// compiler's message for the others.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a cell or lock of a managed object",
    label = "may hold a `Gc`, or may not be dropped on another thread",
    note = "what stands there is `'static + Send` and holds no `Gc`: a store into it has no write barrier",
    note = "for a pointer that changes, use `Edge` instead of a cell of `Gc`"
)]
pub trait Payload: 'static + Send {}

#[diagnostic::do_not_recommend]
impl<T: 'static + Send + ?Sized> Payload for T {}

/// A [`Payload`] that several threads may own at once.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in an `Arc` of a managed object",
    label = "may hold a `Gc`, or may not be shared between threads",
    note = "what stands there is `'static + Send + Sync` and holds no `Gc`: the `Arc` may outlive every scope"
)]
pub trait SharedPayload: Payload + Sync {}

#[diagnostic::do_not_recommend]
impl<T: Payload + Sync + ?Sized> SharedPayload for T {}

/// What a user may declare to be a leaf.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a leaf",
    label = "may hold a `Gc`, or may not be dropped on another thread",
    note = "what `#[trace(leaf)]` or `#[trace(drop)]` is said of is `'static + Send` and holds no `Gc`"
)]
pub trait Leaf: 'static + Send {}

#[diagnostic::do_not_recommend]
impl<T: 'static + Send + ?Sized> Leaf for T {}

impl Tracer<'_> {
    /// Compiles for leaves alone; derived code calls it instead of the `trace` of a leaf.
    #[doc(hidden)]
    #[inline]
    pub fn assert_leaf<T: Leaf + ?Sized>(_: &T) {}
}

/// Types that hold no managed pointer.
macro_rules! leaves {
    ($($leaf:ty),* $(,)?) => {$(
        // SAFETY: the type has no brand, so `At` is the type itself; it is `'static`, owns nothing
        // that is branded, and is `Send`, which the line below proves, so its drop glue may run on
        // any thread.
        unsafe impl Trace for $leaf {
            type At<'a> = $leaf;
            const MAY_HOLD_GC: bool = false;

            #[inline]
            fn trace(&self, _: &mut Tracer<'_>) {}
        }

        const _: () = is_leaf::<$leaf>();
    )*};
}

/// A type whose payload is a leaf although the type could be mutated or shared behind our back.
macro_rules! leaf_over_a_payload {
    ([$($parameter:tt)*] $leaf:ty) => {
        // SAFETY: the payload is `'static`, so nothing inside carries a live brand, and `At` is the
        // type itself. The payload may be dropped on any thread, by its bounds. Nothing is read.
        unsafe impl<$($parameter)*> Trace for $leaf {
            type At<'a> = $leaf;
            const MAY_HOLD_GC: bool = false;

            #[inline]
            fn trace(&self, _: &mut Tracer<'_>) {}
        }
    };
}

/// Types that own items and give them out by `iter`.
macro_rules! containers {
    ($([$($parameter:tt)*] $container:ty, at $at:lifetime $family:ty;)*) => {$(
        // SAFETY: `At` is the same container of the items' `At`. The container does not change
        // while it is shared, so iterating reads immutable memory; it runs code of the standard
        // library alone. Every item is reported. It can hold a managed pointer only in an item, and
        // its drop glue drops the items and frees their memory.
        unsafe impl<$($parameter)*> Trace for $container {
            type At<$at> = $family;
            const MAY_HOLD_GC: bool = T::MAY_HOLD_GC;

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                if T::MAY_HOLD_GC {
                    for item in self.iter() {
                        item.trace(tracer);
                    }
                }
            }
        }
    )*};
}

/// Maps, which own keys and values.
macro_rules! maps {
    ($([$($parameter:tt)*] $map:ty, at $at:lifetime $family:ty;)*) => {$(
        // SAFETY: as for the containers above, for keys and for values; a hasher is `'static` and
        // is not looked at.
        unsafe impl<$($parameter)*> Trace for $map {
            type At<$at> = $family;
            const MAY_HOLD_GC: bool = K::MAY_HOLD_GC || V::MAY_HOLD_GC;

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                if Self::MAY_HOLD_GC {
                    for (key, value) in self {
                        key.trace(tracer);
                        value.trace(tracer);
                    }
                }
            }
        }
    )*};
}

/// Ranges, taken apart into their ends.
macro_rules! ranges {
    ($($range:ident { $($end:ident),* })*) => {$(
        // SAFETY: `At` is the same range of the ends' `At`; the ends are plain fields, and both are
        // reported.
        unsafe impl<T: Trace> Trace for $range<T> {
            type At<'a> = $range<T::At<'a>>;
            const MAY_HOLD_GC: bool = T::MAY_HOLD_GC;

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                $(self.$end.trace(tracer);)*
            }
        }
    )*};
}

/// Tuples, field by field.
macro_rules! tuples {
    ($(($($item:ident $index:tt),+))*) => {$(
        // SAFETY: `At` is the tuple of the fields' `At`; every field is reported, and there is
        // nothing else.
        unsafe impl<$($item: Trace),+> Trace for ($($item,)+) {
            type At<'a> = ($($item::At<'a>,)+);
            const MAY_HOLD_GC: bool = $($item::MAY_HOLD_GC)||+;

            #[inline]
            fn trace(&self, tracer: &mut Tracer<'_>) {
                $(self.$index.trace(tracer);)+
            }
        }
    )*};
}

/// Evaluates for leaves alone.
const fn is_leaf<T: Leaf>() {}

leaves! {
    (), bool, char, f32, f64,
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize,
    &'static str, String, Box<str>, std::borrow::Cow<'static, str>,
    std::ffi::CString, std::ffi::OsString, Box<std::ffi::CStr>, Box<std::ffi::OsStr>,
    std::path::PathBuf, Box<std::path::Path>,
    std::time::Duration, std::time::Instant, std::time::SystemTime,
    std::any::TypeId, std::alloc::Layout, std::thread::ThreadId,
    std::cmp::Ordering, std::convert::Infallible, std::ops::RangeFull,
    std::net::IpAddr, std::net::Ipv4Addr, std::net::Ipv6Addr,
    std::net::SocketAddr, std::net::SocketAddrV4, std::net::SocketAddrV6,
    std::num::NonZeroU8, std::num::NonZeroU16, std::num::NonZeroU32, std::num::NonZeroU64,
    std::num::NonZeroU128, std::num::NonZeroUsize,
    std::num::NonZeroI8, std::num::NonZeroI16, std::num::NonZeroI32, std::num::NonZeroI64,
    std::num::NonZeroI128, std::num::NonZeroIsize,
    std::sync::atomic::Ordering, std::sync::atomic::AtomicBool,
    std::sync::atomic::AtomicU8, std::sync::atomic::AtomicU16, std::sync::atomic::AtomicU32,
    std::sync::atomic::AtomicU64, std::sync::atomic::AtomicUsize,
    std::sync::atomic::AtomicI8, std::sync::atomic::AtomicI16, std::sync::atomic::AtomicI32,
    std::sync::atomic::AtomicI64, std::sync::atomic::AtomicIsize,
}

leaf_over_a_payload!([T: 'static + ?Sized] PhantomData<T>);
leaf_over_a_payload!([T: Payload] Cell<T>);
leaf_over_a_payload!([T: Payload] OnceCell<T>);
leaf_over_a_payload!([T: Payload] RefCell<T>);
leaf_over_a_payload!([T: Payload] Mutex<T>);
leaf_over_a_payload!([T: Payload] RwLock<T>);
leaf_over_a_payload!([T: Payload] OnceLock<T>);
leaf_over_a_payload!([T: SharedPayload + ?Sized] Arc<T>);
leaf_over_a_payload!([T: SharedPayload + ?Sized] std::sync::Weak<T>);

containers! {
    [T: Trace] Option<T>, at 'a Option<T::At<'a>>;
    [T: Trace] Box<[T]>, at 'a Box<[T::At<'a>]>;
    [T: Trace] Vec<T>, at 'a Vec<T::At<'a>>;
    [T: Trace] VecDeque<T>, at 'a VecDeque<T::At<'a>>;
    [T: Trace] BTreeSet<T>, at 'a BTreeSet<T::At<'a>>;
    [T: Trace, S: 'static + Send] HashSet<T, S>, at 'a HashSet<T::At<'a>, S>;
    [T: Trace, const N: usize] [T; N], at 'a [T::At<'a>; N];
}

maps! {
    [K: Trace, V: Trace] BTreeMap<K, V>, at 'a BTreeMap<K::At<'a>, V::At<'a>>;
    [K: Trace, V: Trace, S: 'static + Send] HashMap<K, V, S>, at 'a HashMap<K::At<'a>, V::At<'a>, S>;
}

ranges! {
    Range { start, end }
    RangeFrom { start }
    RangeTo { end }
    RangeToInclusive { end }
}

tuples! {
    (A 0)
    (A 0, B 1)
    (A 0, B 1, C 2)
    (A 0, B 1, C 2, D 3)
    (A 0, B 1, C 2, D 3, E 4)
    (A 0, B 1, C 2, D 3, E 4, F 5)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6)
    (A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7)
}

// SAFETY: `At` is the range of the ends' `At`; both ends are reported, through accessors of the
// standard library.
unsafe impl<T: Trace> Trace for RangeInclusive<T> {
    type At<'a> = RangeInclusive<T::At<'a>>;
    const MAY_HOLD_GC: bool = T::MAY_HOLD_GC;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        self.start().trace(tracer);
        self.end().trace(tracer);
    }
}

// SAFETY: `At` is the bound of the value's `At`; the value, if there is one, is reported.
unsafe impl<T: Trace> Trace for Bound<T> {
    type At<'a> = Bound<T::At<'a>>;
    const MAY_HOLD_GC: bool = T::MAY_HOLD_GC;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        match self {
            Bound::Included(value) | Bound::Excluded(value) => value.trace(tracer),
            Bound::Unbounded => {}
        }
    }
}

// SAFETY: `At` is the box of the value's `At`; the value is owned, does not change while the box is
// shared, and is reported.
unsafe impl<T: Trace> Trace for Box<T> {
    type At<'a> = Box<T::At<'a>>;
    const MAY_HOLD_GC: bool = T::MAY_HOLD_GC;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        (**self).trace(tracer);
    }
}

// SAFETY: `At` is the result of both `At`s; whichever of the two is there is reported.
unsafe impl<T: Trace, E: Trace> Trace for Result<T, E> {
    type At<'a> = Result<T::At<'a>, E::At<'a>>;
    const MAY_HOLD_GC: bool = T::MAY_HOLD_GC || E::MAY_HOLD_GC;

    #[inline]
    fn trace(&self, tracer: &mut Tracer<'_>) {
        match self {
            Ok(value) => value.trace(tracer),
            Err(error) => error.trace(tracer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stands for a managed pointer: reports its own number as an address.
    #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
    struct Probe(usize);

    // SAFETY: the type has no brand; it reports the one address it holds.
    unsafe impl Trace for Probe {
        type At<'a> = Probe;
        const MAY_HOLD_GC: bool = true;

        fn trace(&self, tracer: &mut Tracer<'_>) {
            tracer.visit_address(self.0);
        }
    }

    /// What a value reports, in ascending order, after checking that it says it may report
    /// something.
    fn found<T: Trace>(value: T) -> Vec<usize> {
        assert!(T::MAY_HOLD_GC);
        let mut found = Vec::new();
        value.trace(&mut Tracer::new(&mut found));
        found.sort_unstable();
        found
    }

    #[test]
    fn sequences_report_every_item() {
        assert_eq!(found(vec![Probe(1), Probe(2), Probe(3)]), [1, 2, 3]);
        assert_eq!(found(vec![Probe(1), Probe(2)].into_boxed_slice()), [1, 2]);
        assert_eq!(found(VecDeque::from([Probe(1), Probe(2)])), [1, 2]);
        assert_eq!(found([Probe(1), Probe(2)]), [1, 2]);
        assert_eq!(found(BTreeSet::from([Probe(1), Probe(2)])), [1, 2]);
        assert_eq!(found(HashSet::from([Probe(1), Probe(2)])), [1, 2]);
    }

    #[test]
    fn maps_report_keys_and_values() {
        assert_eq!(
            found(BTreeMap::from([(Probe(1), Probe(2)), (Probe(3), Probe(4))])),
            [1, 2, 3, 4]
        );
        assert_eq!(
            found(HashMap::from([(Probe(1), 2_u8), (Probe(3), 4)])),
            [1, 3]
        );
        assert_eq!(found(HashMap::from([("one", Probe(1))])), [1]);
    }

    #[test]
    fn alternatives_report_the_one_that_is_there() {
        assert_eq!(found(Some(Probe(1))), [1]);
        assert!(found(None::<Probe>).is_empty());
        assert_eq!(found(Ok::<Probe, u8>(Probe(1))), [1]);
        assert_eq!(found(Err::<u8, Probe>(Probe(2))), [2]);
        assert!(found(Ok::<u8, Probe>(1)).is_empty());
        assert_eq!(found(Bound::Excluded(Probe(1))), [1]);
    }

    #[test]
    fn boxes_tuples_and_ranges_report_their_fields() {
        assert_eq!(found(Box::new(Box::new(Probe(1)))), [1]);
        assert_eq!(found((Probe(1),)), [1]);
        assert_eq!(
            found((1, Probe(2), "3", Probe(4), 5, 6, 7, Probe(8))),
            [2, 4, 8]
        );
        assert_eq!(found(Probe(1)..Probe(2)), [1, 2]);
        assert_eq!(found(Probe(1)..=Probe(2)), [1, 2]);
        assert_eq!(found((Probe(1).., ..Probe(2), ..=Probe(3))), [1, 2, 3]);
    }

    #[test]
    fn nested_containers_report_what_is_deep_inside() {
        let value = HashMap::from([(7, vec![Some(Box::new([Probe(1), Probe(2)])), None])]);
        assert_eq!(found(value), [1, 2]);
    }

    #[test]
    fn containers_of_leaves_hold_no_gc() {
        const {
            assert!(!<Vec<HashMap<String, (u8, Box<[f64]>)>> as Trace>::MAY_HOLD_GC);
            assert!(!<Option<Cell<Option<u32>>> as Trace>::MAY_HOLD_GC);
            assert!(!<Result<BTreeMap<u8, RefCell<String>>, Arc<dyn Fn() + Send + Sync>> as Trace>::MAY_HOLD_GC);
            assert!(!<[PhantomData<Probe>; 3] as Trace>::MAY_HOLD_GC);
            assert!(<Option<(u8, Vec<Probe>)> as Trace>::MAY_HOLD_GC);
        }
    }
}
