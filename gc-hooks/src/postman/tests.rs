//! Rates, drains and deadlines by a clock that is moved by hand.

use std::env;
use std::num::NonZeroU32;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, exit};
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use super::*;
use crate::check::Check;
use crate::clock::tests::HandClock;
use crate::policy::Policy;
use crate::rules::{Rate, Response};
use crate::violation::Violation;

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
    let name = "postman::tests::a_passed_drain_ends_the_process_even_from_under_a_hook_that_hangs";
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

/// Hooks behind a hook that writes down what it is told and runs `act` the first time.
fn acting_once(
    policy: Policy,
    hands: &HandClock,
    act: impl Fn(&Hooks) + Send + Sync + 'static,
) -> (Arc<OnceLock<Hooks>>, Arc<Mutex<Vec<u64>>>) {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let heard: Arc<Mutex<Vec<u64>>> = Arc::default();
    let (of_hook, notebook) = (Arc::clone(&shared), Arc::clone(&heard));
    let policy = policy.with_hook(move |violation| {
        let mut heard = notebook.lock().unwrap();
        heard.push(violation.sequence);
        let is_first = heard.len() == 1;
        drop(heard);
        if is_first {
            act(of_hook.get().unwrap());
        }
    });
    assert!(shared.set(Hooks::with_clock(policy, hands.clock())).is_ok());
    (shared, heard)
}

#[test]
fn a_hook_that_does_not_come_back_is_reported_once_at_its_deadline() {
    let hands = HandClock::new();
    let own_hands = hands.clone();
    let policy = Policy::HOOK.with_hook_deadline(MINUTE);
    let (shared, heard) = acting_once(policy, &hands, move |hooks| {
        let stalls = || hooks.health().count(Check::HookStalled);
        own_hands.advance(MINUTE - Duration::from_millis(1));
        assert_eq!((hooks.deliver().turn, stalls()), (Turn::Nested, 0));
        own_hands.advance(Duration::from_millis(1));
        for _ in 0..3 {
            own_hands.advance(Duration::from_millis(5));
            assert_eq!((hooks.deliver().turn, stalls()), (Turn::Nested, 1));
        }
        assert!(hooks.is_stalled() && !hooks.health().is_healthy());
    });
    let hooks = shared.get().unwrap();
    hooks.report(Violation::new(Check::Zombie).with_cycle(4));
    report_many(hooks, 2);
    // It came back before anybody took its turn, so this delivery goes on.
    assert_eq!(hooks.deliver().delivered, 3);
    assert!(!hooks.is_stalled());
    let last = hooks.health().last().unwrap();
    assert_eq!(
        (last.check, last.reason, last.cycle),
        (Check::HookStalled, "hook of the policy", 4)
    );
    let numbers = [last.numbers[0], last.numbers[1]].map(|number| (number.label, number.value));
    assert_eq!(numbers, [("told of violation", 1), ("waited ms", 60_005)]);
    assert_eq!(hooks.deliver().delivered, 1, "the stall itself");
    assert_eq!(
        *heard.lock().unwrap(),
        [1, 2, 3],
        "a hook hears nothing of its own"
    );
}

#[test]
fn a_call_that_comes_back_in_time_is_no_stall() {
    let hands = HandClock::new();
    let own_hands = hands.clone();
    let (shared, _) = acting_once(Policy::HOOK, &hands, move |_| {
        own_hands.advance(Duration::from_millis(999));
    });
    let hooks = shared.get().unwrap();
    for _ in 0..3 {
        report_many(hooks, 1);
        hooks.deliver();
        hands.advance(MINUTE);
    }
    hooks.deliver();
    assert_eq!(hooks.health().count(Check::HookStalled), 0);
    assert!(hooks.health().is_healthy());
}

/// The hook of one thread hangs; another goes past it.
#[test]
fn what_waits_behind_a_hook_that_hangs_goes_to_the_others() {
    let hands = HandClock::new();
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let policy = Policy::COUNT.with(Check::Zombie, Response::Hook);
    let (shared, heard) = acting_once(policy, &hands, move |_| {
        entered.send(()).unwrap();
        is_released.lock().unwrap().recv().unwrap();
    });
    let hooks = shared.get().unwrap();
    report_many(hooks, 1);
    thread::scope(|scope| {
        let stuck = scope.spawn(|| hooks.deliver());
        has_entered.recv().unwrap();
        hooks.report(Violation::new(Check::Ledger));
        report_many(hooks, 1);
        assert_eq!(hooks.deliver().turn, Turn::Busy, "it may still come back");
        hands.advance(Duration::from_secs(1));
        let delivery = hooks.deliver();
        // The ledger and the stall to the subscribers, and the zombie for the hook to nobody.
        let done = (delivery.turn, delivery.delivered, delivery.suppressed);
        assert_eq!(done, (Turn::Taken, 2, 1));
        assert_eq!(hooks.health().suppressed(), 1);
        assert!(!hooks.health().is_healthy(), "whatever the policy says");
        for _ in 0..5 {
            hands.advance(MINUTE);
            hooks.report(Violation::new(Check::Ledger));
            let delivery = hooks.deliver();
            assert_eq!((delivery.turn, delivery.delivered), (Turn::Taken, 1));
        }
        assert_eq!(hooks.health().count(Check::HookStalled), 1, "once a call");
        release.send(()).unwrap();
        assert_eq!(stuck.join().unwrap().delivered, 1);
    });
    assert!(!hooks.is_stalled());
    report_many(hooks, 1);
    assert_eq!(hooks.deliver().delivered, 1);
    let last = hooks.health().total();
    assert_eq!(*heard.lock().unwrap(), [1, last], "it is back");
}

/// The turn is taken away while its holder has letters left; they are told by the other.
#[test]
fn one_that_comes_back_late_leaves_the_rest_to_the_one_that_went_past() {
    let hands = HandClock::new();
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let (shared, heard) = acting_once(Policy::HOOK, &hands, move |_| {
        entered.send(()).unwrap();
        is_released.lock().unwrap().recv().unwrap();
    });
    let hooks = shared.get().unwrap();
    report_many(hooks, 100);
    thread::scope(|scope| {
        let stuck = scope.spawn(|| hooks.deliver());
        has_entered.recv().unwrap();
        hands.advance(MINUTE);
        let delivery = hooks.deliver();
        // The stall is told; ninety-nine were for the hook too.
        assert_eq!((delivery.delivered, delivery.suppressed), (1, 99));
        release.send(()).unwrap();
        assert_eq!(stuck.join().unwrap().delivered, 1);
    });
    assert_eq!(*heard.lock().unwrap(), [1]);
    let health = hooks.health();
    assert_eq!((health.total(), health.suppressed()), (101, 99));
    assert_eq!(hooks.deliver().turn, Turn::Idle);
}

#[test]
fn a_hook_in_place_that_does_not_come_back_is_noticed_by_a_delivery() {
    let hands = HandClock::new();
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let policy = Policy::HOOK.with_in_place_hook(move |_| {
        entered.send(()).unwrap();
        is_released.lock().unwrap().recv().unwrap();
    });
    let hooks = Hooks::with_clock(policy, hands.clock());
    thread::scope(|scope| {
        let stuck = scope.spawn(|| report_many(&hooks, 1));
        has_entered.recv().unwrap();
        assert_eq!(hooks.deliver().turn, Turn::Idle);
        hands.advance(Duration::from_secs(1));
        assert_eq!(hooks.deliver().turn, Turn::Taken);
        let last = hooks.health().last().unwrap();
        assert_eq!(
            (last.check, last.reason),
            (Check::HookStalled, "hook in place")
        );
        assert!(!hooks.is_stalled(), "deliveries have nothing to wait for");
        // Nobody follows it into the trap: this comes back.
        report_many(&hooks, 3);
        assert!(has_entered.try_recv().is_err());
        release.send(()).unwrap();
        stuck.join().unwrap();
        release.send(()).unwrap();
        report_many(&hooks, 1);
        assert!(has_entered.try_recv().is_ok(), "it is back");
    });
    assert_eq!(hooks.health().count(Check::HookStalled), 1);
    assert!(!hooks.health().is_healthy());
}
