//! Barriers left out while collector threads mark: found before anything is freed.

use std::sync::mpsc::channel;
use std::thread;

use gc_core::fault::{Persistence, Site};
use gc_core::{Check, CheckLevel, Driver, Heap, Mutator, Phase, Root};

use crate::support::{Link, assert_list, builder, ledger, link, list, until, verify};

/// A cycle that marks for as long as `inside` runs: it gets a mutator that is inside and settled, and
/// still allocates in the colour of the cycle before. What that one allocates is found only through
/// its barrier.
fn while_marking<R>(
    heap: &Heap,
    late: &mut Mutator,
    inside: impl FnOnce(gc_core::Scope<'_>) -> R,
) -> R {
    late.enter(|scope| {
        heap.request_collect();
        until(|| {
            scope.poll();
            heap.phase() == Phase::Snapshot
        });
        inside(scope)
    })
}

/// An object that is black from birth, and so is never scanned in this cycle.
fn black_holder(heap: &Heap) -> Root<Link<'static>> {
    heap.mutator()
        .enter(|scope| scope.root(scope.alloc(link(3))))
}

#[test]
fn with_its_barrier_a_late_object_is_found() {
    for threads in 1..=2 {
        let heap = builder(Driver::Background(threads))
            .checks(CheckLevel::Paranoid)
            .build()
            .unwrap();
        let holder = while_marking(&heap, &mut heap.mutator(), |scope| {
            let holder = thread::scope(|threads| {
                let other = threads.spawn(|| black_holder(&heap));
                other.join().unwrap()
            });
            scope.get(&holder).unwrap().next.set(scope, list(scope, 3));
            holder
        });
        until(|| heap.stats().cycles_finished > 0);
        heap.mutator()
            .enter(|scope| assert_eq!(assert_list(scope.get(&holder).unwrap()), 4));
        assert_eq!((heap.stats().cycles_voided, heap.health().total()), (0, 0));
    }
}

/// As above, with the barrier of the one store left out. Answers the holder.
fn hide(heap: &Heap, late: &mut Mutator) -> Root<Link<'static>> {
    while_marking(heap, late, |scope| {
        let holder = thread::scope(|threads| {
            let other = threads.spawn(|| black_holder(heap));
            other.join().unwrap()
        });
        let hidden = list(scope, 3);
        let skipped = heap.fault().strikes(Site::BarrierSkipped);
        heap.fault().arm(Site::BarrierSkipped, 0, Persistence::Once);
        scope.get(&holder).unwrap().next.set(scope, hidden);
        assert_eq!(
            heap.fault().strikes(Site::BarrierSkipped),
            skipped + 1,
            "the fault was activated"
        );
        holder
    })
}

fn assert_found(heap: &Heap, times: u64) {
    let health = heap.health();
    // Each list has three objects that are reachable and white.
    assert_eq!(health.count(Check::UnmarkedReachable), 3 * times);
    assert_eq!(health.total(), 3 * times);
    assert_eq!(heap.stats().cycles_voided, times);
    let violation = health.first().unwrap();
    assert_eq!(violation.phase, Phase::Clear);
    assert!(violation.type_name.unwrap().contains("Link"));
}

#[test]
fn a_barrier_left_out_is_found_before_anything_is_freed() {
    for threads in 1..=2 {
        let heap = builder(Driver::Background(threads))
            .checks(CheckLevel::Paranoid)
            .build()
            .unwrap();
        let mut late = heap.mutator();
        let witness = heap.mutator().enter(|scope| scope.root(list(scope, 1000)));
        let mut holders = Vec::new();
        for round in 1..=4 {
            // Garbage, which the cycle that must be voided would have freed.
            let dead = late.enter(|scope| list(scope, 100).address());
            let voided = heap.stats().cycles_voided;
            holders.push(hide(&heap, &mut late));
            until(|| heap.stats().cycles_voided > voided);
            assert_found(&heap, round);
            // The cycle after it is whole again, marks what was hidden, and frees what is dead.
            heap.collect().unwrap();
            assert!(!heap.locate(dead).is_object());
            late.enter(|scope| {
                assert_eq!(assert_list(scope.get(&witness).unwrap()), 1000);
                for holder in &holders {
                    assert_eq!(assert_list(scope.get(holder).unwrap()), 4);
                }
            });
        }
        assert!(verify(&heap).is_clean());
        assert_eq!(ledger(&heap).imbalance(), None);
        drop((holders, witness));
        heap.collect().unwrap();
        assert_eq!(ledger(&heap).objects, 0);
    }
}

#[test]
fn several_threads_without_barriers_lose_nothing_at_level_paranoid() {
    const THREADS: u64 = 3;
    let heap = builder(Driver::Background(2))
        .checks(CheckLevel::Paranoid)
        .build()
        .unwrap();
    let (send, receive) = channel();
    thread::scope(|threads| {
        for _ in 0..THREADS {
            let (heap, send) = (&heap, send.clone());
            threads.spawn(move || {
                let mut mutator = heap.mutator();
                let holders: Vec<_> = (0..20)
                    .map(|_| mutator.enter(|scope| scope.root(scope.alloc(link(30)))))
                    .collect();
                for holder in &holders {
                    heap.request_collect();
                    heap.fault().arm(Site::BarrierSkipped, 0, Persistence::Once);
                    mutator.enter(|scope| {
                        // The holder was marked long ago or not yet; a list is stored once.
                        let hidden = list(scope, 30);
                        thread::yield_now();
                        scope.get(holder).unwrap().next.set(scope, hidden);
                    });
                }
                send.send(holders).unwrap();
            });
        }
    });
    drop(send);
    // However many cycles had to be voided, and whether the heap still reclaims after them.
    until(|| heap.stats().phase == Phase::Idle);
    let holders: Vec<_> = receive.iter().flatten().collect();
    heap.mutator().enter(|scope| {
        assert_eq!(holders.len() as u64, THREADS * 20);
        for holder in &holders {
            assert_eq!(assert_list(scope.get(holder).unwrap()), 31);
        }
    });
    let health = heap.health();
    assert_eq!(health.total(), health.count(Check::UnmarkedReachable));
    assert!(verify(&heap).is_clean());
    assert_eq!(ledger(&heap).imbalance(), None);
}
