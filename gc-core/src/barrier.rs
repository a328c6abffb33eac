//! The write barrier: what a pointer store does while a cycle marks.
//!
//! Mutator threads run it inside `enter`, and handles run its root half. Order inside one store:
//! poll if asked, load the old value, shade it, shade the new value while grey, store. No poll
//! stands between the load and the store: `Settle` promises that such a store has ended.
//!
//! A shade pushes, then marks: marking first would hide the object from the termination test.
//! The store of a virgin slot must not come here at all; see [`crate::raw`].

use core::panic::Location;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use gc_hooks::sync::point;
use gc_hooks::{Check, Origin, Phase};

use crate::handshake;
use crate::local::{Barrier, Local};
use crate::record::Record;
use crate::shared::{Shared, Source};

/// Who stores, and where.
#[derive(Clone, Copy)]
pub(crate) struct Store<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) record: &'a Record,
    pub(crate) local: &'a Local,
    pub(crate) call_site: &'static Location<'static>,
}

impl Store<'_> {
    /// Stores `new` into a pointer word that is initialised, with the barrier when it is on.
    /// Answers the old word.
    #[inline]
    pub(crate) fn replace(self, word: &AtomicUsize, new: usize) -> usize {
        if self.local.barrier.get() == Barrier::Off {
            // Acquire pairs with the Release of the store that put the value there.
            let old = word.load(Ordering::Acquire);
            // Release pairs with the Acquire loads of edges and of the marker: whoever finds the
            // new object finds it constructed.
            word.store(new, Ordering::Release);
            return old;
        }
        self.replace_shaded(word, new)
    }

    /// As [`Store::replace`], without reading the old word when the barrier is off.
    #[inline]
    pub(crate) fn set(self, word: &AtomicUsize, new: usize) {
        if self.local.barrier.get() == Barrier::Off {
            // Release pairs with the Acquire loads of edges and of the marker.
            word.store(new, Ordering::Release);
        } else {
            self.replace_shaded(word, new);
        }
    }

    #[cold]
    #[inline(never)]
    fn replace_shaded(self, word: &AtomicUsize, new: usize) -> usize {
        handshake::poll(self.shared, self.record, self.local);
        #[cfg(feature = "fault-inject")]
        if self.shared.faults.skips_barrier() {
            return word.swap(new, Ordering::AcqRel);
        }
        point();
        // Acquire pairs with the Release of the store that put the value there.
        let old = word.load(Ordering::Acquire);
        self.shade(old, Origin::BarrierOld);
        if self.local.barrier.get() == Barrier::Grey {
            self.shade(new, Origin::BarrierNew);
        }
        point();
        // Release pairs with the Acquire loads of edges and of the marker.
        word.store(new, Ordering::Release);
        old
    }

    /// Makes an object grey on behalf of the mutator. Zero is the null edge.
    pub(crate) fn shade(self, address: usize, origin: Origin) {
        if address == 0 || self.local.barrier.get() == Barrier::Off {
            return;
        }
        let (byte, colour) = (self.shared.state(address), self.local.barrier_colour.get());
        if byte.has_colour(colour) {
            return;
        }
        let source = Source {
            origin,
            holder: None,
            call_site: Some(self.call_site),
        };
        if !byte.is_object() {
            return self.shared.refuse(address, source);
        }
        let phase = self.shared.world.phase();
        self.push_grey(address);
        let marked = self.shared.space.states().mark(address, byte, colour);
        // Once a termination is decided nothing white can be reached any more, so an object that is
        // marked here then is doubtful. The phase is the one from before the push: a mark that was made
        // in time may be looked back on late. One that somebody else marked meanwhile is innocent.
        let is_in_time =
            self.shared
                .hooks
                .holds(Check::LateGrey, !marked || phase != Phase::Clear, || {
                    self.shared.violation_at(Check::LateGrey, address, source)
                });
        if !is_in_time {
            self.shared.late_greys.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Hands an object to the collector. Only a push that makes the deque grow can take long, so only
    /// that one is timed.
    fn push_grey(self, address: usize) {
        point();
        let grey = &self.local.grey;
        if !grey.len().is_power_of_two() {
            return grey.push(address);
        }
        let begun = Instant::now();
        grey.push(address);
        self.record.paused_since(begun);
    }
}
