//! Sampled stores: bad words are named in the store itself, and bad pointers that are found later name
//! the store that put them there. What is not sampled is not named, and costs nothing.

use gc_core::raw::RawGc;
use gc_core::{
    Check, CheckLevel, Driver, Heap, Mutator, Origin, Phase, Policy, Root, Severity, StepProgress,
    Violation,
};

use crate::support::{Node, Witness, node, only, stale, step_to};

fn heap_that_samples(level: CheckLevel, one_in: u32) -> (Heap, Mutator) {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::MARK_UNHEALTHY)
        .checks(level)
        .sample_stores(one_in)
        .reserve_bytes(64 << 20)
        .build()
        .unwrap();
    let mutator = heap.mutator();
    (heap, mutator)
}

/// So many objects, each with an edge to store into.
fn holders(mutator: &mut Mutator, count: u64) -> Vec<Root<Node<'static>>> {
    mutator.enter(|scope| {
        (0..count)
            .map(|id| scope.root(scope.alloc(node(id))))
            .collect()
    })
}

/// Stores a pointer to nowhere into each holder's edge. Answers the line of the store.
fn store_into(
    heap: &Heap,
    mutator: &mut Mutator,
    holders: &[Root<Node<'static>>],
    dead: RawGc,
) -> u32 {
    mutator.enter(|scope| {
        let mut line = 0;
        for holder in holders {
            let holder = scope.get(holder).unwrap();
            // SAFETY: the forged pointer is stored and never dereferenced.
            let forged = unsafe { heap.fault().forged(scope, dead.address()) };
            line = line!() + 1;
            holder.next.set(scope, forged);
        }
        line
    })
}

fn clear(mutator: &mut Mutator, holders: &[Root<Node<'static>>]) {
    mutator.enter(|scope| {
        for holder in holders {
            scope.get(holder).unwrap().next.set(scope, None);
        }
    });
}

fn violations(heap: &Heap, origin: Origin) -> Vec<Violation> {
    let recent = heap.health().recent();
    recent
        .into_iter()
        .filter(|violation| violation.origin == origin)
        .collect()
}

fn number(violation: &Violation, label: &str) -> Option<u64> {
    let mut numbers = violation.numbers.iter();
    numbers
        .find(|number| number.label == label)
        .map(|number| number.value)
}

#[test]
fn a_dangling_edge_found_by_a_scan_names_the_store_that_made_it() {
    let cases = [
        (CheckLevel::Paranoid, 0, true),
        (CheckLevel::Default, 1, true),
        (CheckLevel::Default, 0, false),
    ];
    for (level, one_in, is_named) in cases {
        let (heap, mut mutator) = heap_that_samples(level, one_in);
        let witness = Witness::new(&mut mutator);
        let dead = stale(&heap, &mut mutator);
        let holders = holders(&mut mutator, 1);
        let stored_in = heap.cycle();
        let line = store_into(&heap, &mut mutator, &holders, dead);
        assert_eq!(heap.health().total(), 0, "no cycle marks");
        heap.collect().unwrap();
        let violation = only(&heap, Check::FreePointer);
        assert_eq!(
            (violation.origin, violation.severity()),
            (Origin::Scan, Severity::Dangling)
        );
        assert_eq!(
            violation.call_site.map(|site| (site.file(), site.line())),
            is_named.then_some((file!(), line))
        );
        assert_eq!(
            number(&violation, "stored in cycle"),
            is_named.then_some(u64::from(stored_in))
        );
        clear(&mut mutator, &holders);
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn an_edge_that_is_set_right_again_blames_nobody() {
    let (heap, mut mutator) = heap_that_samples(CheckLevel::Paranoid, 1);
    let witness = Witness::new(&mut mutator);
    let dead = stale(&heap, &mut mutator);
    let holders = holders(&mut mutator, 4);
    store_into(&heap, &mut mutator, &holders, dead);
    clear(&mut mutator, &holders);
    heap.collect().unwrap();
    assert!(heap.verify().unwrap().is_clean());
    assert_eq!(heap.health().total(), 0);
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_sampled_store_is_looked_at_while_a_cycle_marks() {
    for (level, one_in, reported) in [
        (CheckLevel::Default, 0, 0),
        (CheckLevel::Default, 3, 2),
        (CheckLevel::Default, 1, 6),
        (CheckLevel::Lax, 1, 6),
        (CheckLevel::Paranoid, 0, 6),
    ] {
        let (heap, mut mutator) = heap_that_samples(level, one_in);
        let witness = Witness::new(&mut mutator);
        let dead = stale(&heap, &mut mutator);
        let holders = holders(&mut mutator, 6);
        heap.request_collect();
        step_to(&heap, Phase::Mark);
        // Every object is scanned already, so that the mutator's own look is the only one.
        while heap.phase() == Phase::Mark {
            heap.step(1).unwrap();
        }
        let line = store_into(&heap, &mut mutator, &holders, dead);
        let found = violations(&heap, Origin::BarrierNew);
        assert_eq!(found.len(), reported, "{level}, one in {one_in}");
        for violation in &found {
            assert_eq!(violation.check, Check::FreePointer);
            assert_eq!(violation.severity(), Severity::Dangling);
            assert_eq!(violation.call_site.unwrap().line(), line);
        }
        // The same words are old ones now; whatever is not sampled is seen by the barrier itself.
        clear(&mut mutator, &holders);
        let old = violations(&heap, Origin::BarrierOld);
        let seen = if level == CheckLevel::Lax {
            6 * u64::from(one_in)
        } else {
            6
        };
        assert_eq!(old.len() as u64, seen, "{level}, one in {one_in}");
        assert!(
            old.iter()
                .all(|old| old.severity() == Severity::OverMarking)
        );
        while heap.step(100).unwrap().progress != StepProgress::Idle {}
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn stores_of_the_raw_layer_are_sampled_as_well() {
    use gc_core::raw;
    let (heap, mut mutator) = heap_that_samples(CheckLevel::Default, 1);
    let witness = Witness::new(&mut mutator);
    let dead = stale(&heap, &mut mutator);
    let shape = heap.register_shape("triple", 3, &[0, 2]).unwrap();
    let stack = mutator.stack(4);
    let line = mutator.enter(|scope| {
        stack.push_frame(1).unwrap();
        let object = scope.alloc_shape(shape).unwrap();
        // SAFETY: the slot is written once, with a live object.
        unsafe { stack.init(0, Some(object)) }.unwrap();
        let line = line!() + 2;
        // SAFETY: deliberately broken: the value leads to no object. Nobody follows it.
        unsafe { raw::set_word(scope, object, 2, Some(dead)) };
        line
    });
    let report = heap.verify().unwrap();
    assert_eq!(report.pointers_bad, 1);
    let violation = only(&heap, Check::FreePointer);
    assert_eq!(violation.call_site.unwrap().line(), line);
    assert_eq!(violation.field, Some("triple"));
    assert_eq!(number(&violation, "holder word"), Some(2));
    mutator.enter(|_| stack.pop_frame().unwrap());
    witness.check(&heap, &mut mutator);
}
