//! The one source of time for what a policy says about it: rate, ladder, drain and deadline.
//!
//! Read by the recorder (when health turns, where a step of the ladder has a time, and round a hook
//! in place) and by deliveries; any thread. Invariant: it never goes back. Deliberately absent: the
//! time of day, and time as a cause of anything else.

use std::time::Instant;

/// A monotonic clock, or a test's stand-in for one.
pub(crate) struct Clock {
    read: Box<dyn Fn() -> Instant + Send + Sync>,
}

impl Clock {
    /// The operating system's monotonic clock.
    pub(crate) fn monotonic() -> Clock {
        Clock::reading(Instant::now)
    }

    /// A clock that is read by calling `read`.
    pub(crate) fn reading(read: impl Fn() -> Instant + Send + Sync + 'static) -> Clock {
        Clock {
            read: Box::new(read),
        }
    }

    pub(crate) fn now(&self) -> Instant {
        (self.read)()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::time::Duration;

    use super::*;

    /// A clock that stands still until it is told to go on.
    #[derive(Clone)]
    pub(crate) struct HandClock {
        start: Instant,
        elapsed_milliseconds: Arc<AtomicU64>,
    }

    impl HandClock {
        pub(crate) fn new() -> HandClock {
            HandClock {
                start: Instant::now(),
                elapsed_milliseconds: Arc::default(),
            }
        }

        pub(crate) fn start(&self) -> Instant {
            self.start
        }

        pub(crate) fn advance(&self, by: Duration) {
            self.elapsed_milliseconds
                .fetch_add(u64::try_from(by.as_millis()).unwrap(), Relaxed);
        }

        pub(crate) fn clock(&self) -> Clock {
            let hands = self.clone();
            Clock::reading(move || {
                hands.start + Duration::from_millis(hands.elapsed_milliseconds.load(Relaxed))
            })
        }
    }

    #[test]
    fn the_monotonic_clock_never_goes_back() {
        let clock = Clock::monotonic();
        let earlier = clock.now();
        assert!(clock.now() >= earlier);
    }

    #[test]
    fn a_clock_of_a_test_moves_only_when_it_is_told_to() {
        let hands = HandClock::new();
        let clock = hands.clock();
        assert_eq!(clock.now(), hands.start());
        hands.advance(Duration::from_secs(3));
        assert_eq!(clock.now() - hands.start(), Duration::from_secs(3));
    }
}
