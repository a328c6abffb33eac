//! What the tests of checks share: a type, heaps at a level, live neighbours to look after, and ways
//! to a doubtful pointer.

use gc_core::raw::RawGc;
use gc_core::{
    Check, CheckLevel, Driver, Edge, Heap, Mutator, Phase, Policy, Root, Trace, Violation,
};

#[derive(Trace)]
pub(crate) struct Node<'gc> {
    pub(crate) id: u64,
    pub(crate) next: Edge<'gc, Node<'gc>>,
}

pub(crate) fn node<'gc>(id: u64) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
    }
}

pub(crate) fn heap_at(level: CheckLevel) -> (Heap, Mutator) {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::MARK_UNHEALTHY)
        .checks(level)
        .reserve_bytes(64 << 20)
        .build()
        .unwrap();
    let mutator = heap.mutator();
    (heap, mutator)
}

/// Live neighbours that every test checks at its end.
pub(crate) struct Witness(pub(crate) Root<Node<'static>>);

impl Witness {
    pub(crate) fn new(mutator: &mut Mutator) -> Self {
        Witness(mutator.enter(|scope| {
            let mut head = scope.alloc(node(0));
            for id in 1..100 {
                head = scope.alloc(Node {
                    id,
                    next: Edge::to(head),
                });
            }
            scope.root(head)
        }))
    }

    /// Live data is intact, the heap still serves, and its accounts balance.
    pub(crate) fn check(&self, heap: &Heap, mutator: &mut Mutator) {
        self.look(mutator);
        assert_eq!(heap.ledger().expect("books").imbalance(), None);
    }

    /// Live data is intact, and the heap still serves.
    pub(crate) fn look(&self, mutator: &mut Mutator) {
        mutator.enter(|scope| {
            let mut at = scope.get(&self.0).unwrap();
            for id in (0..99).rev() {
                at = at.next.get().unwrap();
                assert_eq!(at.id, id);
            }
            assert!(at.next.is_none());
            let fresh = scope.alloc(node(7));
            assert_eq!(fresh.id, 7);
        });
    }
}

pub(crate) fn only(heap: &Heap, check: Check) -> Violation {
    let health = heap.health();
    let violations = health.recent();
    assert!(!violations.is_empty(), "nothing was reported");
    for violation in &violations {
        assert_eq!(violation.check, check, "{violation}");
    }
    health.first().unwrap()
}

pub(crate) fn step_to(heap: &Heap, phase: Phase) {
    for _ in 0..10_000 {
        if heap.phase() == phase {
            return;
        }
        heap.step(1).unwrap();
    }
    panic!("the cycle never came to {phase}");
}

/// The address of an object that died and was swept, in a span that lives on.
pub(crate) fn stale(heap: &Heap, mutator: &mut Mutator) -> RawGc {
    let (dead, _kept) = mutator.enter(|scope| {
        let dead = scope.alloc(node(1)).into_raw();
        (dead, scope.root(scope.alloc(node(2))))
    });
    heap.collect().unwrap();
    dead
}
