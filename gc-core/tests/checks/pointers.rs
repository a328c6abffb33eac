//! Doubtful pointers: refused at the barrier and by the marker, told apart, named.

use gc_core::raw::{self, RawGc};
use gc_core::{Check, CheckLevel, Origin, Phase, Severity, StepProgress};

use crate::support::{Witness, heap_at, node, only, stale, step_to};

#[test]
fn a_stale_old_value_is_refused_at_the_barrier() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dead = stale(&heap, &mut mutator);
    heap.collect().unwrap();
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    let line = line!() + 2;
    // SAFETY: deliberately broken, as in bug 30041: the old value was never valid here.
    mutator.enter(|scope| unsafe { raw::barrier(scope, Some(dead), None) });
    let violation = only(&heap, Check::FreePointer);
    assert_eq!(
        violation.first_line().to_string(),
        "found bad pointer in heap (pointer to free slot)"
    );
    assert_eq!(violation.origin, Origin::BarrierOld);
    assert_eq!(violation.severity(), Severity::OverMarking);
    assert_eq!(violation.call_site.unwrap().line(), line);
    assert_eq!(violation.stale_cycles, Some(2));
    assert!(violation.type_name.unwrap().contains("Node"));
    assert!(!heap.health().is_healthy());
    heap.collect().unwrap();
    assert!(heap.verify().unwrap().is_clean());
    witness.check(&heap, &mut mutator);
}

#[test]
fn under_lax_the_stray_mark_passes_and_the_sweep_finds_it() {
    let (heap, mut mutator) = heap_at(CheckLevel::Lax);
    let witness = Witness::new(&mut mutator);
    let dead = stale(&heap, &mut mutator);
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    // The span must not be leased: the exact count is taken when nobody allocates in it.
    drop(mutator);
    let mut mutator = heap.mutator();
    // SAFETY: deliberately broken, as above.
    mutator.enter(|scope| unsafe { raw::barrier(scope, Some(dead), None) });
    assert_eq!(heap.health().total(), 0, "Go's default lets the mark pass");
    while heap.step(100).unwrap().progress != StepProgress::Idle {}
    let violation = only(&heap, Check::SweepCount);
    assert_eq!(
        violation.first_line().to_string(),
        "sweep increased allocation count"
    );
    assert_eq!(violation.origin, Origin::BarrierOld);
    assert!(violation.call_site.unwrap().file().ends_with("pointers.rs"));
    assert!(heap.stats().bytes_quarantined > 0);
    for _ in 0..3 {
        heap.collect().unwrap();
    }
    witness.check(&heap, &mut mutator);
}

#[test]
fn pointers_to_nowhere_are_told_apart() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let inside = mutator.enter(|scope| scope.get(&witness.0).unwrap().into_raw().address());
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    let cases = [
        (inside + 8, "misaligned pointer"),
        (inside + (32 << 20), "pointer to unallocated span"),
        (inside.wrapping_add(1 << 44), "pointer outside the heap"),
        (16, "pointer outside the heap"),
    ];
    for (address, reason) in cases {
        // SAFETY: deliberately broken.
        mutator.enter(|scope| unsafe { raw::barrier(scope, RawGc::from_word(address), None) });
        let violation = heap.health().last().unwrap();
        assert_eq!(
            (violation.check, violation.reason),
            (Check::BadPointer, reason),
            "{address:#x}"
        );
    }
    heap.collect().unwrap();
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_dangling_edge_is_found_by_the_marker_and_at_paranoid_with_its_holder() {
    for level in [CheckLevel::Default, CheckLevel::Paranoid] {
        let (heap, mut mutator) = heap_at(level);
        let witness = Witness::new(&mut mutator);
        let dead = stale(&heap, &mut mutator);
        let (root, holder) = mutator.enter(|scope| {
            let holder = scope.alloc(node(5));
            // SAFETY: the forged pointer is stored and never dereferenced.
            holder
                .next
                .set(scope, unsafe { heap.fault().forged(scope, dead.address()) });
            (scope.root(holder), heap.offset_of(holder.address()))
        });
        heap.collect().unwrap();
        let violation = only(&heap, Check::FreePointer);
        assert_eq!(
            (violation.origin, violation.severity()),
            (Origin::Scan, Severity::Dangling)
        );
        assert_eq!(
            violation.holder,
            if level == CheckLevel::Paranoid {
                holder
            } else {
                None
            }
        );
        assert!(heap.verify().unwrap().pointers_bad > 0);
        mutator.enter(|scope| scope.get(&root).unwrap().next.set(scope, None));
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn a_barriered_store_into_a_virgin_slot_is_reported_where_it_stands() {
    let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
    let witness = Witness::new(&mut mutator);
    let stack = mutator.stack(8);
    let line = mutator.enter(|scope| {
        let object = scope.alloc(node(1)).into_raw();
        stack.push_frame(4).unwrap();
        let line = line!() + 2;
        // SAFETY: deliberately broken: the slot was never initialised.
        unsafe { stack.set(scope, 2, Some(object)) }.unwrap();
        assert_eq!(
            stack.get(2),
            Ok(Some(object)),
            "contained: stored as `init` would"
        );
        // SAFETY: the slot is live now.
        unsafe { stack.set(scope, 2, None) }.unwrap();
        line
    });
    let violation = only(&heap, Check::VirginSlot);
    assert_eq!(heap.health().total(), 1);
    assert_eq!(violation.call_site.unwrap().line(), line);
    assert_eq!(violation.phase, Phase::Idle, "found although no cycle runs");
    witness.check(&heap, &mut mutator);
}

#[test]
fn under_lax_a_slot_whose_destructor_has_run_is_refused_all_the_same() {
    let (heap, mut mutator) = heap_at(CheckLevel::Lax);
    let witness = Witness::new(&mut mutator);
    let (dead, kept) = mutator.enter(|scope| {
        let dead = scope.alloc(vec![1u64]).into_raw();
        (dead, scope.root(scope.alloc(vec![2u64])))
    });
    heap.collect().unwrap();
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    // SAFETY: deliberately broken: the old value was never valid here.
    mutator.enter(|scope| unsafe { raw::barrier(scope, Some(dead), None) });
    only(&heap, Check::FreePointer);
    assert!(
        !heap.locate(dead.address()).is_object(),
        "it does not look like an object to anyone"
    );
    heap.collect().unwrap();
    assert_eq!(mutator.enter(|scope| scope.get(&kept).unwrap()[0]), 2);
    witness.check(&heap, &mut mutator);
}
