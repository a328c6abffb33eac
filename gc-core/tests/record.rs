//! A heap and its durable record: begun and ended together, and sound without each other.

use std::fs;
use std::path::{Path, PathBuf};

use gc_core::{
    Check, Driver, Edge, Error, FileCall, Heap, Policy, PreviousRecord, RecordError, Trace,
    previous_record,
};

#[derive(Trace)]
struct Node<'gc> {
    number: u64,
    next: Edge<'gc, Node<'gc>>,
}

/// A path for a record in an empty directory of its own.
fn fresh(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    directory.join("heap.record")
}

fn builder() -> gc_core::Builder {
    Heap::builder()
        .name("recorded")
        .driver(Driver::Manual)
        .policy(Policy::MARK_UNHEALTHY)
}

/// Makes the heap report a violation, which it contains.
fn break_books(heap: &Heap) {
    heap.fault().space().skew_ledger(1 << 20);
    heap.ledger().unwrap();
}

/// The heap allocates, collects and balances, and what it holds is whole.
#[track_caller]
fn assert_serves(heap: &Heap) {
    let mut mutator = heap.mutator();
    let root = mutator.enter(|scope| {
        let mut head = Edge::none();
        for number in 0..1000 {
            head = Edge::to(scope.alloc(Node { number, next: head }));
        }
        scope.root(scope.alloc(Node {
            number: 1000,
            next: head,
        }))
    });
    heap.collect().unwrap();
    mutator.enter(|scope| {
        let (mut node, mut expected) = (Some(scope.get(&root).unwrap()), 1000);
        while let Some(found) = node {
            assert_eq!(found.number, expected);
            expected = expected.wrapping_sub(1);
            node = found.next.get();
        }
        assert_eq!(expected, u64::MAX);
    });
    drop(root);
    heap.collect().unwrap();
    assert!(heap.ledger().unwrap().is_balanced());
}

#[test]
fn a_heap_writes_down_what_it_finds_and_that_it_ended() {
    let path = fresh("heap-record");
    let heap = builder().record(&path).build().unwrap();
    assert_serves(&heap);
    break_books(&heap);
    let living = PreviousRecord::read(&path).unwrap();
    assert_eq!((living.heap(), living.total()), ("recorded", 1));
    assert_eq!((living.count(Check::Ledger), living.closed()), (1, None));
    assert!(living.unhealthy_since().is_some());
    let first = living.first().unwrap();
    assert_eq!(
        first.to_string(),
        heap.health().first().unwrap().to_string()
    );
    let health = heap.health();
    drop(heap);
    assert!(PreviousRecord::read(&path).unwrap().closed().is_some());
    assert_eq!(
        health.total(),
        1,
        "a handle outlives the heap and its record"
    );
    let second = builder().record(&path).build().unwrap();
    assert_eq!(previous_record(&path).unwrap().unwrap().total(), 1);
    drop(second);
}

#[test]
fn a_record_that_fails_is_reported_once_and_changes_nothing_else() {
    let path = fresh("heap-record-failed");
    let heap = builder().record(&path).build().unwrap();
    fs::remove_file(&path).unwrap();
    for _ in 0..3 {
        break_books(&heap);
    }
    let health = heap.health();
    assert_eq!(
        (
            health.count(Check::RecordFailed),
            health.count(Check::Ledger)
        ),
        (1, 3)
    );
    assert_serves(&heap);
    assert_eq!(health.total(), 4);
}

#[test]
fn a_record_that_cannot_be_made_is_an_error_of_the_builder() {
    let path = fresh("heap-record-refused").with_file_name("none/heap.record");
    match builder().record(&path).build() {
        Err(Error::Record(RecordError::File { call, errno, .. })) => {
            assert_eq!((call, errno), (FileCall::Open, 2));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_heap_that_may_go_on_without_its_record_does_and_says_so() {
    let path = fresh("heap-record-wished").with_file_name("none/heap.record");
    let heap = builder().record_or_continue(&path).build().unwrap();
    let first = heap.health().first().unwrap();
    assert_eq!(first.check, Check::RecordFailed);
    assert!(heap.health().is_healthy());
    assert_serves(&heap);
    assert_eq!(heap.health().total(), 1);
}

#[test]
fn two_heaps_on_one_record_are_an_error() {
    let path = fresh("heap-record-twice");
    let heap = builder().record(&path).build().unwrap();
    let twice = builder().record(&path).build();
    assert!(matches!(
        twice,
        Err(Error::Record(RecordError::InUse { .. }))
    ));
    assert_serves(&heap);
    drop(heap);
    assert!(builder().record(&path).build().is_ok());
}
