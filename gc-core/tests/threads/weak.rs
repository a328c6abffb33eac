//! Weak references and ephemerons that are followed while their targets die.
//!
//! An upgrade gives the right object, whole, or nothing; what was nothing once, for any thread, stays
//! nothing; and a target that somebody holds is always found.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use gc_core::{CheckLevel, Driver, Edge, Ephemeron, Gc, Heap, Root, Scope, Trace, Weak};

use crate::support::{ACTIVE_DRIVERS, Counted, Rng, Tally, assert_sound, builder, mix};

const TARGETS: usize = 240;
const FOLLOWERS: u64 = 2;
const DROPS_A_ROUND: usize = 10;

#[derive(Trace)]
struct Target<'gc> {
    id: u64,
    seal: u64,
    text: Gc<'gc, str>,
    /// Counted, so that it shows when each of them is gone.
    _counted: Gc<'gc, Counted>,
}

#[derive(Trace)]
struct Value<'gc> {
    id: u64,
    /// Leads back to the key, which must not keep it alive.
    key: Edge<'gc, Target<'gc>>,
}

/// What leads to one target without keeping it.
#[derive(Trace)]
struct Watch<'gc> {
    weak: Weak<'gc, Target<'gc>>,
    pair: Ephemeron<'gc, Target<'gc>, Value<'gc>>,
}

/// One target as the test sees it.
struct Case {
    watch: Root<Watch<'static>>,
    /// The strong root, until it is dropped.
    strong: Mutex<Option<Root<Target<'static>>>>,
    /// Somebody was told that it is gone.
    is_gone: AtomicBool,
}

fn target<'gc>(scope: Scope<'gc>, id: u64, tally: &Tally) -> Gc<'gc, Target<'gc>> {
    scope.alloc(Target {
        id,
        seal: mix(id),
        text: scope.alloc_str(&format!("target {id}")),
        _counted: scope.alloc(tally.counted(id)),
    })
}

fn assert_whole(target: Gc<'_, Target<'_>>, id: usize) {
    assert_eq!((target.id, target.seal), (id as u64, mix(id as u64)));
    assert_eq!(&*target.text, format!("target {id}"));
}

fn cases(heap: &Heap, tally: &Tally) -> Vec<Case> {
    let case = |scope: Scope<'_>, id| {
        let target = target(scope, id, tally);
        let value = scope.alloc(Value {
            id,
            key: Edge::to(target),
        });
        let watch = scope.alloc(Watch {
            weak: scope.downgrade(target),
            pair: scope.ephemeron(target, value),
        });
        Case {
            watch: scope.root(watch),
            strong: Mutex::new(Some(scope.root(target))),
            is_gone: AtomicBool::new(false),
        }
    };
    let ids = 0..TARGETS as u64;
    heap.mutator()
        .enter(|scope| ids.map(|id| case(scope, id)).collect())
}

impl Case {
    /// Follows both references, in one order or the other. Answers the target, if it lives.
    fn follow<'gc>(
        &self,
        scope: Scope<'gc>,
        id: usize,
        is_weak_first: bool,
    ) -> Option<Gc<'gc, Target<'gc>>> {
        // Acquire pairs with the Release below: who was told so earlier was told the truth.
        let was_gone = self.is_gone.load(Ordering::Acquire);
        let watch = scope.get(&self.watch).unwrap();
        let weak = || scope.upgrade(watch.weak);
        let pair = || scope.ephemeron_entry(watch.pair);
        let (by_weak, by_pair) = if is_weak_first {
            let by_weak = weak();
            (by_weak, pair())
        } else {
            let by_pair = pair();
            (weak(), by_pair)
        };
        if let Some((key, value)) = by_pair {
            assert_whole(key, id);
            assert_eq!(value.id, id as u64);
            assert!(Gc::ptr_eq(value.key.get().unwrap(), key));
        }
        if let Some(target) = by_weak {
            assert_whole(target, id);
        }
        if by_weak.is_none() || by_pair.is_none() {
            self.is_gone.store(true, Ordering::Release);
        } else {
            assert!(!was_gone, "target {id} came back");
        }
        // What was found first is held, so it is found again.
        let (first, second) = (by_weak, by_pair.map(|(key, _)| key));
        let (first, second) = if is_weak_first {
            (first, second)
        } else {
            (second, first)
        };
        if let Some(first) = first {
            assert!(second.is_some_and(|second| Gc::ptr_eq(first, second)));
        }
        second
    }
}

/// Follows references at random until all strong roots are dropped. Now and then it keeps a target for
/// a while, and then finds it for certain.
fn follow(heap: &Heap, cases: &[Case], dropped: &AtomicUsize, seed: u64) {
    let (mut mutator, mut rng) = (heap.mutator(), Rng::new(seed));
    let mut kept: Option<(usize, Root<Target<'static>>)> = None;
    while dropped.load(Ordering::Acquire) < TARGETS {
        mutator.enter(|scope| {
            let id = rng.below(TARGETS);
            let found = cases[id].follow(scope, id, rng.once_in(2));
            if let Some(target) = found.filter(|_| kept.is_none()) {
                kept = Some((id, scope.root(target)));
            }
            if let Some((id, root)) = &kept {
                let target = scope.get(root).unwrap();
                let found = cases[*id].follow(scope, *id, rng.once_in(2)).unwrap();
                assert!(Gc::ptr_eq(target, found));
            }
        });
        if rng.once_in(16) {
            kept = None;
        }
        // Garbage of the size of targets, so that their slots are taken again soon.
        mutator.enter(|scope| {
            for id in 0..20 {
                scope.alloc((mix(id), id, [id; 2]));
            }
        });
    }
}

fn drop_strong_roots(heap: &Heap, cases: &[Case], dropped: &AtomicUsize) {
    for round in cases.chunks(DROPS_A_ROUND) {
        for case in round {
            *case.strong.lock().unwrap() = None;
            dropped.fetch_add(1, Ordering::Release);
        }
        heap.collect().unwrap();
    }
}

fn race(driver: Driver, level: CheckLevel) {
    let heap = builder(driver).checks(level).build().unwrap();
    let (tally, dropped) = (Tally::default(), AtomicUsize::new(0));
    let cases = cases(&heap, &tally);
    thread::scope(|threads| {
        for seed in 0..FOLLOWERS {
            let (heap, cases, dropped) = (&heap, &cases, &dropped);
            threads.spawn(move || follow(heap, cases, dropped, seed));
        }
        drop_strong_roots(&heap, &cases, &dropped);
    });
    heap.collect().unwrap();
    heap.mutator().enter(|scope| {
        for (id, case) in cases.iter().enumerate() {
            assert!(case.follow(scope, id, true).is_none(), "target {id}");
        }
    });
    assert_eq!(
        (tally.born(), tally.dropped()),
        (TARGETS as u64, TARGETS as u64)
    );
    assert_sound(&heap);
}

#[test]
fn upgrades_race_the_death_of_their_targets() {
    for driver in ACTIVE_DRIVERS {
        race(driver, CheckLevel::Default);
    }
}

#[test]
fn upgrades_race_the_death_of_their_targets_paranoid() {
    for driver in ACTIVE_DRIVERS {
        race(driver, CheckLevel::Paranoid);
    }
}

#[test]
fn an_upgrade_keeps_what_another_thread_lets_go() {
    for driver in ACTIVE_DRIVERS {
        let (heap, tally) = (builder(driver).build().unwrap(), Tally::default());
        let cases = cases(&heap, &tally);
        let mut mutator = heap.mutator();
        for (id, case) in cases.iter().enumerate().step_by(16) {
            let held = mutator.enter(|scope| {
                let found = case.follow(scope, id, true).unwrap();
                // The last root goes while this mutator is inside; a cycle may begin at any point.
                thread::scope(|threads| {
                    threads.spawn(|| drop(case.strong.lock().unwrap().take()));
                });
                heap.request_collect();
                for _ in 0..20 {
                    scope.poll();
                    thread::yield_now();
                }
                assert_whole(case.follow(scope, id, false).unwrap(), id);
                scope.root(found)
            });
            heap.collect().unwrap();
            mutator.enter(|scope| assert_whole(scope.get(&held).unwrap(), id));
        }
        assert_sound(&heap);
    }
}
