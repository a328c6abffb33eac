//! What is reachable stays, what is not goes: through edges, roots, weak references and slices, in
//! deep chains and wide arrays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gc_core::{
    CheckLevel, CollectError, Driver, Edge, Gc, Heap, Policy, RootError, StepProgress, Trace, Weak,
};

#[derive(Trace)]
struct Node<'gc> {
    id: usize,
    next: Edge<'gc, Node<'gc>>,
}

/// Counts drops; holds no managed pointer.
#[derive(Trace)]
#[trace(leaf)]
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn heap() -> Heap {
    Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .checks(CheckLevel::Paranoid)
        .build()
        .unwrap()
}

#[test]
fn a_ring_is_reclaimed_once_nobody_holds_it() {
    let heap = heap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let a = scope.alloc(Node {
            id: 1,
            next: Edge::none(),
        });
        let b = scope.alloc(Node {
            id: 2,
            next: Edge::to(a),
        });
        a.next.set(scope, b);
        scope.root(a)
    });
    let kept = heap.collect().unwrap();
    assert_eq!((kept.objects_marked, kept.bytes_live), (2, 32));
    drop(root);
    let gone = heap.collect().unwrap();
    assert_eq!(
        (gone.objects_marked, gone.bytes_freed, gone.bytes_live),
        (0, 32, 0)
    );
    assert_eq!(heap.stats().bytes_live, 0);
}

#[test]
fn a_chain_of_ten_million_nodes_is_marked_without_recursion() {
    const NODES: usize = 10_000_000;
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let mut head = scope.alloc(Node {
            id: 0,
            next: Edge::none(),
        });
        for id in 1..NODES {
            head = scope.alloc(Node {
                id,
                next: Edge::to(head),
            });
        }
        scope.root(head)
    });
    let report = heap.collect().unwrap();
    assert_eq!(report.objects_marked, NODES as u64);
    let length = mutator.enter(|scope| {
        let mut node = scope.get(&root).unwrap();
        let mut length = 1;
        while let Some(next) = node.next.get() {
            assert_eq!(next.id + 1, node.id);
            node = next;
            length += 1;
        }
        length
    });
    assert_eq!(length, NODES);
    drop(root);
    assert_eq!(heap.collect().unwrap().bytes_live, 0);
}

#[test]
fn a_wide_array_is_scanned_in_pieces() {
    const ITEMS: usize = 300_000;
    let heap = heap();
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let items: Vec<_> = (0..ITEMS)
            .map(|id| {
                scope.alloc(Node {
                    id,
                    next: Edge::none(),
                })
            })
            .collect();
        scope.root(scope.alloc_slice(items))
    });
    heap.request_collect();
    let mut steps = 0;
    while heap.step(1000).unwrap().progress != StepProgress::Idle {
        steps += 1;
    }
    assert!(
        steps >= ITEMS / 1000,
        "one step must not scan the whole array: {steps}"
    );
    mutator.enter(|scope| {
        let items = scope.get(&root).unwrap();
        assert_eq!(items.len(), ITEMS);
        assert!(items.iter().enumerate().all(|(at, item)| item.id == at));
    });
    drop(root);
    assert_eq!(heap.collect().unwrap().bytes_live, 0);
}

#[test]
fn strings_and_slices_keep_their_contents() {
    let heap = heap();
    let mut mutator = heap.mutator();
    let (text, empty, numbers, large) = mutator.enter(|scope| {
        (
            scope.root(scope.alloc_str("grüße")),
            scope.root(scope.alloc_str("")),
            scope.root(scope.alloc_slice([1.5f64, 2.5])),
            scope.root(scope.alloc_slice((0..100_000u32).map(|n| n * 3))),
        )
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        assert_eq!(&*scope.get(&text).unwrap(), "grüße");
        assert_eq!(&*scope.get(&empty).unwrap(), "");
        assert_eq!(*scope.get(&numbers).unwrap(), [1.5, 2.5]);
        let large = scope.get(&large).unwrap();
        assert!(large.iter().enumerate().all(|(at, n)| *n == at as u32 * 3));
    });
}

#[test]
fn over_aligned_and_zero_sized_types_have_slots_of_their_own() {
    #[derive(Trace, Clone, Copy)]
    #[repr(align(256))]
    struct Wide(u8);
    #[derive(Trace)]
    struct Nothing;
    let heap = heap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        for n in 0..100 {
            let wide = scope.alloc(Wide(n));
            assert_eq!(wide.address() % 256, 0);
            assert_eq!(wide.0, n);
        }
        let (a, b) = (scope.alloc(Nothing), scope.alloc(Nothing));
        assert!(!Gc::ptr_eq(a, b) && Gc::ptr_eq(a, a));
    });
}

#[test]
fn destructors_run_once_at_the_sweep_or_at_the_end_of_the_heap() {
    let heap = heap();
    let mut mutator = heap.mutator();
    let (dead, kept, in_slice) = (
        Arc::default(),
        Arc::<AtomicUsize>::default(),
        Arc::<AtomicUsize>::default(),
    );
    let root = mutator.enter(|scope| {
        scope.alloc(Counted(Arc::clone(&dead)));
        scope.alloc_slice((0..10).map(|_| Counted(Arc::clone(&in_slice))));
        scope.root(scope.alloc(Counted(Arc::clone(&kept))))
    });
    heap.collect().unwrap();
    heap.collect().unwrap();
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    assert_eq!((count(&dead), count(&in_slice), count(&kept)), (1, 10, 0));
    drop((mutator, heap));
    assert_eq!(count(&kept), 0, "the root keeps its heap");
    drop(root);
    assert_eq!(count(&kept), 1);
}

#[test]
fn a_weak_reference_dies_with_its_target() {
    #[derive(Trace)]
    struct Observer<'gc> {
        weak: Weak<'gc, Node<'gc>>,
    }
    let heap = heap();
    let mut mutator = heap.mutator();
    let (target, observer) = mutator.enter(|scope| {
        let target = scope.alloc(Node {
            id: 7,
            next: Edge::none(),
        });
        let weak = scope.downgrade(target);
        (
            scope.root(target),
            scope.root(scope.alloc(Observer { weak })),
        )
    });
    let upgrade = |mutator: &mut gc_core::Mutator| {
        mutator.enter(|scope| {
            scope
                .upgrade(scope.get(&observer).unwrap().weak)
                .map(|node| node.id)
        })
    };
    heap.collect().unwrap();
    assert_eq!(upgrade(&mut mutator), Some(7));
    drop(target);
    heap.collect().unwrap();
    assert_eq!(upgrade(&mut mutator), None);
    // The slot may be reused by an object of the same type: the weak reference must not see it.
    mutator.enter(|scope| {
        for id in 0..1000 {
            scope.alloc(Node {
                id,
                next: Edge::none(),
            });
        }
    });
    assert_eq!(upgrade(&mut mutator), None);
}

#[test]
fn edges_swap_and_take() {
    let heap = heap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let (a, b) = (
            scope.alloc(Node {
                id: 1,
                next: Edge::none(),
            }),
            scope.alloc(Node {
                id: 2,
                next: Edge::none(),
            }),
        );
        assert!(a.next.swap(scope, b).is_none());
        assert!(Gc::ptr_eq(a.next.swap(scope, a).unwrap(), b));
        assert!(Gc::ptr_eq(a.next.take(scope).unwrap(), a));
        assert!(a.next.is_none() && a.next.get().is_none());
    });
}

#[test]
fn a_root_of_another_heap_is_refused() {
    let (first, second) = (heap(), heap());
    let mut mutator = first.mutator();
    let root = mutator.enter(|scope| {
        scope.root(scope.alloc(Node {
            id: 1,
            next: Edge::none(),
        }))
    });
    let answer = second
        .mutator()
        .enter(|scope| scope.get(&root).map(|node| node.id));
    assert_eq!(answer, Err(RootError::ForeignHeap));
}

#[test]
fn a_collection_from_inside_enter_is_refused_and_harmless() {
    let heap = heap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let node = scope.alloc(Node {
            id: 3,
            next: Edge::none(),
        });
        assert_eq!(heap.collect(), Err(CollectError::WouldDeadlock));
        assert_eq!(heap.verify(), Err(CollectError::WouldDeadlock));
        assert_eq!(node.id, 3);
    });
    heap.collect().unwrap();
}

#[test]
fn a_panic_inside_enter_leaves_the_heap_usable() {
    let heap = heap();
    let mut mutator = heap.mutator();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        mutator.enter(|scope| {
            scope.alloc(Node {
                id: 1,
                next: Edge::none(),
            });
            panic!("in user code");
        })
    }));
    assert!(panicked.is_err());
    heap.collect().unwrap();
    assert_eq!(
        mutator.enter(|scope| scope
            .alloc(Node {
                id: 2,
                next: Edge::none()
            })
            .id),
        2
    );
}

#[test]
fn several_mutators_of_one_heap_share_objects_through_roots() {
    let heap = heap();
    let (mut first, mut second) = (heap.mutator(), heap.mutator());
    let root = first.enter(|scope| {
        scope.root(scope.alloc(Node {
            id: 1,
            next: Edge::none(),
        }))
    });
    heap.request_collect();
    second.enter(|scope| {
        // The cycle arms and settles at this poll, but cannot snapshot while this mutator is in.
        while heap.step(1).unwrap().progress == StepProgress::Working {
            scope.poll();
        }
        let node = scope.get(&root).unwrap();
        node.next.set(
            scope,
            scope.alloc(Node {
                id: 2,
                next: Edge::none(),
            }),
        );
        assert_eq!(heap.step(1000).unwrap().progress, StepProgress::Waiting);
    });
    drop(second);
    while heap.step(1).unwrap().progress != StepProgress::Idle {}
    let id = first.enter(|scope| scope.get(&root).unwrap().next.get().map(|node| node.id));
    assert_eq!(id, Some(2));
    assert!(heap.verify().unwrap().is_clean());
}
