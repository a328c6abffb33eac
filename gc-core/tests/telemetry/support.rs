//! What the tests of telemetry share: a type, heaps, and a way to a violation.

use gc_core::fault::sweep::RecordField;
use gc_core::{Driver, Edge, Heap, Mutator, Policy, Root, Trace};

#[derive(Trace)]
pub(crate) struct Node<'gc> {
    pub(crate) id: u64,
    pub(crate) next: Edge<'gc, Node<'gc>>,
}

pub(crate) fn heap(name: &'static str) -> Heap {
    Heap::builder()
        .name(name)
        .driver(Driver::Manual)
        .policy(Policy::MARK_UNHEALTHY)
        .reserve_bytes(64 << 20)
        .build()
        .unwrap()
}

/// A chain of so many nodes, held by its head.
pub(crate) fn chain(mutator: &mut Mutator, nodes: u64) -> Root<Node<'static>> {
    mutator.enter(|scope| {
        let mut head = scope.alloc(Node {
            id: 0,
            next: Edge::none(),
        });
        for id in 1..nodes {
            let next = Edge::to(head);
            head = scope.alloc(Node { id, next });
        }
        scope.root(head)
    })
}

/// Breaks the record of a span, which the next cycle finds, reports and mends.
pub(crate) fn break_record(heap: &Heap, mutator: &mut Mutator, root: &Root<Node<'static>>) {
    let address = mutator.enter(|scope| scope.get(root).unwrap().address());
    let space = heap.fault().space();
    assert!(space.flip_record_bit(address, RecordField::TypeIndex, 0));
}
