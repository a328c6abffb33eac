//! The last violations of a heap.
//!
//! Owns the ring that recorders write and the list that readers make of it. `push` is called by the
//! recorder from any thread in any phase: it takes no lock, and at most gives way for the instant
//! in which another thread is in the middle of the very slot it needs. `read` is called by anyone,
//! outside the collector. Invariants: once a push has come back, the ring is never empty again; what
//! is read is in the order of the sequence numbers, each at most once. Deliberately absent: counts,
//! which remember what the ring has forgotten.

use std::collections::VecDeque;
use std::sync::PoisonError;

use crate::store::ArrayQueue;
use crate::sync::Mutex;
use crate::violation::Violation;

/// A ring of a fixed number of violations.
pub(crate) struct Ring {
    capacity: usize,
    /// Written by recorders, the newest pushing out the oldest; emptied by readers.
    fresh: ArrayQueue<Violation>,
    /// The last violations that readers took out of `fresh`. Readers alone lock it.
    seen: Mutex<VecDeque<Violation>>,
}

impl Ring {
    pub(crate) fn new(capacity: usize) -> Ring {
        Ring {
            capacity,
            fresh: ArrayQueue::new(capacity),
            seen: Mutex::new(VecDeque::new()),
        }
    }

    pub(crate) fn push(&self, violation: Violation) {
        // The one pushed out is the oldest of the ring; it stays counted.
        let _ = self.fresh.force_push(violation);
    }

    /// Lends the last violations, the newest at the end, while it keeps other readers out.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&VecDeque<Violation>) -> T) -> T {
        // A reader cannot leave the list half written in a way that matters: it is put in order
        // below every time.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Bounded, for recorders may push as fast as this pops.
        for _ in 0..self.capacity {
            let Some(violation) = self.fresh.pop() else {
                break;
            };
            seen.push_back(violation);
        }
        // Two recorders may push in another order than they drew their numbers.
        seen.make_contiguous()
            .sort_unstable_by_key(|violation| violation.sequence);
        let surplus = seen.len().saturating_sub(self.capacity);
        seen.drain(..surplus);
        read(&seen)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;
    use crate::check::Check;

    fn numbered(sequence: u64) -> Violation {
        Violation {
            sequence,
            ..Violation::new(Check::Zombie)
        }
    }

    fn sequences(ring: &Ring) -> Vec<u64> {
        ring.read(|recent| recent.iter().map(|found| found.sequence).collect())
    }

    #[test]
    fn what_was_pushed_out_of_order_is_read_in_order() {
        let ring = Ring::new(4);
        for sequence in [2, 1, 4, 3] {
            ring.push(numbered(sequence));
        }
        assert_eq!(sequences(&ring), [1, 2, 3, 4]);
    }

    #[test]
    fn a_late_push_finds_its_place_among_what_was_read_before() {
        let ring = Ring::new(3);
        ring.push(numbered(1));
        ring.push(numbered(3));
        assert_eq!(sequences(&ring), [1, 3]);
        ring.push(numbered(2));
        assert_eq!(sequences(&ring), [1, 2, 3]);
        ring.push(numbered(4));
        assert_eq!(sequences(&ring), [2, 3, 4]);
        assert_eq!(sequences(&ring), [2, 3, 4]);
    }
}
