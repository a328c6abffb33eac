//! Gates that count wrong: nothing is freed in the cycle in doubt, nobody waits for ever, and the
//! count is true again afterwards.

use gc_core::{
    Check, CheckLevel, Driver, Heap, Mutator, Phase, Policy, Reclaiming, Root, StepProgress,
};

use crate::support::{Node, Witness, heap_at, node, only, step_to};

/// Garbage and a kept object beside it.
fn garbage(mutator: &mut Mutator) -> Root<Node<'static>> {
    mutator.enter(|scope| {
        for id in 0..1000 {
            scope.alloc(node(id));
        }
        scope.root(scope.alloc(node(1000)))
    })
}

/// What a cycle in doubt does and what the next one does.
fn check_contained(heap: &Heap, mutator: &mut Mutator, witness: &Witness) {
    let violation = only(heap, Check::GateCount);
    assert_eq!(heap.health().total(), 1, "said once: {violation}");
    let stats = heap.stats();
    assert_eq!(stats.cycles_voided, 1, "a cycle in doubt frees nothing");
    assert_eq!(stats.reclaiming, Reclaiming::On);
    assert!(heap.collect().unwrap().bytes_marked > 0);
    assert!(heap.verify().unwrap().is_clean());
    witness.check(heap, mutator);
}

#[test]
fn a_count_that_wrapped_below_zero_voids_the_cycle_and_is_set_right() {
    for level in [CheckLevel::Lax, CheckLevel::Default, CheckLevel::Paranoid] {
        let (heap, mut mutator) = heap_at(level);
        let witness = Witness::new(&mut mutator);
        let kept = garbage(&mut mutator);
        let bytes_live = heap.stats().bytes_live;
        heap.request_collect();
        step_to(&heap, Phase::Mark);
        heap.fault().skew_marking_gate(-1);
        while heap.stats().cycles_voided == 0 {
            heap.step(100).unwrap();
        }
        assert_eq!(heap.stats().bytes_live, bytes_live);
        while heap.step(1000).unwrap().progress != StepProgress::Idle {}
        assert!(heap.stats().bytes_live < bytes_live, "the next cycle frees");
        check_contained(&heap, &mut mutator, &witness);
        drop(kept);
    }
}

#[test]
fn a_count_found_wrong_after_termination_voids_the_cycle_too() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let _kept = garbage(&mut mutator);
    heap.request_collect();
    step_to(&heap, Phase::Clear);
    heap.fault().skew_marking_gate(-1);
    while heap.step(1000).unwrap().progress != StepProgress::Idle {}
    check_contained(&heap, &mut mutator, &witness);
}

#[test]
fn helpers_who_are_counted_and_not_there_are_not_waited_for_for_ever() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let _kept = garbage(&mut mutator);
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    heap.fault().skew_marking_gate(1);
    heap.collect().unwrap();
    check_contained(&heap, &mut mutator, &witness);
}

#[test]
fn a_recount_does_not_wait_for_helpers_who_are_not_there() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let _kept = garbage(&mut mutator);
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    heap.fault().skew_marking_gate(1);
    assert!(heap.ledger().unwrap().is_balanced());
    heap.collect().unwrap();
    check_contained(&heap, &mut mutator, &witness);
    heap.fault().skew_sweeping_gate(1);
    assert!(heap.ledger().unwrap().is_balanced());
    let told = heap.health();
    assert_eq!((told.count(Check::GateCount), told.total()), (2, 2));
    assert_eq!(
        told.recent().last().map(|last| last.reason),
        Some("helpers who sweep")
    );
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_sweep_whose_gate_lets_nobody_in_goes_on() {
    for by in [-1, 1 << 40] {
        let (heap, mut mutator) = heap_at(CheckLevel::Default);
        let witness = Witness::new(&mut mutator);
        let _kept = garbage(&mut mutator);
        heap.request_collect();
        step_to(&heap, Phase::Sweep);
        heap.fault().skew_sweeping_gate(by);
        let is_over = (0..1000).any(|_| heap.step(1000).unwrap().progress == StepProgress::Idle);
        assert!(is_over, "the sweep ends");
        let violation = only(&heap, Check::GateCount);
        assert_eq!(violation.reason, "helpers who sweep");
        assert!(heap.stats().bytes_freed_total > 0);
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn collector_threads_go_on_after_a_breach() {
    let heap = Heap::builder()
        .driver(Driver::Background(2))
        .policy(Policy::COUNT)
        .reserve_bytes(64 << 20)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    let witness = Witness::new(&mut mutator);
    for by in [-1, 2] {
        let _kept = garbage(&mut mutator);
        heap.fault().skew_marking_gate(by);
        heap.collect().unwrap();
        heap.collect().unwrap();
    }
    assert_eq!(heap.health().count(Check::GateCount), heap.health().total());
    assert_eq!(heap.stats().reclaiming, Reclaiming::On);
    assert!(heap.verify().unwrap().is_clean());
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_recount_does_not_trust_the_count_of_sweepers() {
    for by in [-1, i64::MAX] {
        let (heap, mut mutator) = heap_at(CheckLevel::Default);
        let witness = Witness::new(&mut mutator);
        heap.fault().skew_sweeping_gate(by);
        assert!(heap.ledger().unwrap().is_balanced());
        let violation = only(&heap, Check::GateCount);
        assert_eq!(violation.reason, "helpers who sweep");
        let _kept = garbage(&mut mutator);
        assert!(heap.collect().unwrap().bytes_freed > 0);
        witness.check(&heap, &mut mutator);
    }
}
