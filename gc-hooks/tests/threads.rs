//! Several threads report, deliver and poll at once, and some of them are ending or unwinding.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Barrier, Mutex, OnceLock, mpsc};
use std::thread;
use std::time::Duration;

use gc_hooks::{Check, Delivery, Hooks, Policy, Turn, Violation};

/// For hooks that come back, however long their threads are kept waiting for a processor.
const HOUR: Duration = Duration::from_secs(3600);

/// What a hook was told, by sequence number.
type Notebook = Arc<Mutex<Vec<u64>>>;

/// Hooks whose hook writes down what it is told.
fn listening() -> (Arc<Hooks>, Notebook) {
    let heard = Notebook::default();
    let notebook = Arc::clone(&heard);
    let policy = Policy::on_violation(move |found| notebook.lock().unwrap().push(found.sequence));
    (Arc::new(Hooks::new(policy)), heard)
}

fn zombie() -> Violation {
    Violation::new(Check::Zombie)
}

/// Runs what it holds when its thread ends.
struct AtEnd(Option<Box<dyn FnOnce()>>);

impl Drop for AtEnd {
    fn drop(&mut self) {
        if let Some(act) = self.0.take() {
            act();
        }
    }
}

thread_local! {
    static EARLIER: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
    static LATER: RefCell<AtEnd> = const { RefCell::new(AtEnd(None)) };
}

/// Runs `act` in two destructors of thread-locals of a new thread, so that one of them runs after
/// another destructor, whatever their order; `before` runs on that thread while it lives.
fn while_a_thread_ends(
    before: impl FnOnce() + Send + 'static,
    act: impl Fn() + Send + Sync + 'static,
) {
    let act = Arc::new(act);
    thread::spawn(move || {
        let again = Arc::clone(&act);
        EARLIER.set(AtEnd(Some(Box::new(move || act()))));
        before();
        LATER.set(AtEnd(Some(Box::new(move || again()))));
    })
    .join()
    .unwrap();
}

#[test]
fn an_ending_thread_reports_and_delivers() {
    let (hooks, heard) = listening();
    let results: Arc<Mutex<Vec<Delivery>>> = Arc::default();
    let (mine, notebook) = (Arc::clone(&hooks), Arc::clone(&results));
    while_a_thread_ends(
        || {},
        move || {
            mine.report(zombie());
            notebook.lock().unwrap().push(mine.deliver());
        },
    );
    let results = results.lock().unwrap();
    assert_eq!(results.len(), 2);
    for delivery in results.iter() {
        assert_eq!(
            (delivery.turn, delivery.delivered, delivery.panics),
            (Turn::Taken, 1, 0)
        );
    }
    assert_eq!(*heard.lock().unwrap(), [1, 2]);
}

#[test]
fn an_ending_thread_is_still_the_one_that_delivers() {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let of_hook = Arc::clone(&shared);
    let hooks = Hooks::new(Policy::on_violation(move |_| {
        let hooks = of_hook.get().unwrap();
        assert!(hooks.is_delivering());
        assert_eq!(hooks.deliver().turn, Turn::Nested);
        hooks.note_reentry();
    }));
    assert!(shared.set(hooks).is_ok());
    let (mine, alive) = (Arc::clone(&shared), Arc::clone(&shared));
    while_a_thread_ends(
        move || {
            alive.get().unwrap().report(zombie());
            alive.get().unwrap().deliver();
        },
        move || {
            let hooks = mine.get().unwrap();
            hooks.report(zombie());
            hooks.deliver();
            assert!(!hooks.is_delivering());
        },
    );
    let health = shared.get().unwrap().health();
    assert_eq!(
        (
            health.count(Check::Zombie),
            health.count(Check::HookReentered)
        ),
        (3, 3)
    );
    assert_eq!(health.count(Check::HookPanicked), 0);
}

#[test]
fn a_hook_that_panics_on_an_ending_thread_is_contained() {
    let hooks = Arc::new(Hooks::new(Policy::on_violation(|_| panic!("a bad day"))));
    let mine = Arc::clone(&hooks);
    while_a_thread_ends(
        || {},
        move || {
            mine.report(zombie());
            mine.deliver();
        },
    );
    assert_eq!(hooks.health().count(Check::Zombie), 2);
    assert_eq!(hooks.health().count(Check::HookPanicked), 2);
}

/// Delivers when it is dropped, as a heap does at the edge of `enter` that a panic leaves by.
struct DeliversAtEdge<'a> {
    hooks: &'a Hooks,
    delivery: &'a Mutex<Delivery>,
}

impl Drop for DeliversAtEdge<'_> {
    fn drop(&mut self) {
        *self.delivery.lock().unwrap() = self.hooks.deliver();
    }
}

#[test]
fn an_unwinding_thread_delivers_and_survives_a_hook_that_panics() {
    let hooks = Hooks::new(Policy::on_violation(|_| panic!("the hook has a bad day")));
    let delivery = Mutex::new(Delivery::default());
    for times in 1..=2 {
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            let _edge = DeliversAtEdge {
                hooks: &hooks,
                delivery: &delivery,
            };
            hooks.report(zombie());
            panic!("user code has a bad day");
        }));
        let payload = unwound.unwrap_err();
        assert_eq!(payload.downcast_ref(), Some(&"user code has a bad day"));
        let last = *delivery
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        assert_eq!((last.turn, last.panics), (Turn::Taken, 1), "time {times}");
        delivery.clear_poison();
    }
    assert!(!hooks.is_delivering());
    assert_eq!(hooks.health().count(Check::HookPanicked), 2);
}

/// Whoever finds the turn taken may go home: the one who has it looks again.
#[test]
fn what_a_refused_delivery_was_for_is_told_by_the_one_under_way() {
    let (entered, has_entered) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let is_released = Mutex::new(is_released);
    let heard = Notebook::default();
    let notebook = Arc::clone(&heard);
    let policy = Policy::on_violation(move |found| {
        notebook.lock().unwrap().push(found.sequence);
        entered.send(()).unwrap();
        is_released.lock().unwrap().recv().unwrap();
    });
    let hooks = Hooks::new(policy.with_hook_deadline(HOUR));
    hooks.report(zombie());
    thread::scope(|scope| {
        let slow = scope.spawn(|| hooks.deliver());
        has_entered.recv().unwrap();
        for _ in 0..3 {
            hooks.report(zombie());
            assert_eq!(hooks.deliver().turn, Turn::Busy);
        }
        for _ in 0..4 {
            release.send(()).unwrap();
        }
        assert_eq!(slow.join().unwrap().delivered, 4);
    });
    assert_eq!(*heard.lock().unwrap(), [1, 2, 3, 4]);
    assert_eq!(hooks.deliver().turn, Turn::Idle);
}

/// A hook that always brings another knock would otherwise keep the thread that delivers for ever.
#[test]
fn a_delivery_that_is_knocked_at_without_end_comes_to_an_end() {
    let shared: Arc<OnceLock<Hooks>> = Arc::default();
    let of_hook = Arc::clone(&shared);
    let policy = Policy::on_violation(move |_| {
        let hooks = of_hook.get().unwrap();
        thread::scope(|scope| {
            let knock = scope.spawn(|| {
                hooks.report(zombie());
                assert_eq!(hooks.deliver().turn, Turn::Busy);
            });
            knock.join().unwrap();
        });
    });
    let hooks = Hooks::new(policy.with_hook_deadline(HOUR));
    let hooks = shared.get_or_init(|| hooks);
    hooks.report(zombie());
    let delivery = hooks.deliver();
    assert_eq!(delivery.turn, Turn::Taken);
    assert!((1..100).contains(&delivery.delivered), "{delivery:?}");
    assert_eq!(hooks.health().total(), delivery.delivered as u64 + 1);
    assert_eq!(hooks.deliver().turn, Turn::Taken, "the next one goes on");
}

/// What a service sees that polls all the time.
fn poll_until(is_over: &AtomicBool, hooks: &Hooks) {
    let health = hooks.health();
    while !is_over.load(Acquire) {
        let (suppressed, count) = (health.suppressed(), health.count(Check::Zombie));
        assert!(u64::max(suppressed, count) <= health.total());
        let recent = health.recent();
        assert!(recent.is_sorted_by(|one, next| one.sequence < next.sequence));
        thread::yield_now();
    }
}

/// Delivers until nothing waits, as the only thread that is left.
fn deliver_rest(hooks: &Hooks) -> usize {
    let mut delivered = 0;
    loop {
        let delivery = hooks.deliver();
        delivered += delivery.delivered;
        if delivery.turn == Turn::Idle {
            return delivered;
        }
    }
}

/// Mutators report and deliver at their edges, collector threads only report, services poll.
#[test]
fn nothing_is_lost_told_twice_or_told_at_once_among_many_threads() {
    let (mutators, collectors, each) = (3_u64, 2_u64, 400_u64);
    let inside = AtomicU64::new(0);
    let heard = Notebook::default();
    let notebook = Arc::clone(&heard);
    let policy = Policy::on_violation(move |found| {
        assert_eq!(inside.fetch_add(1, Relaxed), 0);
        notebook.lock().unwrap().push(found.sequence);
        inside.fetch_sub(1, Relaxed);
    });
    let hooks = Hooks::new(policy.with_hook_deadline(HOUR));
    let (is_over, start) = (AtomicBool::new(false), Barrier::new(6));
    let work = |delivers: bool| {
        start.wait();
        let mut delivered = 0;
        for _ in 0..each {
            hooks.report(zombie());
            if delivers {
                delivered += hooks.deliver().delivered;
            }
        }
        delivered
    };
    let delivered: usize = thread::scope(|scope| {
        let poll = scope.spawn(|| {
            start.wait();
            poll_until(&is_over, &hooks);
        });
        let is_mutator = (0..mutators + collectors).map(|thread| thread < mutators);
        let workers: Vec<_> = is_mutator
            .map(|delivers| {
                let work = &work;
                scope.spawn(move || work(delivers))
            })
            .collect();
        let delivered = workers.into_iter().map(|worker| worker.join().unwrap());
        let delivered = delivered.sum();
        is_over.store(true, Release);
        poll.join().unwrap();
        delivered
    });
    let delivered = delivered + deliver_rest(&hooks);
    let health = hooks.health();
    assert_eq!(health.count(Check::HookPanicked), 0);
    assert_eq!(health.total(), (mutators + collectors) * each);
    assert_eq!(delivered as u64 + health.suppressed(), health.total());
    let heard = heard.lock().unwrap();
    let distinct: BTreeSet<u64> = heard.iter().copied().collect();
    assert_eq!((heard.len(), distinct.len()), (delivered, delivered));
}

#[test]
fn whoever_sees_the_health_turned_finds_a_first_violation() {
    for _ in 0..200 {
        let hooks = Hooks::new(Policy::MARK_UNHEALTHY);
        let start = Barrier::new(3);
        thread::scope(|scope| {
            let reporters = [(); 2].map(|()| {
                scope.spawn(|| {
                    start.wait();
                    hooks.report(zombie());
                })
            });
            let health = hooks.health();
            start.wait();
            while health.is_healthy() {
                std::hint::spin_loop();
            }
            assert!(health.first().is_some());
            for reporter in reporters {
                reporter.join().unwrap();
            }
        });
        let first = hooks.health().first().map(|first| first.sequence);
        assert_eq!(first, Some(1));
    }
}
