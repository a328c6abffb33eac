//! A thread that only delivers, and those who leave it to it.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle, ThreadId};
use std::time::Duration;

use gc_hooks::{Check, Hooks, Policy, Turn, Violation};

fn zombie() -> Violation {
    Violation::new(Check::Zombie)
}

/// Starts the thread, which is there when this comes back.
fn start(hooks: &Arc<Hooks>) -> JoinHandle<()> {
    let (ready, is_ready) = channel();
    let own = Arc::clone(hooks);
    let thread = thread::spawn(move || {
        own.deliver_until_dismissed(|| ready.send(()).unwrap());
    });
    is_ready.recv().unwrap();
    thread
}

/// Hooks whose hook says on which thread it runs.
fn naming() -> (Arc<Hooks>, Receiver<(ThreadId, u64)>) {
    let (tell, told): (Sender<_>, _) = channel();
    let tell = Mutex::new(tell);
    let policy = Policy::on_violation(move |found| {
        let tell = tell.lock().unwrap();
        tell.send((thread::current().id(), found.sequence)).unwrap();
    });
    // However long its thread is kept waiting for a processor, it comes back.
    let policy = policy.with_hook_deadline(Duration::from_secs(3600));
    (Arc::new(Hooks::new(policy)), told)
}

#[test]
fn what_is_posted_wakes_it_and_the_others_run_no_hook() {
    let (hooks, told) = naming();
    let own = start(&hooks);
    for sequence in 1..=100 {
        hooks.report(zombie());
        assert_eq!(hooks.deliver_or_leave().turn, Turn::Elsewhere);
        assert_eq!(told.recv(), Ok((own.thread().id(), sequence)));
    }
    hooks.dismiss();
    own.join().unwrap();
}

#[test]
fn whoever_asks_for_a_delivery_gets_one() {
    let (hooks, told) = naming();
    let own = start(&hooks);
    hooks.report(zombie());
    hooks.deliver();
    // By one of the two, and once.
    assert_eq!(told.recv().unwrap().1, 1);
    hooks.dismiss();
    own.join().unwrap();
    assert!(told.try_recv().is_err());
}

#[test]
fn when_it_is_dismissed_nothing_is_lost_and_the_others_deliver() {
    let (hooks, told) = naming();
    let own = start(&hooks);
    for _ in 0..10 {
        hooks.report(zombie());
    }
    hooks.dismiss();
    own.join().unwrap();
    hooks.report(zombie());
    assert_eq!(hooks.deliver_or_leave().turn, Turn::Taken);
    let sequences: Vec<u64> = told.try_iter().map(|(_, sequence)| sequence).collect();
    assert_eq!(sequences, (1..=11).collect::<Vec<u64>>());
    // There is one for each heap, and it has been.
    start(&hooks).join().unwrap();
}

#[test]
fn a_hook_that_panics_does_not_end_it() {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let hooks = Arc::new(Hooks::new(Policy::on_violation(move |_| {
        tell.lock()
            .unwrap_or_else(|lock| lock.into_inner())
            .send(())
            .unwrap();
        panic!("a bad day");
    })));
    let own = start(&hooks);
    for _ in 0..3 {
        hooks.report(zombie());
        told.recv().unwrap();
    }
    hooks.dismiss();
    own.join().unwrap();
    assert_eq!(hooks.health().count(Check::HookPanicked), 3);
}

#[test]
fn a_hook_that_hangs_it_is_reported_by_those_who_leave_it_to_it() {
    let (entered, has_entered) = channel();
    let (release, is_released) = channel::<()>();
    let is_released = Mutex::new(is_released);
    let policy = Policy::on_violation(move |_| {
        entered.send(()).unwrap();
        is_released.lock().unwrap().recv().unwrap();
    });
    let hooks = Arc::new(Hooks::new(
        policy.with_hook_deadline(Duration::from_millis(1)),
    ));
    let own = start(&hooks);
    hooks.report(zombie());
    has_entered.recv().unwrap();
    while hooks.health().is_healthy() {
        assert_eq!(hooks.deliver_or_leave().turn, Turn::Elsewhere);
        thread::yield_now();
    }
    assert!(hooks.find_stalled());
    let last = hooks.health().last().unwrap();
    assert_eq!(last.check, Check::HookStalled);
    assert!(last.numbers[1].value >= 1, "milliseconds");
    // Whoever asks for a delivery goes past it, and what was for the hook is told to nobody.
    hooks.report(zombie());
    let delivery = hooks.deliver();
    assert_eq!((delivery.delivered, delivery.suppressed), (1, 1));
    release.send(()).unwrap();
    hooks.dismiss();
    own.join().unwrap();
    assert!(!hooks.find_stalled());
    assert_eq!(hooks.health().count(Check::HookStalled), 1);
}

#[test]
fn it_does_not_wait_for_itself() {
    let shared: Arc<OnceLock<Arc<Hooks>>> = Arc::default();
    let of_hook = Arc::clone(&shared);
    let hooks = Arc::new(Hooks::new(Policy::on_violation(move |_| {
        let hooks = of_hook.get().unwrap();
        assert_eq!(hooks.deliver().turn, Turn::Nested);
        hooks.dismiss();
    })));
    assert!(shared.set(Arc::clone(&hooks)).is_ok());
    let own = start(&hooks);
    hooks.report(zombie());
    own.join().unwrap();
    assert_eq!(hooks.health().count(Check::HookPanicked), 0);
}
