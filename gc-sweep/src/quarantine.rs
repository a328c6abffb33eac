//! How much memory is withdrawn for good, and when that is too much.
//!
//! Owns the gauge: a count of spans and slots, and the limit. Containment adds to it, from any thread; operators read
//! it through `Space::usage`. Bytes are counted in the books; the gauge is told their total and says when it crosses
//! the limit.
//!
//! Invariant: between two times at the limit or below, exactly one caller is told of a crossing, namely the first that
//! finds the total above it.
//!
//! Deliberately absent: a way back of its own accord. Withdrawn memory stays readable and is not handed out again unless an
//! operator says so (`readmit`); a process with too much of it should be drained and replaced, which is what the crossing
//! is reported for.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What is withdrawn.
#[derive(Debug)]
pub(crate) struct Gauge {
    /// Fixed at birth.
    limit_bytes: u64,
    spans: AtomicU64,
    /// Slots withdrawn one by one, those in spans that were withdrawn later included.
    slots: AtomicU64,
    /// The total was above the limit when last looked at. Changed by compare-exchange: who changes it reports.
    is_above: AtomicBool,
}

/// Where the total stands after a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Crossing {
    /// On the same side of the limit as before, or back below.
    None,
    /// Above it for the first time since it was below.
    Above,
}

impl Gauge {
    pub(crate) fn new(limit_bytes: usize) -> Gauge {
        Gauge {
            limit_bytes: limit_bytes as u64,
            spans: AtomicU64::new(0),
            slots: AtomicU64::new(0),
            is_above: AtomicBool::new(false),
        }
    }

    pub(crate) fn add_span(&self) {
        self.spans.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_slot(&self) {
        self.slots.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_span(&self) {
        self.spans.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn remove_slots(&self, slots: u64) {
        self.slots.fetch_sub(slots, Ordering::Relaxed);
    }

    pub(crate) fn spans(&self) -> u64 {
        self.spans.load(Ordering::Relaxed)
    }

    pub(crate) fn slots(&self) -> u64 {
        self.slots.load(Ordering::Relaxed)
    }

    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit_bytes
    }

    /// Looks at the total after a change.
    pub(crate) fn look(&self, bytes_quarantined: u64) -> Crossing {
        let is_above = bytes_quarantined > self.limit_bytes;
        // Relaxed: the flag orders nothing but itself.
        let was_above = self.is_above.swap(is_above, Ordering::Relaxed);
        if is_above && !was_above {
            Crossing::Above
        } else {
            Crossing::None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crossing_is_told_once() {
        let gauge = Gauge::new(100);
        let seen: Vec<Crossing> = [0, 100, 101, 500, 100, 99, 101]
            .map(|bytes| gauge.look(bytes))
            .to_vec();
        let (none, above) = (Crossing::None, Crossing::Above);
        assert_eq!(seen, [none, none, above, none, none, none, above]);
    }
}
