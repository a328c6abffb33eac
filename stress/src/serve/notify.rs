//! What the service manager is told, by systemd's protocol: `READY=1` when requests are accepted,
//! `STATUS=` whatever happens, `STOPPING=1` when the instance leaves, and `WATCHDOG=1` while every worker
//! answers.
//!
//! Used by the drain and by a task of its own, on the runtime. Without `NOTIFY_SOCKET` in the environment
//! nothing is sent. A message that cannot be sent is told on standard error, once, and ends nothing.
//! Deliberately absent: a watchdog that looks at the health; one that did would kill what drains.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;

use super::workers::Workers;

/// Messages a period of the watchdog: one may get lost.
const PER_PERIOD: u32 = 2;

static HAS_COMPLAINED: AtomicBool = AtomicBool::new(false);

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states)
        && !HAS_COMPLAINED.swap(true, Ordering::Relaxed)
    {
        eprintln!("gc-stress serve: the service manager cannot be told: {error}");
    }
}

/// Requests are accepted.
pub(super) fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// What is going on, for people.
pub(super) fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// The instance leaves.
pub(super) fn stopping(status: &str) {
    send(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

/// Feeds the watchdog, if there is one, as long as all workers answer. Runs for ever: also a service that
/// drains is alive.
pub(super) async fn feed_watchdog(workers: &Workers) {
    let Some(period) = sd_notify::watchdog_enabled().filter(|period| *period > Duration::ZERO)
    else {
        return;
    };
    let mut turns = tokio::time::interval(period / PER_PERIOD);
    loop {
        turns.tick().await;
        if workers.answer().await {
            send(&[NotifyState::Watchdog]);
        }
    }
}
