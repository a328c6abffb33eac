//! Limits with several threads at them: an error and no more, memory that comes back, mutators that
//! finish the cycle themselves, and back-pressure over the soft limit.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use gc_core::{AllocError, Driver, Heap, Mutator, Phase, Root, Scope};

use crate::support::{
    ACTIVE_DRIVERS, Link, Tally, assert_list, assert_serves, assert_sound, builder, ledger, link,
    list, step_to, until,
};

const LIMIT_BYTES: usize = 1 << 20;
/// Bytes of a slot for a [`Link`], and for a [`Counted`](crate::support::Counted).
const SLOT_BYTES: usize = 16;
const THREADS: usize = 3;

fn heap_at_limit(driver: Driver) -> Heap {
    builder(driver).limit_bytes(LIMIT_BYTES).build().unwrap()
}

/// A list that has grown until the heap refused, and is whole; `None` when not one object fits.
fn fill(scope: Scope<'_>) -> Option<Root<Link<'static>>> {
    let mut head = scope.try_alloc(link(0)).ok()?;
    loop {
        match scope.try_alloc(link(head.id + 1)) {
            Ok(next) => {
                next.next.set(scope, head);
                head = next;
            }
            Err(error) => {
                assert!(
                    matches!(error, AllocError::Limit { limit_bytes, .. } if limit_bytes == LIMIT_BYTES),
                    "{error}"
                );
                assert_list(head);
                return Some(scope.root(head));
            }
        }
    }
}

/// Enters again and again until there is room for an object.
fn until_there_is_room(mutator: &mut Mutator) {
    until(|| mutator.enter(|scope| scope.try_alloc(link(0)).is_ok()));
}

#[test]
fn at_the_limit_threads_get_errors_and_go_on_once_roots_are_dropped() {
    for driver in ACTIVE_DRIVERS {
        let heap = heap_at_limit(driver);
        thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| {
                    let mut mutator = heap.mutator();
                    for _ in 0..3 {
                        until_there_is_room(&mut mutator);
                        if let Some(full) = mutator.enter(fill) {
                            mutator.enter(|scope| assert_list(scope.get(&full).unwrap()));
                        }
                    }
                });
            }
        });
        assert!(ledger(&heap).bytes_in_spans <= LIMIT_BYTES as u64);
        heap.collect().unwrap();
        assert_serves(&heap);
        let mut mutator = heap.mutator();
        let full = mutator.enter(fill).unwrap();
        mutator.enter(|scope| {
            let length = assert_list(scope.get(&full).unwrap()) as usize;
            assert!(length * SLOT_BYTES > LIMIT_BYTES / 2, "{length} fit again");
        });
        drop(full);
        heap.collect().unwrap();
        assert_serves(&heap);
    }
}

/// A heap by hand that is full of garbage, in a cycle that has come to `phase`.
fn garbage_at(phase: Phase, garbage: impl FnOnce(Scope<'_>)) -> (Heap, Root<Link<'static>>) {
    let heap = heap_at_limit(Driver::Manual);
    let mut mutator = heap.mutator();
    let kept = mutator.enter(|scope| scope.root(list(scope, 1000)));
    mutator.enter(garbage);
    heap.request_collect();
    step_to(&heap, phase);
    (heap, kept)
}

#[test]
fn a_mutator_at_the_limit_finishes_the_cycle_and_is_served() {
    for phase in [Phase::Snapshot, Phase::Mark, Phase::Clear, Phase::Sweep] {
        let (heap, kept) = garbage_at(phase, |scope| drop(fill(scope)));
        heap.mutator().enter(|scope| {
            assert_eq!(heap.stats().cycles_finished, 0);
            let length = (LIMIT_BYTES / 2 / SLOT_BYTES) as u64;
            assert_eq!(assert_list(list(scope, length)), length);
            // An allocation that finds its own span to sweep leaves the others' to the collector.
            assert!(matches!(heap.phase(), Phase::Sweep | Phase::Idle));
            assert_eq!(assert_list(scope.get(&kept).unwrap()), 1000);
        });
        assert_serves(&heap);
    }
}

#[test]
fn a_full_reservation_is_relieved_as_a_limit_is() {
    const RESERVE_BYTES: usize = 4 << 20;
    for phase in [Phase::Snapshot, Phase::Mark, Phase::Sweep] {
        let heap = builder(Driver::Manual)
            .reserve_bytes(RESERVE_BYTES)
            .build()
            .unwrap();
        let mut mutator = heap.mutator();
        let error = mutator.enter(|scope| {
            let mut error = None;
            while error.is_none() {
                error = scope.try_alloc(link(0)).err();
            }
            error
        });
        assert!(
            matches!(error, Some(AllocError::Exhausted { .. })),
            "{error:?}"
        );
        heap.request_collect();
        step_to(&heap, phase);
        mutator.enter(|scope| {
            assert_eq!(heap.stats().cycles_finished, 0);
            let length = (RESERVE_BYTES / 2 / SLOT_BYTES) as u64;
            assert_eq!(assert_list(list(scope, length)), length);
        });
        drop(mutator);
        assert_serves(&heap);
    }
}

#[test]
fn the_goal_stays_below_the_reservation() {
    const RESERVE_BYTES: u64 = 16 << 20;
    let heap = builder(Driver::Incremental)
        .reserve_bytes(RESERVE_BYTES as usize)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    let length = RESERVE_BYTES / 2 / SLOT_BYTES as u64;
    let kept = mutator.enter(|scope| scope.root(list(scope, length)));
    heap.collect().unwrap();
    let stats = heap.stats();
    assert!(stats.bytes_live >= RESERVE_BYTES / 2);
    assert!(stats.bytes_goal < RESERVE_BYTES, "{}", stats.bytes_goal);
    // Many times what is left of the reservation dies, and room is found each time.
    for _ in 0..2000 {
        mutator.enter(|scope| assert_eq!(assert_list(list(scope, 2000)), 2000));
    }
    mutator.enter(|scope| assert_eq!(assert_list(scope.get(&kept).unwrap()), length));
    drop(mutator);
    assert_serves(&heap);
}

#[test]
fn a_mutator_at_the_limit_does_not_wait_for_itself() {
    for phase in [Phase::Idle, Phase::Arm, Phase::Settle] {
        let (heap, _kept) = garbage_at(phase, |scope| drop(fill(scope)));
        assert!(heap.mutator().enter(fill).is_none());
        heap.collect().unwrap();
        assert_serves(&heap);
    }
}

#[test]
fn at_the_limit_destructors_wait_for_empty_hands() {
    let tally = Tally::default();
    let (heap, _kept) = garbage_at(Phase::Sweep, |scope| {
        while scope.try_alloc(tally.counted(tally.born())).is_ok() {}
    });
    // The one that was refused is dropped by the caller.
    assert_eq!(tally.dropped(), 1);
    let mut mutator = heap.mutator();
    assert!(mutator.enter(|scope| scope.try_alloc_slice(0..10_000_u64).is_err()));
    assert_eq!(tally.dropped(), 1, "none runs inside `enter`");
    heap.collect().unwrap();
    assert_eq!(tally.dropped(), tally.born());
    assert!(mutator.enter(|scope| scope.try_alloc_slice(0..10_000_u64).is_ok()));
    drop(mutator);
    assert_serves(&heap);
}

#[test]
fn a_mutator_at_the_limit_is_served_while_another_thread_is_at_the_cycle() {
    for phase in [Phase::Mark, Phase::Sweep] {
        let (heap, kept) = garbage_at(phase, |scope| drop(fill(scope)));
        let is_served = AtomicBool::new(false);
        thread::scope(|threads| {
            threads.spawn(|| {
                // Small steps, so that the lock of the cycle is taken and given back often.
                until(|| {
                    heap.step(8).unwrap();
                    is_served.load(Ordering::Acquire)
                });
            });
            heap.mutator().enter(|scope| {
                for id in 0..(LIMIT_BYTES / 2 / SLOT_BYTES) as u64 {
                    // How long it waits for the other thread is bounded, so it may have to ask again.
                    until(|| scope.try_alloc(link(id)).is_ok());
                }
                assert_eq!(assert_list(scope.get(&kept).unwrap()), 1000);
            });
            is_served.store(true, Ordering::Release);
        });
        assert_serves(&heap);
    }
}

/// Bytes of each object that the allocators over the soft limit make.
const BLOCK_BYTES: usize = 512;
/// Bytes allocated in one `enter`. Where mutators waited in vain, which they do for a bounded time, the
/// heap grows by so much for each wait; the margin asked for below is more than a hundred of them.
const ENTER_BYTES: usize = 32 << 10;
const SOFT_LIMIT_BYTES: usize = 4 << 20;

fn allocate_fast(heap: &Heap, peak: &AtomicU64) {
    let mut mutator = heap.mutator();
    let kept = mutator.enter(|scope| scope.root(list(scope, 1000)));
    for _ in 0..SOFT_LIMIT_BYTES * 2 / ENTER_BYTES {
        mutator.enter(|scope| {
            for _ in 0..ENTER_BYTES / BLOCK_BYTES {
                scope.alloc([1_u8; BLOCK_BYTES]);
            }
        });
        peak.fetch_max(heap.stats().bytes_in_spans, Ordering::Relaxed);
    }
    mutator.enter(|scope| assert_eq!(assert_list(scope.get(&kept).unwrap()), 1000));
}

#[test]
fn over_the_soft_limit_mutators_wait_for_the_collector() {
    for driver in ACTIVE_DRIVERS {
        let heap = builder(driver)
            // Left to the growth of the heap, the first cycle would come much too late.
            .growth_percent(10_000)
            .soft_limit_bytes(SOFT_LIMIT_BYTES)
            .build()
            .unwrap();
        let anchor = heap
            .mutator()
            .enter(|scope| scope.root(list(scope, 10_000)));
        heap.collect().unwrap();
        let peak = AtomicU64::new(0);
        thread::scope(|threads| {
            for _ in 0..THREADS {
                threads.spawn(|| allocate_fast(&heap, &peak));
            }
        });
        let (peak, stats) = (peak.into_inner(), heap.stats());
        assert!(stats.bytes_allocated_total > 6 * SOFT_LIMIT_BYTES as u64);
        assert!(
            peak < 2 * SOFT_LIMIT_BYTES as u64,
            "a peak of {peak} bytes: {stats:?}"
        );
        heap.mutator().enter(|scope| {
            assert_eq!(assert_list(scope.get(&anchor).unwrap()), 10_000);
        });
        assert_sound(&heap);
    }
}

#[test]
fn an_edge_over_the_soft_limit_waits_for_as_long_as_it_is_told() {
    let finished_at_the_edge = |wait| {
        let heap = builder(Driver::Incremental)
            .soft_limit_bytes(SOFT_LIMIT_BYTES)
            .edge_wait(wait)
            .build()
            .unwrap();
        let mut mutator = heap.mutator();
        let length = (3 * SOFT_LIMIT_BYTES / SLOT_BYTES) as u64;
        let kept = mutator.enter(|scope| scope.root(list(scope, length)));
        let finished = heap.stats().cycles_finished;
        mutator.enter(|scope| assert_list(scope.get(&kept).unwrap()));
        finished
    };
    assert_eq!(finished_at_the_edge(Duration::ZERO), 0);
    assert!(finished_at_the_edge(Duration::from_secs(3600)) > 0);
}
