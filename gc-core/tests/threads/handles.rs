//! Handles of one heap on several threads: collections, verifications and recounts at once, from
//! everywhere they may be called and from where they may not.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;

use gc_core::{CollectError, Driver, Heap, Mutator};

use crate::support::{
    ACTIVE_DRIVERS, Tally, assert_list, assert_serves, assert_sound, builder, heap_with, insist,
    ledger, list, paranoid, until, verify,
};

const THREADS: usize = 4;

#[test]
fn several_threads_collect_at_once() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let (heap, tally) = (heap_with(driver), Tally::default());
        let start = Barrier::new(THREADS);
        thread::scope(|threads| {
            for thread in 0..THREADS as u64 {
                let (heap, tally, start) = (&heap, &tally, &start);
                threads.spawn(move || {
                    let mut mutator = heap.mutator();
                    start.wait();
                    for _ in 0..20 {
                        let own = Tally::default();
                        mutator.enter(|scope| {
                            scope.alloc(tally.counted(thread));
                            scope.alloc(own.counted(thread));
                        });
                        let before = heap.cycle();
                        let report = heap.collect().unwrap();
                        assert!(report.cycle > before, "a cycle that began after the call");
                        assert_eq!(own.dropped(), 1, "what was dead at the call is gone");
                    }
                });
            }
        });
        assert_eq!((tally.born(), tally.dropped()), (80, 80));
        assert_serves(&heap);
    }
}

/// Enters, allocates and leaves until told to stop.
fn churn(heap: &Heap, is_over: &AtomicBool) {
    let mut mutator = heap.mutator();
    let kept = mutator.enter(|scope| scope.root(list(scope, 100)));
    while !is_over.load(Ordering::Acquire) {
        mutator.enter(|scope| {
            let head = scope.get(&kept).unwrap();
            let end = list(scope, 99);
            head.next.set(scope, end);
            assert_eq!(assert_list(head), 100);
        });
    }
}

#[test]
fn several_threads_verify_and_recount_at_once() {
    for driver in ACTIVE_DRIVERS {
        // Recounts keep the collector from its work, so those who allocate must wait for it.
        let heap = builder(driver).soft_limit_bytes(8 << 20).build().unwrap();
        let is_over = AtomicBool::new(false);
        thread::scope(|threads| {
            for _ in 0..2 {
                threads.spawn(|| churn(&heap, &is_over));
            }
            let asking: Vec<_> = (0..2)
                .map(|_| {
                    threads.spawn(|| {
                        for _ in 0..6 {
                            assert_eq!(ledger(&heap).imbalance(), None);
                            let report = verify(&heap);
                            assert!(report.is_clean(), "{report:?}");
                            heap.request_collect();
                        }
                    })
                })
                .collect();
            asking.into_iter().for_each(|thread| thread.join().unwrap());
            is_over.store(true, Ordering::Release);
        });
        assert_serves(&heap);
    }
}

#[test]
fn from_inside_enter_recounts_are_answered_and_the_rest_is_refused() {
    for driver in ACTIVE_DRIVERS {
        // The other thread must not outrun the cycle that this one keeps from ending.
        let heap = builder(driver).soft_limit_bytes(8 << 20).build().unwrap();
        let is_over = AtomicBool::new(false);
        let mut mutator = heap.mutator();
        thread::scope(|threads| {
            threads.spawn(|| churn(&heap, &is_over));
            for _ in 0..20 {
                mutator.enter(|scope| {
                    let held = list(scope, 100);
                    assert_eq!(heap.collect(), Err(CollectError::WouldDeadlock));
                    assert_eq!(heap.verify(), Err(CollectError::WouldDeadlock));
                    let ledger = insist(|| {
                        scope.poll();
                        heap.ledger()
                    });
                    assert_eq!(ledger.imbalance(), None);
                    assert_eq!(assert_list(held), 100);
                });
                heap.request_collect();
            }
            is_over.store(true, Ordering::Release);
        });
        assert_serves(&heap);
    }
}

/// One thread inside two mutators at once, the second entered inside the first.
fn nested(heap: &Heap, outer: &mut Mutator, inner: &mut Mutator, is_over: &AtomicBool) {
    while !is_over.load(Ordering::Acquire) {
        outer.enter(|outside| {
            let held = list(outside, 50);
            let kept = inner.enter(|inside| {
                assert_eq!(heap.collect(), Err(CollectError::WouldDeadlock));
                let held = list(inside, 50);
                outside.poll();
                inside.poll();
                assert_eq!(assert_list(held), 50);
                inside.root(held)
            });
            let found = outside.get(&kept).unwrap();
            held.next
                .get()
                .unwrap()
                .next
                .set(outside, list(outside, 48));
            assert_eq!((assert_list(held), assert_list(found)), (50, 50));
        });
    }
}

#[test]
fn two_mutators_inside_on_one_thread_while_another_collects() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let (heap, is_over) = (paranoid(driver), AtomicBool::new(false));
        thread::scope(|threads| {
            threads.spawn(|| nested(&heap, &mut heap.mutator(), &mut heap.mutator(), &is_over));
            for _ in 0..20 {
                heap.collect().unwrap();
            }
            is_over.store(true, Ordering::Release);
        });
        assert_serves(&heap);
    }
}

#[test]
fn a_mutator_moves_from_thread_to_thread() {
    for driver in ACTIVE_DRIVERS {
        let heap = paranoid(driver);
        let mut mutator = heap.mutator();
        let kept = mutator.enter(|scope| scope.root(list(scope, 10)));
        for _ in 0..40 {
            let (tell, told) = channel();
            mutator = thread::scope(|threads| {
                let there = threads.spawn(|| {
                    mutator.enter(|scope| {
                        tell.send(()).unwrap();
                        let head = scope.get(&kept).unwrap();
                        head.next.set(scope, list(scope, 9));
                        assert_eq!(assert_list(head), 10);
                    });
                    mutator
                });
                // While it is inside there, the thread it came from is not inside itself.
                told.recv().unwrap();
                heap.collect().unwrap();
                assert_eq!(ledger(&heap).imbalance(), None);
                there.join().unwrap()
            });
            mutator.enter(|scope| assert_eq!(assert_list(scope.get(&kept).unwrap()), 10));
        }
        drop(mutator);
        assert_serves(&heap);
    }
}

#[test]
fn a_thread_is_inside_only_while_its_own_mutator_is() {
    let heap = heap_with(Driver::Manual);
    let mut mutator = heap.mutator();
    mutator.enter(|scope| list(scope, 10).id);
    let is_over = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| {
            let mut mutator = mutator;
            while !is_over.load(Ordering::Acquire) {
                mutator.enter(|scope| scope.poll());
            }
        });
        // This thread entered with that mutator once; now another one does, again and again.
        for _ in 0..2000 {
            heap.collect().unwrap();
        }
        is_over.store(true, Ordering::Release);
    });
    until(|| heap.stats().mutators == 0);
    assert_sound(&heap);
}
