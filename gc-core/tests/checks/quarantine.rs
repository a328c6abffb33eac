//! Memory that containment withdrew, seen through a heap: sealed records, writes after free, and the way back.

use gc_core::fault::sweep::RecordField;
use gc_core::raw::RawGc;
use gc_core::{
    Check, CheckLevel, CollectError, Edge, Heap, Mutator, QuarantineReleased, SpanReport,
};

use crate::support::{Node, Witness, heap_at, node, only, stale};

const FIELDS: [RecordField; 8] = [
    RecordField::FirstPage,
    RecordField::Pages,
    RecordField::SlotGranules,
    RecordField::Slots,
    RecordField::TypeIndex,
    RecordField::Class,
    RecordField::Flags,
    RecordField::Seal,
];

#[test]
fn a_broken_record_is_restored_and_nothing_is_lost() {
    for field in FIELDS {
        for is_leased in [false, true] {
            let (heap, mut mutator) = heap_at(CheckLevel::Default);
            let witness = Witness::new(&mut mutator);
            let inside = mutator.enter(|scope| scope.get(&witness.0).unwrap().into_raw());
            heap.collect().unwrap();
            if !is_leased {
                mutator.parked(|| {});
            }
            assert!(
                heap.fault()
                    .space()
                    .flip_record_bit(inside.address(), field, 0)
            );
            heap.collect().unwrap();
            let violation = only(&heap, Check::SpanSeal);
            assert_eq!(violation.reason, "restored from its second copy");
            assert_eq!(heap.health().total(), 1, "{field:?}");
            let stats = heap.stats();
            assert_eq!(stats.bytes_quarantined, 0);
            assert_eq!(
                stats.cycles_voided, 1,
                "nothing is freed on the word of a broken record"
            );
            assert!(heap.verify().unwrap().is_clean());
            witness.check(&heap, &mut mutator);
        }
    }
}

/// Writes into the memory of an object that is gone, as a program with a stale pointer does.
fn scribble(heap: &Heap, dead: RawGc) {
    heap.fault().space().exhume(dead.address());
    let word = std::ptr::with_exposed_provenance_mut::<u64>(dead.address());
    // SAFETY: deliberately broken, though not for the language: the word is committed memory of a free slot, and this is
    // the heap's only thread.
    unsafe { word.write_volatile(0x7f12_3456) };
}

/// A free slot of a span that lives on, written to.
fn dirty(heap: &Heap, mutator: &mut Mutator) -> RawGc {
    let dead = stale(heap, mutator);
    mutator.parked(|| {});
    scribble(heap, dead);
    dead
}

#[test]
fn a_write_after_free_costs_the_slot_and_is_told_with_its_word() {
    let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
    let witness = Witness::new(&mut mutator);
    let dead = dirty(&heap, &mut mutator);
    let born: Vec<usize> =
        mutator.enter(|scope| (0..300).map(|id| scope.alloc(node(id)).address()).collect());
    assert!(!born.contains(&dead.address()));
    let violation = only(&heap, Check::SlotDirty);
    assert_eq!(heap.health().total(), 1);
    assert_eq!(violation.stale_cycles, Some(0));
    assert!(violation.type_name.unwrap().contains("Node"));
    assert!(
        violation
            .numbers
            .iter()
            .any(|number| number.label == "word" && number.value == 0x7f12_3456)
    );
    assert_eq!(heap.stats().slots_quarantined, 1);
    heap.collect().unwrap();
    assert_eq!(heap.health().total(), 1);
    witness.check(&heap, &mut mutator);
}

#[test]
fn where_the_check_is_not_made_a_write_after_free_passes() {
    let (heap, mut mutator) = heap_at(CheckLevel::Default);
    let witness = Witness::new(&mut mutator);
    let dead = dirty(&heap, &mut mutator);
    let born: Vec<usize> =
        mutator.enter(|scope| (0..300).map(|id| scope.alloc(node(id)).address()).collect());
    assert!(born.contains(&dead.address()));
    assert_eq!(heap.health().total(), 0);
    witness.check(&heap, &mut mutator);
}

#[test]
fn an_operator_brings_back_what_is_sound() {
    let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
    let witness = Witness::new(&mut mutator);
    let inside = mutator.enter(|scope| scope.get(&witness.0).unwrap().into_raw());
    let dead = dirty(&heap, &mut mutator);
    mutator.enter(|scope| {
        for id in 0..300 {
            scope.alloc(node(id));
        }
    });
    mutator.parked(|| {});
    assert!(heap.fault().space().set_span_word(inside.address(), 7, 3));
    heap.collect().unwrap();
    let (withdrawn, objects) = (
        heap.stats().bytes_quarantined,
        heap.ledger().unwrap().objects,
    );
    assert!(withdrawn > 0 && heap.stats().spans_quarantined == 1);
    let refused = mutator.enter(|_| heap.release_quarantine());
    assert_eq!(refused, Err(CollectError::WouldDeadlock));
    let released = heap.release_quarantine().unwrap();
    assert_eq!((released.spans, released.slots), (1, 1));
    assert_eq!((released.bytes, released.bytes_kept), (withdrawn, 0));
    let stats = heap.stats();
    assert_eq!((stats.bytes_quarantined, stats.spans_quarantined), (0, 0));
    let ledger = heap.ledger().unwrap();
    assert!(ledger.imbalance().is_none() && ledger.objects > objects);
    assert!(heap.verify().unwrap().is_clean());
    // What nobody reaches dies, and the slots serve.
    heap.collect().unwrap();
    let born: Vec<usize> =
        mutator.enter(|scope| (0..300).map(|id| scope.alloc(node(id)).address()).collect());
    assert!(born.contains(&dead.address()));
    witness.check(&heap, &mut mutator);
    assert_eq!(heap.release_quarantine(), Ok(QuarantineReleased::default()));
    witness.check(&heap, &mut mutator);
}

/// In the middle of a cycle, wherever it stands.
#[test]
fn a_release_in_any_phase_loses_nothing() {
    for steps in 0..60 {
        let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
        let witness = Witness::new(&mut mutator);
        let inside = mutator.enter(|scope| scope.get(&witness.0).unwrap().into_raw());
        mutator.parked(|| {});
        heap.fault().space().set_span_word(inside.address(), 7, 3);
        heap.collect().unwrap();
        assert_eq!(heap.stats().spans_quarantined, 1);
        let kept = mutator.enter(|scope| {
            let head = scope.get(&witness.0).unwrap();
            let new = scope.alloc(Node {
                id: 5,
                next: Edge::to(head),
            });
            scope.root(new)
        });
        heap.request_collect();
        for _ in 0..steps {
            heap.step(1 + steps / 4).unwrap();
        }
        assert_eq!(heap.release_quarantine().unwrap().spans, 1, "{steps}");
        assert!(heap.ledger().unwrap().is_balanced());
        heap.collect().unwrap();
        mutator.enter(|scope| assert_eq!(scope.get(&kept).unwrap().id, 5));
        assert!(heap.verify().unwrap().is_clean());
        assert_eq!(heap.stats().bytes_quarantined, 0);
        witness.check(&heap, &mut mutator);
    }
}

#[test]
fn the_map_adds_up_to_the_statistics_and_shows_what_is_withdrawn() {
    let (heap, mut mutator) = heap_at(CheckLevel::Paranoid);
    let witness = Witness::new(&mut mutator);
    let texts = mutator.enter(|scope| scope.root(scope.alloc_str("a text of its own span")));
    let inside = mutator.enter(|scope| scope.get(&witness.0).unwrap().into_raw());
    heap.collect().unwrap();
    mutator.parked(|| {});
    let spans = heap.spans();
    let stats = heap.stats();
    let sum = |figure: fn(&SpanReport) -> usize| spans.iter().map(figure).sum::<usize>() as u64;
    assert_eq!(sum(SpanReport::bytes), stats.bytes_in_spans);
    assert_eq!(sum(SpanReport::bytes_live), stats.bytes_live);
    assert!(spans.is_sorted_by(|one, next| one.first_page + one.pages <= next.first_page));
    let names: Vec<&str> = spans.iter().filter_map(|span| span.type_name).collect();
    assert!(names.contains(&"str") && names.iter().any(|name| name.contains("Node")));
    assert!(!spans.iter().any(|span| span.is_quarantined));

    assert!(heap.fault().space().set_span_word(inside.address(), 7, 3));
    heap.collect().unwrap();
    let withdrawn: Vec<SpanReport> = heap.spans();
    let withdrawn: Vec<_> = withdrawn
        .iter()
        .filter(|span| span.is_quarantined)
        .collect();
    assert_eq!(withdrawn.len(), 1);
    assert!(withdrawn[0].type_name.unwrap().contains("Node"));
    assert_eq!(withdrawn[0].bytes() as u64, heap.stats().bytes_quarantined);
    drop(texts);
    witness.check(&heap, &mut mutator);
}
