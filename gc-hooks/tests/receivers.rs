//! What a receiver that misbehaves can do to the heap that tells it: nothing.

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use gc_hooks::{Check, Hooks, Policy, Turn, Violation};

fn report_many(hooks: &Hooks, violations: u32) {
    for _ in 0..violations {
        hooks.report(Violation::new(Check::Zombie));
    }
}

#[test]
fn a_panic_of_the_hook_is_contained_and_reported() {
    let hooks = Hooks::new(Policy::on_violation(|_| panic!("the hook has a bad day")));
    hooks.report(Violation::new(Check::Zombie).with_cycle(6));
    let delivery = hooks.deliver();
    assert_eq!((delivery.delivered, delivery.panics), (1, 1));
    let last = hooks.health().last().unwrap();
    assert_eq!(
        (last.check, last.reason, last.cycle),
        (Check::HookPanicked, "hook of the policy", 6)
    );
    assert_eq!(
        (last.numbers[0].label, last.numbers[0].value),
        ("told of violation", 1)
    );
}

#[test]
fn a_hook_is_switched_off_by_its_third_panic_and_the_health_says_so() {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let hooks = Hooks::new(Policy::on_violation(move |_| {
        counter.fetch_add(1, Relaxed);
        panic!("the hook has a bad day");
    }));
    for (delivery, is_healthy) in [(1, true), (2, true), (3, false), (4, false), (5, false)] {
        hooks.report(Violation::new(Check::Zombie));
        hooks.deliver();
        assert_eq!(calls.load(Relaxed), delivery.min(3));
        assert_eq!(
            hooks.health().is_healthy(),
            is_healthy,
            "after delivery {delivery}"
        );
    }
    assert_eq!(hooks.health().count(Check::HookPanicked), 3);
}

#[test]
fn a_hook_is_not_told_of_its_own_panics() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let notebook = Arc::clone(&heard);
    let hooks = Hooks::new(Policy::on_violation(move |violation: &Violation| {
        notebook.lock().unwrap().push(violation.check);
        assert_ne!(violation.check, Check::Zombie);
    }));
    hooks.report(Violation::new(Check::Zombie));
    while hooks.deliver().turn != Turn::Idle {}
    assert_eq!(*heard.lock().unwrap(), [Check::Zombie]);
    assert_eq!(hooks.health().count(Check::HookPanicked), 1);
}

#[test]
fn a_hook_that_enters_its_heap_is_reported_once_for_each_delivery() {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let hooks_of_hook = Arc::clone(&shared);
    let hooks = Hooks::new(Policy::on_violation(move |_| {
        let hooks = hooks_of_hook.get().unwrap();
        assert!(hooks.is_delivering());
        hooks.note_reentry();
        hooks.note_reentry();
    }));
    let hooks = shared.get_or_init(|| hooks);
    assert!(!hooks.is_delivering());
    hooks.note_reentry();
    assert_eq!(
        hooks.health().total(),
        0,
        "nobody re-enters outside a delivery"
    );

    report_many(hooks, 3);
    hooks.deliver();
    assert_eq!(hooks.health().count(Check::HookReentered), 1);
    report_many(hooks, 1);
    hooks.deliver();
    assert_eq!(hooks.health().count(Check::HookReentered), 2);
    assert_eq!(hooks.health().count(Check::HookPanicked), 0);
}

#[test]
fn a_delivery_from_inside_a_hook_goes_away_at_once() {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let turns = Arc::new(Mutex::new(Vec::new()));
    let (hooks_of_hook, notebook) = (Arc::clone(&shared), Arc::clone(&turns));
    let hooks = Hooks::new(Policy::on_violation(move |_| {
        let delivery = hooks_of_hook.get().unwrap().deliver();
        notebook
            .lock()
            .unwrap()
            .push((delivery.turn, delivery.delivered));
    }));
    let hooks = shared.get_or_init(|| hooks);
    report_many(hooks, 2);
    assert_eq!(hooks.deliver().delivered, 2);
    assert_eq!(
        *turns.lock().unwrap(),
        [(Turn::Nested, 0), (Turn::Nested, 0)]
    );
}

#[test]
fn what_a_hook_causes_waits_for_the_next_delivery() {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let hooks_of_hook = Arc::clone(&shared);
    let hooks = Hooks::new(Policy::on_violation(move |_| {
        hooks_of_hook
            .get()
            .unwrap()
            .report(Violation::new(Check::Zombie));
    }));
    let hooks = shared.get_or_init(|| hooks);
    report_many(hooks, 1);
    for _ in 0..5 {
        assert_eq!(hooks.deliver().delivered, 1);
    }
    assert_eq!(hooks.health().total(), 6);
}

#[test]
fn a_hook_that_hangs_keeps_no_other_thread_waiting() {
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let policy = Policy::on_violation(move |_| {
        entered.send(()).unwrap();
        is_released.lock().unwrap().recv().unwrap();
    });
    let hooks = Hooks::new(policy.with_hook_deadline(Duration::from_secs(3600)));
    report_many(&hooks, 2);
    thread::scope(|scope| {
        let stuck = scope.spawn(|| hooks.deliver());
        has_entered.recv().unwrap();
        assert!(!hooks.is_delivering());
        hooks.report(Violation::new(Check::Ledger));
        assert_eq!(hooks.deliver().turn, Turn::Busy);
        assert_eq!(hooks.health().total(), 3);
        for _ in 0..3 {
            release.send(()).unwrap();
        }
        // Two were waiting for it, and the third is what the other thread came for.
        assert_eq!(stuck.join().unwrap().delivered, 3);
    });
}
