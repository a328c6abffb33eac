//! The way of a violation from the recorder to whoever wants to be told.
//!
//! Owns the queue between the two, the turn (one thread delivers at a time) and the count of what
//! passes in a second. `post` is called by the recorder from any thread in any phase and takes no
//! lock; the rest belongs to `Hooks::deliver`, outside the collector. Invariants: a violation is
//! handed on at most once; receivers are called one at a time, by the thread that holds the turn;
//! nobody waits for the turn. Deliberately absent: a deadline for a single call. A hook that hangs
//! holds the turn for ever, and the drain of the policy is what ends that.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use crossbeam_queue::ArrayQueue;

use crate::policy::Rate;
use crate::receiver::Receiver;
use crate::sync::thread_token;
use crate::violation::Violation;

/// How many violations wait for delivery at most. The oldest are kept: later ones tend to follow
/// from them.
pub(crate) const PENDING_MAX: usize = 256;

/// The span of time a rate counts in.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What became of a call to `Hooks::deliver`.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Delivery {
    /// Whether this call delivered, and if not, why.
    pub turn: Turn,
    /// Violations handed on.
    pub delivered: usize,
    /// Violations that were over the policy's rate and are only counted.
    pub suppressed: usize,
    /// Calls to receivers that panicked.
    pub panics: usize,
}

/// Whether a delivery had its turn.
#[non_exhaustive]
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Turn {
    /// Nothing was waiting.
    #[default]
    Idle,
    /// This call delivered.
    Taken,
    /// Another thread is delivering.
    Busy,
    /// The call came from inside a delivery on this thread: from a hook.
    Nested,
}

impl Delivery {
    pub(crate) const fn of(turn: Turn) -> Delivery {
        Delivery {
            turn,
            delivered: 0,
            suppressed: 0,
            panics: 0,
        }
    }
}

/// A violation on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Letter {
    pub(crate) violation: Violation,
    pub(crate) addressee: Addressee,
}

/// Who is told of a violation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Addressee {
    /// Subscribers to trace events.
    Subscribers,
    /// They and the policy's hook.
    Hook,
}

/// Whether a violation found a place in the queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Posted {
    Waiting,
    NoRoom,
}

/// The queue, and the turn to empty it.
pub(crate) struct Mailbox {
    /// Filled by recorders, emptied by the holder of the turn.
    pending: ArrayQueue<Letter>,
    /// Locked by trying alone: whoever has it delivers, and everyone else goes away.
    counter: Mutex<Counter>,
    /// Token of the thread that delivers, 0 for none. Written by the holder of the turn.
    deliverer: AtomicU64,
    /// Sequence number of the violation being handed on. Written by the holder of the turn.
    telling: AtomicU64,
    /// The delivery, counted from 1, in which a hook last used its heap. Written by the thread that
    /// delivers.
    reentered_in: AtomicU64,
    /// Deliveries begun. Written by the holder of the turn.
    deliveries: AtomicU64,
}

/// What belongs to the turn.
pub(crate) struct Counter {
    pub(crate) window: Window,
    pub(crate) subscribers: Receiver,
    pub(crate) hook: Receiver,
}

impl Mailbox {
    pub(crate) fn new() -> Mailbox {
        Mailbox {
            pending: ArrayQueue::new(PENDING_MAX),
            counter: Mutex::new(Counter {
                window: Window {
                    begun: None,
                    passed: 0,
                },
                subscribers: Receiver::new(),
                hook: Receiver::new(),
            }),
            deliverer: AtomicU64::new(0),
            telling: AtomicU64::new(0),
            reentered_in: AtomicU64::new(0),
            deliveries: AtomicU64::new(0),
        }
    }

    pub(crate) fn post(&self, letter: Letter) -> Posted {
        match self.pending.push(letter) {
            Ok(()) => Posted::Waiting,
            Err(_) => Posted::NoRoom,
        }
    }

    pub(crate) fn waiting(&self) -> usize {
        self.pending.len()
    }

    /// Takes the turn if it is free. Never waits.
    pub(crate) fn take_turn(&self) -> Option<Session<'_>> {
        let counter = match self.counter.try_lock() {
            Ok(counter) => counter,
            // No panic of a receiver gets this far; a counter left by any other is whole, for its
            // fields are counts.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        self.deliveries.fetch_add(1, Relaxed);
        // A thread compares this with its own token alone, and has stored that itself if they are
        // equal.
        self.deliverer.store(thread_token(), Relaxed);
        Some(Session {
            mailbox: self,
            counter,
        })
    }

    /// Whether the calling thread is inside a delivery.
    pub(crate) fn is_delivering(&self) -> bool {
        let deliverer = self.deliverer.load(Relaxed);
        deliverer != 0 && deliverer == thread_token()
    }

    /// Sequence number of the violation being handed on, once for each delivery; on the thread that
    /// delivers.
    pub(crate) fn first_reentry(&self) -> Option<u64> {
        let delivery = self.deliveries.load(Relaxed);
        let is_first = self.reentered_in.swap(delivery, Relaxed) != delivery;
        is_first.then(|| self.telling.load(Relaxed))
    }
}

/// The turn, while it is held.
pub(crate) struct Session<'a> {
    mailbox: &'a Mailbox,
    pub(crate) counter: MutexGuard<'a, Counter>,
}

impl Session<'_> {
    /// The oldest letter, which counts as being handed on until the next one is taken.
    pub(crate) fn take(&self) -> Option<Letter> {
        let letter = self.mailbox.pending.pop()?;
        self.mailbox
            .telling
            .store(letter.violation.sequence, Relaxed);
        Some(letter)
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.mailbox.deliverer.store(0, Relaxed);
    }
}

/// What passed in the current second.
pub(crate) struct Window {
    begun: Option<Instant>,
    passed: u32,
}

impl Window {
    /// Lets a violation pass, or not, by the rate. A second begins with the first violation that
    /// passes in it.
    pub(crate) fn admits(&mut self, rate: Rate, now: Instant) -> bool {
        let is_over = self
            .begun
            .is_none_or(|begun| now.saturating_duration_since(begun) >= RATE_WINDOW);
        if is_over {
            self.begun = Some(now);
            self.passed = 0;
        }
        let is_admitted = self.passed < rate.per_second.get();
        if is_admitted {
            self.passed += 1;
        }
        is_admitted
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;
    use std::thread;

    use super::*;
    use crate::check::Check;

    fn letter(sequence: u64) -> Letter {
        let violation = Violation {
            sequence,
            ..Violation::new(Check::Zombie)
        };
        Letter {
            violation,
            addressee: Addressee::Hook,
        }
    }

    #[test]
    fn a_full_mailbox_keeps_the_oldest() {
        let mailbox = Mailbox::new();
        for sequence in 1..=PENDING_MAX as u64 {
            assert_eq!(mailbox.post(letter(sequence)), Posted::Waiting);
        }
        assert_eq!(mailbox.post(letter(1_000_000)), Posted::NoRoom);
        let session = mailbox.take_turn().unwrap();
        let taken: Vec<u64> = std::iter::from_fn(|| session.take())
            .map(|taken| taken.violation.sequence)
            .collect();
        assert_eq!(taken, (1..=PENDING_MAX as u64).collect::<Vec<u64>>());
    }

    #[test]
    fn the_turn_is_given_to_one_and_given_back() {
        let mailbox = Mailbox::new();
        let session = mailbox.take_turn().unwrap();
        assert!(mailbox.take_turn().is_none());
        thread::scope(|scope| {
            scope
                .spawn(|| assert!(mailbox.take_turn().is_none()))
                .join()
                .unwrap();
        });
        drop(session);
        assert!(mailbox.take_turn().is_some());
    }

    #[test]
    fn only_the_thread_with_the_turn_is_delivering() {
        let mailbox = Mailbox::new();
        assert!(!mailbox.is_delivering());
        let session = mailbox.take_turn().unwrap();
        assert!(mailbox.is_delivering());
        thread::scope(|scope| {
            scope
                .spawn(|| assert!(!mailbox.is_delivering()))
                .join()
                .unwrap();
        });
        drop(session);
        assert!(!mailbox.is_delivering());
    }

    #[test]
    fn delivering_for_one_heap_is_not_delivering_for_another() {
        let (one, other) = (Mailbox::new(), Mailbox::new());
        let _session = one.take_turn().unwrap();
        assert!(!other.is_delivering());
    }

    #[test]
    fn a_window_admits_its_rate_in_every_second_and_no_more() {
        let rate = Rate {
            per_second: NonZeroU32::new(2).unwrap(),
        };
        let begun = Instant::now();
        let mut window = Window {
            begun: None,
            passed: 0,
        };
        let mut admits_at =
            |milliseconds| window.admits(rate, begun + Duration::from_millis(milliseconds));
        let times = [
            0, 0, 0, 999, 1_000, 1_500, 1_999, 2_000, 60_000, 60_000, 60_000,
        ];
        let admitted = times.map(|time| u8::from(admits_at(time)));
        assert_eq!(admitted, [1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0]);
    }
}
