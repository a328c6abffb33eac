//! An edge is set with the scope of its own heap, and to an object of its own heap.

use gc_core::{Edge, Heap, Trace};

#[derive(Trace)]
struct Node<'gc> {
    next: Edge<'gc, Node<'gc>>,
}

fn main() {
    let (one, two) = (
        Heap::builder().build().unwrap(),
        Heap::builder().build().unwrap(),
    );
    let (mut in_one, mut in_two) = (one.mutator(), two.mutator());
    in_one.enter(|scope_one| {
        let node = scope_one.alloc(Node { next: Edge::none() });
        in_two.enter(|scope_two| {
            node.next.set(scope_two, node);
        });
        in_two.enter(|scope_two| {
            let foreign = scope_two.alloc(Node { next: Edge::none() });
            node.next.set(scope_one, foreign);
        });
    });
}
