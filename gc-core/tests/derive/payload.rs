//! A payload that counts its drops, and the check that an object keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gc_core::{Driver, Gc, Heap, Object, Root, Scope, Trace};

/// A leaf that counts how often it is dropped.
#[derive(Trace)]
#[trace(leaf)]
pub struct Payload {
    pub drops: Arc<AtomicUsize>,
}

impl Drop for Payload {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::Relaxed);
    }
}

/// How many payloads have been dropped.
#[derive(Default)]
pub struct Drops(pub Arc<AtomicUsize>);

impl Drops {
    pub fn payload(&self) -> Payload {
        Payload {
            drops: Arc::clone(&self.0),
        }
    }

    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A managed pointer to a payload.
pub type Held<'gc> = Gc<'gc, Payload>;

pub fn manual_heap() -> Heap {
    Heap::builder()
        .driver(Driver::Manual)
        .build()
        .expect("a heap")
}

/// Allocates a payload, hands it to `build`, and checks that it lives as long as the root that
/// `build` makes, and no longer.
#[track_caller]
pub fn keeps_its_payload<T: Object + ?Sized>(
    build: impl for<'gc> FnOnce(Scope<'gc>, Held<'gc>) -> Root<T>,
) {
    let (heap, drops) = (manual_heap(), Drops::default());
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| build(scope, scope.alloc(drops.payload())));
    heap.collect().expect("a collection");
    heap.collect().expect("a collection");
    assert_eq!(drops.count(), 0, "dropped although reachable");
    drop(root);
    heap.collect().expect("a collection");
    assert_eq!(drops.count(), 1, "not dropped although unreachable");
    heap.collect().expect("a collection");
    drop((mutator, heap));
    assert_eq!(drops.count(), 1, "dropped twice");
}
