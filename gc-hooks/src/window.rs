//! The count of what passes in a second.
//!
//! Owns the arithmetic of a policy's rate. Called by the thread that delivers, outside the
//! collector. Invariant: no more passes in a second than the rate says. Deliberately absent: the
//! clock, and what becomes of those that do not pass.

use std::time::{Duration, Instant};

use crate::rules::Rate;

/// The span of time a rate counts in.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// What passed in the current second.
pub(crate) struct Window {
    begun: Option<Instant>,
    passed: u32,
}

impl Window {
    pub(crate) const fn new() -> Window {
        Window {
            begun: None,
            passed: 0,
        }
    }

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

    use super::*;

    #[test]
    fn a_window_admits_its_rate_in_every_second_and_no_more() {
        let rate = Rate {
            per_second: NonZeroU32::new(2).unwrap(),
        };
        let begun = Instant::now();
        let mut window = Window::new();
        let mut admits_at =
            |milliseconds| window.admits(rate, begun + Duration::from_millis(milliseconds));
        let times = [
            0, 0, 0, 999, 1_000, 1_500, 1_999, 2_000, 60_000, 60_000, 60_000,
        ];
        let admitted = times.map(|time| u8::from(admits_at(time)));
        assert_eq!(admitted, [1, 1, 0, 0, 1, 1, 0, 1, 1, 1, 0]);
    }
}
