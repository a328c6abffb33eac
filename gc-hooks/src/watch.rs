//! Calls of user code that are under way: who is in one, since when, and what it is told of.
//!
//! Owns a place for each such call: one for the subscribers to trace events, one for the hook, a few
//! for the hook in place. Taken and left by the thread that calls, in any phase; looked over by
//! whoever looks for calls that last too long. No lock. Invariants: a receiver with one place is in
//! one call at a time, whichever thread makes it; a call is found overdue once at most, and the one
//! who made it learns of that when it is over. Deliberately absent: the clock, the call itself, and
//! what follows when it lasts too long.

use std::ops::Range;

use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicU32, AtomicU64};
use crate::sync::thread_token;
use crate::terms::Phase;
use crate::violation::Violation;

/// How many threads may be in the hook in place at once.
pub(crate) const IN_PLACE_MAX: usize = if cfg!(loom) { 2 } else { 8 };

/// Where calls of each receiver stand.
pub(crate) const SUBSCRIBERS: Range<usize> = 0..1;
pub(crate) const HOOK: Range<usize> = 1..2;
pub(crate) const IN_PLACE: Range<usize> = 2..2 + IN_PLACE_MAX;

/// In the begin of a call, beside the time: it was found overdue.
const OVERDUE: u64 = 1;

/// A place for one call. All of it but `overdue_at` is written by the thread that makes the call.
struct Call {
    /// Token of the thread in the call; zero for none.
    thread: AtomicU64,
    /// What the call is part of: a number of its own for each delivery, or each call in place.
    session: AtomicU64,
    /// Sequence number of the violation it is told of.
    told: AtomicU64,
    /// Cycle and phase of that violation.
    when: AtomicU64,
    /// Zero for none, or twice its nanoseconds since the beginning of time and 1, plus `OVERDUE`,
    /// which whoever finds it so adds.
    begun: AtomicU64,
    /// The session in which the receiver last used its heap.
    reentered_in: AtomicU64,
}

/// A call that lasts too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Overdue {
    /// Where it stands, in one of the ranges above.
    pub(crate) place: usize,
    pub(crate) told: u64,
    pub(crate) cycle: u32,
    pub(crate) phase: Phase,
    pub(crate) waited_nanoseconds: u64,
}

/// See the module.
pub(crate) struct Watch {
    /// Bits by place: those taken.
    taken: AtomicU32,
    calls: [Call; IN_PLACE.end],
}

impl Watch {
    pub(crate) fn new() -> Watch {
        Watch {
            taken: AtomicU32::new(0),
            calls: std::array::from_fn(|_| Call {
                thread: AtomicU64::new(0),
                session: AtomicU64::new(0),
                told: AtomicU64::new(0),
                when: AtomicU64::new(0),
                begun: AtomicU64::new(0),
                reentered_in: AtomicU64::new(0),
            }),
        }
    }

    /// Says that the calling thread is about to call a receiver. None when there is no place left
    /// for it, or one of its calls is overdue. The clock is read once the place is taken.
    pub(crate) fn begin(
        &self,
        places: Range<usize>,
        session: u64,
        told: &Violation,
        nanoseconds: impl FnOnce() -> u64,
    ) -> Option<OnCall<'_>> {
        if self.is_overdue_in(places.clone()) {
            return None;
        }
        let mut place = places.start;
        let take_free = |taken: u32| {
            place = places.clone().find(|place| taken & 1 << place == 0)?;
            Some(taken | 1 << place)
        };
        // Acquire: pairs with the Release of `OnCall::end`, so that what is written here is later
        // than what was written in the call before.
        let found = self.taken.fetch_update(Acquire, Relaxed, take_free);
        found.ok()?;
        let call = &self.calls[place];
        call.thread.store(thread_token(), Relaxed);
        // Release, all four: whoever reads one of these finds the call before to be over (pairs
        // with the Acquires of `look` and `is_overdue_session`).
        call.session.store(session, Release);
        call.told.store(told.sequence, Release);
        let when = u64::from(told.cycle) << 8 | told.phase as u64;
        call.when.store(when, Release);
        call.begun.store((nanoseconds() << 1) + 2, Release);
        Some(OnCall { watch: self, place })
    }

    /// The places taken, out of those of a range.
    fn taken_in(&self, places: Range<usize>) -> impl Iterator<Item = usize> {
        let taken = self.taken.load(Relaxed);
        places.filter(move |place| taken & 1 << place != 0)
    }

    /// Whether a call is under way.
    #[inline]
    pub(crate) fn is_anyone_on_call(&self) -> bool {
        self.taken.load(Relaxed) != 0
    }

    /// The call that the calling thread is in, if it is in one of those places.
    #[inline(never)]
    fn mine(&self, places: Range<usize>) -> Option<&Call> {
        // Relaxed: a thread finds what it wrote itself, and nobody else writes its token.
        let is_mine = |call: &&Call| call.thread.load(Relaxed) == thread_token();
        self.taken_in(places)
            .map(|place| &self.calls[place])
            .find(is_mine)
    }

    /// Whether the calling thread is in a call.
    #[inline]
    pub(crate) fn is_on_call(&self) -> bool {
        self.is_anyone_on_call() && self.mine(0..IN_PLACE.end).is_some()
    }

    /// Whether the calling thread is in the hook in place.
    pub(crate) fn is_in_place(&self) -> bool {
        self.mine(IN_PLACE).is_some()
    }

    /// Sequence number of the violation that the calling thread is told of, once for each session.
    pub(crate) fn first_reentry(&self) -> Option<u64> {
        let call = self.mine(0..IN_PLACE.end)?;
        let session = call.session.load(Relaxed);
        let is_first = call.reentered_in.swap(session, Relaxed) != session;
        is_first.then(|| call.told.load(Relaxed))
    }

    /// Finds the calls that have lasted for `nanoseconds_max` or longer at `now`, each once.
    ///
    /// The caller has read the clock before: a call that begins in a place meanwhile begins later
    /// than one found overdue there, so that its begin is another word.
    pub(crate) fn look(&self, now: u64, nanoseconds_max: u64, mut found: impl FnMut(Overdue)) {
        for place in self.taken_in(0..IN_PLACE.end) {
            let call = &self.calls[place];
            // Acquire: pairs with the Release of `begin`, as do those of `told` and `when`.
            let begun = call.begun.load(Acquire);
            if begun == 0 || begun & OVERDUE != 0 {
                continue;
            }
            let waited_nanoseconds = now.saturating_sub((begun - 2) >> 1);
            if waited_nanoseconds < nanoseconds_max {
                continue;
            }
            let (told, when) = (call.told.load(Acquire), call.when.load(Acquire));
            // The words of a later call were read only if this one is over, and then this fails.
            let is_first = call
                .begun
                .compare_exchange(begun, begun | OVERDUE, Relaxed, Relaxed);
            if is_first.is_ok() {
                let phase = Phase::ALL.get((when & 0xff) as usize).copied();
                found(Overdue {
                    place,
                    told,
                    cycle: (when >> 8) as u32,
                    phase: phase.unwrap_or_default(),
                    waited_nanoseconds,
                });
            }
        }
    }

    /// Whether a call in one of those places was found overdue and is not over.
    pub(crate) fn is_overdue_in(&self, places: Range<usize>) -> bool {
        self.taken_in(places)
            .any(|place| self.calls[place].begun.load(Relaxed) & OVERDUE != 0)
    }

    /// Whether a call of a session was found overdue and is not over, as far as is seen. Whoever
    /// made it learns of that before it goes on.
    pub(crate) fn is_overdue_session(&self, session: u64) -> bool {
        self.taken_in(0..IN_PLACE.start).any(|place| {
            let call = &self.calls[place];
            // Acquire, both: what the session did before its call is seen by who goes on in its
            // stead, and the words are those of one call if the first is still the same (pairs with
            // the Releases of `begin`).
            let begun = call.begun.load(Acquire);
            let is_of_session = call.session.load(Acquire) == session;
            begun & OVERDUE != 0 && is_of_session && call.begun.load(Relaxed) == begun
        })
    }
}

/// A call under way, until it is said to be over.
#[must_use]
pub(crate) struct OnCall<'a> {
    watch: &'a Watch,
    place: usize,
}

impl OnCall<'_> {
    /// Says that the call is over. The answer is whether it was found overdue.
    pub(crate) fn end(self) -> bool {
        let call = &self.watch.calls[self.place];
        // Relaxed: the word itself is all that is handed over here.
        let begun = call.begun.swap(0, Relaxed);
        call.thread.store(0, Relaxed);
        // Release: pairs with the Acquire of `begin`.
        self.watch.taken.fetch_and(!(1 << self.place), Release);
        begun & OVERDUE != 0
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::thread;

    use super::*;
    use crate::check::Check;

    fn told(sequence: u64) -> Violation {
        let violation = Violation::new(Check::Zombie).with_cycle(7);
        Violation {
            sequence,
            ..violation.with_phase(Phase::Mark)
        }
    }

    fn found(watch: &Watch, now: u64, nanoseconds_max: u64) -> Vec<Overdue> {
        let mut all = Vec::new();
        watch.look(now, nanoseconds_max, |overdue| all.push(overdue));
        all
    }

    #[test]
    fn a_call_is_found_overdue_at_its_time_and_once() {
        let watch = Watch::new();
        assert!(!watch.is_anyone_on_call());
        let call = watch.begin(HOOK, 1, &told(3), || 100).unwrap();
        assert!(watch.is_anyone_on_call());
        assert_eq!(found(&watch, 149, 50), []);
        let overdue = Overdue {
            place: HOOK.start,
            told: 3,
            cycle: 7,
            phase: Phase::Mark,
            waited_nanoseconds: 50,
        };
        assert_eq!(found(&watch, 150, 50), [overdue]);
        assert!(watch.is_overdue_in(HOOK) && !watch.is_overdue_in(SUBSCRIBERS));
        assert_eq!(found(&watch, 1_000, 50), []);
        assert!(call.end(), "the one who made it learns of it");
        assert!(!watch.is_anyone_on_call() && !watch.is_overdue_in(HOOK));
        // The next one in its place is another.
        let call = watch.begin(HOOK, 1, &told(4), || 1_000).unwrap();
        assert_eq!(found(&watch, 1_049, 50), []);
        assert_eq!(found(&watch, 1_060, 50).len(), 1);
        assert!(call.end());
        let call = watch.begin(HOOK, 1, &told(5), || 1_060).unwrap();
        assert!(!call.end());
        assert_eq!(found(&watch, u64::MAX, 0), []);
    }

    #[test]
    fn a_receiver_with_one_place_is_in_one_call() {
        let watch = Watch::new();
        let call = watch.begin(HOOK, 1, &told(1), || 0).unwrap();
        assert!(watch.begin(HOOK, 2, &told(2), || 0).is_none());
        let other = watch.begin(SUBSCRIBERS, 2, &told(2), || 0).unwrap();
        call.end();
        other.end();
        assert!(watch.begin(HOOK, 2, &told(2), || 0).is_some());
    }

    #[test]
    fn a_few_may_be_in_the_hook_in_place_and_none_comes_behind_one_that_is_overdue() {
        let watch = Watch::new();
        let begin = |sequence| watch.begin(IN_PLACE, sequence, &told(sequence), || 0);
        let mut calls: Vec<_> = (1..=IN_PLACE_MAX as u64).map(begin).collect();
        assert!(calls.iter().all(Option::is_some));
        assert!(begin(100).is_none());
        calls.pop().flatten().unwrap().end();
        assert!(!begin(101).unwrap().end());
        assert_eq!(found(&watch, 1, 1).len(), IN_PLACE_MAX - 1);
        assert!(begin(102).is_none());
        for call in calls.into_iter().flatten() {
            assert!(begin(103).is_none());
            assert!(call.end());
        }
        assert!(begin(104).is_some());
    }

    #[test]
    fn a_thread_is_on_call_in_its_own_call_alone() {
        let watch = Watch::new();
        let call = watch.begin(IN_PLACE, 1, &told(1), || 0).unwrap();
        assert!(watch.is_on_call() && watch.is_in_place());
        thread::scope(|scope| {
            let other = scope.spawn(|| {
                assert!(!watch.is_on_call() && !watch.is_in_place());
                let call = watch.begin(HOOK, 2, &told(2), || 0).unwrap();
                assert!(watch.is_on_call() && !watch.is_in_place());
                call.end();
            });
            other.join().unwrap();
        });
        call.end();
        assert!(!watch.is_on_call());
    }

    #[test]
    fn a_session_is_overdue_while_its_call_is() {
        let watch = Watch::new();
        let call = watch.begin(SUBSCRIBERS, 5, &told(1), || 0).unwrap();
        assert!(!watch.is_overdue_session(5));
        assert_eq!(found(&watch, 10, 10).len(), 1);
        assert!(watch.is_overdue_session(5) && !watch.is_overdue_session(6));
        call.end();
        assert!(!watch.is_overdue_session(5));
    }

    #[test]
    fn coming_back_into_the_heap_is_told_once_a_session() {
        let watch = Watch::new();
        assert_eq!(watch.first_reentry(), None);
        for (session, sequence, first) in [(1, 1, Some(1)), (1, 2, None), (2, 3, Some(3))] {
            let call = watch.begin(HOOK, session, &told(sequence), || 0).unwrap();
            assert_eq!(watch.first_reentry(), first);
            assert_eq!(watch.first_reentry(), None);
            call.end();
        }
    }
}
