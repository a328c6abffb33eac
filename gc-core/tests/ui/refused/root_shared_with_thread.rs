//! A `Root` of an object with a cell is not shared with another thread either: both could read it.

use std::cell::Cell;

use gc_core::{Heap, Trace};

#[derive(Trace)]
struct Counter {
    hits: Cell<u32>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let root = heap
        .mutator()
        .enter(|scope| scope.root(scope.alloc(Counter { hits: Cell::new(0) })));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            let other = root.clone();
            heap.mutator()
                .enter(|scope| scope.get(&other).unwrap().hits.set(1));
        });
        heap.mutator()
            .enter(|scope| scope.get(&root).unwrap().hits.set(2));
    });
}
