//! The allocation fast path: a run of free slots in a leased span.
//!
//! A mutator keeps one [`Run`] a class, takes slots from it without any lock or atomic, and asks the space to refill it
//! when it is empty. A run and the slots taken from it belong to one thread at a time.
//!
//! ```text
//! base of span      counted_to   cursor        limit            seen_to            end
//!   | used . used used | taken taken | free free | bits of `free` | not yet looked at |
//! ```
//!
//! Invariants: `counted_to <= cursor <= limit <= seen_to <= end` while a span is leased, all of them slot starts of it
//! (or its end); every slot in `cursor..limit` or under a bit of `free` was free when it was looked at, and only its
//! owner may change that. The slots taken since the last `Space::sync` are
//! `(handed_bytes + cursor - counted_to) / step`.
//!
//! Deliberately absent: the state bytes. A slot is free until its owner publishes it, and nobody else hands it out.

use std::cell::Cell;

use crate::os;
use crate::search::{FreeSlots, Passed, WINDOW_GRANULES};
use crate::size_class::GRANULE_BYTES;
pub use crate::table::FreshSlot;

/// A run of free slots of one class. Empty at birth; `Space::refill` fills it, `Space::retire` ends it. A run that is
/// dropped while it leases a span keeps the span leased for good.
#[derive(Debug, Default)]
pub struct Run {
    /// Address of the next slot to hand out.
    cursor: usize,
    /// End of the run.
    limit: usize,
    /// Bytes of a slot.
    step: usize,
    /// How far the current run has been added to `handed_bytes`.
    counted_to: Cell<usize>,
    /// Bytes of slots handed out since the last sync, up to `counted_to`.
    handed_bytes: Cell<usize>,
    /// Further free slots: a bit for each granule of them, from the address `window` on.
    free: u64,
    window: usize,
    /// How far the search has come.
    seen_to: usize,
    /// Where it ends: the end of the last slot of the span.
    end: usize,
    /// Bytes to hand out before the next slot that is sampled, and one; zero when none is.
    to_sample: usize,
    /// Where the run goes on behind a slot that is sampled; zero when it does not stop.
    beyond: usize,
    /// The last slot was one that is sampled.
    has_stopped: bool,
    /// The leased span.
    lease: Option<Lease>,
}

/// What a run knows of the span it leases.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lease {
    /// First page of the span.
    pub(crate) span: u32,
    /// Number of its class.
    pub(crate) class: u32,
    /// Objects the books gave the span when it was leased.
    pub(crate) objects: u32,
    /// What the search has passed so far.
    pub(crate) passed: Passed,
    /// Cycle of the last sweep of the span when it was leased.
    pub(crate) generation: u32,
    /// The search has come to the end of the span.
    pub(crate) has_seen_all: bool,
}

impl Run {
    /// An empty run that leases nothing.
    pub const fn new() -> Run {
        Run {
            cursor: 0,
            limit: 0,
            step: 0,
            counted_to: Cell::new(0),
            handed_bytes: Cell::new(0),
            free: 0,
            window: 0,
            seen_to: 0,
            end: 0,
            to_sample: 0,
            beyond: 0,
            has_stopped: false,
            lease: None,
        }
    }

    /// The next free slot, or `None` when the run is used up.
    ///
    /// The slot is published before anything else is asked of the space with this run: it counts as an object from now
    /// on. No code of the embedder runs in between.
    #[inline]
    pub fn take(&mut self) -> Option<FreshSlot> {
        if self.cursor >= self.limit {
            self.next_in_window()?;
        }
        self.take_in_row()
    }

    /// As [`Run::take`], from the slots that follow the last one without a gap: a few instructions. `None` where
    /// [`Run::take`] has to look further.
    #[inline]
    pub fn take_in_row(&mut self) -> Option<FreshSlot> {
        if self.cursor >= self.limit {
            return None;
        }
        let address = self.cursor;
        self.cursor = address + self.step;
        os::unpoison(address, self.step);
        Some(FreshSlot::new(address))
    }

    /// Goes on to the next free slots under the bits of `free`.
    #[inline(never)]
    fn next_in_window(&mut self) -> Option<()> {
        if self.free == 0 || self.beyond != 0 {
            return None;
        }
        let first = self.free.trailing_zeros();
        let granules = (self.free >> first).trailing_ones();
        self.free &= u64::MAX.checked_shl(first + granules).unwrap_or(0);
        let start = self.window + first as usize * GRANULE_BYTES;
        self.go_to(start, granules as usize * GRANULE_BYTES);
        (self.cursor < self.limit).then_some(())
    }

    /// Makes these free slots the run.
    fn go_to(&mut self, start: usize, bytes: usize) {
        self.handed_bytes
            .set(self.handed_bytes.get() + self.cursor - self.counted_to.get());
        self.counted_to.set(start);
        self.cursor = start;
        self.limit = start + bytes;
        if self.to_sample != 0 {
            self.stop_within(bytes);
        }
    }

    /// Ends the run before the slot that is sampled, if it lies within the bytes ahead.
    #[cold]
    fn stop_within(&mut self, bytes: usize) {
        if self.to_sample > bytes {
            self.to_sample -= bytes;
            return;
        }
        let before = (self.to_sample - 1) / self.step.max(1) * self.step;
        self.to_sample = 0;
        self.beyond = self.limit;
        self.limit = self.cursor + before;
    }

    /// Samples the slot that holds the byte so many bytes ahead: there [`Run::take`] says that the run is
    /// used up, and [`Run::pass_stop`] goes on. Forgotten with the lease.
    pub fn sample_after(&mut self, bytes: usize) {
        self.pass_stop();
        self.has_stopped = false;
        self.to_sample = bytes.saturating_add(1);
        self.stop_within(self.limit - self.cursor);
    }

    /// Goes on behind a stop. False when the run does not stop.
    pub fn pass_stop(&mut self) -> bool {
        if self.beyond == 0 {
            return false;
        }
        self.limit = std::mem::take(&mut self.beyond);
        self.has_stopped = true;
        true
    }

    /// Whether a slot of this lease is going to be sampled.
    pub fn is_sampled(&self) -> bool {
        self.to_sample != 0 || self.beyond != 0
    }

    /// Whether the run has passed a stop since the last call of [`Run::sample_after`].
    pub fn has_stopped(&self) -> bool {
        self.has_stopped
    }

    /// Moves the cursor on by a slot that nobody is handed.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn fault_skip(&mut self) {
        self.cursor += self.step;
    }

    /// Whether the run holds a span that must be given back.
    pub fn is_leased(&self) -> bool {
        self.lease.is_some()
    }

    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// Takes a leased span whose first slot is at `base`; no free slot of it is known yet.
    pub(crate) fn begin(&mut self, lease: Lease, base: usize, slots: usize, step: usize) {
        *self = Run {
            cursor: base,
            limit: base,
            step,
            counted_to: Cell::new(base),
            handed_bytes: Cell::new(0),
            free: 0,
            window: base,
            seen_to: base,
            end: base + slots * step,
            to_sample: 0,
            beyond: 0,
            has_stopped: false,
            lease: Some(lease),
        };
    }

    /// What the search has not looked at: address, length, bytes of a slot.
    pub(crate) fn unseen(&self) -> (usize, usize, usize) {
        (self.seen_to, self.end - self.seen_to, self.step)
    }

    /// Goes on to what the search found from `seen_to` on. False when it found nothing to the end.
    pub(crate) fn open(&mut self, found: FreeSlots, passed: Passed) -> bool {
        if let Some(lease) = &mut self.lease {
            lease.passed.objects += passed.objects;
            lease.passed.withdrawn += passed.withdrawn;
            lease.has_seen_all = found == FreeSlots::None;
        }
        let start = self.seen_to;
        match found {
            FreeSlots::None => {
                self.seen_to = self.end;
                self.go_to(self.end, 0);
                false
            }
            FreeSlots::Run { first, granules } => {
                self.go_to(start + first * GRANULE_BYTES, granules * GRANULE_BYTES);
                self.seen_to = self.limit.max(self.beyond);
                true
            }
            FreeSlots::Window { first, free } => {
                self.free = free;
                self.window = start + first * GRANULE_BYTES;
                self.seen_to = (self.window + WINDOW_GRANULES * GRANULE_BYTES).min(self.end);
                self.next_in_window().is_some() || self.beyond != 0
            }
        }
    }

    /// The slots handed out since the last call, and the first slot not yet reached, in a span that begins at `base`.
    pub(crate) fn count(&self, base: usize) -> (u32, u32) {
        let handed_bytes = self.handed_bytes.take() + self.cursor - self.counted_to.get();
        self.counted_to.set(self.cursor);
        let step = self.step.max(1);
        (
            (handed_bytes / step) as u32,
            ((self.cursor - base) / step) as u32,
        )
    }

    /// Ends the lease and leaves the run empty.
    pub(crate) fn end(&mut self) -> Option<Lease> {
        std::mem::take(self).lease
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Lease = Lease {
        span: 3,
        class: 0,
        objects: 0,
        passed: Passed {
            objects: 0,
            withdrawn: 0,
        },
        generation: 0,
        has_seen_all: false,
    };

    #[test]
    fn an_empty_run_hands_nothing_out() {
        let mut run = Run::new();
        assert!(run.take().is_none() && !run.is_leased() && run.end().is_none());
        assert_eq!(run.count(0), (0, 0));
    }

    #[test]
    fn every_slot_handed_out_is_counted_once() {
        let mut run = Run::new();
        run.begin(LEASE, 1024, 10, 64);
        assert_eq!(run.unseen(), (1024, 640, 64));
        assert!(run.take().is_none());
        let passed = |objects, withdrawn| Passed { objects, withdrawn };
        assert!(run.open(
            FreeSlots::Run {
                first: 8,
                granules: 12
            },
            passed(2, 0)
        ));
        assert_eq!(taken(&mut run), [1152, 1216, 1280]);
        assert_eq!(run.unseen(), (1344, 320, 64));
        assert_eq!(run.count(1024), (3, 5));
        assert_eq!(run.count(1024), (0, 5));
        assert!(run.open(
            FreeSlots::Run {
                first: 4,
                granules: 8
            },
            passed(0, 1)
        ));
        assert!(run.take().is_some());
        assert!(!run.open(FreeSlots::None, passed(1, 0)));
        assert!(run.take().is_none());
        assert_eq!(
            run.count(1024),
            (1, 10),
            "slots of the run before are not forgotten"
        );
        let lease = run.end().unwrap();
        assert_eq!(lease.passed, passed(3, 1));
        assert!(lease.has_seen_all);
        assert!(run.take().is_none() && !run.is_leased());
    }

    #[test]
    fn a_window_is_used_up_before_the_search_goes_on() {
        let mut run = Run::new();
        run.begin(LEASE, 8192, 256, 32);
        let free = 0b11_0000_1111 | 0b11 << 62;
        assert!(run.open(FreeSlots::Window { first: 64, free }, Passed::default()));
        let base = 8192 + 1024;
        assert_eq!(
            taken(&mut run),
            [base, base + 32, base + 128, base + 62 * 16]
        );
        assert_eq!(run.unseen(), (8192 + 2048, 8192 - 2048, 32));
        assert_eq!(run.count(8192), (4, 64));
        assert!(run.open(
            FreeSlots::Window {
                first: 0,
                free: u64::MAX
            },
            Passed::default()
        ));
        assert_eq!(taken(&mut run).len(), 32);
        assert_eq!(run.count(8192), (32, 96));
    }

    #[test]
    fn a_run_stops_at_the_slot_that_is_sampled_and_loses_none() {
        let mut run = Run::new();
        run.begin(LEASE, 8192, 256, 32);
        let found = FreeSlots::Run {
            first: 0,
            granules: 16,
        };
        assert!(run.open(found, Passed::default()));
        // Of eight slots of 32 bytes the one that holds the hundredth byte is the fourth.
        run.sample_after(100);
        assert!(run.is_sampled() && !run.has_stopped());
        assert_eq!(taken(&mut run), [8192, 8224, 8256]);
        assert!(run.pass_stop() && run.has_stopped() && !run.is_sampled());
        assert_eq!(taken(&mut run).len(), 5);
        assert_eq!(run.unseen(), (8192 + 256, 8192 - 256, 32));
        // Further ahead than the run, across the windows of the next.
        run.sample_after(32 * 33);
        let free = u64::MAX;
        assert!(run.open(FreeSlots::Window { first: 0, free }, Passed::default()));
        assert_eq!(taken(&mut run).len(), 32);
        assert!(run.open(FreeSlots::Window { first: 0, free }, Passed::default()));
        assert_eq!(taken(&mut run).len(), 1);
        // At once.
        assert!(run.pass_stop());
        run.sample_after(0);
        assert!(run.take().is_none() && run.pass_stop());
        assert_eq!(taken(&mut run).len(), 31);
        assert_eq!(run.count(8192), (8 + 64, 72));
    }

    fn taken(run: &mut Run) -> Vec<usize> {
        std::iter::from_fn(|| run.take())
            .map(|slot| slot.address())
            .collect()
    }
}
