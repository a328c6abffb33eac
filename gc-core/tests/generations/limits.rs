//! Limits of a heap with generations: old garbage is collected before an allocation is refused, and mutators over
//! the soft limit wait for cycles that free it.

use gc_core::{CheckLevel, Driver, Heap, Mutator, Root};

use crate::scene::{Node, Scene, node};
use crate::support::{ACTIVE_DRIVERS, builder, until};

const LIMIT_BYTES: usize = 2 << 20;

/// Stores a chain of so many nodes in place of the one before, all of which a young cycle has made old.
fn renew(heap: &Heap, mutator: &mut Mutator, old: &Root<Node<'static>>, length: u64) {
    until(|| {
        mutator.enter(|scope| {
            let old = scope.get(old).unwrap();
            old.next.set(scope, None);
            for id in 0..length {
                let Ok(new) = scope.try_alloc(node(id)) else {
                    return false;
                };
                new.next.set(scope, old.next.get());
                old.next.set(scope, new);
            }
            true
        })
    });
    heap.request_collect_young();
}

#[test]
fn old_garbage_makes_room_at_the_limit() {
    for driver in ACTIVE_DRIVERS {
        for level in [CheckLevel::Default, CheckLevel::Paranoid] {
            let heap = builder(driver)
                .checks(level)
                .limit_bytes(LIMIT_BYTES)
                .build();
            let mut scene = Scene::of(heap.unwrap());
            let length = (LIMIT_BYTES / 3 / 32) as u64;
            for _ in 0..8 {
                renew(&scene.heap, &mut scene.mutator, &scene.old, length);
                let expected: Vec<_> = (0..length).rev().collect();
                assert_eq!(scene.behind_old(), expected);
            }
            assert!(scene.heap.stats().bytes_in_spans <= LIMIT_BYTES as u64);
            scene.assert_sound();
        }
    }
}

#[test]
fn a_heap_that_is_stepped_by_hand_serves_again_once_a_full_cycle_has_run() {
    let heap = builder(Driver::Manual).limit_bytes(LIMIT_BYTES).build();
    let mut scene = Scene::of(heap.unwrap());
    for _ in 0..3 {
        scene.with_old(|scope, old| {
            old.next.set(scope, None);
            while let Ok(new) = scope.try_alloc(node(1)) {
                new.next.set(scope, old.next.get());
                old.next.set(scope, new);
            }
            old.next.set(scope, None);
        });
        // What was stored is old, and growth would make a cycle full that is asked for as a young one.
        scene.full();
        assert_eq!(scene.heap.ledger().unwrap().objects, 1);
    }
    scene.assert_sound();
}

#[test]
fn over_the_soft_limit_full_cycles_are_waited_for() {
    for driver in ACTIVE_DRIVERS {
        let heap = builder(driver)
            .growth_percent(10_000)
            .soft_limit_bytes(LIMIT_BYTES)
            .build();
        let mut scene = Scene::of(heap.unwrap());
        let mut peak = 0;
        for _ in 0..200 {
            scene.with_old(|scope, old| {
                old.next.set(scope, None);
                for id in 0..1000 {
                    let new = scope.alloc(node(id));
                    new.next.set(scope, old.next.get());
                    old.next.set(scope, new);
                }
            });
            peak = peak.max(scene.heap.stats().bytes_live);
        }
        assert!(peak < 3 * LIMIT_BYTES as u64, "a peak of {peak} bytes");
        scene.assert_sound();
    }
}
