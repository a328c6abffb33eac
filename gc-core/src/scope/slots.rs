//! Where the slots of new objects come from: the mutator's own run, the span it leases, another span, or one of their own.
//!
//! Called by the allocation functions of a scope, on the mutator's thread, in any phase. The fast path does not come here
//! but for slices. Invariant: a slot that is handed out here is published before anything else is asked of its run.
//! Deliberately absent: writing values, and every pointer to them.

use std::time::Instant;

use gc_sweep::{AllocError, FreshSlot, SizeClass};

use super::{CallSite, Scope};
use crate::local::{Key, next_slot, take_sampled};
use crate::object::TypeInfo;
use crate::shared::Shared;
use crate::types::{Wanted, object_bytes};

impl Scope<'_> {
    pub(super) fn slot_for_items(
        self,
        info: &'static TypeInfo,
        items: usize,
        call_site: CallSite,
    ) -> Result<FreshSlot, AllocError> {
        let size_class =
            object_bytes(info, items).and_then(|bytes| SizeClass::for_layout(bytes, info.align));
        if let Some(class) = size_class
            && let Some(slot) = self.local().take_in_row(Key::sized(info, class))
        {
            return Ok(slot);
        }
        self.slot_slow(info, items, call_site)
    }

    #[cold]
    #[inline(never)]
    pub(super) fn slot_slow(
        self,
        info: &'static TypeInfo,
        items: usize,
        call_site: CallSite,
    ) -> Result<FreshSlot, AllocError> {
        let shared = self.shared();
        let bytes = object_bytes(info, items).ok_or_else(|| too_large(shared, usize::MAX))?;
        let size_class = if info.is_fixed() {
            None
        } else {
            SizeClass::for_layout(bytes, info.align)
        };
        let key = size_class.map_or_else(|| Key::fixed(info), |class| Key::sized(info, class));
        if shared.profile.is_none()
            && let Some(slot) = self.local().take_in_lease(key, &shared.space)
        {
            return Ok(slot);
        }
        let index = shared.types.index_of(info)?;
        self.slot_of_type(index, bytes, call_site, |wanted| {
            if let Wanted::Class(class) = wanted {
                self.local().remember(key, class);
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
        call_site: CallSite,
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
            profile.look(
                &shared.space,
                cycle,
                self.local(),
                wanted,
                address,
                call_site,
            );
        }
        Ok(slot)
    }

    fn slot_wanted(self, wanted: Wanted, bytes: usize) -> Result<FreshSlot, AllocError> {
        let shared = self.shared();
        if let Wanted::Class(class) = wanted
            && let Some(slot) = self
                .local()
                .with_run(class, |run| next_slot(run, &shared.space))
        {
            return Ok(slot);
        }
        self.poll();
        let begun = Instant::now();
        let slot = self.refill(wanted, bytes);
        self.record().paused_since(begun);
        slot
    }

    /// As [`Scope::slot_of_class`], making room when the heap is at its limit or its reservation full.
    fn refill(self, wanted: Wanted, bytes: usize) -> Result<FreshSlot, AllocError> {
        match self.slot_of_class(wanted, bytes) {
            Err(AllocError::Limit { .. } | AllocError::Exhausted { .. })
                if self.drive().relieve(self.record()) =>
            {
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
            Wanted::Class(class) => self.local().with_run(class, |run| {
                space.refill(class, run)?;
                take_sampled(run).ok_or_else(|| too_large(shared, bytes))
            }),
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
