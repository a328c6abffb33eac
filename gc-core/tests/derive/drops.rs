//! What is unreachable is dropped once, with its leaves, and nothing else is.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gc_core::{Edge, Gc, Root, Trace};

use crate::payload::{Drops, Held, Payload, manual_heap};

#[derive(Trace)]
struct Ring<'gc> {
    next: Edge<'gc, Ring<'gc>>,
    payload: Payload,
    hits: Cell<u32>,
    log: RefCell<Vec<String>>,
}

fn ring<'gc>(payload: Payload) -> Ring<'gc> {
    Ring {
        next: Edge::none(),
        payload,
        hits: Cell::new(0),
        log: RefCell::default(),
    }
}

#[test]
fn a_ring_goes_as_a_whole_and_each_member_once() {
    let (heap, drops) = (manual_heap(), Drops::default());
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let first = scope.alloc(ring(drops.payload()));
        let mut last = first;
        for _ in 1..100 {
            let next = scope.alloc(ring(drops.payload()));
            last.next.set(scope, next);
            last = next;
        }
        last.next.set(scope, first);
        scope.root(first)
    });
    heap.collect().expect("a collection");
    assert_eq!(drops.count(), 0);
    mutator.enter(|scope| {
        let first = scope.get(&root).expect("our own root");
        first.hits.set(first.hits.get() + 1);
        first.log.borrow_mut().push(String::from("still here"));
        assert_eq!(first.payload.drops.load(Ordering::Relaxed), 0);
    });
    drop(root);
    heap.collect().expect("a collection");
    assert_eq!(drops.count(), 100);
    drop((mutator, heap));
    assert_eq!(drops.count(), 100);
}

#[test]
fn what_an_edge_leaves_behind_is_dropped() {
    let (heap, drops) = (manual_heap(), Drops::default());
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let first = scope.alloc(ring(drops.payload()));
        first.next.set(scope, scope.alloc(ring(drops.payload())));
        scope.root(first)
    });
    heap.collect().expect("a collection");
    assert_eq!(drops.count(), 0);
    mutator.enter(|scope| {
        let first = scope.get(&root).expect("our own root");
        assert!(first.next.take(scope).is_some());
        assert!(first.next.get().is_none());
    });
    heap.collect().expect("a collection");
    assert_eq!(drops.count(), 1);
    drop((root, mutator, heap));
    assert_eq!(drops.count(), 2);
}

/// Holds leaves of every kind; nothing in it is reported.
#[derive(Trace)]
#[trace(drop)]
pub struct Guard {
    names: BTreeSet<String>,
    payload: Payload,
    drops: Arc<AtomicUsize>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.drops.fetch_add(self.names.len(), Ordering::Relaxed);
    }
}

#[derive(Trace)]
struct Owner<'gc> {
    guard: Guard,
    held: Held<'gc>,
    #[trace(leaf)]
    untraced: Box<dyn Fn() -> usize + Send>,
}

#[test]
fn leaves_are_dropped_with_their_object_and_not_before() {
    let (heap, payloads, guards) = (manual_heap(), Drops::default(), Drops::default());
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let names = BTreeSet::from([String::from("one"), String::from("two")]);
        let guard = Guard {
            names,
            payload: payloads.payload(),
            drops: Arc::clone(&guards.0),
        };
        let captured = payloads.payload();
        let untraced = Box::new(move || captured.drops.load(Ordering::Relaxed));
        scope.root(scope.alloc(Owner {
            guard,
            held: scope.alloc(payloads.payload()),
            untraced,
        }))
    });
    heap.collect().expect("a collection");
    assert_eq!((payloads.count(), guards.count()), (0, 0));
    mutator.enter(|scope| {
        let owner = scope.get(&root).expect("our own root");
        assert_eq!((owner.untraced)(), owner.held.drops.load(Ordering::Relaxed));
        assert_eq!(owner.guard.payload.drops.load(Ordering::Relaxed), 0);
    });
    drop(root);
    heap.collect().expect("a collection");
    assert_eq!((payloads.count(), guards.count()), (3, 2));
    drop((mutator, heap));
    assert_eq!((payloads.count(), guards.count()), (3, 2));
}

#[test]
fn what_nobody_reports_is_dropped_while_its_neighbours_stay() {
    let (heap, kept, lost) = (manual_heap(), Drops::default(), Drops::default());
    let mut mutator = heap.mutator();
    let roots: Vec<Root<Vec<Gc<'static, Payload>>>> = (0..10)
        .map(|_| {
            mutator.enter(|scope| {
                let mut items = Vec::new();
                for _ in 0..20 {
                    scope.alloc(lost.payload());
                    items.push(scope.alloc(kept.payload()));
                }
                scope.root(scope.alloc(items))
            })
        })
        .collect();
    heap.collect().expect("a collection");
    assert_eq!((kept.count(), lost.count()), (0, 200));
    drop(roots);
    heap.collect().expect("a collection");
    assert_eq!((kept.count(), lost.count()), (200, 200));
    drop((mutator, heap));
    assert_eq!((kept.count(), lost.count()), (200, 200));
}
