//! Every origin that a mark can have is named in the report of one that went wrong, and says how bad it
//! is: what was only overwritten keeps something dead for a while, everything else is dangling.

use gc_core::raw::RawGc;
use gc_core::{Check, CheckLevel, Gc, Heap, Mutator, Origin, Phase, Scope, Severity, Violation};
use gc_sweep::StateByte;

use crate::support::{Node, Witness, heap_at, node, stale, step_to};

/// A heap, and the address of an object of it that is dead and gone.
fn bench(level: CheckLevel) -> (Heap, Mutator, Witness, RawGc) {
    let (heap, mut mutator) = heap_at(level);
    let witness = Witness::new(&mut mutator);
    let dead = stale(&heap, &mut mutator);
    (heap, mutator, witness, dead)
}

fn forged<'gc>(heap: &Heap, scope: Scope<'gc>, dead: RawGc) -> Gc<'gc, Node<'gc>> {
    // SAFETY: the forged pointer is handed on and never dereferenced.
    unsafe { heap.fault().forged(scope, dead.address()) }
}

/// The one violation so far.
fn told(heap: &Heap) -> Violation {
    let health = heap.health();
    assert_eq!(health.total(), 1, "{:?}", health.recent());
    health.first().unwrap()
}

fn assert_named(violation: &Violation, origin: Origin, severity: Severity) {
    assert_eq!(violation.check, Check::FreePointer, "{violation}");
    assert_eq!(
        (violation.origin, violation.severity()),
        (origin, severity),
        "{violation}"
    );
    assert!(violation.stale_cycles.is_some(), "{violation}");
    assert!(violation.type_name.is_some(), "{violation}");
}

#[test]
fn a_root_that_dangles() {
    let (heap, mut mutator, witness, dead) = bench(CheckLevel::Default);
    let root = mutator.enter(|scope| scope.root(forged(&heap, scope, dead)));
    heap.collect().unwrap();
    assert_named(&told(&heap), Origin::Root, Severity::Dangling);
    drop(root);
    heap.collect().unwrap();
    assert_eq!(heap.health().total(), 1, "the root is gone");
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_value_stack_that_dangles() {
    let (heap, mut mutator, witness, dead) = bench(CheckLevel::Default);
    let stack = mutator.stack(4);
    mutator.enter(|_| {
        stack.push_frame(1).unwrap();
        // SAFETY: deliberately broken: the value leads to no object. Nobody follows it.
        unsafe { stack.init(0, Some(dead)) }.unwrap();
    });
    heap.collect().unwrap();
    assert_named(&told(&heap), Origin::Stack, Severity::Dangling);
    stack.pop_frame().unwrap();
    heap.collect().unwrap();
    assert_eq!(heap.health().total(), 1, "the frame is gone");
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_field_that_dangles() {
    for level in [CheckLevel::Default, CheckLevel::Paranoid] {
        let (heap, mut mutator, witness, dead) = bench(level);
        let root = mutator.enter(|scope| {
            let holder = scope.alloc(node(1));
            holder.next.set(scope, forged(&heap, scope, dead));
            scope.root(holder)
        });
        heap.collect().unwrap();
        let first = heap.health().first().unwrap();
        assert_named(&first, Origin::Scan, Severity::Dangling);
        assert_eq!(first.holder.is_some(), level == CheckLevel::Paranoid);
        mutator.enter(|scope| scope.get(&root).unwrap().next.set(scope, None));
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn both_words_of_a_store_by_a_grey_mutator() {
    let (heap, mut mutator, witness, dead) = bench(CheckLevel::Default);
    mutator.enter(|scope| {
        heap.request_collect();
        // The mutator is armed at its next poll, and black only once it has left `enter`.
        while heap.phase() != Phase::Arm {
            heap.step(1).unwrap();
        }
        scope.poll();
        let holder = scope.alloc(node(1));
        holder.next.set(scope, forged(&heap, scope, dead));
        let violation = told(&heap);
        assert_named(&violation, Origin::BarrierNew, Severity::Dangling);
        assert!(violation.call_site.unwrap().file().ends_with("origins.rs"));
        holder.next.set(scope, None);
        let violation = heap.health().last().unwrap();
        assert_eq!(violation.sequence, 2);
        assert_named(&violation, Origin::BarrierOld, Severity::OverMarking);
        assert!(violation.call_site.unwrap().file().ends_with("origins.rs"));
    });
    heap.collect().unwrap();
    assert_eq!(heap.health().total(), 2);
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_weak_reference_that_resurrects_what_is_gone() {
    let (heap, mut mutator, witness, dead) = bench(CheckLevel::Default);
    let weak = mutator.enter(|scope| {
        let cell = scope.downgrade(forged(&heap, scope, dead));
        scope.root(scope.alloc(cell))
    });
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    mutator.enter(|scope| {
        // What it answers is not dereferenced.
        let _junk = scope.upgrade(*scope.get(&weak).unwrap());
    });
    let violation = told(&heap);
    assert_named(&violation, Origin::Resurrection, Severity::Dangling);
    assert!(violation.call_site.unwrap().file().ends_with("origins.rs"));
    heap.collect().unwrap();
    let upgraded = mutator.enter(|scope| scope.upgrade(*scope.get(&weak).unwrap()).is_some());
    assert!(!upgraded, "nulled with the dead");
    assert_eq!(heap.health().total(), 1);
    witness.check(&heap, &mut mutator);
}

/// Shades a node by way of an origin while a cycle is under way, and answers its address.
fn shade(heap: &Heap, mutator: &mut Mutator, origin: Origin) -> usize {
    let (holder, weak) = mutator.enter(|scope| {
        let holder = scope.alloc(node(1));
        holder.next.set(scope, scope.alloc(node(2)));
        let weak = scope.downgrade(scope.alloc(node(3)));
        (scope.root(holder), scope.root(scope.alloc(weak)))
    });
    heap.request_collect();
    step_to(
        heap,
        match origin {
            Origin::Root => Phase::Snapshot,
            Origin::BarrierNew => Phase::Arm,
            _ => Phase::Mark,
        },
    );
    mutator.enter(|scope| {
        let holder = scope.get(&holder).unwrap();
        match origin {
            Origin::Root => holder.address(),
            Origin::BarrierOld => holder.next.take(scope).unwrap().address(),
            Origin::BarrierNew => {
                let child = scope.alloc(node(4));
                scope.alloc(node(5)).next.set(scope, child);
                child.address()
            }
            _ => {
                let weak = *scope.get(&weak).unwrap();
                scope.upgrade(weak).unwrap().address()
            }
        }
    })
}

#[test]
fn a_shaded_object_that_is_gone_when_it_is_popped() {
    for (origin, severity) in [
        (Origin::Root, Severity::Dangling),
        (Origin::BarrierOld, Severity::OverMarking),
        (Origin::BarrierNew, Severity::Dangling),
        (Origin::Resurrection, Severity::Dangling),
    ] {
        let (heap, mut mutator) = heap_at(CheckLevel::Default);
        let witness = Witness::new(&mut mutator);
        let address = shade(&heap, &mut mutator, origin);
        let fault = heap.fault();
        assert!(fault.space().set_state_byte(address, StateByte::FREE_FRESH));
        heap.collect().unwrap();
        let first = heap.health().first().unwrap();
        assert_eq!(first.check, Check::FreePointer, "{first}");
        assert_eq!(
            (first.origin, first.severity()),
            (origin, severity),
            "{first}"
        );
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn under_lax_the_sweep_names_the_origin_of_the_mark_that_passed() {
    for (origin, severity) in [
        (Origin::Root, Severity::Dangling),
        (Origin::Stack, Severity::Dangling),
        (Origin::Scan, Severity::Dangling),
    ] {
        let (heap, mut mutator, witness, dead) = bench(CheckLevel::Lax);
        let stack = mutator.stack(4);
        let root = mutator.enter(|scope| {
            let forged = forged(&heap, scope, dead);
            stack.push_frame(1).unwrap();
            match origin {
                Origin::Root => scope.root(forged),
                Origin::Stack => {
                    // SAFETY: deliberately broken, as above.
                    unsafe { stack.init(0, Some(dead)) }.unwrap();
                    scope.root(scope.alloc(node(1)))
                }
                _ => {
                    let holder = scope.alloc(node(1));
                    holder.next.set(scope, forged);
                    scope.root(holder)
                }
            }
        });
        // The exact count is taken when nobody allocates in the span.
        mutator.parked(|| heap.collect()).unwrap();
        let violation = told(&heap);
        assert_eq!(violation.check, Check::SweepCount, "{violation}");
        assert_eq!((violation.origin, violation.severity()), (origin, severity));
        stack.pop_frame().unwrap();
        if origin == Origin::Scan {
            mutator.enter(|scope| scope.get(&root).unwrap().next.set(scope, None));
        }
        drop(root);
        heap.collect().unwrap();
        witness.check(&heap, &mut mutator);
    }
}
