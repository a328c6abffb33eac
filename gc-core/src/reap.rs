//! The reaper: runs the destructors of objects the sweep found dead.
//!
//! Whoever sweeps calls it, holding no lock, with the slot still coloured, so that a destructor that
//! comes back into the heap finds nothing half done. Types with drop glue hold no managed pointer
//! that their glue reads, and are allowed on any thread. A destructor that panics pins its slot:
//! the object is leaked, never dropped twice and never reused.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use gc_hooks::{Check, Origin};
use gc_sweep::{DeadSlot, Reaped, Reaper};

use crate::object::{self, DropFn, slot_pointer};
use crate::shared::{Shared, Source};
use crate::types::TypeKind;

thread_local! {
    /// The heap whose destructor runs on this thread, by address; zero for none.
    static REAPING: Cell<usize> = const { Cell::new(0) };
}

fn name_of(shared: &Shared) -> usize {
    core::ptr::from_ref(shared).addr()
}

/// Whether a destructor of this heap runs on the calling thread.
pub(crate) fn is_reaping(shared: &Shared) -> bool {
    REAPING.get() == name_of(shared)
}

/// Runs `f`, which runs destructors of this heap.
fn reaping<R>(shared: &Shared, f: impl FnOnce() -> R) -> R {
    let outer = REAPING.replace(name_of(shared));
    let result = f();
    REAPING.set(outer);
    result
}

/// Runs drop glue by the register's word for it.
pub(crate) struct DropReaper<'a> {
    shared: &'a Shared,
}

impl<'a> DropReaper<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        DropReaper { shared }
    }

    fn glue(&self, type_index: u32) -> Option<DropFn> {
        match &self.shared.types.get(type_index)?.kind {
            TypeKind::Rust(info) => info.drop,
            TypeKind::Shape(_) => None,
        }
    }

    /// The glue of an object that must have one and whose span names a type without: by the span's
    /// second copy. Without one the object is forgotten, as `mem::forget` does.
    #[cold]
    fn glue_anew(&self, address: usize) -> Option<DropFn> {
        self.shared.space.mends_record_of(address);
        let span = self.shared.space.span_of(address)?;
        let glue = self.glue(span.type_index());
        if glue.is_none() {
            let reason = "its destructor is not known";
            self.shared.report_descriptor(address, span, reason);
        }
        glue
    }
}

impl Reaper for DropReaper<'_> {
    fn reap(&mut self, dead: DeadSlot) -> Reaped {
        let address = dead.address();
        let glue = self.glue(dead.type_index());
        let Some(glue) = glue.or_else(|| self.glue_anew(address)) else {
            return Reaped::Done;
        };
        let dropped = reaping(self.shared, || {
            catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: the glue is that of the span's type, the object is dead and still in
                // place, and the token is handed out once.
                unsafe { object::drop_object(glue, slot_pointer(address)) }
            }))
        });
        let is_dropped = self
            .shared
            .hooks
            .holds(Check::DropPanicked, dropped.is_ok(), || {
                self.shared
                    .violation_at(Check::DropPanicked, address, Source::of(Origin::Unknown))
            });
        if is_dropped {
            Reaped::Done
        } else {
            Reaped::Panicked
        }
    }
}

/// Drops every object that is left, as the heap does at its end, in order of address.
pub(crate) fn drop_all(shared: &Shared) {
    let reaper = DropReaper::new(shared);
    shared.space.for_each_object(&mut |address, span, byte| {
        if !span.needs_drop() || byte.is_quarantined() {
            return;
        }
        let glue = reaper.glue(span.type_index());
        if let Some(glue) = glue.or_else(|| reaper.glue_anew(address)) {
            let _panicked_object_is_left_as_it_is = catch_unwind(AssertUnwindSafe(|| {
                // SAFETY: the glue is that of the span's type; the heap is at its end, so nobody
                // reaches the object any more and nothing drops it again.
                unsafe { object::drop_object(glue, slot_pointer(address)) }
            }));
        }
    });
}
