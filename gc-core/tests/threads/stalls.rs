//! A mutator that stays inside `enter`: what it delays, that it is named, and who goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use gc_core::{AllocError, Check, Driver, Heap, Phase, Policy, StepProgress, Violation};

use crate::support::{assert_list, assert_serves, builder, heap_with, link, list, until};

const LIMIT_BYTES: usize = 1 << 20;

fn heap_that_names_at_once(driver: Driver) -> Heap {
    Heap::builder()
        .driver(driver)
        .policy(Policy::MARK_UNHEALTHY)
        .stall_deadline(Duration::ZERO)
        .limit_bytes(LIMIT_BYTES)
        .build()
        .unwrap()
}

/// Allocates until the heap refuses; the list it held is whole. Answers the bytes allocated.
fn fill(heap: &Heap) -> usize {
    heap.mutator().enter(|scope| {
        let mut head = scope.alloc(link(0));
        loop {
            match scope.try_alloc(link(head.id + 1)) {
                Ok(next) => {
                    next.next.set(scope, head);
                    head = next;
                }
                Err(error) => {
                    assert!(matches!(error, AllocError::Limit { .. }), "{error}");
                    return assert_list(head) as usize * 16;
                }
            }
        }
    })
}

fn assert_names(violation: &Violation, line: u32) {
    assert_eq!(violation.check, Check::SafepointStalled);
    assert_eq!(violation.phase, Phase::Arm);
    let call_site = violation.call_site.unwrap();
    assert_eq!((call_site.file(), call_site.line()), (file!(), line));
}

fn a_mutator_that_stays_inside(driver: Driver) {
    let heap = heap_that_names_at_once(driver);
    // Of several that have not answered at the moment, the one that joined first is named.
    let mut stalled = heap.mutator();
    let mut idle = heap.mutator();
    let kept = idle.enter(|scope| scope.root(list(scope, 100)));
    idle.enter(|scope| list(scope, 1000).id);
    let (freed, health) = (heap.stats().bytes_freed_total, heap.health());
    thread::scope(|threads| {
        let (leave, may_leave) = channel::<()>();
        let (tell, told) = channel();
        threads.spawn(move || {
            let line = line!() + 1;
            stalled.enter(|scope| {
                let held = list(scope, 100);
                tell.send(line).unwrap();
                may_leave.recv().unwrap();
                assert_eq!(assert_list(held), 100, "what it held was kept");
            });
        });
        let line = told.recv().unwrap();
        heap.request_collect();
        until(|| {
            if driver == Driver::Manual {
                assert_eq!(heap.step(100).unwrap().progress, StepProgress::Waiting);
            }
            idle.enter(|scope| scope.alloc(link(0)).id);
            health.first().is_some()
        });
        assert_names(&health.first().unwrap(), line);
        assert!(fill(&heap) > LIMIT_BYTES / 2, "the others go on");
        assert_eq!((heap.phase(), heap.cycle()), (Phase::Arm, 1));
        assert_eq!(heap.stats().bytes_freed_total, freed, "nothing is freed");
        leave.send(()).unwrap();
    });
    heap.collect().unwrap();
    assert!(heap.stats().bytes_freed_total > freed);
    idle.enter(|scope| assert_eq!(assert_list(scope.get(&kept).unwrap()), 100));
    assert!(fill(&heap) > LIMIT_BYTES / 2, "the memory is there again");
    assert_eq!(health.total(), health.count(Check::SafepointStalled));
    assert!(health.is_healthy());
    assert_eq!(heap.ledger().unwrap().imbalance(), None);
}

#[test]
fn a_mutator_that_stays_inside_is_named() {
    for driver in [
        Driver::Manual,
        Driver::Incremental,
        Driver::Background(1),
        Driver::Background(2),
    ] {
        a_mutator_that_stays_inside(driver);
    }
}

#[test]
fn one_that_stays_inside_is_named_once_a_handshake() {
    let heap = heap_that_names_at_once(Driver::Manual);
    let mut mutator = heap.mutator();
    let line = line!() + 1;
    mutator.enter(|scope| {
        heap.request_collect();
        for (asked, phase) in [Phase::Arm, Phase::Settle, Phase::Snapshot]
            .into_iter()
            .enumerate()
        {
            for _ in 0..10 {
                assert_eq!(heap.step(1000).unwrap().progress, StepProgress::Waiting);
            }
            let last = heap.health().last().unwrap();
            assert_eq!((last.check, last.phase), (Check::SafepointStalled, phase));
            assert_eq!(last.call_site.unwrap().line(), line);
            assert_eq!(heap.health().total(), asked as u64 + 1);
            scope.poll();
        }
    });
    heap.collect().unwrap();
    assert_eq!(heap.health().total(), 3, "one that is out is not named");
}

#[test]
fn a_mutator_that_polls_inside_delays_only_the_end() {
    for driver in [Driver::Background(1), Driver::Background(2)] {
        let heap = heap_with(driver);
        let mut mutator = heap.mutator();
        mutator.enter(|scope| {
            let held = list(scope, 1000);
            heap.request_collect();
            until(|| {
                scope.poll();
                heap.phase() == Phase::Snapshot
            });
            for _ in 0..200 {
                scope.poll();
                thread::yield_now();
                assert_eq!((heap.phase(), heap.cycle()), (Phase::Snapshot, 1));
            }
            assert_eq!(assert_list(held), 1000);
        });
        until(|| heap.stats().cycles_finished == 1);
        heap.collect().unwrap();
        assert_eq!(heap.stats().bytes_live, 0);
        assert_serves(&heap);
    }
}

#[test]
fn allocating_answers_as_polling_does() {
    let heap = heap_with(Driver::Background(1));
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        heap.request_collect();
        until(|| {
            assert_eq!(list(scope, 1000).id, 999);
            heap.phase() == Phase::Snapshot
        });
    });
    until(|| heap.stats().cycles_finished == 1);
    assert_serves(&heap);
}

#[test]
fn storing_answers_as_polling_does() {
    let heap = heap_with(Driver::Manual);
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let pair = list(scope, 2);
        heap.request_collect();
        assert_eq!(heap.step(1000).unwrap().phase, Phase::Arm);
        scope.poll();
        for phase in [Phase::Settle, Phase::Snapshot] {
            assert_eq!(heap.step(1000).unwrap().phase, phase);
            // A barrier that is on looks whether it is asked.
            pair.next.set(scope, pair);
        }
    });
    heap.collect().unwrap();
    assert_serves(&heap);
}

#[test]
fn a_collection_waits_for_a_mutator_that_leaves_later() {
    for driver in [Driver::Manual, Driver::Incremental, Driver::Background(2)] {
        let heap = builder(driver).build().unwrap();
        let may_leave = AtomicBool::new(false);
        let (tell, told) = channel();
        thread::scope(|threads| {
            let mut inside = heap.mutator();
            let (heap, may_leave) = (&heap, &may_leave);
            threads.spawn(move || {
                inside.enter(|scope| {
                    let held = list(scope, 100);
                    tell.send(()).unwrap();
                    until(|| {
                        scope.poll();
                        may_leave.load(Ordering::Acquire)
                    });
                    assert_eq!(assert_list(held), 100);
                });
            });
            told.recv().unwrap();
            let collecting = threads.spawn(|| heap.collect());
            until(|| heap.phase() == Phase::Snapshot);
            assert_eq!(heap.stats().cycles_finished, 0);
            may_leave.store(true, Ordering::Release);
            let report = collecting.join().unwrap().unwrap();
            assert_eq!(report.cycle, 1);
        });
        assert_serves(&heap);
    }
}
