//! The gate: how many helpers work beside the coordinator, and whether more may join.
//!
//! Collector threads and assisting mutators pass it before they mark; the coordinator, who holds the
//! cycle's lock, opens it when there may be grey objects, and closes it to find out whether there are
//! none. A helper leaves with nothing in private, so a closed gate with nobody behind it means that
//! every grey object is in a deque or a queue. The sweep has a gate of its own, which is closed only
//! while the accounts are recounted or a lost span is looked for.
//!
//! Helpers are counted twice: in the word that decides, and in books that only grow. A helper books its
//! entry after it was counted in and its exit before it is counted out; so when the word counts
//! nobody, the closer sees every booking of those it counted, and both must agree. Where they do
//! not, the gate is breached ([`Check::GateCount`](gc_hooks::Check::GateCount)): the books take the word's
//! place, nobody passes for empty who is not, and whoever closed the gate is told.
//!
//! Invariant: `entries - exits` never exceeds the number of helpers behind the gate. Deliberately
//! absent: what a breach means for a cycle (cycle.rs) and for a recount (engine.rs).

use std::time::{Duration, Instant};

use gc_hooks::patience::Patience;
use gc_hooks::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use gc_hooks::sync::{point, yield_now};

/// Set while helpers may join. The rest of the word counts them.
const OPEN: u64 = 1 << 63;
/// Helpers that no process has: a count above is a count that wrapped.
const HELPERS_MAX: u64 = 1 << 32;
/// How long helpers may stay that the books do not know, or that nobody can vouch for.
const GHOST_DEADLINE: Duration = Duration::from_secs(1);
/// Looks that must find the books empty meanwhile. A helper is out of them for an instant only.
const GHOST_LOOKS_MIN: u32 = 20;

/// Why a breach of the sweep's gate is told.
pub(crate) const SWEEPERS: &str = "helpers who sweep";

/// See the module.
pub(crate) struct Gate {
    word: AtomicU64,
    /// Helpers that ever went in, booked after they were counted.
    entries: AtomicU64,
    /// Helpers that ever came out, booked before they were counted out.
    exits: AtomicU64,
    /// Somebody came out whom the word did not count.
    is_breached: AtomicBool,
}

/// What a gate that was found breached said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Breach {
    /// Helpers behind the gate, by the word that decides.
    pub(crate) counted: u64,
    /// Helpers that ever went in.
    pub(crate) entries: u64,
    /// Helpers that ever came out.
    pub(crate) exits: u64,
}

/// What the closer of a gate finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Closed {
    /// Nobody is behind it.
    Empty,
    /// Somebody is.
    Occupied,
    /// Word and books disagree. The gate is closed and the word says what the books say.
    Breached(Breach),
}

/// A helper behind the gate.
pub(crate) struct Helping<'a> {
    gate: &'a Gate,
}

impl Gate {
    pub(crate) fn closed() -> Self {
        Gate {
            word: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            exits: AtomicU64::new(0),
            is_breached: AtomicBool::new(false),
        }
    }

    /// Joins, unless the gate is closed.
    pub(crate) fn join(&self) -> Option<Helping<'_>> {
        let mut word = self.word.load(Ordering::Relaxed);
        // A count beyond belief lets nobody in: it could wrap.
        while word & OPEN != 0 && word & !OPEN < HELPERS_MAX {
            point();
            // Acquire pairs with the Release of `open`: a helper sees what the coordinator prepared.
            match self.word.compare_exchange_weak(
                word,
                word + 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    self.entries.fetch_add(1, Ordering::Relaxed);
                    return Some(Helping { gate: self });
                }
                Err(found) => word = found,
            }
        }
        None
    }

    /// Lets helpers join.
    pub(crate) fn open(&self) {
        point();
        // Release pairs with the Acquire of `join`.
        self.word.fetch_or(OPEN, Ordering::Release);
    }

    /// Lets nobody join any more, and says whether anybody is behind the gate.
    pub(crate) fn close(&self) -> Closed {
        point();
        // Acquire pairs with the Release of a helper that leaves: its work is visible, and so are its
        // entries in the books.
        let counted = self.word.fetch_and(!OPEN, Ordering::Acquire) & !OPEN;
        let was_breached = self.is_breached.swap(false, Ordering::Relaxed);
        let is_refuted = counted == 0 && !self.is_booked_empty() || counted >= HELPERS_MAX;
        if was_breached || is_refuted {
            Closed::Breached(self.rebuild(counted))
        } else if counted == 0 {
            Closed::Empty
        } else {
            Closed::Occupied
        }
    }

    /// Closes the gate and waits until nobody is behind it, for so long at most; `false` when somebody
    /// still is. Helpers whom the books do not know are told as a breach and waited for no longer.
    pub(crate) fn empty(&self, patience: Duration, breached: &mut dyn FnMut(Breach)) -> bool {
        let begun = Instant::now();
        let mut watch = Watch::new(begun);
        loop {
            let now = Instant::now();
            match watch.close(self, now) {
                Passage::Empty => return true,
                Passage::Breached(breach) => breached(breach),
                Passage::Occupied | Passage::Hopeless => {}
            }
            // Ghosts are given their own deadline, which ends however busy the machine is.
            if now.duration_since(begun) >= patience && !self.is_booked_empty() {
                return false;
            }
            yield_now();
        }
    }

    /// Opens a gate that nobody has closed and that lets nobody in all the same: its word was
    /// overwritten. Answers what was found.
    pub(crate) fn mend(&self) -> Option<Breach> {
        let word = self.word.load(Ordering::Relaxed);
        if word & OPEN != 0 && word & !OPEN < HELPERS_MAX {
            return None;
        }
        let breach = self.rebuild(word & !OPEN);
        self.open();
        Some(breach)
    }

    /// Whether nobody is behind the gate by the books, whatever the word says. For an instant they do
    /// not know a helper that has just gone in, and know one that is about to come out as gone.
    fn is_booked_empty(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == self.exits.load(Ordering::Relaxed)
    }

    /// Helpers behind the gate, by the word that decides.
    fn counted(&self) -> u64 {
        self.word.load(Ordering::Relaxed) & !OPEN
    }

    /// Makes the word of a closed gate say what the books say. A helper that comes out between the
    /// two is then counted out once too often, which the next look finds.
    fn rebuild(&self, counted: u64) -> Breach {
        let (entries, exits) = (
            self.entries.load(Ordering::Relaxed),
            self.exits.load(Ordering::Relaxed),
        );
        // More exits than entries are no number of helpers: the books begin anew, with nobody.
        if exits > entries {
            self.entries.store(exits, Ordering::Relaxed);
        }
        self.word
            .store(entries.saturating_sub(exits), Ordering::Relaxed);
        Breach {
            counted,
            entries,
            exits,
        }
    }

    /// Adds to the word that counts helpers, wrapping as a stray store would.
    #[cfg(feature = "fault-inject")]
    pub(crate) fn skew(&self, by: i64) {
        self.word.fetch_add(by.cast_unsigned(), Ordering::Relaxed);
    }

    /// Whether helpers may join.
    pub(crate) fn is_open(&self) -> bool {
        self.word.load(Ordering::Relaxed) & OPEN != 0
    }
}

/// What the coordinator of a cycle finds at its gate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Passage {
    /// Nobody is behind it.
    Empty,
    /// Somebody is, and leaves some time.
    Occupied,
    /// It was found breached, and its word was replaced by the books.
    Breached(Breach),
    /// It was breached before, and those whom the books know do not leave: nothing can be believed.
    Hopeless,
}

/// What the coordinator remembers of a gate from look to look, so that no wrong count makes it wait for
/// ever.
pub(crate) struct Watch {
    patience: Patience,
    /// Looks that found helpers by the word and none by the books since the gate was empty last.
    looks_at_ghosts: u32,
    is_doubtful: bool,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Watch {
            patience: Patience::new(GHOST_DEADLINE, now),
            looks_at_ghosts: 0,
            is_doubtful: false,
        }
    }

    /// Closes a gate.
    pub(crate) fn close(&mut self, gate: &Gate, now: Instant) -> Passage {
        match gate.close() {
            Closed::Empty => {
                self.begin(now);
                Passage::Empty
            }
            Closed::Breached(breach) => {
                self.begin(now);
                Passage::Breached(breach)
            }
            Closed::Occupied => {
                self.looks_at_ghosts += u32::from(gate.is_booked_empty());
                if self.patience.look(now).is_none() {
                    Passage::Occupied
                } else if self.looks_at_ghosts >= GHOST_LOOKS_MIN {
                    self.begin(now);
                    Passage::Breached(gate.rebuild(gate.counted()))
                } else if self.is_doubtful {
                    Passage::Hopeless
                } else {
                    Passage::Occupied
                }
            }
        }
    }

    fn begin(&mut self, now: Instant) {
        self.patience.begin(now);
        self.looks_at_ghosts = 0;
    }

    /// Whether the cycle ends without freeing anything, because a breach was found.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.is_doubtful
    }

    /// A breach was found.
    pub(crate) fn doubt(&mut self) {
        self.is_doubtful = true;
    }
}

impl Drop for Helping<'_> {
    fn drop(&mut self) {
        let gate = self.gate;
        gate.exits.fetch_add(1, Ordering::Relaxed);
        let mut word = gate.word.load(Ordering::Relaxed);
        while word & !OPEN != 0 {
            point();
            // Release pairs with the Acquire of `close`.
            match gate.word.compare_exchange_weak(
                word,
                word - 1,
                Ordering::Release,
                Ordering::Relaxed,
            ) {
                Ok(_) => return,
                Err(found) => word = found,
            }
        }
        gate.is_breached.store(true, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_a_closed_gate_is_waited_for() {
        let gate = Gate::closed();
        assert!(gate.join().is_none() && gate.close() == Closed::Empty);
        gate.open();
        let helping = gate.join();
        assert!(helping.is_some());
        assert_eq!(gate.close(), Closed::Occupied);
        assert!(gate.join().is_none());
        drop(helping);
        assert_eq!(gate.close(), Closed::Empty);
    }

    /// What a closer finds after `helpers` went in, the word was changed by `by`, and `leavers` came
    /// out again.
    fn close_after(helpers: usize, by: i64, leavers: usize) -> (Gate, Closed) {
        let gate = Gate::closed();
        gate.open();
        let mut helping: Vec<_> = (0..helpers).map(|_| gate.join()).collect();
        gate.word.fetch_add(by.cast_unsigned(), Ordering::Relaxed);
        helping.truncate(helpers - leavers);
        // Those who stay never come out.
        core::mem::forget(helping);
        let found = gate.close();
        (gate, found)
    }

    #[test]
    fn a_helper_who_is_not_counted_is_not_missed() {
        let (gate, found) = close_after(2, -1, 1);
        let breach = Breach {
            counted: 0,
            entries: 2,
            exits: 1,
        };
        assert_eq!(found, Closed::Breached(breach));
        assert_eq!(gate.close(), Closed::Occupied, "the books are believed");
        assert!(!gate.is_open());
    }

    #[test]
    fn more_who_come_out_than_went_in_are_noticed() {
        let (gate, found) = close_after(2, -1, 2);
        assert!(matches!(found, Closed::Breached(_)), "{found:?}");
        assert_eq!(gate.close(), Closed::Empty);
        let (gate, found) = close_after(0, -1, 0);
        assert!(matches!(found, Closed::Breached(_)), "{found:?}");
        assert_eq!(gate.close(), Closed::Empty);
    }

    #[test]
    fn helpers_whom_the_books_do_not_know_are_given_up_after_a_second() {
        let (gate, found) = close_after(1, 1, 1);
        assert_eq!(found, Closed::Occupied);
        let mut now = Instant::now();
        let mut watch = Watch::new(now);
        let mut looks = 0;
        let breach = loop {
            match watch.close(&gate, now) {
                Passage::Occupied => (looks, now) = (looks + 1, now + GHOST_DEADLINE / 100),
                Passage::Breached(breach) => break breach,
                other => panic!("{other:?}"),
            }
        };
        assert!(looks >= 99, "{looks} looks");
        assert_eq!((breach.counted, breach.entries, breach.exits), (1, 1, 1));
        assert_eq!(watch.close(&gate, now), Passage::Empty);
    }

    #[test]
    fn a_helper_who_works_for_long_is_waited_for_unless_the_gate_is_in_doubt() {
        let (gate, _) = close_after(1, 0, 0);
        let mut now = Instant::now();
        let mut watch = Watch::new(now);
        for _ in 0..1000 {
            now += GHOST_DEADLINE / 100;
            assert_eq!(watch.close(&gate, now), Passage::Occupied);
        }
        watch.doubt();
        now += GHOST_DEADLINE / 100;
        assert_eq!(watch.close(&gate, now), Passage::Hopeless);
    }

    #[test]
    fn books_that_are_beyond_belief_begin_anew() {
        let (gate, _) = close_after(1, 0, 1);
        gate.exits.fetch_add(5, Ordering::Relaxed);
        assert!(matches!(gate.close(), Closed::Breached(_)));
        assert_eq!(gate.close(), Closed::Empty);
    }
}

#[cfg(all(test, loom))]
mod tests;
