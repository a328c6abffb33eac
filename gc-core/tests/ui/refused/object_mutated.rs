//! An object is shared from its allocation on: its plain fields do not change, and edges change
//! through `set` alone.

use gc_core::{Edge, Gc, Heap, Trace};

#[derive(Trace)]
struct Node<'gc> {
    value: u32,
    first: Option<Gc<'gc, Node<'gc>>>,
    next: Edge<'gc, Node<'gc>>,
}

fn main() {
    let heap = Heap::builder().build().unwrap();
    heap.mutator().enter(|scope| {
        let mut node = scope.alloc(Node {
            value: 1,
            first: None,
            next: Edge::none(),
        });
        node.value = 2;
        node.first = Some(node);
        node.next = Edge::to(node);
    });
}
