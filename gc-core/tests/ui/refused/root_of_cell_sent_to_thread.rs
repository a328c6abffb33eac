//! A `Root` of an object with a cell stays on its thread.

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
    std::thread::spawn(move || drop(root));
}
