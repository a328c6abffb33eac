//! Sleeping and waking: collector threads without work, and whoever waits for a cycle.
//!
//! An epoch is advanced whenever something changed that a sleeper may wait for; a sleeper reads it
//! before it looks for work and sleeps only while it has not moved, so no wake-up is lost. Mutators
//! wake the collector when a cycle is due and when they answer; the collector wakes waiters when a
//! cycle has ended.

use std::sync::PoisonError;
use std::time::Duration;

use gc_hooks::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use gc_hooks::sync::{Condvar, Mutex};

/// See the module.
#[derive(Default)]
pub(crate) struct Signal {
    epoch: AtomicU64,
    sleepers: Mutex<u32>,
    changed: Condvar,
    /// A collector thread sleeps until mutators answer.
    awaits_answers: AtomicBool,
    is_stopped: AtomicBool,
}

impl Signal {
    /// What to hand to [`Signal::wait_past`].
    pub(crate) fn epoch(&self) -> u64 {
        // Acquire pairs with the Release of `wake`.
        self.epoch.load(Ordering::Acquire)
    }

    /// Wakes everybody.
    pub(crate) fn wake(&self) {
        let sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        // Release pairs with the Acquire of `epoch`: who sees the new one sees what changed.
        self.epoch.fetch_add(1, Ordering::Release);
        if *sleepers > 0 {
            self.changed.notify_all();
        }
    }

    /// A mutator has answered.
    pub(crate) fn answered(&self) {
        if self.awaits_answers.load(Ordering::Relaxed)
            && self.awaits_answers.swap(false, Ordering::Relaxed)
        {
            self.wake();
        }
    }

    /// Says that the caller is about to wait for answers. A mutator that answers at the same moment
    /// may miss it, which is why the wait has a time limit.
    pub(crate) fn await_answers(&self) {
        self.awaits_answers.store(true, Ordering::Relaxed);
    }

    /// Sleeps until the epoch is past `epoch`, or for `at_most`, or a little less.
    pub(crate) fn wait_past(&self, epoch: u64, at_most: Duration) {
        if cfg!(any(loom, shuttle)) {
            return gc_hooks::sync::yield_now();
        }
        let mut sleepers = self.sleepers.lock().unwrap_or_else(PoisonError::into_inner);
        if self.epoch() != epoch {
            return;
        }
        *sleepers += 1;
        let waited = self.changed.wait_timeout(sleepers, at_most);
        *waited.unwrap_or_else(PoisonError::into_inner).0 -= 1;
    }

    /// Tells collector threads to end.
    pub(crate) fn stop(&self) {
        // Release pairs with the Acquire of `is_stopped`.
        self.is_stopped.store(true, Ordering::Release);
        self.wake();
    }

    pub(crate) fn is_stopped(&self) -> bool {
        // Acquire pairs with the Release of `stop`.
        self.is_stopped.load(Ordering::Acquire)
    }
}
