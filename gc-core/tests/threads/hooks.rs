//! Hooks in place, hooks that do not come back, and the thread that only calls hooks.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use gc_core::{Check, CollectError, Driver, Heap, Policy, Trace, Turn, Violation};

use crate::support::{assert_list, list, until};

const DRIVERS: [Driver; 4] = [
    Driver::Manual,
    Driver::Incremental,
    Driver::Background(1),
    Driver::Background(2),
];

/// For hooks that come back, however long their threads are kept waiting for a processor.
const HOUR: Duration = Duration::from_secs(3600);

/// A violation for whoever sweeps it.
#[derive(Trace)]
#[trace(leaf)]
struct Explosive;

impl Drop for Explosive {
    fn drop(&mut self) {
        resume_unwind(Box::new("a destructor in trouble"));
    }
}

fn explode(heap: &Heap) {
    heap.mutator()
        .enter(|scope| scope.alloc(Explosive).address());
    heap.collect().unwrap();
}

/// What a hook says: the name of its thread, and what it was told of.
type Saying = (Option<String>, Check);

/// A hook that says where it is, and what it said.
fn naming() -> (impl Fn(&Violation) + Send + Sync, Receiver<Saying>) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let name = || thread::current().name().map(str::to_string);
    let hook = move |found: &Violation| {
        // The test may have heard enough.
        let _over = tell.lock().unwrap().send((name(), found.check));
    };
    (hook, told)
}

/// A hook that says that it is called and then waits to be let go.
fn hanging() -> (impl Fn(&Violation) + Send + Sync, Receiver<()>, Sender<()>) {
    let (enter, entered) = channel();
    let (release, released) = channel::<()>();
    let (enter, released) = (Mutex::new(enter), Mutex::new(released));
    let hook = move |_: &Violation| {
        let _over = enter.lock().unwrap().send(());
        let _let_go = released.lock().unwrap().recv();
    };
    (hook, entered, release)
}

#[test]
fn on_a_thread_of_its_own_no_other_runs_a_hook() {
    for driver in DRIVERS {
        let (hook, told) = naming();
        let heap = Heap::builder()
            .driver(driver)
            .name("own")
            .policy(Policy::on_violation(hook).with_hook_deadline(HOUR))
            .deliver_on_own_thread()
            .build()
            .unwrap();
        for _ in 0..10 {
            explode(&heap);
            let own = Some("gc-own-hooks".to_string());
            // Nothing but the violation itself wakes it.
            assert_eq!(told.recv(), Ok((own, Check::DropPanicked)));
        }
        // After the end of its threads the heap is driven by hand, hooks and all.
        heap.shutdown(Duration::from_secs(60)).unwrap();
        assert!(told.try_recv().is_err());
        explode(&heap);
        let mine = thread::current().name().map(str::to_string);
        assert_eq!(told.try_recv(), Ok((mine, Check::DropPanicked)));
        assert_eq!(heap.health().total(), 11);
        assert_eq!(heap.ledger().unwrap().imbalance(), None);
    }
}

#[test]
fn what_was_found_last_is_told_before_the_heap_is_gone() {
    for driver in DRIVERS {
        let (hook, told) = naming();
        let heap = Heap::builder()
            .driver(driver)
            .policy(Policy::on_violation(hook).with_hook_deadline(HOUR))
            .deliver_on_own_thread()
            .build()
            .unwrap();
        explode(&heap);
        drop(heap);
        assert_eq!(told.try_iter().count(), 1);
    }
}

#[test]
fn the_end_of_a_heap_does_not_wait_for_a_hook_that_hangs() {
    let (hook, entered, release) = hanging();
    let policy = Policy::on_violation(hook).with_hook_deadline(Duration::from_millis(1));
    let heap = Heap::builder()
        .driver(Driver::Incremental)
        .policy(policy)
        .deliver_on_own_thread()
        .build()
        .unwrap();
    let health = heap.health();
    explode(&heap);
    entered.recv().unwrap();
    drop(heap);
    assert_eq!(health.count(Check::HookStalled), 1);
    assert!(!health.is_healthy());
    // Its thread ends when its hook does.
    drop(release);
    until(|| entered.try_recv() == Err(std::sync::mpsc::TryRecvError::Disconnected));
}

/// The only collector thread is lost to the hook; everybody else goes on.
#[test]
fn a_hook_that_hangs_on_a_collector_thread_is_named_and_gone_past() {
    let (hook, entered, release) = hanging();
    let policy = Policy::COUNT
        .with(Check::DropPanicked, gc_core::Response::Hook)
        .with_hook_deadline(Duration::from_millis(1))
        .with_hook(hook);
    let heap = Heap::builder()
        .driver(Driver::Background(1))
        .policy(policy)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    let kept = mutator.enter(|scope| {
        scope.alloc(Explosive);
        scope.root(list(scope, 100))
    });
    heap.request_collect();
    entered.recv().unwrap();
    let health = heap.health();
    until(|| {
        mutator.enter(|scope| list(scope, 10).id);
        !health.is_healthy()
    });
    let stall = health
        .first()
        .filter(|found| found.check == Check::HookStalled);
    let stall = stall.or_else(|| health.last()).unwrap();
    assert_eq!(
        (stall.check, stall.reason),
        (Check::HookStalled, "hook of the policy")
    );
    assert_eq!(stall.numbers[0].value, 1, "told of the first");
    for _ in 0..3 {
        heap.collect().unwrap();
        mutator.enter(|scope| assert_eq!(assert_list(scope.get(&kept).unwrap()), 100));
    }
    assert_eq!(heap.ledger().unwrap().imbalance(), None);
    assert_eq!(health.count(Check::HookStalled), 1, "once a call");
    drop(release);
    heap.shutdown(Duration::from_secs(60)).unwrap();
    assert_eq!(heap.ledger().unwrap().imbalance(), None);
}

/// What the hook in place was answered when it used its heap.
struct Answers {
    collected: bool,
    stepped: bool,
    recounted: bool,
    verified: bool,
    ended: bool,
    entered: bool,
    delivered: Turn,
}

fn ask_everything(heap: &Heap) -> Answers {
    let refused = Err(CollectError::InsideHook);
    let mut mutator = heap.mutator();
    let enter = AssertUnwindSafe(|| mutator.enter(|_| ()));
    Answers {
        collected: heap.collect().map(drop) == refused,
        stepped: heap.step(1).map(drop) == refused,
        recounted: heap.ledger().map(drop) == refused,
        verified: heap.verify().map(drop) == refused,
        ended: heap.shutdown(Duration::ZERO).is_err(),
        entered: catch_unwind(enter).is_err(),
        delivered: heap.deliver().turn,
    }
}

/// The sweep finds the violation, with no lock of the heap held, so that even a mutator may be made.
#[test]
fn a_hook_in_place_that_uses_its_heap_is_refused_and_reported() {
    for driver in DRIVERS {
        let slot: Arc<Mutex<Option<Heap>>> = Arc::default();
        let (of_hook, (send, answers)) = (Arc::clone(&slot), channel());
        let send = Mutex::new(send);
        let policy = Policy::HOOK.with_in_place_hook(move |_| {
            let heap = of_hook.lock().unwrap().clone();
            let answers = heap.as_ref().map(ask_everything);
            send.lock().unwrap().send(answers.unwrap()).unwrap();
        });
        let heap = Heap::builder()
            .driver(driver)
            .policy(policy.with_hook_deadline(HOUR))
            .build()
            .unwrap();
        let kept = heap.mutator().enter(|scope| scope.root(list(scope, 100)));
        *slot.lock().unwrap() = Some(heap.clone());
        explode(&heap);
        let answers = answers.recv().unwrap();
        assert!(answers.collected && answers.stepped && answers.recounted);
        assert!(answers.verified && answers.ended && answers.entered);
        assert_eq!(answers.delivered, Turn::Nested);
        drop(slot.lock().unwrap().take());
        let health = heap.health();
        assert_eq!(health.count(Check::DropPanicked), 1);
        assert_eq!(health.count(Check::HookReentered), 1, "once a call");
        assert_eq!(health.total(), 2);
        heap.collect().unwrap();
        let head = |scope: gc_core::Scope<'_>| assert_list(scope.get(&kept).unwrap());
        assert_eq!(heap.mutator().enter(head), 100);
        assert_eq!(heap.ledger().unwrap().imbalance(), None);
    }
}
