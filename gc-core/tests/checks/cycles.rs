//! Cycles in doubt: work after termination, missed barriers, voided cycles.

use gc_core::fault::{Persistence, Site};
use gc_core::raw;
use gc_core::{
    Check, CheckLevel, CollectError, Edge, Heap, Mutator, Origin, Phase, Reclaiming, Root,
    StepProgress,
};

use crate::support::{Node, Witness, heap_at, node, only, step_to};

#[test]
fn work_after_termination_is_reported_and_marked_on() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dead = mutator.enter(|scope| scope.alloc(node(1)).into_raw());
    heap.request_collect();
    step_to(&heap, Phase::Clear);
    // SAFETY: deliberately broken: the object is dead, though not yet swept.
    mutator.enter(|scope| unsafe { raw::barrier(scope, Some(dead), None) });
    let violation = only(&heap, Check::LateGrey);
    assert_eq!(
        (violation.phase, violation.origin),
        (Phase::Clear, Origin::BarrierOld)
    );
    heap.step(1).unwrap();
    assert_eq!(heap.phase(), Phase::Mark, "the collector marks on");
    while heap.step(100).unwrap().progress != StepProgress::Idle {}
    assert!(
        heap.locate(dead.address()).is_object(),
        "what was shaded survives this cycle"
    );
    witness.check(&heap, &mut mutator);
}

#[test]
fn work_that_keeps_appearing_after_termination_voids_the_cycle() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dead: Vec<_> =
        mutator.enter(|scope| (0..4).map(|id| scope.alloc(node(id)).into_raw()).collect());
    heap.request_collect();
    let bytes_before = heap.stats().bytes_live;
    for &late in &dead[..3] {
        step_to(&heap, Phase::Clear);
        // SAFETY: deliberately broken, as above.
        mutator.enter(|scope| unsafe { raw::barrier(scope, Some(late), None) });
        heap.step(1).unwrap();
    }
    let stats = heap.stats();
    assert_eq!(
        (stats.cycles_voided, stats.bytes_live),
        (1, bytes_before),
        "a voided cycle frees nothing"
    );
    only(&heap, Check::LateGrey);
    assert!(
        heap.collect().unwrap().bytes_freed > 0,
        "the next cycle is whole again"
    );
    witness.check(&heap, &mut mutator);
}

/// Moves the only pointer to a white object from the end of a chain, which the marker has not come
/// to, into an object that it has scanned, with the barriers left out: marking misses the object.
fn hide_an_object(heap: &Heap, mutator: &mut Mutator) -> Root<Node<'static>> {
    let (scanned, chain) = mutator.enter(|scope| {
        let scanned = scope.root(scope.alloc(node(1)));
        let mut head = scope.alloc(node(42));
        for id in 0..100 {
            head = scope.alloc(Node {
                id,
                next: Edge::to(head),
            });
        }
        (scanned, scope.root(head))
    });
    heap.request_collect();
    step_to(heap, Phase::Mark);
    // Roots are scanned in order, each with all it leads to: the witness's hundred nodes, the node
    // without edges, and the beginning of the chain.
    heap.step(110).unwrap();
    mutator.enter(|scope| {
        let mut last = scope.get(&chain).unwrap();
        while last.id != 0 {
            last = last.next.get().unwrap();
        }
        heap.fault()
            .arm(Site::BarrierSkipped, 0, Persistence::Persistent);
        let hidden = last.next.take(scope);
        assert_eq!(hidden.unwrap().id, 42);
        scope.get(&scanned).unwrap().next.set(scope, hidden);
    });
    assert_eq!(
        heap.fault().strikes(Site::BarrierSkipped),
        2,
        "the fault was activated"
    );
    scanned
}

#[test]
fn a_missed_barrier_is_found_before_anything_is_freed() {
    let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
    let witness = Witness::new(&mut mutator);
    let root = hide_an_object(&heap, &mut mutator);
    while heap.step(1000).unwrap().progress != StepProgress::Idle {}
    let violation = only(&heap, Check::UnmarkedReachable);
    assert!(violation.type_name.unwrap().contains("Node"));
    assert_eq!(violation.field, Some("Node.next"));
    let store = violation.call_site.expect("the store that hid it");
    assert!(store.file().ends_with("cycles.rs"), "{violation}");
    assert!(heap.stats().cycles_voided > 0);
    let hidden = mutator.enter(|scope| scope.get(&root).unwrap().next.get().map(|node| node.id));
    assert_eq!(hidden, Some(42), "the hidden object was lost");
    assert!(heap.verify().unwrap().is_clean());
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_heap_that_must_void_again_and_again_stops_reclaiming() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dead: Vec<_> =
        mutator.enter(|scope| (0..9).map(|id| scope.alloc(node(id)).into_raw()).collect());
    heap.request_collect();
    for &late in &dead {
        step_to(&heap, Phase::Clear);
        // SAFETY: deliberately broken, as above.
        mutator.enter(|scope| unsafe { raw::barrier(scope, Some(late), None) });
        heap.step(1).unwrap();
    }
    assert_eq!(
        (heap.stats().cycles_voided, heap.stats().reclaiming),
        (3, Reclaiming::Stopped)
    );
    assert_eq!(heap.collect(), Err(CollectError::ReclaimingStopped));
    assert!(
        dead.iter()
            .all(|dead| heap.locate(dead.address()).is_object()),
        "nothing is freed any more"
    );
    witness.check(&heap, &mut mutator);
}
