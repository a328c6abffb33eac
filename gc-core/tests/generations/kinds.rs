//! When a cycle is young and when it is full, and where that is told.

use std::process::Command;
use std::time::Duration;

use gc_core::{CycleKind, Driver, Error, Heap, Policy};

use crate::plain;
use crate::scene::{Scene, litter, node, pair};
use crate::support::{NURSERY_BYTES, builder, until};

#[test]
fn the_first_cycle_is_full_and_the_next_one_that_may_be_is_young() {
    let heap = builder(Driver::Manual).build().unwrap();
    let kinds = [
        heap.collect_young().unwrap().kind,
        heap.collect_young().unwrap().kind,
        heap.collect().unwrap().kind,
        heap.collect_young().unwrap().kind,
        heap.collect().unwrap().kind,
        heap.collect().unwrap().kind,
        heap.collect_young().unwrap().kind,
    ];
    let (full, young) = (CycleKind::Full, CycleKind::Young);
    assert_eq!(kinds, [full, young, full, young, full, full, young]);
    let stats = heap.stats();
    assert_eq!((stats.cycles_finished, stats.cycles_young), (7, 3));
}

#[test]
fn requests_of_both_kinds_come_to_a_full_cycle() {
    let scene = Scene::new();
    for is_full_first in [false, true] {
        if is_full_first {
            scene.heap.request_collect();
        }
        scene.heap.request_collect_young();
        scene.heap.request_collect();
        assert_eq!(scene.finish().unwrap().kind, CycleKind::Full);
        scene.heap.request_collect_young();
        assert_eq!(scene.finish().unwrap().kind, CycleKind::Young);
    }
}

#[test]
fn a_collection_while_a_young_cycle_runs_is_a_full_one_after_it() {
    let mut scene = Scene::new();
    let dead = scene.with_old(|scope, old| {
        old.next.set(scope, pair(scope, 1));
        old.next.take(scope).unwrap().address()
    });
    scene.young();
    scene.young_to(gc_core::Phase::Mark);
    assert!(scene.is_object(dead));
    let report = scene.full();
    assert!(!scene.is_object(dead));
    assert_eq!(report.cycle, scene.heap.cycle());
    assert_eq!(scene.heap.stats().cycles_young, 2);
    scene.assert_sound();
}

#[test]
fn a_collection_frees_everything_unreachable_whatever_came_before() {
    let mut scene = Scene::new();
    let bytes_live = scene.full().bytes_live;
    for young in [0, 1, 2, 7] {
        scene.with_old(|scope, old| {
            for id in 0..100 {
                let new = pair(scope, id);
                new.side.set(scope, old.next.get());
                old.next.set(scope, new);
            }
        });
        for _ in 0..young {
            scene.young();
            scene.with_old(|scope, old| {
                let last = old.next.get().unwrap();
                (0..100).for_each(|id| last.side.set(scope, scope.alloc(node(id))));
            });
        }
        scene.with_old(|scope, old| old.next.set(scope, None));
        assert_eq!(
            scene.full().bytes_live,
            bytes_live,
            "after {young} young cycles"
        );
    }
    scene.assert_sound();
}

#[test]
fn growth_makes_a_cycle_full() {
    let mut scene = Scene::of(builder(Driver::Manual).build().unwrap());
    let mut kinds = Vec::new();
    for _ in 0..40 {
        // All of it lives on, so that a full cycle is due sooner or later.
        scene.with_old(|scope, old| {
            for id in 0..8000 {
                let new = scope.alloc(node(id));
                new.next.set(scope, old.next.get());
                old.next.set(scope, new);
            }
        });
        kinds.push(scene.heap.collect_young().unwrap().kind);
    }
    let full = kinds
        .iter()
        .filter(|kind| **kind == CycleKind::Full)
        .count();
    assert!((1..20).contains(&full), "{kinds:?}");
    assert_eq!(kinds[0], CycleKind::Young);
    scene.assert_sound();
}

#[test]
fn a_driven_heap_runs_mostly_young_cycles_where_most_die_young() {
    for driver in plain::ACTIVE_DRIVERS {
        let mut scene = Scene::of(builder(driver).build().unwrap());
        until(|| {
            scene.mutator.enter(|scope| litter(scope, 1000));
            scene.heap.stats().cycles_young >= 20
        });
        let stats = scene.heap.stats();
        assert!(stats.cycles_young * 2 > stats.cycles_finished, "{stats:?}");
        scene.assert_sound();
    }
}

#[test]
fn a_heap_without_generations_runs_full_cycles_whatever_is_asked_for() {
    let heap = plain::builder(Driver::Manual).build().unwrap();
    let mut scene = Scene::of(heap);
    let dead = scene.with_old(|scope, old| {
        old.next.set(scope, pair(scope, 1));
        old.next.take(scope).unwrap().address()
    });
    assert_eq!(scene.heap.collect_young().unwrap().kind, CycleKind::Full);
    assert!(!scene.is_object(dead));
    scene.heap.request_collect_young();
    assert_eq!(scene.finish().unwrap().kind, CycleKind::Full);
    assert_eq!(scene.heap.stats().cycles_young, 0);
}

#[test]
fn a_nursery_that_is_too_small_is_refused() {
    for found in [0, 1, NURSERY_BYTES - 1] {
        let refused = Heap::builder().generational(found).build().err();
        assert!(
            matches!(refused, Some(Error::Nursery { found: told, least: NURSERY_BYTES }) if told == found),
            "{refused:?}"
        );
    }
    for nursery_bytes in [NURSERY_BYTES, usize::MAX] {
        let heap = plain::builder(Driver::Incremental)
            .generational(nursery_bytes)
            .build()
            .unwrap();
        let mut scene = Scene::of(heap);
        scene.mutator.enter(|scope| litter(scope, 100_000));
        scene.assert_sound();
    }
}

#[test]
fn a_heap_is_shut_down_with_a_full_cycle() {
    for driver in [Driver::Manual, Driver::Background(2)] {
        let mut scene = Scene::of(builder(driver).build().unwrap());
        let dead = scene.with_old(|scope, old| {
            old.next.set(scope, pair(scope, 1));
            old.next.take(scope).unwrap().address()
        });
        scene.heap.collect_young().unwrap();
        scene.heap.request_collect_young();
        let last = scene.heap.shutdown(Duration::from_secs(1 << 20)).unwrap();
        assert_eq!(last.kind, CycleKind::Full);
        assert!(!scene.is_object(dead));
        scene.assert_sound();
    }
}

/// Prints a line a cycle, if the child that the test below starts.
#[test]
fn one_cycle_of_each_kind() {
    let heap = Heap::builder()
        .name("two kinds")
        .driver(Driver::Manual)
        .policy(Policy::COUNT)
        .generational(NURSERY_BYTES)
        .build()
        .unwrap();
    heap.collect().unwrap();
    heap.collect_young().unwrap();
    assert_eq!(heap.stats().cycles_young, 1);
}

#[test]
fn the_line_of_a_cycle_tells_its_kind() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["kinds::one_cycle_of_each_kind", "--exact", "--nocapture"])
        .env("GC_TRACE", "1")
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    let kinds: Vec<_> = told
        .lines()
        .filter(|line| line.starts_with("gc heap=\"two kinds\" "))
        .map(|line| {
            line.split(' ')
                .find_map(|field| field.strip_prefix("kind="))
        })
        .collect();
    assert_eq!(kinds, [Some("full"), Some("young")], "{told}");
}
