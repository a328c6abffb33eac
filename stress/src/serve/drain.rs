//! The way out: from a reason to leave to the moment at which nothing comes in any more.
//!
//! ```text
//! in rotation --unhealthy--> waits for its turn --> left --quiet--> closed --finished--> ended
//!      |                          |                  ^                        deadline --> ended
//!      +---------SIGTERM----------+------------------+
//! ```
//!
//! An instance that left still answers whatever comes: a balancer needs a check or two to notice. It
//! stops accepting when nothing has come in for a while, or when only a quarter of the time to the deadline is
//! left. What is in flight then has the rest of it.
//!
//! Runs as the main task of a service. Health is polled: a load of one atomic. Invariant: SIGTERM never
//! waits for the fleet guard; whoever sends it has decided. Deliberately absent: what closing means (`serve`).

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::fleet::Lease;
use super::shared::Shared;
use super::{notify, telling};
use crate::rng::Rng;

/// Time between two looks at the health, and at what is in flight.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Time between two tries to take the lease.
const LEASE_EVERY: Duration = Duration::from_millis(100);

/// Why an instance leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Its heap is unhealthy.
    Unhealthy,
    /// It was asked to, by SIGTERM, SIGINT or its owner.
    Asked,
}

impl Reason {
    /// The reason in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Unhealthy => "unhealthy",
            Reason::Asked => "asked",
        }
    }
}

/// An instance that left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Left {
    pub(super) reason: Reason,
    pub(super) at: Instant,
}

/// Waits for a reason to leave, leaves, and comes back when it is time to stop accepting.
pub(super) async fn drain(shared: &Shared, lease: Option<&Lease>, asked: &Notify) -> Left {
    let reason = leave_when_due(shared, lease, asked).await;
    let at = Instant::now();
    shared.rotation.leave();
    let in_flight = shared.rotation.in_flight();
    let status = format!("leaving: {}, {in_flight} requests in flight", reason.name());
    notify::stopping(&status);
    shared.tell(
        "leaving",
        &[
            ("reason", reason.name()),
            ("in_flight", &in_flight.to_string()),
        ],
    );
    let options = &shared.options;
    let accept_max = options.drain_deadline.mul_f64(0.75);
    while !shared.rotation.is_quiet(at, options.quiet) && at.elapsed() < accept_max {
        sleep(LOOK_EVERY).await;
    }
    Left { reason, at }
}

/// Comes back when it is this instance's turn to leave.
async fn leave_when_due(shared: &Shared, lease: Option<&Lease>, asked: &Notify) -> Reason {
    tokio::select! {
        () = asked.notified() => return Reason::Asked,
        () = unhealthy(shared) => {}
    }
    let message = tell_unhealthy(shared);
    tokio::select! {
        () = asked.notified() => Reason::Asked,
        () = turn_to_leave(shared, lease, &message) => Reason::Unhealthy,
    }
}

async fn unhealthy(shared: &Shared) {
    while shared.health.is_healthy() {
        sleep(LOOK_EVERY).await;
    }
}

/// Tells what was found, in full on standard error.
fn tell_unhealthy(shared: &Shared) -> String {
    let message = shared.why_unhealthy();
    if let Some(first) = shared.health.first() {
        eprintln!("{first}");
    }
    shared.tell("unhealthy", &[("message", &message)]);
    notify::status(&format!("unhealthy: {message}"));
    message
}

/// Waits for the fleet guard.
async fn turn_to_leave(shared: &Shared, lease: Option<&Lease>, message: &str) {
    let most_ms = shared.options.fleet_delay.as_millis() as u64;
    if most_ms > 0 {
        // Instances are started by the same command line, so the seed is the process's own.
        let delay_ms =
            Rng::for_purpose(RandomState::new().hash_one(0), "fleet").within(0..=most_ms);
        shared.tell("waiting", &[("delay_ms", &delay_ms.to_string())]);
        sleep(Duration::from_millis(delay_ms)).await;
    }
    let Some(lease) = lease else { return };
    let mut has_told = false;
    loop {
        match lease.take() {
            Ok(true) => return,
            Ok(false) => {
                if !has_told {
                    shared.tell("waiting", &[("for", "lease")]);
                    notify::status(&format!(
                        "unhealthy, waits for the lease to leave: {message}"
                    ));
                    has_told = true;
                }
            }
            // Whoever cannot read the lease does not know that others serve. It stays.
            Err(error) => tell_lease_error(&error, &mut has_told),
        }
        sleep(LEASE_EVERY).await;
    }
}

fn tell_lease_error(error: &io::Error, has_told: &mut bool) {
    if !*has_told {
        eprintln!("gc-stress serve: the lease cannot be taken, the instance stays: {error}");
        *has_told = true;
    }
}

/// Gives the lease back that the process before this one left with, once a request shows that this one
/// is in rotation.
pub(super) async fn come_back(shared: &Shared, lease: Option<&Lease>) {
    shared.rotation.first_request().await;
    shared.tell("first-request", &[]);
    if let Some(Err(error)) = lease.map(Lease::give_back) {
        eprintln!("gc-stress serve: the lease cannot be given back: {error}");
    }
}

/// How an instance ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Ended {
    /// Why it left.
    pub reason: Reason,
    /// Whether its heap was healthy to the end.
    pub is_healthy: bool,
    /// Requests that came in while it lived.
    pub requests: u64,
    /// Requests that were in flight at the drain deadline, and got no answer.
    pub requests_cut: u64,
    /// From when health turned, or else from when the instance left, to the newest request; zero if none
    /// came after it.
    pub last_new_request: Duration,
    /// From then to when the last request was over.
    pub last_finished: Duration,
    /// Whether a worker thread panicked.
    pub has_panicked: bool,
}

impl Ended {
    pub(super) fn of(shared: &Shared, left: Left) -> Ended {
        let since = shared.health.unhealthy_since().unwrap_or(left.at);
        let after = |event: Option<Instant>| {
            event.map_or(Duration::ZERO, |event| {
                event.saturating_duration_since(since)
            })
        };
        Ended {
            reason: left.reason,
            is_healthy: shared.health.is_healthy(),
            requests: shared.rotation.requests(),
            requests_cut: shared.rotation.in_flight(),
            last_new_request: after(shared.rotation.newest()),
            last_finished: after(shared.rotation.finished()),
            has_panicked: false,
        }
    }

    /// What the process ends with.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if self.has_panicked {
            crate::error::EXIT_INTERNAL
        } else if self.requests_cut > 0 {
            EXIT_CUT
        } else if self.is_healthy {
            0
        } else {
            crate::error::EXIT_FOUND
        }
    }

    pub(super) fn tell(&self, shared: &Shared) {
        let ms = |time: Duration| format!("{}", time.as_millis());
        shared.tell(
            "ended",
            &[
                ("reason", self.reason.name()),
                ("requests", &self.requests.to_string()),
                ("last_new_request_ms", &ms(self.last_new_request)),
                ("last_finished_ms", &ms(self.last_finished)),
                ("cut", &self.requests_cut.to_string()),
                ("exit", &self.exit_code().to_string()),
            ],
        );
    }
}

/// Requests were cut by the drain deadline: done again elsewhere, they may succeed.
pub const EXIT_CUT: u8 = 75;

/// Waits until all connections are finished, but no longer than the deadline.
pub(super) async fn finish(shared: &Shared, left: Left, connections: impl Future<Output = ()>) {
    let passed = left.at.elapsed();
    let rest = shared.options.drain_deadline.saturating_sub(passed);
    let in_flight = shared.rotation.in_flight().to_string();
    let passed_ms = passed.as_millis().to_string();
    shared.tell(
        "closing",
        &[("after_ms", &passed_ms), ("in_flight", &in_flight)],
    );
    if timeout(rest, connections).await.is_err() {
        eprintln!("gc-stress serve: {}", telling::DEADLINE_PASSED);
    }
}
