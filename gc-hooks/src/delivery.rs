//! The way of a violation from the recorder to whoever wants to be told.
//!
//! Owns the queue between the two and the turn (one thread delivers at a time). `post` is called by
//! the recorder from any thread in any phase and takes no lock; the rest belongs to
//! `Hooks::deliver`, outside the collector. Invariants: a violation is handed on at most once;
//! nobody waits for the turn; a thread that finds the turn taken has knocked when it goes away, and
//! the turn is not given back over a knock without another look at the queue, unless the holder has
//! had its last round; a turn whose holder is in a call that was found overdue may be taken from
//! it, and the holder learns of that before it goes on. Deliberately absent: that receivers are
//! called one at a time, which `watch` sees to, and what becomes of a letter.

use std::sync::PoisonError;

use crate::receiver::Receiver;
use crate::store::ArrayQueue;
use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::{Mutex, MutexGuard};
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
    /// Violations that were over the policy's rate, or for a receiver that hangs, and are only
    /// counted.
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
    /// The call came from inside a hook or a subscriber to trace events on this thread.
    Nested,
    /// A thread of the heap's own delivers, and is awake as soon as something waits.
    Elsewhere,
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
    /// Locked by the holder of the turn alone, and never while it calls anyone, so that it never
    /// waits.
    window: Mutex<Window>,
    /// `FREE`, or twice the number of the session that delivers, plus `KNOCKED`.
    turn: AtomicU64,
    /// Sessions begun or attempted: the last number given to one.
    sessions: AtomicU64,
    /// Called by whoever has the turn, or had it.
    pub(crate) subscribers: Receiver,
    pub(crate) hook: Receiver,
}

impl Mailbox {
    pub(crate) fn new() -> Mailbox {
        Mailbox {
            pending: ArrayQueue::new(PENDING_MAX),
            window: Mutex::new(Window::new()),
            turn: AtomicU64::new(FREE),
            sessions: AtomicU64::new(0),
            subscribers: Receiver::new("subscriber to trace events"),
            hook: Receiver::new("hook of the policy"),
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

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Takes the turn if it is free, or if `is_lost` says so of the session that has it; knocks if
    /// not. Never waits.
    pub(crate) fn take_turn(&self, is_lost: impl Fn(u64) -> bool) -> Option<Session<'_>> {
        let session = self.next_session();
        let mut is_taken = false;
        let take_or_knock = |turn: u64| {
            is_taken = turn == FREE || is_lost(turn >> 1);
            Some(if is_taken {
                session << 1
            } else {
                turn | KNOCKED
            })
        };
        // Acquire: what the last holder did happens before this delivery (pairs with the Release of
        // `give_back` and `drop`). Release: the holder that hears the knock sees what was posted
        // before it (pairs with the Acquire of `give_back`); a knock on a knocked turn is a write all
        // the same, for that reason.
        let _always = self.turn.fetch_update(AcqRel, Relaxed, take_or_knock);
        is_taken.then_some(Session {
            mailbox: self,
            session,
        })
    }

    /// A number that no other session has, ever: whoever compares the turn with one it saw before
    /// finds another when anything happened in between.
    fn next_session(&self) -> u64 {
        self.sessions.fetch_add(1, Relaxed) + 1
    }

    /// What passes in a second, for the holder of the turn.
    pub(crate) fn window(&self) -> MutexGuard<'_, Window> {
        // Nobody panics while it is locked; a window left by one who did would be whole.
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery under way: the turn, as long as nobody takes it away.
pub(crate) struct Session<'a> {
    mailbox: &'a Mailbox,
    session: u64,
}

impl<'a> Session<'a> {
    /// The number of the session.
    pub(crate) fn number(&self) -> u64 {
        self.session
    }

    /// The oldest letter.
    pub(crate) fn take(&self) -> Option<Letter> {
        self.mailbox.pending.pop()
    }

    /// Goes on under another number, after a call for which the turn may have been taken away. False
    /// when it was: this delivery is over.
    pub(crate) fn renew(&mut self) -> bool {
        let mailbox = self.mailbox;
        let (before, after) = (self.session << 1, mailbox.next_session());
        let rename = |turn: u64| {
            let is_mine = turn & !KNOCKED == before;
            is_mine.then_some(after << 1 | turn & KNOCKED)
        };
        // Relaxed: nothing is handed over here. A knock that is kept stays readable through the new
        // word, which is a write upon it.
        let is_kept = mailbox.turn.fetch_update(Relaxed, Relaxed, rename).is_ok();
        if is_kept {
            self.session = after;
        }
        is_kept
    }

    /// Gives the turn back, or keeps it because somebody knocked since it was taken or this was last
    /// called, who may have posted what this session has not looked for yet.
    pub(crate) fn end(self) -> Option<Session<'a>> {
        let turn = &self.mailbox.turn;
        let mine = self.session << 1;
        // Release: pairs with the Acquire of `take_turn`.
        if turn.compare_exchange(mine, FREE, Release, Relaxed).is_ok() {
            std::mem::forget(self);
            return None;
        }
        // Acquire: pairs with the Release of every knock in `take_turn`.
        let unknock = turn.compare_exchange(mine | KNOCKED, mine, Acquire, Relaxed);
        // Nobody takes the turn from one who is in no call.
        unknock.is_ok().then_some(self)
    }
}

/// Knocked or not: what waits then waits for a later delivery. Nothing, when the turn was taken away.
impl Drop for Session<'_> {
    fn drop(&mut self) {
        let mine = self.session << 1;
        let free = |turn: u64| (turn & !KNOCKED == mine).then_some(FREE);
        // Release: pairs with the Acquire of `take_turn`.
        let _taken_away = self.mailbox.turn.fetch_update(Release, Relaxed, free);
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
        let session = turn(&mailbox).unwrap();
        let taken: Vec<u64> = std::iter::from_fn(|| session.take())
            .map(|taken| taken.violation.sequence)
            .collect();
        assert_eq!(taken, (1..=PENDING_MAX as u64).collect::<Vec<u64>>());
    }

    /// Nobody takes the turn away.
    fn turn(mailbox: &Mailbox) -> Option<Session<'_>> {
        mailbox.take_turn(|_| false)
    }

    #[test]
    fn the_turn_is_given_to_one_and_given_back() {
        let mailbox = Mailbox::new();
        let session = turn(&mailbox).unwrap();
        assert!(turn(&mailbox).is_none());
        thread::scope(|scope| {
            let other = scope.spawn(|| assert!(turn(&mailbox).is_none()));
            other.join().unwrap();
        });
        drop(session);
        assert!(turn(&mailbox).is_some());
    }

    #[test]
    fn a_knock_keeps_the_turn_for_one_more_look() {
        let mailbox = Mailbox::new();
        let session = turn(&mailbox).unwrap();
        assert!(turn(&mailbox).is_none());
        assert!(turn(&mailbox).is_none());
        let session = session.end().unwrap();
        assert!(session.end().is_none());
        assert!(turn(&mailbox).is_some());
    }

    #[test]
    fn a_turn_that_is_dropped_is_free_knocked_or_not() {
        let mailbox = Mailbox::new();
        let session = turn(&mailbox).unwrap();
        assert!(turn(&mailbox).is_none());
        drop(session);
        let session = turn(&mailbox).unwrap();
        assert!(session.end().is_none());
    }

    #[test]
    fn a_turn_that_is_lost_goes_to_another_and_stays_there() {
        let mailbox = Mailbox::new();
        let mut lost = turn(&mailbox).unwrap();
        let number = lost.number();
        assert!(mailbox.take_turn(|session| session != number).is_none());
        let session = mailbox.take_turn(|session| session == number).unwrap();
        assert!(!lost.renew());
        assert!(turn(&mailbox).is_none());
        drop(lost);
        assert!(turn(&mailbox).is_none(), "it was not the loser's to give");
        let session = session.end().unwrap();
        assert!(session.end().is_none());
    }

    #[test]
    fn one_who_came_back_in_time_goes_on_and_is_not_taken_for_the_one_before() {
        let mailbox = Mailbox::new();
        let mut session = turn(&mailbox).unwrap();
        let before = session.number();
        assert!(turn(&mailbox).is_none());
        assert!(session.renew());
        assert!(mailbox.take_turn(|session| session == before).is_none());
        let session = session.end().unwrap();
        assert!(session.end().is_none(), "both knocks are heard at once");
    }
}
