//! The way of a violation from the recorder to whoever wants to be told.
//!
//! Owns the queue between the two and the turn (one thread delivers at a time). `post` is called by
//! the recorder from any thread in any phase and takes no lock; the rest belongs to
//! `Hooks::deliver`, outside the collector. Invariants: a violation is handed on at most once;
//! receivers are called one at a time, by the thread that holds the turn; nobody waits for the turn;
//! a thread that finds the turn taken has knocked when it goes away, and the turn is not given back
//! over a knock without another look at the queue, unless the holder has had its last round.
//! Deliberately absent: a deadline for a single call. A hook that hangs holds the turn for ever, and
//! the drain of the policy is what ends that.

use std::sync::PoisonError;

use crate::receiver::Receiver;
use crate::store::ArrayQueue;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{Mutex, MutexGuard, thread_token};
use crate::violation::Violation;
use crate::window::Window;

/// How many violations wait for delivery at most. The oldest are kept: later ones tend to follow
/// from them.
pub(crate) const PENDING_MAX: usize = 256;

/// How often a thread with the turn looks at the queue for those that knocked: often enough that a
/// meeting of two leaves nothing behind, and seldom enough that a flood on other threads does not
/// keep a mutator for ever.
pub(crate) const ROUNDS_MAX: usize = 4;

/// The turn, when nobody has it.
const FREE: u64 = 0;

/// In the turn, beside its holder: somebody found it taken and went away.
const KNOCKED: u64 = 1;

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
    /// Another thread is delivering, and looks once more at what waits before it stops.
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
    /// Locked by the holder of the turn alone, so that it never waits.
    counter: Mutex<Counter>,
    /// `FREE`, or twice the token of the thread that delivers, plus `KNOCKED`.
    turn: AtomicU64,
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
                window: Window::new(),
                subscribers: Receiver::new(),
                hook: Receiver::new(),
            }),
            turn: AtomicU64::new(FREE),
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

    /// Takes the turn if it is free, and knocks if it is not. Never waits.
    pub(crate) fn take_turn(&self) -> Option<Session<'_>> {
        let mine = thread_token() << 1;
        let take_or_knock = |turn| match turn {
            FREE => Some(mine),
            held => Some(held | KNOCKED),
        };
        // Acquire: what the last holder did happens before this delivery (pairs with the Release of
        // `HeldTurn`). Release: the holder that hears the knock sees what was posted before it (pairs
        // with the Acquire of `HeldTurn::give_back`); a knock on a knocked turn is a write all the
        // same, for that reason.
        let found = self.turn.fetch_update(AcqRel, Relaxed, take_or_knock);
        if found != Ok(FREE) {
            return None;
        }
        let turn = HeldTurn {
            mailbox: self,
            mine,
        };
        self.deliveries.fetch_add(1, Relaxed);
        Some(Session::open(turn))
    }

    /// Whether the calling thread is inside a delivery.
    pub(crate) fn is_delivering(&self) -> bool {
        // Relaxed: a thread compares the word with its own token alone, which nobody else stores.
        self.turn.load(Relaxed) & !KNOCKED == thread_token() << 1
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
struct HeldTurn<'a> {
    mailbox: &'a Mailbox,
    /// The word of this holder, when nobody has knocked.
    mine: u64,
}

impl<'a> HeldTurn<'a> {
    /// Gives the turn back, unless somebody knocked since it was taken or this was last called.
    fn give_back(self) -> Result<(), HeldTurn<'a>> {
        let turn = &self.mailbox.turn;
        // Release: pairs with the Acquire of `take_turn`.
        match turn.compare_exchange(self.mine, FREE, Release, Relaxed) {
            Ok(_) => {
                std::mem::forget(self);
                Ok(())
            }
            Err(_) => {
                // Acquire: pairs with the Release of every knock in `take_turn`.
                turn.fetch_and(!KNOCKED, Acquire);
                Err(self)
            }
        }
    }
}

/// Knocked or not: what waits then waits for a later delivery.
impl Drop for HeldTurn<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire of `take_turn`.
        self.mailbox.turn.store(FREE, Release);
    }
}

/// A delivery under way.
pub(crate) struct Session<'a> {
    /// Stands before the turn, so that it is let go of first.
    pub(crate) counter: MutexGuard<'a, Counter>,
    turn: HeldTurn<'a>,
}

impl<'a> Session<'a> {
    fn open(turn: HeldTurn<'a>) -> Session<'a> {
        let counter = turn.mailbox.counter.lock();
        // No panic of a receiver gets this far; a counter left by any other is whole, for its fields
        // are counts.
        let counter = counter.unwrap_or_else(PoisonError::into_inner);
        Session { counter, turn }
    }

    /// The oldest letter, which counts as being handed on until the next one is taken.
    pub(crate) fn take(&self) -> Option<Letter> {
        let mailbox = self.turn.mailbox;
        let letter = mailbox.pending.pop()?;
        mailbox.telling.store(letter.violation.sequence, Relaxed);
        Some(letter)
    }

    /// Gives the turn back, or keeps it because somebody knocked, who may have posted what this
    /// session has not looked for yet.
    pub(crate) fn end(self) -> Option<Session<'a>> {
        let Session { counter, turn } = self;
        drop(counter);
        turn.give_back().err().map(Session::open)
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
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
    fn a_knock_keeps_the_turn_for_one_more_look() {
        let mailbox = Mailbox::new();
        let session = mailbox.take_turn().unwrap();
        thread::scope(|scope| {
            let knock = || assert!(mailbox.take_turn().is_none());
            scope.spawn(knock).join().unwrap();
            scope.spawn(knock).join().unwrap();
        });
        assert!(mailbox.is_delivering());
        let session = session.end().unwrap();
        assert!(mailbox.is_delivering());
        assert!(session.end().is_none());
        assert!(!mailbox.is_delivering());
        assert!(mailbox.take_turn().is_some());
    }

    #[test]
    fn a_turn_that_is_dropped_is_free_knocked_or_not() {
        let mailbox = Mailbox::new();
        let session = mailbox.take_turn().unwrap();
        thread::scope(|scope| {
            let knock = || assert!(mailbox.take_turn().is_none());
            scope.spawn(knock).join().unwrap();
        });
        drop(session);
        let session = mailbox.take_turn().unwrap();
        assert!(session.end().is_none());
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
}
