//! Drivers, events, and the operating system refusing: what happens around the cycle.

use std::sync::{Arc, Mutex};

use gc_core::fault::os::{self, Persistence, Target};
use gc_core::{AllocError, Check, Driver, Edge, Error, Heap, Phase, Policy, StepProgress, Trace};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

#[derive(Trace)]
struct Node<'gc> {
    id: u64,
    next: Edge<'gc, Node<'gc>>,
}

fn node<'gc>(id: u64) -> Node<'gc> {
    Node {
        id,
        next: Edge::none(),
    }
}

#[test]
fn the_incremental_driver_keeps_a_churning_heap_near_its_goal() {
    let heap = Heap::builder().policy(Policy::STRICT).build().unwrap();
    let mut mutator = heap.mutator();
    let kept = mutator.enter(|scope| {
        let mut head = scope.alloc(node(0));
        for id in 1..100_000 {
            head = scope.alloc(Node {
                id,
                next: Edge::to(head),
            });
        }
        scope.root(head)
    });
    let mut peak = 0;
    for _ in 0..2000 {
        mutator.enter(|scope| {
            for id in 0..1000 {
                scope.alloc(node(id));
            }
        });
        peak = peak.max(heap.stats().bytes_in_spans);
    }
    let stats = heap.stats();
    let live = 100_000 * 16;
    assert!(stats.cycles_finished >= 4, "{stats:?}");
    assert_eq!(stats.bytes_allocated_total, 16 * (100_000 + 2_000_000));
    assert!(
        peak < live + 2 * (4 << 20),
        "peak of {peak} bytes with {live} bytes live"
    );
    let length = mutator.enter(|scope| {
        let mut at = Some(scope.get(&kept).unwrap());
        let mut length = 0;
        while let Some(node) = at {
            length += 1;
            at = node.next.get();
        }
        length
    });
    assert_eq!(length, 100_000);
}

#[test]
fn a_manual_heap_does_nothing_by_itself() {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    for _ in 0..100 {
        mutator.enter(|scope| {
            for id in 0..10_000 {
                scope.alloc(node(id));
            }
        });
    }
    assert_eq!((heap.cycle(), heap.phase()), (0, Phase::Idle));
    assert_eq!(heap.step(1000).unwrap().progress, StepProgress::Idle);
    heap.request_collect();
    assert_eq!(heap.step(1).unwrap().phase, Phase::Arm);
}

#[test]
fn a_mutator_that_stays_inside_delays_only_the_snapshot() {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    heap.request_collect();
    mutator.enter(|scope| {
        assert_eq!(heap.step(1000).unwrap().phase, Phase::Arm);
        scope.poll();
        assert_eq!(heap.step(1000).unwrap().phase, Phase::Settle);
        scope.poll();
        let step = heap.step(1000).unwrap();
        assert_eq!(
            (step.phase, step.progress),
            (Phase::Snapshot, StepProgress::Waiting)
        );
        scope.poll();
        assert_eq!(heap.step(1000).unwrap().phase, Phase::Snapshot);
    });
    assert_eq!(heap.step(1000).unwrap().progress, StepProgress::Idle);
    assert_eq!(heap.stats().cycles_finished, 1);
}

/// Allocates one object of each of ninety-six types, more than a mutator's table of descriptors
/// holds.
fn alloc_of_many_types(scope: gc_core::Scope<'_>) {
    macro_rules! alloc_each {
        ($($items:literal)*) => { $( scope.alloc([0u8; $items]); )* };
    }
    alloc_each!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63 64 65 66 67 68 69 70 71 72 73 74 75 76 77 78 79 80 81 82 83 84 85 86 87 88 89 90 91 92 93 94 95 96);
}

#[test]
fn a_descriptor_that_is_not_in_the_table_costs_a_lookup_and_no_poll() {
    let heap = Heap::builder()
        .driver(Driver::Manual)
        .policy(Policy::STRICT)
        .build()
        .unwrap();
    let mut mutator = heap.mutator();
    mutator.enter(alloc_of_many_types);
    heap.request_collect();
    mutator.enter(|scope| {
        assert_eq!(heap.step(1000).unwrap().phase, Phase::Arm);
        alloc_of_many_types(scope);
        assert_eq!(
            heap.step(1000).unwrap().phase,
            Phase::Arm,
            "where the linker puts descriptors must not show"
        );
        scope.poll();
        assert_eq!(heap.step(1000).unwrap().phase, Phase::Settle);
    });
}

/// Counts events by target.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<&'static str>>>);

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(event.metadata().target());
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn cycles_sweeps_and_violations_are_told_as_events() {
    let listener = Listener::default();
    tracing::subscriber::with_default(listener.clone(), || {
        let heap = Heap::builder()
            .driver(Driver::Manual)
            .policy(Policy::COUNT)
            .build()
            .unwrap();
        heap.collect().unwrap();
        heap.fault().space().skew_ledger(64);
        let _reported = heap.ledger().expect("books");
        heap.deliver();
    });
    let targets = listener.0.lock().unwrap();
    for (wanted, count) in [("gc::sweep", 1), ("gc::cycle", 2), ("gc::violation", 1)] {
        assert_eq!(
            targets.iter().filter(|target| **target == wanted).count(),
            count,
            "{wanted} in {targets:?}"
        );
    }
}

#[test]
fn the_nth_refusal_of_the_system_is_an_error_and_nothing_more() {
    for persistence in [Persistence::Once, Persistence::Persistent] {
        let mut nth = 0;
        loop {
            let before = os::calls(Target::Any);
            let armed = os::fail_nth(Target::Any, nth, persistence);
            let built = Heap::builder()
                .driver(Driver::Manual)
                .policy(Policy::COUNT)
                .reserve_bytes(64 << 20)
                .build();
            let outcome = match &built {
                Err(error) => {
                    assert!(
                        matches!(error, Error::Space(_) | Error::Alloc(_)),
                        "{error}"
                    );
                    None
                }
                Ok(heap) => Some(fill(heap)),
            };
            let was_reached = os::calls(Target::Any) - before > nth;
            drop(armed);
            if let Ok(heap) = &built {
                // Whatever was refused, the heap serves again once the system does.
                assert!(fill(heap).is_ok());
                assert_eq!(heap.ledger().expect("books").imbalance(), None);
                assert_eq!(heap.health().total(), heap.health().count(Check::OsCall));
            }
            if !was_reached {
                assert!(
                    matches!(outcome, Some(Ok(()))),
                    "the loop ends with a clean run"
                );
                break;
            }
            nth += 1;
        }
        assert!(nth >= 5, "only {nth} calls were made to fail");
    }
}

/// Allocates 8 MiB in small and large objects, then drops and collects them.
fn fill(heap: &Heap) -> Result<(), AllocError> {
    let mut mutator = heap.mutator();
    let filled = mutator.enter(|scope| {
        for _ in 0..100_000 {
            scope.try_alloc(node(1))?;
        }
        for _ in 0..6 {
            scope.try_alloc_slice(0..(1u64 << 17))?;
        }
        Ok(())
    });
    let collected = heap.collect();
    assert!(collected.is_ok(), "{collected:?}");
    filled
}

#[test]
fn handles_of_one_heap_may_end_in_any_order() {
    /// Says in whose place the last handle went.
    #[derive(Trace)]
    #[trace(leaf)]
    struct Last(Arc<Mutex<u32>>);
    impl Drop for Last {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }
    let ended = Arc::new(Mutex::new(0));
    for order in 0..6 {
        let heap = Heap::builder().policy(Policy::STRICT).build().unwrap();
        let mut mutator = heap.mutator();
        let root = mutator.enter(|scope| scope.root(scope.alloc(Last(Arc::clone(&ended)))));
        let second = heap.clone();
        match order {
            0 => drop((heap, mutator, root, second)),
            1 => drop((root, mutator, heap, second)),
            2 => drop((mutator, heap, second, root)),
            3 => drop((second, root, heap, mutator)),
            4 => drop((root, heap, second, mutator)),
            _ => drop((heap, second, mutator, root)),
        }
        assert_eq!(
            *ended.lock().unwrap(),
            order + 1,
            "the heap ended and dropped its object"
        );
    }
}
