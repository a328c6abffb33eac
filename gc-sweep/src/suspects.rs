//! The ring of suspicious marks: marks that a check would have refused, had the level asked for it.
//!
//! The marker and the write barrier record here, at level `lax`, each free slot they mark; the
//! sweep looks here when a span holds more objects than were allocated, so that its report names
//! the origin of the mark and the store behind it. Recording takes no lock and overwrites the
//! oldest entry. Reading is for cold paths: it takes the entries out, looks, and puts them back.
//!
//! Deliberately absent: any judgement. An entry is a hint; a slot may have been handed out since.

use core::panic::Location;

use crossbeam_queue::ArrayQueue;
use gc_hooks::Origin;

/// Marks remembered. Enough for the marks of one cycle between two sweeps of a span in the
/// re-enacted incident; older ones only cost the report its call site.
const SUSPECTS_MAX: usize = 256;

/// One suspicious mark.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Suspect {
    /// What was marked.
    pub address: usize,
    /// Cycle of the mark.
    pub cycle: u32,
    /// Where the pointer came from.
    pub origin: Origin,
    /// The store behind it, when known.
    pub call_site: Option<&'static Location<'static>>,
    /// Cycles since the object in the slot died, when known.
    pub stale_cycles: Option<u32>,
}

/// The last suspicious marks of a heap.
#[derive(Debug)]
pub struct Suspects {
    ring: ArrayQueue<Suspect>,
}

impl Suspects {
    pub(crate) fn new() -> Self {
        Suspects {
            ring: ArrayQueue::new(SUSPECTS_MAX),
        }
    }

    /// Remembers a mark, forgetting the oldest when the ring is full.
    pub fn record(&self, suspect: Suspect) {
        let _forgotten = self.ring.force_push(suspect);
    }

    /// The last mark of `cycle`, or of the one before, at an address that `is_wanted` accepts.
    pub fn last_of(&self, cycle: u32, is_wanted: impl Fn(usize) -> bool) -> Option<Suspect> {
        let mut last = None;
        for _ in 0..self.ring.len() {
            let Some(suspect) = self.ring.pop() else {
                break;
            };
            if suspect.cycle + 1 >= cycle && is_wanted(suspect.address) {
                last = Some(suspect);
            }
            self.record(suspect);
        }
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(address: usize, cycle: u32) -> Suspect {
        Suspect {
            address,
            cycle,
            origin: Origin::BarrierOld,
            call_site: None,
            stale_cycles: Some(1),
        }
    }

    #[test]
    fn the_last_mark_of_the_cycle_is_found_and_stays() {
        let suspects = Suspects::new();
        suspects.record(suspect(16, 3));
        suspects.record(suspect(32, 3));
        suspects.record(suspect(48, 1));
        for _ in 0..2 {
            assert_eq!(suspects.last_of(3, |_| true), Some(suspect(32, 3)));
            assert_eq!(
                suspects.last_of(3, |address| address == 16),
                Some(suspect(16, 3))
            );
            assert_eq!(suspects.last_of(3, |address| address == 48), None);
        }
    }

    #[test]
    fn a_full_ring_forgets_the_oldest() {
        let suspects = Suspects::new();
        for at in 0..=SUSPECTS_MAX {
            suspects.record(suspect(at * 16, 1));
        }
        assert_eq!(suspects.last_of(1, |address| address == 0), None);
        assert_eq!(
            suspects.last_of(1, |address| address == 16),
            Some(suspect(16, 1))
        );
    }
}
