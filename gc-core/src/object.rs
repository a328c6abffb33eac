//! What a managed object is in memory: type descriptors, writing a value into a slot, scanning, dropping.
//!
//! Mutators write objects here before they publish them; the marker scans them; the sweeper drops
//! them. The address of a live object is the address of its slot: there is no header. A slice
//! object starts with its length in items, followed by the items at the next address their
//! alignment allows, so that every managed pointer is one word.
//!
//! Invariant: a [`TypeInfo`] is only ever applied to slots of spans of its own type, which is what
//! makes a stale pointer meet its own type. Deliberately absent: locks, phases, spans.
#![allow(unsafe_code)]

use core::any::TypeId;
use core::ptr::{self, NonNull};

use gc_sweep::ALIGN_BYTES_MAX;

use crate::trace::{Trace, Tracer};

mod edges;
mod fields;

pub(crate) use edges::{Spot, edges_of_object};
use edges::{edges_of_items, edges_of_sized};
pub(crate) use fields::name_field;
use fields::{field_of_items, field_of_sized};

/// Items of a slice that one scan visits at most; longer slices are scanned in pieces so that the
/// marker keeps its step budget. 16 Ki pointer words are 128 KiB.
pub(crate) const SCAN_ITEMS_MAX: usize = 16 * 1024;

/// Scans items `from..` of the object at the address and says where to go on, if anywhere.
pub(crate) type ScanFn = unsafe fn(NonNull<u8>, usize, &mut Tracer<'_>) -> Option<usize>;
/// Names the field of the object at the address that holds a pointer.
pub(crate) type FieldFn = unsafe fn(NonNull<u8>, usize) -> Option<&'static str>;
/// Tells the pointers of the object at the address, from an item on, and where they stand in it; says
/// where to go on, if anywhere.
pub(crate) type EdgesFn = unsafe fn(NonNull<u8>, usize, &mut Vec<(Spot, usize)>) -> Option<usize>;
/// Runs the drop glue of the object at the address.
pub(crate) type DropFn = unsafe fn(NonNull<u8>);

/// The descriptor of a Rust type. One constant for each type; two copies of it are equal. Aligned so that the low bits of
/// its address, taken as they are, name a lane of the mutator (local.rs).
#[derive(Clone, Copy)]
#[repr(align(16))]
pub(crate) struct TypeInfo {
    /// Name for reports.
    pub(crate) name: fn() -> &'static str,
    /// Identity of the type with its brand replaced by `'static`.
    pub(crate) id: fn() -> TypeId,
    /// Bytes of the value, or of the length word and padding before the items of a slice.
    pub(crate) bytes: usize,
    /// Alignment of the slot in bytes.
    pub(crate) align: usize,
    /// One slot size for all objects, or one for each length.
    pub(crate) extent: Extent,
    /// Absent for types that hold no managed pointer.
    pub(crate) scan: Option<ScanFn>,
    /// Names fields in reports; answers nothing for types that hold no managed pointer.
    pub(crate) field: FieldFn,
    /// Tells pointers with their fields, for snapshots. Nothing for types that hold no managed pointer.
    pub(crate) edges: EdgesFn,
    /// Absent for types without drop glue.
    pub(crate) drop: Option<DropFn>,
}

impl TypeInfo {
    /// Whether every object has the size of the type.
    pub(crate) fn is_fixed(&self) -> bool {
        self.extent == Extent::Fixed
    }
}

/// Whether all objects of a type have the same size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Extent {
    /// Every object has the size of the type.
    Fixed,
    /// The size follows from the number of items.
    Items {
        /// Bytes of one item.
        item_bytes: usize,
    },
}

/// Anything a [`Gc`](crate::Gc) may point to: every sized [`Trace`] type, slices of them, `str`.
///
/// # Safety
///
/// Implemented here and nowhere else: `from_slot` must rebuild the very pointer whose object
/// `INFO` describes.
pub unsafe trait Object: sealed::Described {
    /// The same type under the brand `'a`.
    type At<'a>: ?Sized + for<'b> Object<At<'b> = Self::At<'b>> + 'a;

    /// Rebuilds a pointer to the object from the address of its slot.
    ///
    /// # Safety
    ///
    /// The slot holds a live object of this type.
    #[doc(hidden)]
    unsafe fn from_slot(slot: NonNull<u8>) -> NonNull<Self>;
}

pub(crate) mod sealed {
    /// Ties each object type to its descriptor; the name is not reachable from outside, which
    /// seals [`Object`](super::Object).
    #[allow(private_interfaces)]
    pub trait Described {
        /// The descriptor of the type.
        #[doc(hidden)]
        const INFO: &'static super::TypeInfo;
    }
}

#[allow(private_interfaces)]
impl<T: Trace> sealed::Described for T {
    const INFO: &'static TypeInfo = {
        assert!(
            align_of::<T>() <= ALIGN_BYTES_MAX,
            "a managed object can be aligned to a page of 8192 bytes at most"
        );
        &TypeInfo {
            name: core::any::type_name::<T::At<'static>>,
            id: TypeId::of::<T::At<'static>>,
            bytes: size_of::<T>(),
            align: align_of::<T>(),
            extent: Extent::Fixed,
            scan: if T::MAY_HOLD_GC {
                Some(scan_sized::<T>)
            } else {
                None
            },
            field: field_of_sized::<T>,
            edges: edges_of_sized::<T>,
            drop: if core::mem::needs_drop::<T>() {
                Some(drop_sized::<T>)
            } else {
                None
            },
        }
    };
}

// SAFETY: the slot address is the address of the value.
unsafe impl<T: Trace> Object for T {
    type At<'a> = <T as Trace>::At<'a>;

    #[inline]
    unsafe fn from_slot(slot: NonNull<u8>) -> NonNull<T> {
        slot.cast()
    }
}

#[allow(private_interfaces)]
impl<T: Trace> sealed::Described for [T] {
    const INFO: &'static TypeInfo = {
        assert!(
            align_of::<T>() <= ALIGN_BYTES_MAX,
            "a managed object can be aligned to a page of 8192 bytes at most"
        );
        &TypeInfo {
            name: core::any::type_name::<[T::At<'static>]>,
            id: TypeId::of::<[T::At<'static>]>,
            bytes: items_offset::<T>(),
            align: if align_of::<T>() > align_of::<usize>() {
                align_of::<T>()
            } else {
                align_of::<usize>()
            },
            extent: Extent::Items {
                item_bytes: size_of::<T>(),
            },
            scan: if T::MAY_HOLD_GC {
                Some(scan_items::<T>)
            } else {
                None
            },
            field: field_of_items::<T>,
            edges: edges_of_items::<T>,
            drop: if core::mem::needs_drop::<T>() {
                Some(drop_items::<T>)
            } else {
                None
            },
        }
    };
}

// SAFETY: the slot starts with the length, the items follow at `items_offset`; both were written
// by `init_items` before the object was published, and neither changes.
unsafe impl<T: Trace> Object for [T] {
    type At<'a> = [T::At<'a>];

    #[inline]
    unsafe fn from_slot(slot: NonNull<u8>) -> NonNull<[T]> {
        // SAFETY: the caller's duty: a live slice object starts with its length word.
        let len = unsafe { slot.cast::<usize>().read() };
        // SAFETY: the items lie inside the same slot as the length word.
        let items = unsafe { slot.add(items_offset::<T>()) };
        NonNull::slice_from_raw_parts(items.cast(), len)
    }
}

#[allow(private_interfaces)]
impl sealed::Described for str {
    const INFO: &'static TypeInfo = &TypeInfo {
        name: || "str",
        id: TypeId::of::<str>,
        bytes: items_offset::<u8>(),
        align: align_of::<usize>(),
        extent: Extent::Items { item_bytes: 1 },
        scan: None,
        field: |_, _| None,
        edges: |_, _, _| None,
        drop: None,
    };
}

// SAFETY: a string object is laid out as a slice of bytes, written from a valid `str`.
unsafe impl Object for str {
    type At<'a> = str;

    #[inline]
    unsafe fn from_slot(slot: NonNull<u8>) -> NonNull<str> {
        // SAFETY: the caller's duty; the layout is that of a byte slice.
        let bytes = unsafe { <[u8] as Object>::from_slot(slot) };
        let text = bytes.as_ptr() as *mut str;
        // SAFETY: the cast keeps the address, which is not null.
        unsafe { NonNull::new_unchecked(text) }
    }
}

/// Offset in bytes of the first item of a slice object: behind the length, aligned for the item.
pub(crate) const fn items_offset<T>() -> usize {
    let align = align_of::<T>();
    if align > size_of::<usize>() {
        align
    } else {
        size_of::<usize>()
    }
}

/// The pointer to the slot at an address that the reservation handed out.
#[inline]
pub(crate) fn slot_pointer(address: usize) -> NonNull<u8> {
    let pointer = ptr::with_exposed_provenance_mut::<u8>(address);
    debug_assert!(!pointer.is_null());
    // SAFETY: slots lie inside the reservation, whose base is never zero.
    unsafe { NonNull::new_unchecked(pointer) }
}

/// Asks the processor to bring the first cache line of a slot closer. A hint: any address will do.
#[inline]
pub(crate) fn prefetch(address: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch never faults, whatever the address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(ptr::without_provenance(address)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = address;
}

/// Writes a value into a fresh slot that nobody else can see yet.
///
/// # Safety
///
/// `slot` is a fresh slot of at least the size and alignment of `T`, not yet published.
#[inline]
pub(crate) unsafe fn init<T>(slot: NonNull<u8>, value: T) {
    // SAFETY: the caller's duty; the slot is exclusively ours until it is published.
    unsafe { slot.cast::<T>().write(value) };
}

/// Moves `items` into a fresh slot as a slice object: length word, then the items.
///
/// # Safety
///
/// `slot` is fresh, not yet published, and was sized for `items.len()` items of `T`.
pub(crate) unsafe fn init_items<T>(slot: NonNull<u8>, mut items: Vec<T>) {
    let len = items.len();
    // SAFETY: the caller's duty: the slot begins with the length word.
    unsafe { slot.cast::<usize>().write(len) };
    // SAFETY: the slot was sized for the offset and `len` items.
    let first = unsafe { slot.add(items_offset::<T>()) }.cast::<T>();
    // SAFETY: the source holds `len` items, the target has room for them, and they do not overlap.
    unsafe { ptr::copy_nonoverlapping(items.as_ptr(), first.as_ptr(), len) };
    // SAFETY: the items were moved out above, so the vector must not drop them.
    unsafe { items.set_len(0) };
}

/// Copies the bytes of a string into a fresh slot as a string object.
///
/// # Safety
///
/// As for [`init_items`] with `text.len()` bytes.
pub(crate) unsafe fn init_str(slot: NonNull<u8>, text: &str) {
    // SAFETY: the caller's duty: the slot begins with the length word.
    unsafe { slot.cast::<usize>().write(text.len()) };
    // SAFETY: the slot was sized for the offset and the bytes.
    let first = unsafe { slot.add(items_offset::<u8>()) };
    // SAFETY: the target has room for the bytes and overlaps nothing.
    unsafe { ptr::copy_nonoverlapping(text.as_ptr(), first.as_ptr(), text.len()) };
}

/// Zeroes a fresh slot, as untyped objects are born.
///
/// # Safety
///
/// `slot` is fresh, not yet published, and at least `bytes` long.
pub(crate) unsafe fn init_zeroed(slot: NonNull<u8>, bytes: usize) {
    // SAFETY: the caller's duty; the slot is exclusively ours until it is published.
    unsafe { slot.write_bytes(0, bytes) };
}

/// Scans a sized object in one piece.
///
/// # Safety
///
/// The slot holds an object of type `T` that has been published and not dropped.
unsafe fn scan_sized<T: Trace>(
    slot: NonNull<u8>,
    _from: usize,
    tracer: &mut Tracer<'_>,
) -> Option<usize> {
    // SAFETY: the caller's duty; `Trace` reads only memory that does not change while shared.
    let value = unsafe { slot.cast::<T>().as_ref() };
    value.trace(tracer);
    None
}

/// Scans up to [`SCAN_ITEMS_MAX`] items of a slice object.
///
/// # Safety
///
/// The slot holds a slice object of items `T` that has been published and not dropped.
unsafe fn scan_items<T: Trace>(
    slot: NonNull<u8>,
    from: usize,
    tracer: &mut Tracer<'_>,
) -> Option<usize> {
    // SAFETY: the caller's duty.
    let items = unsafe { <[T] as Object>::from_slot(slot) };
    // SAFETY: the items are initialised and immutable apart from atomics inside them.
    let items = unsafe { items.as_ref() };
    let end = items.len().min(from.saturating_add(SCAN_ITEMS_MAX));
    for item in items.get(from..end).unwrap_or_default() {
        item.trace(tracer);
    }
    (end < items.len()).then_some(end)
}

/// Drops a sized object in place.
///
/// # Safety
///
/// The slot holds a dead object of type `T` that nobody can reach, and this is its only drop.
unsafe fn drop_sized<T>(slot: NonNull<u8>) {
    // SAFETY: the caller's duty.
    unsafe { slot.cast::<T>().drop_in_place() };
}

/// Drops the items of a slice object in place.
///
/// # Safety
///
/// As for [`drop_sized`], of a slice object of items `T`.
unsafe fn drop_items<T: Trace>(slot: NonNull<u8>) {
    // SAFETY: the caller's duty: the object was initialised by `init_items`.
    let items = unsafe { <[T] as Object>::from_slot(slot) };
    // SAFETY: the caller's duty: this is the only drop.
    unsafe { items.drop_in_place() };
}

/// Drops an object outside the sweeper, as the heap does at its end.
///
/// # Safety
///
/// `drop` is the drop glue of the object's own type; the object is dropped nowhere else.
pub(crate) unsafe fn drop_object(drop: DropFn, slot: NonNull<u8>) {
    // SAFETY: the caller's duty.
    unsafe { drop(slot) };
}

/// Scans an object through its descriptor.
///
/// # Safety
///
/// `scan` is the scan function of the object's own type; the slot holds an object of it.
#[inline]
pub(crate) unsafe fn scan_object(
    scan: ScanFn,
    slot: NonNull<u8>,
    from: usize,
    tracer: &mut Tracer<'_>,
) -> Option<usize> {
    // SAFETY: the caller's duty.
    unsafe { scan(slot, from, tracer) }
}
