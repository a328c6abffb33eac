//! The thread that delivers, where a heap has one of its own, and how it is woken.
//!
//! Owns the handle of that thread. Rung by the recorder from any thread in any phase. To ring is to
//! unpark the thread: a swap of one word and, when the thread sleeps, one system call that wakes it.
//! It takes no lock, allocates nothing, runs no user code and waits for nobody, which is all that a
//! recorder must not do; a violation is rare enough for a system call. Invariant: a thread that
//! looks for work after it answered, and sleeps only when it finds none, misses no ring.
//! Deliberately absent: the thread's work.

use std::thread::{self, Thread};
use std::time::Duration;

use crate::sync::OnceLock;
use crate::sync::atomic::AtomicBool;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// A bell that one thread answers, once.
pub(crate) struct Bell {
    /// Set by the thread that answers.
    thread: OnceLock<Thread>,
    is_dismissed: AtomicBool,
}

impl Bell {
    pub(crate) fn new() -> Bell {
        Bell {
            thread: OnceLock::new(),
            is_dismissed: AtomicBool::new(false),
        }
    }

    /// Makes the calling thread the one to wake. False when there was one before.
    pub(crate) fn answer(&self) -> bool {
        self.thread.set(thread::current()).is_ok()
    }

    /// Whether a thread answers.
    #[inline]
    pub(crate) fn is_answered(&self) -> bool {
        self.thread.get().is_some() && !self.is_dismissed()
    }

    pub(crate) fn ring(&self) {
        if let Some(thread) = self.thread.get()
            && !self.is_dismissed.load(Relaxed)
        {
            thread.unpark();
        }
    }

    /// Sleeps until it rings, but for so long at most. On the thread that answers.
    pub(crate) fn sleep(&self, at_most: Duration) {
        thread::park_timeout(at_most);
    }

    /// Tells the thread to end.
    pub(crate) fn dismiss(&self) {
        // Release: pairs with the Acquire of `is_dismissed`.
        self.is_dismissed.store(true, Release);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    pub(crate) fn is_dismissed(&self) -> bool {
        // Acquire: pairs with the Release of `dismiss`.
        self.is_dismissed.load(Acquire)
    }
}
