//! The remembered set of a heap with generations: newborn objects that were stored since the last cycle's snapshot.
//!
//! A young cycle does not look into old objects, so whoever stores a newborn one remembers it: the mutator that stores marks
//! it old and notes its address. With its answer to `Arm` a mutator hands its notes over, and the cycle takes them when
//! everyone has settled: a young one scans each, a full one forgets them. Values are noted, not the words that hold them,
//! since an old word may be overwritten or die; the price is that what was stored once lives to the next full cycle.
//!
//! Invariants. Notes taken from a mutator's snapshot on belong to the next cycle: from its answer to `Arm` to its snapshot a
//! mutator is grey and notes nothing. An object is noted before it is marked and marked before it is stored, so whoever
//! finds it marked need not note it. Noted objects stay allocated: an old object dies in full cycles alone. Deliberately
//! absent: when a store is looked at (barrier.rs).

use std::cell::RefCell;
use std::sync::PoisonError;

use gc_hooks::sync::Mutex;

/// The addresses that one mutator has noted.
#[derive(Default)]
pub(crate) struct Notes(RefCell<Vec<usize>>);

impl Notes {
    /// Notes an object.
    #[inline]
    pub(crate) fn add(&self, address: usize) {
        self.0.borrow_mut().push(address);
    }

    /// Whether the next note takes long, since all are copied.
    #[inline]
    pub(crate) fn are_full(&self) -> bool {
        let notes = self.0.borrow();
        notes.len() == notes.capacity()
    }

    /// Forgets the notes.
    pub(crate) fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    fn take(&self) -> Vec<usize> {
        core::mem::take(&mut *self.0.borrow_mut())
    }
}

/// What was handed over since the last cycle took it.
#[derive(Default)]
pub(crate) struct Remembered(Mutex<Vec<Vec<usize>>>);

impl Remembered {
    /// A mutator answers `Arm`, or goes.
    pub(crate) fn hand_over(&self, notes: &Notes) {
        let notes = notes.take();
        if !notes.is_empty() {
            self.0
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(notes);
        }
    }

    /// Everything that was handed over. Called when every mutator has settled and none has taken its snapshot.
    pub(crate) fn take(&self) -> Vec<Vec<usize>> {
        core::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn what_is_noted_is_handed_over_once() {
        let (notes, remembered) = (Notes::default(), Remembered::default());
        assert!(notes.are_full());
        notes.add(16);
        notes.add(32);
        remembered.hand_over(&notes);
        remembered.hand_over(&notes);
        notes.add(48);
        remembered.hand_over(&notes);
        assert_eq!(remembered.take(), [vec![16, 32], vec![48]]);
        assert!(remembered.take().is_empty());
        notes.add(64);
        notes.clear();
        remembered.hand_over(&notes);
        assert!(remembered.take().is_empty());
    }

    #[test]
    fn a_heap_that_frees_nothing_any_more_keeps_no_notes() {
        let heap = crate::Heap::builder()
            .driver(crate::Driver::Manual)
            .generational(64 << 10)
            .build()
            .unwrap();
        let store = |mutator: &mut crate::Mutator| {
            mutator.enter(|scope| {
                let holder = scope.alloc(crate::Edge::none());
                holder.set(scope, scope.alloc(crate::Edge::none()));
                let stored: crate::Gc<'_, crate::Edge<'_, u64>> = holder.get().unwrap();
                assert!(stored.is_none());
            });
        };
        heap.collect().unwrap();
        for is_stopped in [false, true] {
            let mut mutator = heap.mutator();
            store(&mut mutator);
            if is_stopped {
                heap.shared().progress.stop_reclaiming();
            }
            drop(mutator);
            let notes: usize = heap.shared().remembered.take().iter().map(Vec::len).sum();
            assert_eq!(notes, usize::from(!is_stopped));
        }
    }
}
