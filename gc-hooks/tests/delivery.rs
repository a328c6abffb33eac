//! What follows from a failed check, and what is handed on to whom.

use std::num::NonZeroU64;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use gc_hooks::{Check, Escalation, Hooks, Policy, Response, Turn, Violation};

/// Hooks whose hook writes down what it is told.
fn listening(policy: Policy) -> (Hooks, Arc<Mutex<Vec<Violation>>>) {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&heard);
    let policy = policy.with_hook(move |violation| notebook.lock().unwrap().push(*violation));
    (Hooks::new(policy), heard)
}

fn report_many(hooks: &Hooks, violations: u32) {
    for cycle in 1..=violations {
        hooks.report(Violation::new(Check::Zombie).with_cycle(cycle));
    }
}

#[test]
fn the_detail_of_a_check_that_holds_is_never_built() {
    let hooks = Hooks::new(Policy::STRICT);
    assert!(hooks.holds(Check::Ledger, true, || unreachable!("the check holds")));
    assert_eq!(hooks.health().total(), 0);
}

#[test]
fn a_failed_check_is_filed_under_the_check_that_failed() {
    let hooks = Hooks::new(Policy::COUNT);
    assert!(!hooks.holds(Check::Ledger, false, || {
        Violation::new(Check::Zombie).with_cycle(9)
    }));
    let first = hooks.health().first().unwrap();
    assert_eq!(
        (first.check, first.cycle, first.sequence),
        (Check::Ledger, 9, 1)
    );
    assert_eq!(hooks.health().count(Check::Zombie), 0);
}

#[test]
fn a_hook_hears_nothing_before_delivery_and_everything_in_order_after_it() {
    let (hooks, heard) = listening(Policy::HOOK);
    report_many(&hooks, 5);
    assert!(heard.lock().unwrap().is_empty());
    let delivery = hooks.deliver();
    assert_eq!(
        (delivery.turn, delivery.delivered, delivery.suppressed),
        (Turn::Taken, 5, 0)
    );
    let sequences: Vec<u64> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|found| found.sequence)
        .collect();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
}

#[test]
fn a_violation_is_delivered_once() {
    let (hooks, heard) = listening(Policy::HOOK);
    report_many(&hooks, 1);
    assert_eq!(hooks.deliver().turn, Turn::Taken);
    assert_eq!(hooks.deliver().turn, Turn::Idle);
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[test]
fn a_hook_hears_only_what_its_policy_gives_it() {
    let (hooks, heard) = listening(Policy::COUNT.with(Check::Zombie, Response::Hook));
    hooks.report(Violation::new(Check::Ledger));
    hooks.report(Violation::new(Check::Zombie));
    assert_eq!(hooks.deliver().delivered, 2);
    let checks: Vec<Check> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|found| found.check)
        .collect();
    assert_eq!(checks, [Check::Zombie]);
}

#[test]
fn only_mark_unhealthy_turns_the_health() {
    for (response, is_healthy) in [
        (Response::Count, true),
        (Response::Hook, true),
        (Response::MarkUnhealthy, false),
    ] {
        let hooks = Hooks::new(Policy::COUNT.with(Check::Zombie, response));
        hooks.report(Violation::new(Check::Zombie));
        assert_eq!(hooks.health().is_healthy(), is_healthy, "{response}");
        hooks.deliver();
        assert_eq!(hooks.health().is_healthy(), is_healthy, "{response}");
    }
}

#[test]
fn health_is_polled_from_another_thread_while_the_heap_goes_on() {
    let hooks = Hooks::new(Policy::MARK_UNHEALTHY);
    let health = hooks.health();
    let is_reported = Arc::new(AtomicBool::new(false));
    let (ready, is_ready) = mpsc::channel();
    let is_over = Arc::clone(&is_reported);
    let poll = thread::spawn(move || {
        let was_healthy = health.is_healthy();
        ready.send(()).unwrap();
        while health.is_healthy() && !is_over.load(Acquire) {
            thread::yield_now();
        }
        // Whoever sees the health turned sees what turned it.
        let first = health.first().map(|found| found.cycle);
        (
            was_healthy,
            health.is_healthy(),
            health.count(Check::LateGrey),
            first,
        )
    });
    is_ready.recv().unwrap();
    hooks.report(Violation::new(Check::LateGrey).with_cycle(4));
    is_reported.store(true, Release);
    assert_eq!(poll.join().unwrap(), (true, false, 1, Some(4)));
}

#[test]
fn a_heap_that_is_never_delivered_for_keeps_the_oldest_and_counts_the_rest() {
    let (hooks, heard) = listening(Policy::HOOK);
    report_many(&hooks, 1_000);
    let health = hooks.health();
    let delivered = hooks.deliver().delivered;
    assert_eq!(health.total(), 1_000);
    assert_eq!(health.suppressed() + delivered as u64, 1_000);
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), delivered);
    assert_eq!(heard.first().map(|found| found.cycle), Some(1));
    assert_eq!(health.last().map(|found| found.cycle), Some(1_000));
}

#[test]
fn escalation_begins_at_exactly_its_violation() {
    let after = NonZeroU64::new(4).unwrap();
    let escalation = Escalation::after(after, Response::MarkUnhealthy);
    let hooks = Hooks::new(Policy::COUNT.with_escalation(escalation));
    report_many(&hooks, 3);
    assert!(hooks.health().is_healthy());
    hooks.report(Violation::new(Check::OsCall));
    assert!(!hooks.health().is_healthy());
}

#[test]
fn escalation_comes_on_top_of_what_the_table_says() {
    let escalation = Escalation::after(NonZeroU64::MIN, Response::MarkUnhealthy);
    let (hooks, heard) = listening(Policy::HOOK.with_escalation(escalation));
    report_many(&hooks, 1);
    hooks.deliver();
    assert_eq!(heard.lock().unwrap().len(), 1);
    assert!(!hooks.health().is_healthy());
}

#[test]
fn escalation_to_the_hook_begins_at_exactly_its_violation() {
    let after = NonZeroU64::new(3).unwrap();
    let escalation = Escalation::after(after, Response::Hook);
    let (hooks, heard) = listening(Policy::COUNT.with_escalation(escalation));
    report_many(&hooks, 5);
    hooks.deliver();
    let sequences: Vec<u64> = heard
        .lock()
        .unwrap()
        .iter()
        .map(|found| found.sequence)
        .collect();
    assert_eq!(sequences, [3, 4, 5]);
}

#[test]
fn hooks_and_health_may_be_shared_between_threads() {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Hooks>();
    is_shared::<gc_hooks::Health>();
    is_shared::<Policy>();
    is_shared::<Violation>();
}
