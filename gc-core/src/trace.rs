//! The contract between managed types and the marker: [`Trace`] and the [`Tracer`] it reports to.
//!
//! Derived code is the only expected implementer. The marker calls `trace` on objects that
//! mutators may be using at that moment, so an implementation reads immutable fields and atomic
//! edges and nothing else. The tracer is a sink of addresses: it knows no type, no phase and no
//! span, and never calls back.
#![allow(unsafe_code)]

use core::ptr::NonNull;

/// A type whose values may live on the managed heap or inside objects that do.
///
/// Use `#[derive(Trace)]`; the duties below are for those who cannot.
///
/// # Safety
///
/// 1. `At<'a>` is `Self` with its brand lifetime replaced by `'a` (and type parameters replaced by
///    their own `At<'a>`), so that the two have the same layout and the same meaning, and are
///    `Send` and `Sync` alike.
/// 2. `trace` reports every [`Gc`](crate::Gc), [`Edge`](crate::Edge), [`Weak`](crate::Weak) and
///    [`Ephemeron`](crate::Ephemeron) that is reachable from `self` without crossing another managed
///    pointer, and reads only memory that cannot change while the value is shared, and atomics: it
///    runs on collector threads while mutators use the value, also when the type is not `Sync`. It
///    runs no user-written code.
/// 3. `MAY_HOLD_GC` is `false` only when no managed pointer can be inside any value of the type.
/// 4. The drop glue of the type never reads through a managed pointer, and may run on any thread:
///    it runs on whichever sweeps. A type that is not `Send` has none that would mind.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand in a managed object",
    label = "not `Trace`",
    note = "derive `Trace` for it; or, if it is `'static + Send` and holds no `Gc`, mark the field `#[trace(leaf)]`"
)]
pub unsafe trait Trace: Sized {
    /// The same type under the brand `'a`; `At<'static>` names the family that a
    /// [`Root`](crate::Root) is generic over.
    type At<'a>: for<'b> Trace<At<'b> = Self::At<'b>> + 'a;

    /// Whether a value can hold a managed pointer at all. Objects of types that cannot are never
    /// scanned.
    const MAY_HOLD_GC: bool;

    /// Reports each managed pointer held by `self` to the tracer.
    fn trace(&self, tracer: &mut Tracer<'_>);

    /// As [`Trace::trace`] for one field, counted from 0, and answers how reports name it. `None` past
    /// the last field, and for types that do not know their fields. Reports call it, long after
    /// the pointers were found.
    #[doc(hidden)]
    fn trace_field(&self, _field: usize, _tracer: &mut Tracer<'_>) -> Option<&'static str> {
        None
    }
}

/// Where `trace` reports the pointers it finds: a list of object addresses for the mark queue.
pub struct Tracer<'a> {
    found: &'a mut Vec<usize>,
}

impl<'a> Tracer<'a> {
    /// A tracer that appends to `found`.
    #[inline]
    pub(crate) fn new(found: &'a mut Vec<usize>) -> Self {
        Tracer { found }
    }

    /// Reports one pointer. Derived code reaches this through the `trace` of pointer types.
    #[inline]
    pub(crate) fn visit(&mut self, object: NonNull<u8>) {
        self.found.push(object.addr().get());
    }

    /// Reports one pointer by address; zero is the null edge and is skipped.
    #[inline]
    pub(crate) fn visit_address(&mut self, address: usize) {
        if address != 0 {
            self.found.push(address);
        }
    }
}
