//! A generic type is traced only if its parameters are.

use std::rc::Rc;

use gc_core::{Heap, Trace};

#[derive(Trace)]
struct Holder<T> {
    item: T,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        scope.alloc(Holder { item: Rc::new(7) });
    });
}
