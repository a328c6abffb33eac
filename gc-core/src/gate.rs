//! The gate: how many helpers work beside the coordinator, and whether more may join.
//!
//! Collector threads and assisting mutators pass it before they mark; the coordinator, who holds the
//! cycle's lock, opens it when there may be grey objects, and closes it to find out whether there are
//! none. A helper leaves with nothing in private, so a closed gate with nobody behind it means that
//! every grey object is in a deque or a queue. The sweep has a gate of its own, which is closed only
//! while the accounts are recounted.

use gc_hooks::sync::atomic::{AtomicU64, Ordering};
use gc_hooks::sync::point;

/// Set while helpers may join. The rest of the word counts them.
const OPEN: u64 = 1 << 63;

/// See the module.
pub(crate) struct Gate {
    word: AtomicU64,
}

/// A helper behind the gate.
pub(crate) struct Helping<'a> {
    gate: &'a Gate,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Gate {
            word: AtomicU64::new(0),
        }
    }

    /// Joins, unless the gate is closed.
    pub(crate) fn join(&self) -> Option<Helping<'_>> {
        let mut word = self.word.load(Ordering::Relaxed);
        while word & OPEN != 0 {
            point();
            // Acquire pairs with the Release of `open`: a helper sees what the coordinator prepared.
            match self.word.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Some(Helping { gate: self }),
                Err(found) => word = found,
            }
        }
        None
    }

    /// Lets helpers join.
    pub(crate) fn open(&self) {
        point();
        // Release pairs with the Acquire of `join`.
        self.word.fetch_or(OPEN, Ordering::Release);
    }

    /// Lets nobody join any more. `true` when nobody is behind the gate.
    pub(crate) fn close(&self) -> bool {
        point();
        // Acquire pairs with the Release of a helper that leaves: its work is visible.
        self.word.fetch_and(!OPEN, Ordering::Acquire) & !OPEN == 0
    }

    /// Whether helpers may join.
    pub(crate) fn is_open(&self) -> bool {
        self.word.load(Ordering::Relaxed) & OPEN != 0
    }
}

impl Drop for Helping<'_> {
    fn drop(&mut self) {
        point();
        // Release pairs with the Acquire of `close`.
        self.gate.word.fetch_sub(1, Ordering::Release);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_a_closed_gate_is_waited_for() {
        let gate = Gate::closed();
        assert!(gate.join().is_none() && gate.close());
        gate.open();
        let helping = gate.join();
        assert!(helping.is_some());
        assert!(!gate.close());
        assert!(gate.join().is_none());
        drop(helping);
        assert!(gate.close());
    }
}

#[cfg(all(test, loom))]
mod tests;
