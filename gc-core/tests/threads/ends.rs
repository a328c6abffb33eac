//! The end of a heap, and of its collector threads: the last handle goes on some thread or other, and
//! a heap is shut down.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use gc_core::{CollectError, Driver, Heap, Mutator, Root, ShutdownError, StepProgress, Trace};

use crate::support::{
    ACTIVE_DRIVERS, Counted, Tally, assert_list, assert_serves, heap_with, list, until,
};

/// Longer than any test runs, and not so long that it could not be added to a moment.
const FOR_EVER: Duration = Duration::from_secs(1 << 20);

fn heap_of_counted(driver: Driver, tally: &Tally) -> (Heap, Mutator, Root<Counted>) {
    let heap = heap_with(driver);
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        for id in 0..1000 {
            scope.alloc(tally.counted(id));
        }
        scope.root(scope.alloc(tally.counted(1000)))
    });
    (heap, mutator, root)
}

#[test]
fn the_last_handle_may_go_on_another_thread() {
    for driver in ACTIVE_DRIVERS {
        for last in 0..3 {
            let tally = Tally::default();
            let (heap, mutator, root) = heap_of_counted(driver, &tally);
            heap.request_collect();
            let there = match last {
                0 => {
                    let there = thread::spawn(move || drop(heap));
                    drop((mutator, root));
                    there
                }
                1 => thread::spawn(move || drop((root, heap, mutator))),
                _ => thread::spawn(move || drop((mutator, heap, root))),
            };
            there.join().unwrap();
            // Whatever handle went last, here or there: its end is the heap's.
            assert_eq!((tally.born(), tally.dropped()), (1001, 1001));
        }
    }
}

/// Drops a handle on the thread that sweeps, once the test has dropped its own.
#[derive(Trace)]
#[trace(leaf)]
struct Last {
    _heap: Option<Heap>,
    _root: Option<Root<Counted>>,
    on_thread: Sender<String>,
    go_on: Receiver<()>,
}

impl Drop for Last {
    fn drop(&mut self) {
        let name = thread::current().name().unwrap_or_default().to_string();
        self.on_thread.send(name).unwrap();
        // The fields go after this: the handles the test had are gone by then.
        self.go_on.recv().unwrap();
    }
}

#[test]
fn the_last_handle_may_go_on_a_collector_thread() {
    for threads in 1..=2 {
        for is_root in [false, true] {
            let tally = Tally::default();
            let (heap, mut mutator, root) = heap_of_counted(Driver::Background(threads), &tally);
            let ((on_thread, told), (go_on, may_go_on)) = (channel(), channel());
            mutator.enter(|scope| {
                scope.alloc(Last {
                    _heap: (!is_root).then(|| heap.clone()),
                    _root: is_root.then(|| root.clone()),
                    on_thread,
                    go_on: may_go_on,
                });
            });
            drop((mutator, root));
            heap.request_collect();
            let name = told.recv().unwrap();
            assert!(name.starts_with("gc-"), "{name}");
            drop(heap);
            go_on.send(()).unwrap();
            until(|| tally.dropped() == tally.born());
        }
    }
}

#[test]
fn after_a_shutdown_the_heap_goes_by_hand() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let tally = Tally::default();
        let (heap, mut mutator, root) = heap_of_counted(driver, &tally);
        let report = heap.shutdown(FOR_EVER).unwrap();
        assert!(report.cycle > 0);
        assert_eq!(tally.dropped(), 1000, "what is reachable stays");
        mutator.enter(|scope| {
            assert_eq!(scope.get(&root).unwrap().id, 1000);
            scope.alloc(tally.counted(1001));
        });
        assert_eq!(heap.driver(), driver);
        if driver != Driver::Incremental {
            heap.request_collect();
            mutator.enter(|scope| scope.poll());
            assert_eq!(
                (tally.dropped(), heap.cycle()),
                (1000, report.cycle),
                "nobody drives"
            );
            while heap.step(100).unwrap().progress != StepProgress::Idle {}
        }
        heap.collect().unwrap();
        assert_eq!(tally.dropped(), 1001);
        assert_serves(&heap);
        assert!(
            heap.shutdown(FOR_EVER).is_ok(),
            "there is nothing left to end"
        );
        drop((heap, root, mutator));
        assert_eq!(tally.dropped(), tally.born());
    }
}

#[test]
fn a_shutdown_that_runs_into_a_mutator_leaves_the_heap_as_it_was() {
    for driver in [
        Driver::Incremental,
        Driver::Background(1),
        Driver::Background(2),
    ] {
        let heap = heap_with(driver);
        let finished = thread::scope(|threads| {
            let ((tell, told), mut leave) = (channel(), Vec::new());
            for _ in 0..2 {
                let (mut mutator, tell) = (heap.mutator(), tell.clone());
                let (send, may_leave) = channel::<()>();
                leave.push(send);
                threads.spawn(move || {
                    mutator.enter(|scope| {
                        let held = list(scope, 100);
                        tell.send(()).unwrap();
                        may_leave.recv().unwrap();
                        assert_eq!(assert_list(held), 100);
                    });
                });
            }
            told.iter().take(2).for_each(drop);
            for deadline in [Duration::ZERO, Duration::from_millis(5)] {
                let expected = ShutdownError::Deadline { mutators_inside: 2 };
                assert_eq!(heap.shutdown(deadline), Err(expected));
            }
            leave.into_iter().for_each(|leave| leave.send(()).unwrap());
            heap.stats().cycles_finished
        });
        if driver != Driver::Incremental {
            // The collector threads are there: a cycle ends though nobody steps.
            heap.request_collect();
            until(|| heap.stats().cycles_finished > finished);
        }
        assert_serves(&heap);
        assert!(heap.shutdown(FOR_EVER).is_ok());
    }
}

#[test]
fn a_shutdown_is_refused_inside_enter() {
    let heap = heap_with(Driver::Background(1));
    heap.mutator().enter(|_| {
        let refused = ShutdownError::Refused(CollectError::WouldDeadlock);
        assert_eq!(heap.shutdown(FOR_EVER), Err(refused));
    });
    assert_serves(&heap);
}

#[test]
fn several_threads_shut_down_at_once() {
    let tally = Tally::default();
    let (heap, mutator, root) = heap_of_counted(Driver::Background(2), &tally);
    thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| assert!(heap.shutdown(FOR_EVER).is_ok()));
        }
    });
    assert_eq!(tally.dropped(), 1000);
    assert_serves(&heap);
    drop((heap, mutator, root));
    assert_eq!(tally.dropped(), 1001);
}
