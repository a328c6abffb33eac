//! What is stored into old objects lives, whatever stores it; what is not dies young; what is unlinked again lives to
//! the next full cycle.

use gc_core::raw::{self, RawGc};
use gc_core::{Edge, Gc, Root, Scope, Trace};

use crate::scene::{Node, Scene, litter, node, pair};
use crate::support::Tally;

/// Words of a slice that takes a span of its own.
const LARGE_WORDS: usize = 6000;

#[derive(Trace)]
struct Large<'gc> {
    words: [u64; LARGE_WORDS],
    edge: Edge<'gc, Node<'gc>>,
}

#[test]
fn what_dies_young_is_freed_by_a_young_cycle() {
    let mut scene = Scene::new();
    for round in 0..20 {
        let dead: Vec<_> = scene
            .mutator
            .enter(|scope| (0..500).map(|id| pair(scope, id).address()).collect());
        let report = scene.young();
        assert!(
            report.bytes_freed >= 500 * 2 * 24,
            "round {round}: {report:?}"
        );
        assert!(dead.iter().all(|dead| !scene.is_object(*dead)));
    }
    let stats = scene.heap.stats();
    assert_eq!((stats.cycles_finished, stats.cycles_young), (21, 20));
    assert!(scene.behind_old().is_empty());
    scene.assert_sound();
}

/// Stores a new pair of nodes with `store`, and finds both after young cycles and a full one.
#[track_caller]
fn assert_kept(store: impl for<'gc> FnOnce(Scope<'gc>, Gc<'gc, Node<'gc>>, Gc<'gc, Node<'gc>>)) {
    let mut scene = Scene::new();
    scene.with_old(|scope, old| store(scope, old, pair(scope, 1)));
    for _ in 0..9 {
        scene.mutator.enter(|scope| litter(scope, 100));
        scene.young();
        assert_eq!(scene.behind_old(), [1, 2]);
    }
    scene.full();
    assert_eq!(scene.behind_old(), [1, 2]);
    scene.young();
    assert_eq!(scene.behind_old(), [1, 2]);
    scene.assert_sound();
}

#[test]
fn an_edge_that_is_set_keeps_what_it_leads_to() {
    assert_kept(|scope, old, new| old.next.set(scope, new));
}

#[test]
fn an_edge_that_is_swapped_keeps_what_it_leads_to() {
    assert_kept(|scope, old, new| assert!(old.next.swap(scope, new).is_none()));
}

#[test]
fn what_is_taken_and_put_elsewhere_is_kept() {
    assert_kept(|scope, old, new| {
        let holder = scope.alloc(node(9));
        holder.side.set(scope, new);
        let taken = holder.side.take(scope);
        old.next.set(scope, taken);
    });
}

#[test]
fn the_bare_barrier_keeps_what_is_stored_after_it() {
    let mut scene = Scene::new();
    let shape = scene.heap.register_shape("holder", 2, &[1]).unwrap();
    let stack = scene.mutator.stack(2);
    stack.push_frame(1).unwrap();
    let holder = scene
        .mutator
        .enter(|scope| scope.alloc_shape(shape).unwrap());
    // SAFETY: the object was just allocated in the heap of the mutator that owns the stack.
    unsafe { stack.init(0, Some(holder)) }.unwrap();
    scene.full();
    for id in 0..5 {
        scene.mutator.enter(|scope| {
            let fresh = scope.alloc(node(id)).into_raw();
            if id % 2 == 0 {
                // SAFETY: both are live objects of this heap, and word 1 is a pointer word.
                unsafe { raw::set_word(scope, holder, 1, Some(fresh)) };
            } else {
                // SAFETY: the stack keeps the holder, and word 1 is a pointer word.
                let before = unsafe { raw::get_word(holder, 1) };
                // SAFETY: the old word is one of this heap's, and the new object is alive.
                unsafe { raw::barrier(scope, before, Some(fresh)) };
                // SAFETY: as above; the barrier is the line before, and nobody else stores.
                unsafe { raw::init_word(holder, 1, Some(fresh)) };
            }
        });
        for _ in 0..3 {
            scene.young();
            // SAFETY: the stack keeps the holder.
            let found = unsafe { raw::get_word(holder, 1) }.unwrap();
            assert!(scene.is_object(found.address()));
            scene.mutator.enter(|scope| {
                // SAFETY: a live node that this heap allocated as such.
                let found: Gc<'_, Node<'_>> = unsafe { Gc::from_raw(scope, found) };
                assert_eq!(found.id, id);
            });
        }
    }
    scene.assert_sound();
}

#[test]
fn slices_of_edges_keep_what_is_stored_into_them() {
    let mut scene = Scene::new();
    let slice: Root<[Edge<'static, Node<'static>>]> = scene
        .mutator
        .enter(|scope| scope.root(scope.alloc_slice((0..3000).map(|_| Edge::<Node<'_>>::none()))));
    scene.full();
    for round in 0..6_usize {
        scene.mutator.enter(|scope| {
            let edges = scope.get(&slice).unwrap();
            for at in (round..edges.len()).step_by(7) {
                edges[at].set(scope, pair(scope, at as u64));
            }
        });
        scene.young();
        scene.mutator.enter(|scope| {
            let edges = scope.get(&slice).unwrap();
            for at in (0..edges.len()).filter(|at| at % 7 <= round) {
                let found = edges[at].get().unwrap();
                assert_eq!(
                    (found.id, found.next.get().unwrap().id),
                    (at as u64, at as u64 + 1)
                );
            }
        });
    }
    scene.assert_sound();
}

#[test]
fn large_objects_die_young_and_live_old() {
    let mut scene = Scene::new();
    let large = |scope: Scope<'_>, id| {
        let large = Large {
            words: [id; LARGE_WORDS],
            edge: Edge::to(scope.alloc(node(id))),
        };
        (scope.alloc(large).address(), id)
    };
    let (dead, _) = scene.mutator.enter(|scope| large(scope, 1));
    assert!(scene.young().bytes_freed >= (LARGE_WORDS * 8) as u64);
    assert!(!scene.is_object(dead));
    let kept: Root<Large<'static>> = scene.mutator.enter(|scope| {
        scope.root(scope.alloc(Large {
            words: [7; LARGE_WORDS],
            edge: Edge::none(),
        }))
    });
    for round in 0..5 {
        scene.young();
        scene.mutator.enter(|scope| {
            let kept = scope.get(&kept).unwrap();
            assert!(kept.words.iter().all(|word| *word == 7));
            assert_eq!(
                kept.edge.get().map(|node| node.id),
                (round > 0).then(|| 100 + round - 1)
            );
            kept.edge.set(scope, scope.alloc(node(100 + round)));
        });
    }
    drop(kept);
    assert!(scene.full().bytes_freed >= (LARGE_WORDS * 8) as u64);
    scene.assert_sound();
}

#[test]
fn value_stacks_and_roots_keep_what_is_born_through_cycles_without_a_store() {
    let mut scene = Scene::new();
    let stack = scene.mutator.stack(8);
    stack.push_frame(4).unwrap();
    let mut roots = Vec::new();
    let mut stacked: Vec<RawGc> = Vec::new();
    for slot in 0..4 {
        let object = scene.mutator.enter(|scope| {
            roots.push(scope.root(pair(scope, slot as u64 * 10)));
            pair(scope, slot as u64 * 10).into_raw()
        });
        // SAFETY: the object was just allocated in the heap of the mutator that owns the stack.
        unsafe { stack.init(slot, Some(object)) }.unwrap();
        stacked.push(object);
        for _ in 0..2 {
            scene.young();
            scene.mutator.enter(|scope| {
                for (slot, (root, object)) in roots.iter().zip(&stacked).enumerate() {
                    // SAFETY: the stack keeps the node, which was allocated as such.
                    let on_stack: Gc<'_, Node<'_>> = unsafe { Gc::from_raw(scope, *object) };
                    for found in [scope.get(root).unwrap(), on_stack] {
                        assert_eq!(found.id, slot as u64 * 10);
                        assert_eq!(found.next.get().unwrap().id, slot as u64 * 10 + 1);
                    }
                }
            });
        }
    }
    stack.pop_frame().unwrap();
    drop(roots);
    let freed = scene.full().bytes_freed;
    assert!(freed >= 16 * 24, "{freed}");
    assert!(
        stacked
            .iter()
            .all(|object| !scene.is_object(object.address()))
    );
    scene.assert_sound();
}

#[test]
fn destructors_run_once_each_in_the_cycle_that_frees() {
    let mut scene = Scene::new();
    let tally = Tally::default();
    let kept = scene.mutator.enter(|scope| {
        for id in 0..50 {
            scope.alloc(tally.counted(id));
        }
        scope.root(scope.alloc(tally.counted(50)))
    });
    scene.young();
    assert_eq!(tally.dropped(), 50);
    for _ in 0..3 {
        scene.young();
        assert_eq!(tally.dropped(), 50);
    }
    drop(kept);
    scene.young();
    assert_eq!(tally.dropped(), 50, "what is old dies in full cycles");
    scene.full();
    assert_eq!(tally.dropped(), 51);
    scene.mutator.enter(|scope| {
        scope.alloc(tally.counted(51));
    });
    let Scene { heap, mutator, old } = scene;
    drop((old, mutator, heap));
    assert_eq!((tally.born(), tally.dropped()), (52, 52));
}

#[test]
fn what_was_stored_once_lives_to_the_next_full_cycle() {
    let mut scene = Scene::new();
    let (stored, child) = scene.with_old(|scope, old| {
        let new = pair(scope, 1);
        let child = new.next.get().unwrap().address();
        old.next.set(scope, new);
        old.next.set(scope, None);
        (new.address(), child)
    });
    for _ in 0..5 {
        scene.young();
        assert!(scene.is_object(stored) && scene.is_object(child));
    }
    scene.full();
    assert!(!scene.is_object(stored) && !scene.is_object(child));
    scene.assert_sound();
}

#[test]
fn a_full_cycle_frees_what_was_remembered_and_unlinked() {
    let mut scene = Scene::new();
    let stored = scene.with_old(|scope, old| {
        old.next.set(scope, pair(scope, 1));
        let stored = old.next.take(scope).unwrap();
        (stored.address(), stored.next.get().unwrap().address())
    });
    scene.full();
    assert!(!scene.is_object(stored.0) && !scene.is_object(stored.1));
    // The notes went with the full cycle: the young one after it does not stumble over them.
    scene.young();
    scene.assert_sound();
}

#[test]
fn chains_that_grow_at_the_young_end_stay_whole() {
    let mut scene = Scene::new();
    let mut length = 0;
    for round in 0..12_u64 {
        scene.with_old(|scope, old| {
            let mut last = old;
            while let Some(next) = last.next.get() {
                last = next;
            }
            for _ in 0..=round {
                length += 1;
                let next = scope.alloc(node(length));
                last.next.set(scope, next);
                last = next;
            }
        });
        if round % 5 == 4 {
            scene.full();
        } else {
            scene.young();
        }
        assert_eq!(scene.behind_old(), (1..=length).collect::<Vec<_>>());
    }
    scene.assert_sound();
}

#[test]
fn objects_that_were_never_stored_are_found_through_one_that_was() {
    let mut scene = Scene::new();
    scene.with_old(|scope, old| {
        let mut head = scope.alloc(node(100));
        for id in (1..100).rev() {
            head = scope.alloc(Node {
                id,
                next: Edge::to(head),
                side: Edge::none(),
            });
        }
        old.next.set(scope, head);
    });
    scene.young();
    assert_eq!(scene.behind_old(), (1..=100).collect::<Vec<_>>());
    scene.assert_sound();
}
