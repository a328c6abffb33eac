//! Damaged metadata and a misbehaving world: types, roots, destructors, hooks, accounts, limits.

use std::sync::atomic::{AtomicBool, Ordering};

use gc_core::raw::{self, RawGc};
use gc_core::{
    AllocError, Check, CheckLevel, CollectError, Driver, Edge, Gc, Heap, Mutator, Phase, Policy,
    RootError, Trace,
};

use crate::support::{Node, Witness, heap_at, node, only, stale, step_to};

#[test]
fn a_damaged_root_slot_pins_its_object() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let (root, address) = mutator.enter(|scope| {
        let object = scope.alloc(node(9));
        (scope.root(object), object.address())
    });
    heap.fault().corrupt_root(&root);
    assert_eq!(
        mutator.enter(|scope| scope.get(&root).map(|node| node.id)),
        Err(RootError::Damaged)
    );
    only(&heap, Check::RootTable);
    drop(root.clone());
    drop(root);
    heap.collect().unwrap();
    assert!(
        heap.locate(address).is_object(),
        "the object leaks instead of being freed under somebody"
    );
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_panicking_destructor_pins_its_object_and_the_sweep_goes_on() {
    #[derive(Trace)]
    #[trace(leaf)]
    struct Explosive(u32);
    impl Drop for Explosive {
        fn drop(&mut self) {
            assert!(self.0 != 3, "destructor of number three");
        }
    }
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    mutator.enter(|scope| {
        for n in 0..10 {
            scope.alloc(Explosive(n));
        }
    });
    heap.collect().unwrap();
    let violation = only(&heap, Check::DropPanicked);
    assert!(violation.type_name.unwrap().contains("Explosive"));
    assert_eq!(heap.stats().slots_quarantined, 1);
    assert!(
        heap.health().is_healthy(),
        "MARK_UNHEALTHY counts a panicking destructor"
    );
    heap.collect().unwrap();
    assert_eq!(heap.health().total(), 1, "the object is not dropped again");
    witness.check(&heap, &mut mutator);
}

#[test]
fn a_hook_that_panics_or_reenters_is_contained_and_reported() {
    thread_local! {
        static HEAP: std::cell::RefCell<Option<(Heap, Mutator)>> = const { std::cell::RefCell::new(None) };
    }
    static REFUSED: AtomicBool = AtomicBool::new(false);
    let policy = Policy::on_violation(|violation| match violation.check {
        Check::FreePointer => HEAP.with_borrow_mut(|slot| {
            let (heap, mutator) = slot.as_mut().unwrap();
            REFUSED.store(
                heap.collect() == Err(CollectError::InsideHook),
                Ordering::Relaxed,
            );
            mutator.enter(|scope| scope.alloc(node(1)).id);
        }),
        _ => panic!("a hook of no use"),
    });
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(policy)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    let witness = Witness::new(&mut mutator);
    HEAP.set(Some((heap.clone(), heap.mutator())));
    let dead = stale(&heap, &mut mutator);
    heap.request_collect();
    step_to(&heap, Phase::Mark);
    // SAFETY: deliberately broken.
    mutator.enter(|scope| unsafe { raw::barrier(scope, Some(dead), RawGc::from_word(0)) });
    heap.deliver();
    let health = heap.health();
    assert!(
        REFUSED.load(Ordering::Relaxed),
        "a collection from a hook is refused"
    );
    assert_eq!(health.count(Check::HookReentered), 1);
    assert_eq!(
        health.count(Check::HookPanicked),
        1,
        "entering panics, and the panic is contained"
    );
    HEAP.set(None);
    heap.collect().unwrap();
    witness.check(&heap, &mut mutator);
}

#[test]
fn accounts_that_were_damaged_are_reported_and_rebuilt() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let before = heap.stats().bytes_live;
    heap.fault().space().skew_ledger(1 << 20);
    let _reported = heap.ledger().expect("books");
    only(&heap, Check::Ledger);
    assert_eq!(heap.stats().bytes_live, before);
    witness.check(&heap, &mut mutator);
}

#[test]
fn at_its_limit_a_heap_answers_and_serves_again_after_a_collection() {
    for driver in [Driver::Manual, Driver::Incremental] {
        let heap = Heap::builder()
            .driver(driver)
            .policy(Policy::STRICT)
            .limit_bytes(1 << 20)
            .build()
            .unwrap();
        let mut mutator = heap.mutator();
        let kept = mutator.enter(|scope| scope.root(scope.alloc(node(5))));
        let error = mutator.enter(|scope| {
            let mut held = Vec::new();
            loop {
                match scope.try_alloc(node(held.len() as u64)) {
                    Ok(object) => held.push(object),
                    Err(error) => {
                        assert!(
                            held.iter()
                                .enumerate()
                                .all(|(at, object)| object.id == at as u64)
                        );
                        return error;
                    }
                }
            }
        });
        assert!(
            matches!(error, AllocError::Limit { limit_bytes, .. } if limit_bytes == 1 << 20),
            "{error}"
        );
        heap.collect().unwrap();
        mutator.enter(|scope| {
            assert!(scope.try_alloc(node(1)).is_ok());
            assert_eq!(scope.get(&kept).unwrap().id, 5);
            let error = scope.try_alloc_slice(0..1u64 << 20).unwrap_err();
            assert!(
                matches!(error, AllocError::TooLarge { bytes_max, .. } if bytes_max <= 1 << 20),
                "{error}"
            );
        });
        assert_eq!(heap.ledger().expect("books").imbalance(), None);
        assert_eq!(heap.health().total(), 0);
    }
}

#[test]
fn gc_pointers_are_one_word() {
    assert_eq!(size_of::<Gc<'_, Node<'_>>>(), size_of::<usize>());
    assert_eq!(size_of::<Option<Gc<'_, [u64]>>>(), size_of::<usize>());
    assert_eq!(size_of::<Gc<'_, str>>(), size_of::<usize>());
    assert_eq!(size_of::<Edge<'_, Node<'_>>>(), size_of::<usize>());
}
