//! How long somebody has been waited for, by one who looks again and again.
//!
//! A clock alone would blame whoever is waited for when the whole process stood still: stopped by a
//! signal, by a debugger, or by a machine that ran something else. So the time between two looks
//! counts up to a limit only: who waits for a second has looked at least a score of times, and the
//! other could have answered in between. Owned by the one who waits, who calls it from one thread at
//! a time. Invariant: what was waited never runs ahead of the clock. Deliberately absent: the clock
//! itself, and what follows when patience ends.

use std::time::{Duration, Instant};

/// The most that the time between two looks counts for.
const GAP_MAX: Duration = Duration::from_millis(50);

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    deadline: Duration,
    waited: Duration,
    looked_at: Instant,
}

impl Patience {
    /// Waits from `now` on.
    #[must_use]
    pub fn new(deadline: Duration, now: Instant) -> Patience {
        Patience {
            deadline,
            waited: Duration::ZERO,
            looked_at: now,
        }
    }

    /// Waits anew from `now` on.
    pub fn begin(&mut self, now: Instant) {
        *self = Patience::new(self.deadline, now);
    }

    /// Looks once more. The answer is what was waited so far, once that has reached the deadline.
    #[must_use]
    pub fn look(&mut self, now: Instant) -> Option<Duration> {
        let gap = now.saturating_duration_since(self.looked_at);
        self.waited += gap.min(GAP_MAX);
        self.looked_at = now;
        (self.waited >= self.deadline).then_some(self.waited)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_who_looks_often_is_patient_for_the_deadline() {
        let begun = Instant::now();
        let mut patience = Patience::new(SECOND, begun);
        for looks in 1..100 {
            assert_eq!(patience.look(begun + SECOND * looks / 100), None);
        }
        assert_eq!(patience.look(begun + SECOND), Some(SECOND));
    }

    #[test]
    fn a_process_that_stood_still_blames_nobody() {
        let begun = Instant::now();
        let mut patience = Patience::new(SECOND, begun);
        assert_eq!(patience.look(begun + SECOND * 3600), None);
        // Nineteen more looks would do, however far apart.
        for looks in 2..20 {
            assert_eq!(patience.look(begun + SECOND * 3600 * looks), None);
        }
        assert_eq!(patience.look(begun + SECOND * 3600 * 20), Some(SECOND));
    }

    #[test]
    fn a_clock_that_steps_back_counts_for_nothing() {
        let begun = Instant::now() + SECOND;
        let mut patience = Patience::new(SECOND, begun);
        assert_eq!(patience.look(begun - SECOND), None);
        assert_eq!(patience.look(begun - SECOND + GAP_MAX), None);
        assert_eq!(patience.waited, GAP_MAX);
    }

    #[test]
    fn beginning_anew_forgets_what_was_waited() {
        let begun = Instant::now();
        let mut patience = Patience::new(GAP_MAX, begun);
        assert_eq!(patience.look(begun + GAP_MAX), Some(GAP_MAX));
        patience.begin(begun + GAP_MAX);
        assert_eq!(patience.look(begun + GAP_MAX), None);
        let mut none = Patience::new(Duration::ZERO, begun);
        assert_eq!(none.look(begun), Some(Duration::ZERO));
    }
}
