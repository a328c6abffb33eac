//! A `Scope` stays on the thread of its `enter`: other threads read what they are handed, but they do
//! not allocate, store, root or upgrade with this mutator.

use gc_core::{Edge, Heap, Trace};

#[derive(Trace)]
struct Node<'gc> {
    next: Edge<'gc, Node<'gc>>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let node = scope.alloc(Node { next: Edge::none() });
        std::thread::scope(|threads| {
            threads.spawn(move || node.next.set(scope, node));
        });
    });
}
