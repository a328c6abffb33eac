//! Young cycles stepped by hand: stores, births and roots in each phase, and mutators at different answers.

use gc_core::{CycleKind, Gc, Mutator, Phase, Root, StepProgress};

use crate::scene::{Node, Scene, behind, litter, node, pair};
use crate::support::{Rng, step_to};

const PHASES: [Phase; 7] = [
    Phase::Idle,
    Phase::Arm,
    Phase::Settle,
    Phase::Snapshot,
    Phase::Mark,
    Phase::Clear,
    Phase::Sweep,
];

#[test]
fn a_store_in_each_phase_keeps_a_newborn_object_and_what_it_leads_to() {
    for phase in PHASES {
        for is_full in [false, true] {
            let mut scene = Scene::new();
            if is_full {
                scene.heap.request_collect();
            } else {
                scene.heap.request_collect_young();
            }
            step_to(&scene.heap, phase);
            scene.with_old(|scope, old| {
                old.next.set(scope, pair(scope, 1));
                litter(scope, 50);
            });
            scene.finish();
            for _ in 0..3 {
                assert_eq!(scene.behind_old(), [1, 2], "stored in {phase}");
                scene.young();
            }
            assert_eq!(scene.behind_old(), [1, 2], "stored in {phase}");
            scene.full();
            assert_eq!(scene.behind_old(), [1, 2]);
            scene.assert_sound();
        }
    }
}

#[test]
fn a_root_made_or_dropped_in_each_phase_keeps_what_it_should() {
    for phase in PHASES {
        let mut scene = Scene::new();
        let moved = scene.mutator.enter(|scope| scope.root(pair(scope, 1)));
        scene.heap.request_collect_young();
        step_to(&scene.heap, phase);
        let fresh = scene.mutator.enter(|scope| scope.root(pair(scope, 5)));
        scene.with_old(|scope, old| old.next.set(scope, scope.get(&moved).unwrap()));
        drop(moved);
        scene.finish();
        scene.young();
        assert_eq!(scene.behind_old(), [1, 2], "moved in {phase}");
        assert_eq!(behind(&mut scene.mutator, &fresh), [6], "born in {phase}");
        scene.assert_sound();
    }
}

#[test]
fn what_is_moved_from_white_to_scanned_objects_while_marking_is_kept() {
    let mut scene = Scene::new();
    let chain = scene.mutator.enter(|scope| {
        let mut head = scope.alloc(node(42));
        head.side.set(scope, scope.alloc(node(43)));
        for id in 0..200 {
            let next = scope.alloc(node(id));
            next.next.set(scope, head);
            head = next;
        }
        scope.root(head)
    });
    scene.young_to(Phase::Mark);
    scene.heap.step(50).unwrap();
    scene.with_old(|scope, old| {
        let mut last = scope.get(&chain).unwrap();
        while last.id != 0 {
            last = last.next.get().unwrap();
        }
        let hidden = last.next.take(scope);
        old.next.set(scope, hidden);
    });
    assert_eq!(scene.finish().unwrap().kind, CycleKind::Young);
    assert_eq!(scene.behind_old(), [42]);
    scene.young();
    let side = scene.with_old(|_, old| old.next.get().unwrap().side.get().unwrap().id);
    assert_eq!(side, 43);
    scene.assert_sound();
}

/// Two mutators on one thread, the first of which is inside `enter` and has not taken its snapshot, the second one has.
#[test]
fn a_grey_and_a_black_mutator_store_what_the_other_made() {
    for is_by_grey in [false, true] {
        let mut scene = Scene::new();
        let mut black = scene.heap.mutator();
        let (heap, grey, old) = (&scene.heap, &mut scene.mutator, &scene.old);
        grey.enter(|scope| {
            let early: Root<Node<'static>> = scope.root(pair(scope, 1));
            heap.request_collect_young();
            for _ in 0..100 {
                scope.poll();
                heap.step(100).unwrap();
            }
            assert_eq!(heap.phase(), Phase::Snapshot);
            // Newborn to the cycle before, made by one who is grey.
            let white = scope.root(pair(scope, 11));
            let born = black.enter(|scope| {
                let old = scope.get(old).unwrap();
                let born = pair(scope, 21);
                if !is_by_grey {
                    old.next.set(scope, scope.get(&white).unwrap());
                    old.side.set(scope, born);
                }
                scope.root(born)
            });
            if is_by_grey {
                let old: Gc<'_, Node<'_>> = scope.get(old).unwrap();
                old.next.set(scope, scope.get(&white).unwrap());
                old.side.set(scope, scope.get(&born).unwrap());
            }
            drop((early, white, born));
        });
        assert_eq!(scene.finish().unwrap().kind, CycleKind::Young);
        for _ in 0..3 {
            assert_eq!(scene.behind_old(), [11, 12]);
            let side = scene.with_old(|_, old| {
                let side = old.side.get().unwrap();
                [side.id, side.next.get().unwrap().id]
            });
            assert_eq!(side, [21, 22]);
            scene.young();
        }
        drop(black);
        scene.assert_sound();
    }
}

#[test]
fn notes_of_a_mutator_that_goes_are_handed_over_in_each_phase() {
    for store_phase in PHASES {
        for exit_phase in PHASES {
            let mut scene = Scene::new();
            let mut other: Mutator = scene.heap.mutator();
            scene.heap.request_collect_young();
            step_to(&scene.heap, store_phase);
            let old = &scene.old;
            other.enter(|scope| scope.get(old).unwrap().next.set(scope, pair(scope, 1)));
            scene.finish();
            if exit_phase != Phase::Idle {
                scene.young_to(exit_phase);
            }
            drop(other);
            scene.finish();
            for _ in 0..2 {
                scene.young();
                assert_eq!(scene.behind_old(), [1, 2], "{store_phase}, {exit_phase}");
            }
            scene.assert_sound();
        }
    }
}

#[test]
fn a_mutator_that_came_in_any_phase_remembers_what_it_stores() {
    for phase in PHASES {
        let mut scene = Scene::new();
        scene.heap.request_collect_young();
        step_to(&scene.heap, phase);
        let mut other = scene.heap.mutator();
        let old = &scene.old;
        other.enter(|scope| scope.get(old).unwrap().next.set(scope, pair(scope, 1)));
        scene.finish();
        drop(other);
        scene.young();
        assert_eq!(scene.behind_old(), [1, 2], "came in {phase}");
        scene.assert_sound();
    }
}

/// How many nodes stand behind one.
fn length_behind(node: Gc<'_, Node<'_>>) -> usize {
    let mut at = node.next.get();
    let ids = std::iter::from_fn(|| {
        let node = at?;
        at = node.next.get();
        Some(node.id)
    });
    ids.count()
}

/// Programs of stores, births and steps of any length, in cycles of any kind, beside lists of numbers.
#[test]
fn stacks_of_nodes_agree_with_lists_of_numbers_at_every_step() {
    const STACKS: usize = 6;
    for seed in 0..12 {
        let mut scene = Scene::new();
        let mut rng = Rng::new(seed);
        let stacks: Vec<_> = scene.mutator.enter(|scope| {
            (0..STACKS)
                .map(|_| scope.root(scope.alloc(node(0))))
                .collect()
        });
        let mut lists = vec![Vec::new(); STACKS];
        for step in 1..1500_u64 {
            let (from, to) = (rng.below(STACKS), rng.below(STACKS));
            scene.mutator.enter(|scope| {
                let [source, target] = [from, to].map(|at| scope.get(&stacks[at]).unwrap());
                match rng.below(8) {
                    0..4 => {
                        let new = scope.alloc(node(step));
                        new.next.set(scope, target.next.get());
                        target.next.set(scope, new);
                        lists[to].push(step);
                    }
                    4 if from != to => {
                        target.next.set(scope, source.next.get());
                        lists[to] = lists[from].clone();
                        source.next.set(scope, None);
                        lists[from].clear();
                    }
                    5 => {
                        if let Some(top) = source.next.take(scope) {
                            source.next.set(scope, top.next.get());
                            lists[from].pop();
                        }
                    }
                    _ => litter(scope, 20),
                }
                if to == from {
                    assert_eq!(length_behind(target), lists[to].len());
                }
            });
            if scene.heap.step(1 + rng.below(30)).unwrap().progress == StepProgress::Idle {
                if rng.once_in(5) {
                    scene.heap.request_collect();
                } else {
                    scene.heap.request_collect_young();
                }
            }
        }
        scene.finish();
        assert!(scene.heap.stats().cycles_young > 10);
        for (stack, list) in stacks.iter().zip(&lists) {
            let ids: Vec<_> = list.iter().rev().copied().collect();
            assert_eq!(behind(&mut scene.mutator, stack), ids);
        }
        scene.assert_sound();
    }
}
