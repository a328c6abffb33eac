//! Late greys: whether a barrier found something white while a termination was looked for or decided.
//!
//! A barrier that comes while the collector decides asks here before it makes an object grey. The
//! collector decides here that marking has ended, and again that it flips. All are changes of one word,
//! so either the collector sees that somebody was admitted and goes back to marking, or the barrier is
//! told what is decided: after the first decision what it found is doubtful, after the second it is left
//! to the sweep. A barrier that is innocent thus never has the collector take back a decision, on which
//! weak references have answered meanwhile.
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
/// Marking has ended.
const DECIDED: u32 = 1 << 1;
/// The flip is decided.
const CLOSED: u32 = 1 << 2;

/// See the module.
pub(crate) struct LateGreys(AtomicU32);

/// What a barrier is told that found something white.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// Go on: the collector goes back to marking, having decided nothing.
    InTime,
    /// Nothing is left to do: it was marked before the decision.
    Needless,
    /// Go on: the collector goes back to marking from a decision that was wrong.
    Doubtful,
    /// The collector flips.
    Closed,
}

impl LateGreys {
    pub(crate) fn open_list() -> Self {
        LateGreys(AtomicU32::new(0))
    }

    /// Sends the collector back to marking, if what is to be shaded still has to be marked. `is_marked`
    /// looks again: what was looked at before the decision may have been marked before it too.
    pub(crate) fn admit(&self, is_marked: impl Fn() -> bool) -> Admission {
        loop {
            point();
            // Acquire pairs with the Release of `decide` and `close`: every mark that they go by is seen.
            let found = self.0.load(Ordering::Acquire);
            if found & (DECIDED | CLOSED) != 0 {
                break;
            }
            point();
            let admitted = self.0.compare_exchange(
                found,
                found | ADMITTED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            if admitted.is_ok() {
                return Admission::InTime;
            }
        }
        if is_marked() {
            return Admission::Needless;
        }
        point();
        // Relaxed: the word decides by itself. What is shaded is seen by who sees that the barrier
        // has ended.
        let found = self.0.fetch_or(ADMITTED, Ordering::Relaxed);
        if found & CLOSED != 0 {
            Admission::Closed
        } else if found & DECIDED != 0 {
            Admission::Doubtful
        } else {
            Admission::InTime
        }
    }

    /// Decides that marking has ended. `false` if somebody was admitted: mark on.
    pub(crate) fn decide(&self) -> bool {
        self.go_on(0, DECIDED)
    }

    /// Decides to flip. `false` if somebody was admitted: mark on.
    pub(crate) fn close(&self) -> bool {
        self.go_on(DECIDED, CLOSED)
    }

    fn go_on(&self, from: u32, to: u32) -> bool {
        point();
        // Release pairs with the Acquire of `admit`.
        self.0
            .compare_exchange(from, to, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// Marking begins, or goes on: who was admitted is waited for by the next termination.
    pub(crate) fn open(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    const WHITE: fn() -> bool = || false;

    #[test]
    fn a_closed_list_admits_nobody_until_it_is_opened() {
        let late = LateGreys::open_list();
        assert!(late.decide() && late.close());
        assert_eq!(late.admit(WHITE), Admission::Closed);
        late.open();
        assert_eq!(late.admit(WHITE), Admission::InTime);
    }

    #[test]
    fn who_was_admitted_stands_in_the_way_of_one_decision() {
        let late = LateGreys::open_list();
        assert_eq!(late.admit(WHITE), Admission::InTime);
        assert!(!late.decide());
        late.open();
        assert!(late.decide());
        assert_eq!(late.admit(|| true), Admission::Needless);
        assert_eq!(late.admit(WHITE), Admission::Doubtful);
        assert!(!late.close());
        late.open();
        assert!(late.decide() && late.close());
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use gc_hooks::sync::atomic::AtomicBool;
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    #[test]
    fn loom_either_the_barrier_or_the_collector_gives_way() {
        loom::model(|| {
            let late = Arc::new(LateGreys::open_list());
            let barrier = {
                let late = Arc::clone(&late);
                thread::spawn(move || late.admit(|| false))
            };
            let decided = late.decide();
            let closed = decided && late.close();
            let expected = match (decided, closed) {
                (false, _) => Admission::InTime,
                (true, false) => Admission::Doubtful,
                (true, true) => Admission::Closed,
            };
            assert_eq!(barrier.join().unwrap(), expected);
        });
    }

    #[test]
    fn loom_what_was_marked_before_the_decision_takes_none_back() {
        loom::model(|| {
            let shared = Arc::new((LateGreys::open_list(), AtomicBool::new(false)));
            let barrier = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.0.admit(|| shared.1.load(Ordering::Relaxed)))
            };
            shared.1.store(true, Ordering::Relaxed);
            let is_taken_back = shared.0.decide() && !shared.0.close();
            assert!(!is_taken_back);
            let told = barrier.join().unwrap();
            assert!(matches!(told, Admission::InTime | Admission::Needless));
        });
    }
}
