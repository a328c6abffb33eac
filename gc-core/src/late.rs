//! Late greys: whether a barrier found something white while a termination was looked for or decided.
//!
//! A barrier that comes while the collector decides asks here before it makes an object grey; the
//! collector closes the list when it flips. Admission and closing are changes of one word, so either
//! the collector sees that somebody was admitted and goes back to marking, or the barrier is told that
//! the flip is decided and leaves the object to the sweep.
//!
//! Invariant: nobody is admitted between a closing and the next opening, and the collector opens only
//! when every barrier of the cycle before has ended. Deliberately absent: the wait for those who were
//! admitted and are not done, which is the next termination's ([`World::shades_have_ended`]).
//!
//! [`World::shades_have_ended`]: crate::world::World::shades_have_ended

use gc_hooks::sync::atomic::{AtomicU32, Ordering};
use gc_hooks::sync::point;

/// Somebody was admitted.
const ADMITTED: u32 = 1;
/// What was admitted was white after marking had ended.
const DOUBTED: u32 = 1 << 1;
/// The flip is decided.
const CLOSED: u32 = 1 << 2;

/// See the module.
pub(crate) struct LateGreys(AtomicU32);

/// What the collector finds when it wants to flip.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Late {
    /// Nothing: the list is closed.
    Nothing,
    /// A barrier made something grey while nothing was decided yet.
    Innocent,
    /// A barrier made something grey after the decision.
    Doubtful,
}

impl LateGreys {
    pub(crate) fn open_list() -> Self {
        LateGreys(AtomicU32::new(0))
    }

    /// Sends the collector back to marking. `false` when it has decided to flip.
    pub(crate) fn admit(&self) -> bool {
        point();
        // Relaxed: the word decides by itself. What is shaded is seen by who sees that the barrier
        // has ended.
        self.0.fetch_or(ADMITTED, Ordering::Relaxed) & CLOSED == 0
    }

    /// What was admitted came after the decision.
    pub(crate) fn doubt(&self) {
        self.0.fetch_or(DOUBTED, Ordering::Relaxed);
    }

    /// Admits nobody any more, unless somebody was.
    pub(crate) fn close(&self) -> Late {
        point();
        let closed = self
            .0
            .compare_exchange(0, CLOSED, Ordering::Relaxed, Ordering::Relaxed);
        if closed.is_ok() {
            return Late::Nothing;
        }
        match self.0.swap(0, Ordering::Relaxed) & DOUBTED {
            0 => Late::Innocent,
            _ => Late::Doubtful,
        }
    }

    /// A cycle begins to mark.
    pub(crate) fn open(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn a_closed_list_admits_nobody_until_it_is_opened() {
        let late = LateGreys::open_list();
        assert_eq!(late.close(), Late::Nothing);
        assert!(!late.admit());
        late.open();
        assert!(late.admit());
    }

    #[test]
    fn who_was_admitted_is_told_once() {
        let late = LateGreys::open_list();
        assert!(late.admit());
        assert_eq!(late.close(), Late::Innocent);
        assert!(late.admit());
        late.doubt();
        assert_eq!(late.close(), Late::Doubtful);
        assert_eq!(late.close(), Late::Nothing);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn loom_either_the_barrier_or_the_collector_gives_way() {
        loom::model(|| {
            let late = Arc::new(LateGreys::open_list());
            let barrier = {
                let late = Arc::clone(&late);
                thread::spawn(move || late.admit())
            };
            let found = late.close();
            let is_admitted = barrier.join().unwrap();
            assert_eq!(found == Late::Nothing, !is_admitted);
        });
    }
}
