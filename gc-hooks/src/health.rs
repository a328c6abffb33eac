//! What anyone may poll about a heap, and the books the recorder keeps for it.
//!
//! Owns the health word, the counters, the first violation and the ring of the last ones. Written
//! by `Hooks::report` from any thread in any phase, by a few atomics and without a lock; read by
//! anyone at any time. Invariants: health turns once and never turns back; whoever sees that a
//! violation turned it finds a first violation; `total` is the highest sequence number given out; a
//! count or `suppressed`, read before the total, is never more than the total. Deliberately absent:
//! judgement (that is the policy's) and delivery.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use crate::check::Check;
use crate::clock::Clock;
use crate::record::{Failure, HealthRecord};
use crate::ring::Ring;
use crate::store::WrittenOnce;
use crate::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use crate::sync::atomic::{AtomicBool, AtomicU64};
use crate::terms::Severity;
use crate::violation::Violation;

/// How many of the last violations [`Health::recent`] remembers: enough to see a pattern, small
/// enough to set aside for every heap.
pub const RECENT_MAX: usize = 64;

/// The health of one heap. Cheap to clone; every clone sees the same heap, which may be long gone.
///
/// ```
/// use gc_hooks::{Check, Hooks, Policy, Violation};
///
/// let hooks = Hooks::new(Policy::MARK_UNHEALTHY);
/// let health = hooks.health();
/// let poll = std::thread::spawn(move || health.is_healthy());
/// assert!(poll.join().unwrap());
/// ```
#[derive(Clone)]
pub struct Health {
    books: Arc<Books>,
}

struct Books {
    /// Cleared once, in `mark_unhealthy`; read by anyone.
    is_healthy: AtomicBool,
    /// Written by the one thread that cleared `is_healthy`, right after it did.
    unhealthy_since: WrittenOnce<Instant>,
    /// Violations recorded; the last sequence number given out.
    total: AtomicU64,
    /// Violations recorded of each check and severity, indexed by `Check::index` and by the severity.
    counts: [[AtomicU64; Severity::ALL.len()]; Check::COUNT],
    /// Violations that were recorded but not handed on. Written by the recorder and by deliveries.
    suppressed: AtomicU64,
    /// Written by the one thread that drew sequence number 1.
    first: WrittenOnce<Violation>,
    /// Written by every recorder, before it turns the health.
    ring: Ring,
    /// Read by the recorder, when health turns and as the policy asks, and by deliveries.
    clock: Clock,
    /// Written by every recorder after the books in memory, until the heap ends.
    durable: Option<HealthRecord>,
}

impl Health {
    pub(crate) fn new(clock: Clock) -> Health {
        Health::with_record(clock, None)
    }

    pub(crate) fn with_record(clock: Clock, durable: Option<HealthRecord>) -> Health {
        let books = Books {
            is_healthy: AtomicBool::new(true),
            unhealthy_since: WrittenOnce::new(),
            total: AtomicU64::new(0),
            counts: std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0))),
            suppressed: AtomicU64::new(0),
            first: WrittenOnce::new(),
            ring: Ring::new(RECENT_MAX),
            clock,
            durable,
        };
        Health {
            books: Arc::new(books),
        }
    }

    /// Writes a violation into the books and gives it back with its sequence number.
    pub(crate) fn record(&self, violation: Violation) -> Violation {
        let books = &*self.books;
        let sequence = books.total.fetch_add(1, Relaxed) + 1;
        let violation = Violation {
            sequence,
            ..violation
        };
        // Release: whoever sees it counted here sees it in the total (pairs with the Acquire of
        // `count_of`).
        let of_check = &books.counts[violation.check.index()];
        of_check[violation.severity() as usize].fetch_add(1, Release);
        if sequence == 1 {
            books.first.set(violation);
        }
        books.ring.push(violation);
        if let Some(durable) = &books.durable {
            durable.write(&violation, self.suppressed());
        }
        violation
    }

    /// What keeps violations out of the durable record, to the first who asks after it.
    pub(crate) fn record_failure(&self) -> Option<(Failure, &HealthRecord)> {
        let durable = self.books.durable.as_ref()?;
        Some((durable.failure_untold()?, durable))
    }

    /// Whether [`Health::record_failure`] has something to tell.
    #[inline]
    pub(crate) fn has_record_failure(&self) -> bool {
        let durable = self.books.durable.as_ref();
        durable.is_some_and(HealthRecord::has_failure_untold)
    }

    /// Closes the durable record: the heap ends in order.
    pub(crate) fn close_record(&self) {
        if let Some(durable) = &self.books.durable {
            durable.close(self.suppressed());
        }
    }

    /// Counts a violation that is recorded and will not be handed on.
    pub(crate) fn suppress(&self) {
        // Release: as for a count (pairs with the Acquire of `suppressed`).
        self.books.suppressed.fetch_add(1, Release);
    }

    /// The time by the clock that health turns by.
    pub(crate) fn now(&self) -> Instant {
        self.books.clock.now()
    }

    /// Turns the heap's health, for good. Anyone may: a service that doubts its heap for reasons of
    /// its own takes itself out of rotation by the same word.
    pub fn mark_unhealthy(&self) {
        // Release: whoever sees the word turned sees the violation that turned it (pairs with the
        // Acquire of `is_healthy`). Who sees a later turn sees the earlier ones too, for each is a
        // write upon the one before.
        if self.books.is_healthy.swap(false, Release) {
            // One thread alone sees the word turn.
            self.books.unhealthy_since.set(self.books.clock.now());
            if let Some(durable) = &self.books.durable {
                durable.mark_unhealthy();
            }
        }
    }

    /// Whether nothing has yet turned the heap's health.
    #[must_use]
    #[inline]
    pub fn is_healthy(&self) -> bool {
        // Acquire: pairs with the Release of `mark_unhealthy`.
        self.books.is_healthy.load(Acquire)
    }

    /// When health turned. For a moment after it turned the answer may still be none.
    #[must_use]
    pub fn unhealthy_since(&self) -> Option<Instant> {
        self.books.unhealthy_since.get()
    }

    /// Violations of one check so far.
    #[must_use]
    pub fn count(&self, check: Check) -> u64 {
        let severities = Severity::ALL.iter();
        severities
            .map(|&severity| self.count_of(check, severity))
            .sum()
    }

    /// Violations of one check and severity so far.
    #[must_use]
    pub fn count_of(&self, check: Check, severity: Severity) -> u64 {
        // Acquire: pairs with the Release of `record`.
        self.books.counts[check.index()][severity as usize].load(Acquire)
    }

    /// Violations of all checks so far.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.books.total.load(Relaxed)
    }

    /// Violations that were recorded but not handed on to trace events and the hook, or to one of
    /// the two alone: they came faster than the policy's rate or than the heap delivers, or one of
    /// the two hangs.
    #[must_use]
    pub fn suppressed(&self) -> u64 {
        // Acquire: pairs with the Release of `suppress`.
        self.books.suppressed.load(Acquire)
    }

    /// The very first violation: the one to read, for later ones may follow from it. While that one
    /// is still being written on another thread, the oldest of those that are written.
    #[must_use]
    pub fn first(&self) -> Option<Violation> {
        let first = self.books.first.get();
        if first.is_some() || self.total() == 0 {
            return first;
        }
        // The thread that drew number 1 was overtaken, possibly by one that turned the health.
        self.books.ring.read(|recent| recent.front().copied())
    }

    /// The newest violation.
    #[must_use]
    pub fn last(&self) -> Option<Violation> {
        self.books.ring.read(|recent| recent.back().copied())
    }

    /// The last [`RECENT_MAX`] violations, the newest at the end. While others record, one that is
    /// just being written may be missing.
    #[must_use]
    pub fn recent(&self) -> Vec<Violation> {
        self.books
            .ring
            .read(|recent| recent.iter().copied().collect())
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Health")
            .field("is_healthy", &self.is_healthy())
            .field("total", &self.total())
            .field("suppressed", &self.suppressed())
            .field("first", &self.first())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::thread;
    use std::time::Duration;

    use super::*;
    use crate::clock::tests::HandClock;
    use crate::terms::Origin;

    fn health() -> Health {
        Health::new(Clock::monotonic())
    }

    fn record_many(health: &Health, violations: u64) {
        for cycle in 1..=violations {
            let cycle = u32::try_from(cycle).unwrap();
            health.record(Violation::new(Check::Zombie).with_cycle(cycle));
        }
    }

    #[test]
    fn a_new_heap_is_healthy_and_its_books_are_empty() {
        let health = health();
        assert!(health.is_healthy());
        assert_eq!((health.total(), health.suppressed()), (0, 0));
        assert_eq!(
            (health.first(), health.last(), health.unhealthy_since()),
            (None, None, None)
        );
        assert!(health.recent().is_empty());
    }

    #[test]
    fn a_check_is_counted_by_what_it_meant_each_time() {
        let health = health();
        for origin in [Origin::BarrierOld, Origin::Scan, Origin::Scan] {
            health.record(Violation::new(Check::FreePointer).with_origin(origin));
        }
        let counts = Severity::ALL
            .iter()
            .map(|&severity| health.count_of(Check::FreePointer, severity));
        assert_eq!(counts.collect::<Vec<_>>(), [0, 1, 0, 2]);
        assert_eq!(health.count(Check::FreePointer), 3);
    }

    #[test]
    fn recording_counts_and_numbers_but_does_not_judge() {
        let health = health();
        health.record(Violation::new(Check::Zombie));
        let second = health.record(Violation::new(Check::Ledger));
        assert_eq!(second.sequence, 2);
        assert_eq!(
            (health.count(Check::Zombie), health.count(Check::Ledger)),
            (1, 1)
        );
        assert_eq!((health.count(Check::OsCall), health.total()), (0, 2));
        assert!(health.is_healthy());
    }

    #[test]
    fn first_stays_and_last_moves() {
        let health = health();
        record_many(&health, 1_000);
        assert_eq!(health.first().map(|violation| violation.cycle), Some(1));
        assert_eq!(health.last().map(|violation| violation.cycle), Some(1_000));
    }

    #[test]
    fn recent_is_the_last_of_all_however_often_it_is_read() {
        let health = health();
        let mut recorded = 0;
        for step in [1, 10, 63, 1, 200, 0, 5] {
            for _ in 0..step {
                recorded += 1;
                health.record(Violation::new(Check::Zombie));
            }
            let recent: Vec<u64> = health.recent().iter().map(|found| found.sequence).collect();
            let oldest = recorded - u64::min(recorded, RECENT_MAX as u64) + 1;
            assert_eq!(recent, (oldest..=recorded).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn health_turns_once_and_remembers_when() {
        let hands = HandClock::new();
        let health = Health::new(hands.clock());
        hands.advance(Duration::from_secs(5));
        health.mark_unhealthy();
        hands.advance(Duration::from_secs(5));
        health.mark_unhealthy();
        assert!(!health.is_healthy());
        assert_eq!(
            health.unhealthy_since(),
            Some(hands.start() + Duration::from_secs(5))
        );
    }

    #[test]
    fn violations_recorded_on_many_threads_are_all_counted_and_numbered_apart() {
        let health = health();
        let (threads, each) = (4, 500);
        let reader_stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let reader = scope.spawn(|| {
                while !reader_stop.load(Relaxed) {
                    let recent = health.recent();
                    assert!(recent.len() <= RECENT_MAX);
                    assert!(recent.is_sorted_by(|one, next| one.sequence < next.sequence));
                }
            });
            let writers: Vec<_> = (0..threads)
                .map(|_| scope.spawn(|| record_many(&health, each)))
                .collect();
            for writer in writers {
                writer.join().unwrap();
            }
            reader_stop.store(true, Relaxed);
            reader.join().unwrap();
        });
        assert_eq!(health.total(), threads * each);
        assert_eq!(health.count(Check::Zombie), threads * each);
        assert_eq!(health.first().map(|violation| violation.sequence), Some(1));
        assert_eq!(health.recent().len(), RECENT_MAX);
        assert!(
            health
                .recent()
                .iter()
                .all(|violation| violation.sequence <= threads * each)
        );
    }
}
