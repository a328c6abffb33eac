//! An object carries the brand of the scope that allocates it. Under `'static`, its edges would
//! answer pointers that outlive the scope as soon as the object is also seen under its true brand.

use gc_core::{Edge, Heap, Trace};

#[derive(Trace)]
struct Node<'gc> {
    next: Edge<'gc, Node<'gc>>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    let mut mutator = heap.mutator();
    mutator.enter(|scope| {
        let node: Node<'static> = Node { next: Edge::none() };
        scope.alloc(node);
    });
    mutator.enter(|scope| {
        let nodes: Vec<Node<'static>> = Vec::new();
        scope.alloc_slice(nodes);
    });
}
