//! The checks of one heap, joined to what follows from them.
//!
//! Owns the order of things when a check fails: record, respond, and later, elsewhere, deliver.
//! `holds` and `report` are called by anyone from any thread in any phase, under any lock of the
//! heap: they take no lock, allocate nothing and call no user code. `deliver` is called by the heap
//! from outside the collector, holding nothing. Invariants: a violation is in the books before
//! anything follows from it; nothing but `deliver` calls a receiver. Deliberately absent:
//! containment, which stands on the line after the check, and any state shared between heaps.

use std::fmt;

use crate::check::Check;
use crate::clock::Clock;
use crate::delivery::{Addressee, Delivery, Letter, Mailbox, Posted, ROUNDS_MAX, Session, Turn};
use crate::health::Health;
use crate::last_words::{self, Ending};
use crate::policy::{Policy, Response};
use crate::receiver::{PANICS_MAX, Told, emit};
use crate::violation::Violation;

/// The checks of one heap. Shared by everything in the heap, by reference or in an `Arc`.
pub struct Hooks {
    /// Fixed at birth.
    policy: Policy,
    /// Written here alone, except that anyone may turn it.
    health: Health,
    /// Filled by `report`, emptied by `deliver`.
    mailbox: Mailbox,
}

impl Hooks {
    /// Hooks for one heap. All memory that recording needs is set aside here.
    #[must_use]
    pub fn new(policy: Policy) -> Hooks {
        Hooks::with_clock(policy, Clock::monotonic())
    }

    fn with_clock(policy: Policy, clock: Clock) -> Hooks {
        Hooks {
            policy,
            health: Health::new(clock),
            mailbox: Mailbox::new(),
        }
    }

    /// A handle that anyone may poll from any thread.
    #[must_use]
    pub fn health(&self) -> Health {
        self.health.clone()
    }

    /// The rules this heap lives by.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Checks, and gives the condition back, so that the next line can contain the damage. `detail`
    /// is built only when the condition is false; the check it is filed under is `check`.
    #[must_use = "a failed check is contained on the next line"]
    #[inline]
    pub fn holds(&self, check: Check, condition: bool, detail: impl FnOnce() -> Violation) -> bool {
        if !condition {
            self.fail(check, detail);
        }
        condition
    }

    #[cold]
    #[inline(never)]
    fn fail(&self, check: Check, detail: impl FnOnce() -> Violation) {
        self.report(Violation { check, ..detail() });
    }

    /// Records a violation, then does what the policy says. Comes back unless that is to abort.
    #[cold]
    pub fn report(&self, violation: Violation) {
        let violation = self.health.record(violation);
        let response = self.policy.response(violation.check);
        // The further response comes on top of the table's: escalating never takes anything back.
        let further = self
            .policy
            .escalation()
            .filter(|escalation| violation.sequence >= escalation.after.get());
        let further = further.map(|escalation| escalation.response);
        let is_due = |wanted: Response| response == wanted || further == Some(wanted);

        if is_due(Response::Abort) {
            last_words::abort(Some(&violation), Ending::Policy);
        }
        if is_due(Response::MarkUnhealthy) {
            self.health.mark_unhealthy();
        }
        // A hook is not told of its own misdeeds: that would only repeat them.
        let is_of_hook = matches!(violation.check, Check::HookPanicked | Check::HookReentered);
        let is_for_hook = is_due(Response::Hook) && !is_of_hook;
        let addressee = if is_for_hook {
            Addressee::Hook
        } else {
            Addressee::Subscribers
        };
        let posted = self.mailbox.post(Letter {
            violation,
            addressee,
        });
        if posted == Posted::NoRoom {
            self.health.suppress();
        }
    }

    /// Hands on what was waiting when it was called: a trace event (target `gc::violation`) for
    /// each violation, and a call of the policy's hook for those that are for it. Then ends the
    /// process if the heap has been unhealthy for longer than the policy's drain.
    ///
    /// Called from outside the collector, holding nothing: user code runs in here. One thread
    /// delivers at a time; a call that finds another at it, or comes from a hook, goes away at
    /// once. The other one then looks again, so that what was waiting when this was called is
    /// handed on by one of the two. What is recorded without a delivery after it waits for the next
    /// one, whoever makes it: what collector threads find while they hold something, what receivers
    /// cause, and what comes in a flood while another thread delivers.
    ///
    /// May be called while a thread unwinds or ends. A receiver that needs thread-locals of its own
    /// may find them gone there, and panic.
    pub fn deliver(&self) -> Delivery {
        let delivery = self.deliver_waiting();
        // Last, so that what led here is handed on first; and whoever had the turn, for a hook may
        // hang.
        if self.is_drained() {
            last_words::abort(self.health.first().as_ref(), Ending::Drain);
        }
        delivery
    }

    fn deliver_waiting(&self) -> Delivery {
        if self.is_delivering() {
            return Delivery::of(Turn::Nested);
        }
        // What receivers cause while they are told waits for the next delivery, so that this one
        // comes to an end.
        let mut waiting = self.mailbox.waiting();
        if waiting == 0 {
            return Delivery::of(Turn::Idle);
        }
        let Some(mut session) = self.mailbox.take_turn() else {
            return Delivery::of(Turn::Busy);
        };
        let mut delivery = Delivery::of(Turn::Taken);
        for _ in 0..ROUNDS_MAX {
            for _ in 0..waiting {
                let Some(letter) = session.take() else { break };
                self.hand_on(letter, &mut session, &mut delivery);
            }
            match session.end() {
                None => return delivery,
                Some(kept) => session = kept,
            }
            waiting = self.mailbox.waiting();
        }
        delivery
    }

    fn hand_on(&self, letter: Letter, session: &mut Session<'_>, delivery: &mut Delivery) {
        let counter = &mut *session.counter;
        if let Some(rate) = self.policy.rate()
            && !counter.window.admits(rate, self.health.now())
        {
            self.health.suppress();
            delivery.suppressed += 1;
            return;
        }
        delivery.delivered += 1;
        let violation = &letter.violation;
        if let Told::Panicked(panics) = counter.subscribers.tell(|| emit(violation)) {
            delivery.panics += 1;
            self.report(panicked("subscriber to trace events", violation, panics));
        }
        if letter.addressee == Addressee::Hook
            && let Some(hook) = self.policy.hook()
            && let Told::Panicked(panics) = counter.hook.tell(|| hook(violation))
        {
            delivery.panics += 1;
            self.report(panicked("hook of the policy", violation, panics));
            if panics >= PANICS_MAX {
                // Whoever relied on the hook hears nothing from now on, so the word that anyone may
                // poll must say it.
                self.health.mark_unhealthy();
            }
        }
    }

    fn is_drained(&self) -> bool {
        let Some(drain) = self.policy.drain() else {
            return false;
        };
        let Some(since) = self.health.unhealthy_since() else {
            return false;
        };
        self.health.now().saturating_duration_since(since) >= drain
    }

    /// Whether the calling thread is inside a delivery of this heap: a hook, or a subscriber to
    /// trace events, runs.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.mailbox.is_delivering()
    }

    /// Says that a hook uses the heap that called it. Reported once for each delivery; outside of
    /// one it says nothing.
    pub fn note_reentry(&self) {
        if self.is_delivering()
            && let Some(sequence) = self.mailbox.first_reentry()
        {
            self.report(
                Violation::new(Check::HookReentered).with_number("told of violation", sequence),
            );
        }
    }
}

/// The report of a receiver that panicked. It is filed under the cycle and phase of the violation
/// it was told of.
fn panicked(receiver: &'static str, told: &Violation, panics: u32) -> Violation {
    Violation::new(Check::HookPanicked)
        .with_reason(receiver)
        .with_cycle(told.cycle)
        .with_phase(told.phase)
        .with_number("told of violation", told.sequence)
        .with_number("panics", u64::from(panics))
}

impl fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Hooks")
            .field("policy", &self.policy)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::env;
    use std::num::NonZeroU32;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Command, exit};
    use std::sync::{Arc, OnceLock};
    use std::time::Duration;

    use super::*;
    use crate::clock::tests::HandClock;
    use crate::policy::Rate;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Set in the child process that is to die of its drain.
    const CHILD_VARIABLE: &str = "GC_HOOKS_DRAIN_CHILD";

    fn report_many(hooks: &Hooks, violations: u64) {
        for _ in 0..violations {
            hooks.report(Violation::new(Check::Zombie));
        }
    }

    #[test]
    fn what_is_over_the_rate_is_recorded_counted_and_not_handed_on() {
        let hands = HandClock::new();
        let rate = Rate {
            per_second: NonZeroU32::new(2).unwrap(),
        };
        let hooks = Hooks::with_clock(Policy::COUNT.with_rate(rate), hands.clock());
        let mut suppressed = 0;
        // Milliseconds to wait, violations, and how many of them are handed on.
        for (wait, violations, delivered) in [(0, 5, 2), (999, 1, 0), (1, 3, 2), (60_000, 1, 1)] {
            hands.advance(Duration::from_millis(wait));
            report_many(&hooks, violations);
            let delivery = hooks.deliver();
            assert_eq!(delivery.delivered, delivered);
            suppressed += delivery.suppressed as u64;
            assert_eq!(hooks.health().suppressed(), suppressed);
        }
        assert_eq!((hooks.health().total(), suppressed), (10, 5));
    }

    #[test]
    fn without_a_rate_everything_is_handed_on() {
        let hooks = Hooks::with_clock(Policy::COUNT, HandClock::new().clock());
        report_many(&hooks, 200);
        assert_eq!(hooks.deliver().delivered, 200);
        assert_eq!(hooks.health().suppressed(), 0);
    }

    #[test]
    fn a_drain_counts_from_the_moment_health_turned() {
        let hands = HandClock::new();
        let hooks = Hooks::with_clock(Policy::MARK_UNHEALTHY.with_drain(MINUTE), hands.clock());
        hands.advance(MINUTE * 5);
        assert!(!hooks.is_drained(), "a healthy heap has no deadline");
        hooks.report(Violation::new(Check::Zombie));
        hands.advance(MINUTE - Duration::from_millis(1));
        hooks.report(Violation::new(Check::Zombie));
        assert!(!hooks.is_drained());
        hands.advance(Duration::from_millis(1));
        assert!(hooks.is_drained());
    }

    #[test]
    fn without_a_drain_an_unhealthy_heap_lives_on() {
        let hands = HandClock::new();
        let hooks = Hooks::with_clock(Policy::MARK_UNHEALTHY, hands.clock());
        hooks.report(Violation::new(Check::Zombie));
        hands.advance(MINUTE * 60 * 24 * 365);
        hooks.deliver();
        assert!(!hooks.is_drained());
    }

    /// The clock passes the drain inside the hook, so only a nested delivery could notice: and it
    /// must.
    #[test]
    fn a_passed_drain_ends_the_process_even_from_under_a_hook_that_hangs() {
        if env::var_os(CHILD_VARIABLE).is_some() {
            let hands = HandClock::new();
            let clock = hands.clock();
            let shared: Arc<OnceLock<Hooks>> = Arc::default();
            let hooks_of_hook = Arc::clone(&shared);
            let policy = Policy::MARK_UNHEALTHY.with(Check::Ledger, Response::Hook);
            let policy = policy.with_drain(MINUTE).with_hook(move |_| {
                hands.advance(MINUTE);
                hooks_of_hook.get().unwrap().deliver();
                // Too late to come back from here: the nested delivery is the one that must notice.
                exit(0);
            });
            let hooks = shared.get_or_init(|| Hooks::with_clock(policy, clock));
            hooks.report(Violation::new(Check::SweepCount).with_cycle(8));
            hooks.deliver();
            hooks.report(Violation::new(Check::Ledger));
            hooks.deliver();
            // A child that lives on must not go on to run a child of its own.
            exit(0);
        }
        let name =
            "hooks::tests::a_passed_drain_ends_the_process_even_from_under_a_hook_that_hangs";
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(CHILD_VARIABLE, "1")
            .output()
            .unwrap();
        assert_eq!(child.status.signal(), Some(6), "{:?}", child.status);
        let first = Violation {
            sequence: 1,
            ..Violation::new(Check::SweepCount).with_cycle(8)
        };
        let expected = format!("{first}\nsoftfail: drain deadline passed, abort\n");
        assert_eq!(String::from_utf8(child.stderr).unwrap(), expected);
    }

    #[test]
    fn the_policy_is_the_one_that_was_given() {
        assert_eq!(*Hooks::new(Policy::COUNT).policy(), Policy::COUNT);
    }

    #[test]
    fn debug_says_the_policy_and_the_health() {
        let text = format!("{:?}", Hooks::new(Policy::MARK_UNHEALTHY));
        assert!(text.contains("text: unhealthy"), "{text}");
        assert!(text.contains("is_healthy: true"), "{text}");
    }
}
