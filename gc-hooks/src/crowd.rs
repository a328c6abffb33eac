//! How many violations fell within a time.
//!
//! Owns the counting for one step of the ladder. Called by the recorder from any thread in any
//! phase: a few atomics in memory set aside beforehand, no lock. The time is cut into stretches,
//! each counted in one word beside the number of its stretch; a word is used again when its stretch
//! is over for long.
//!
//! Invariants: what is counted together fell within the time, by the clock readings given; of
//! violations that fell within all but two stretches of the time, somebody counts all, unless a
//! thread is held up for longer than a stretch between its reading and the end of its call. For each
//! counts its own, then passes the turnstile, then looks: whoever passes last finds what all others
//! counted. Deliberately absent: the clock, and what follows from a number.

use std::time::Duration;

use crate::sync::atomic::AtomicU64;
use crate::sync::atomic::Ordering::{AcqRel, Relaxed};

/// Stretches that a time is cut into. A model checker is given few, for every look at one is a
/// branch to it.
const STRETCHES: usize = if cfg!(loom) { 3 } else { 64 };

/// Bits of a word that count; the others number the stretch.
const COUNT_BITS: u32 = 20;
const COUNT_MAX: u64 = (1 << COUNT_BITS) - 1;
const NUMBER_MAX: u64 = u64::MAX >> COUNT_BITS;

// The most that a step waits for is counted right.
const _: () = assert!(crate::rules::WITHIN_MAX <= COUNT_MAX);

/// A count of what happened of late.
pub(crate) struct Crowd {
    /// Length of a stretch, never zero.
    stretch_nanoseconds: u64,
    /// Everyone who counts goes through here.
    turnstile: AtomicU64,
    /// By number modulo their count: number of a stretch, then what was counted in it.
    stretches: [AtomicU64; STRETCHES],
}

impl Crowd {
    pub(crate) fn new(within: Duration) -> Crowd {
        let stretch = within.as_nanos() / STRETCHES as u128;
        Crowd {
            stretch_nanoseconds: u64::try_from(stretch).unwrap_or(u64::MAX).max(1),
            turnstile: AtomicU64::new(0),
            stretches: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Counts one more, at so many nanoseconds since the beginning of time. The answer is how many
    /// there are within the time, as far as is seen.
    pub(crate) fn add(&self, nanoseconds: u64) -> u64 {
        let number = (nanoseconds / self.stretch_nanoseconds) & NUMBER_MAX;
        let place = (number % STRETCHES as u64) as usize;
        let count_one = |word| match behind(number, word) {
            0 => Some(word + u64::from(word & COUNT_MAX < COUNT_MAX)),
            later if later < 0 && word & COUNT_MAX > 0 => None,
            _ => Some(number << COUNT_BITS | 1),
        };
        // A word of a later stretch stays: what this counts is out of the time already.
        let _too_late = self.stretches[place].fetch_update(Relaxed, Relaxed, count_one);
        // Release: what was counted above is seen by whoever passes later. Acquire: pairs with that.
        self.turnstile.fetch_add(1, AcqRel);
        let words = self.stretches.each_ref().map(|word| word.load(Relaxed));
        let counted = |word: &&u64| **word & COUNT_MAX > 0;
        let newest = words
            .iter()
            .filter(counted)
            .map(|word| behind(number, *word));
        let newest = newest.min().unwrap_or(0);
        within(&words, number, 0).max(within(&words, number, newest))
    }
}

/// How many stretches the one of a word lies behind the one of a number.
fn behind(number: u64, word: u64) -> i64 {
    let difference = number.wrapping_sub(word >> COUNT_BITS) << COUNT_BITS;
    // Shifted back with its sign: the numbers begin anew after their last.
    difference.cast_signed() >> COUNT_BITS
}

/// What was counted in the time that ends with the stretch so far behind.
fn within(words: &[u64; STRETCHES], number: u64, end: i64) -> u64 {
    let is_within = |word: &&u64| {
        let age = behind(number, **word) - end;
        (0..STRETCHES as i64).contains(&age)
    };
    let counts = words.iter().filter(is_within);
    counts.map(|word| word & COUNT_MAX).sum()
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::thread;

    use super::*;

    const TIME: Duration = Duration::from_nanos(6_400);

    fn counts<const N: usize>(crowd: &Crowd, nanoseconds: [u64; N]) -> [u64; N] {
        nanoseconds.map(|at| crowd.add(at))
    }

    #[test]
    fn what_falls_within_the_time_is_counted_together() {
        let crowd = Crowd::new(TIME);
        assert_eq!(
            counts(&crowd, [0, 1, 99, 100, 3_000, 6_299]),
            [1, 2, 3, 4, 5, 6]
        );
    }

    #[test]
    fn what_is_older_than_the_time_is_not_counted() {
        let crowd = Crowd::new(TIME);
        // The first three are forgotten together, for they fell in one stretch.
        assert_eq!(
            counts(&crowd, [0, 50, 99, 100, 6_400, 6_500, 13_000]),
            [1, 2, 3, 4, 2, 2, 1]
        );
    }

    #[test]
    fn nothing_is_counted_with_what_is_a_whole_time_away() {
        for gap in [6_400, 6_401, 640_000, u64::MAX / 2] {
            let crowd = Crowd::new(TIME);
            assert_eq!(counts(&crowd, [0, gap, 2 * gap]), [1, 1, 1], "every {gap}");
        }
    }

    #[test]
    fn one_that_comes_late_counts_with_those_it_fell_among() {
        let crowd = Crowd::new(TIME);
        assert_eq!(counts(&crowd, [0, 6_000, 5_000]), [1, 2, 3]);
        // One from before the time of the newest is none of them, and does not take their place.
        let crowd = Crowd::new(TIME);
        assert_eq!(counts(&crowd, [6_500, 6_500, 50, 6_500]), [1, 2, 2, 3]);
    }

    #[test]
    fn a_count_does_not_run_over() {
        let crowd = Crowd::new(TIME);
        crowd.stretches[0].store(COUNT_MAX - 1, Relaxed);
        assert_eq!(counts(&crowd, [0, 0]), [COUNT_MAX, COUNT_MAX]);
        assert_eq!(crowd.add(100), COUNT_MAX + 1, "the next stretch is whole");
    }

    #[test]
    fn the_numbers_of_stretches_begin_anew_after_the_last() {
        let crowd = Crowd::new(Duration::from_nanos(STRETCHES as u64));
        let last = NUMBER_MAX;
        assert_eq!(
            counts(&crowd, [last - 1, last, last + 1, last + 2]),
            [1, 2, 3, 4]
        );
        let at = last + STRETCHES as u64;
        assert_eq!(crowd.add(at), 3, "the first two are forgotten");
    }

    #[test]
    fn the_longest_time_and_the_shortest_are_counted_in() {
        let crowd = Crowd::new(Duration::MAX);
        assert_eq!(counts(&crowd, [0, u64::MAX / 2, u64::MAX]), [1, 2, 3]);
        let crowd = Crowd::new(Duration::from_nanos(1));
        assert_eq!(counts(&crowd, [0, 0]), [1, 2]);
    }

    #[test]
    fn of_several_threads_one_counts_them_all() {
        for _ in 0..200 {
            let crowd = Crowd::new(TIME);
            let most = thread::scope(|scope| {
                let threads = [0, 100, 3_000, 6_000].map(|at| {
                    let crowd = &crowd;
                    scope.spawn(move || (0..10).map(|step| crowd.add(at + step)).max())
                });
                threads
                    .map(|thread| thread.join().unwrap())
                    .into_iter()
                    .max()
            });
            assert_eq!(most, Some(Some(40)));
        }
    }
}
