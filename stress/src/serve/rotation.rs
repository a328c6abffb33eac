//! Whether this instance takes part, and what is in flight: the few atomics that handlers, the
//! agent port and the drain share.
//!
//! Handlers write the counts, the drain writes the flag, everybody reads. Invariants: an instance
//! that left rotation does not come back; a request is in flight from before its first await until
//! its answer is made or its client is gone. Deliberately absent: the reasons to leave (`drain`) and
//! any clock but the monotonic one.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Nothing has happened yet, where a time is expected.
const NEVER: u64 = u64::MAX;

/// See the module.
pub(super) struct Rotation {
    begun: Instant,
    has_left: AtomicBool,
    in_flight: AtomicU64,
    /// Requests that came in.
    requests: AtomicU64,
    /// When the newest request came in, and when the last one was over: microseconds since the beginning.
    newest_us: AtomicU64,
    finished_us: AtomicU64,
    /// The first request came in.
    first: Notify,
}

impl Rotation {
    pub(super) fn new() -> Self {
        Rotation {
            begun: Instant::now(),
            has_left: AtomicBool::new(false),
            in_flight: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            newest_us: AtomicU64::new(NEVER),
            finished_us: AtomicU64::new(NEVER),
            first: Notify::new(),
        }
    }

    /// Whether balancers should send requests here.
    pub(super) fn is_in(&self) -> bool {
        !self.has_left.load(Ordering::Relaxed)
    }

    /// Leaves for good.
    pub(super) fn leave(&self) {
        self.has_left.store(true, Ordering::Relaxed);
    }

    /// A request came in; it is in flight as long as the answer lives.
    pub(super) fn begin(&self) -> InFlight<'_> {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.newest_us.store(self.now_us(), Ordering::Relaxed);
        // The permit stays until somebody waits for it.
        if self.requests.fetch_add(1, Ordering::Relaxed) == 0 {
            self.first.notify_one();
        }
        InFlight(self)
    }

    /// Waits for the first request, which shows that a balancer sends some. For one waiter.
    pub(super) async fn first_request(&self) {
        self.first.notified().await;
    }

    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// When the newest request came in.
    pub(super) fn newest(&self) -> Option<Instant> {
        self.instant(&self.newest_us)
    }

    /// When a request was over last.
    pub(super) fn finished(&self) -> Option<Instant> {
        self.instant(&self.finished_us)
    }

    /// Nothing is in flight, and nothing came in since `quiet` ago.
    pub(super) fn is_quiet(&self, since: Instant, quiet: Duration) -> bool {
        let newest = self.newest().map_or(since, |newest| newest.max(since));
        self.in_flight() == 0 && newest.elapsed() >= quiet
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(NEVER)
    }

    fn instant(&self, stamp: &AtomicU64) -> Option<Instant> {
        match stamp.load(Ordering::Relaxed) {
            NEVER => None,
            us => Some(self.begun + Duration::from_micros(us)),
        }
    }
}

/// A request in flight.
pub(super) struct InFlight<'a>(&'a Rotation);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.finished_us.store(self.0.now_us(), Ordering::Relaxed);
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotation_is_quiet_when_nothing_is_in_flight_and_nothing_came_lately() {
        let rotation = Rotation::new();
        let begun = rotation.begun;
        assert!(rotation.is_in() && rotation.is_quiet(begun, Duration::ZERO));
        assert!(!rotation.is_quiet(begun, Duration::from_secs(3600)));
        assert_eq!((rotation.newest(), rotation.finished()), (None, None));
        let (one, other) = (rotation.begin(), rotation.begin());
        drop(one);
        assert_eq!((rotation.in_flight(), rotation.requests()), (1, 2));
        assert!(!rotation.is_quiet(begun, Duration::ZERO));
        drop(other);
        assert!(rotation.is_quiet(begun, Duration::ZERO));
        assert!(rotation.newest() >= Some(begun) && rotation.finished() >= rotation.newest());
        rotation.leave();
        assert!(!rotation.is_in());
    }
}
