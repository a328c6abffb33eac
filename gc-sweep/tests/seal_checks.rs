//! A record that does not match its seal is found before anything is done on its word, is restored where its second copy
//! is whole, and costs its span where it is not.

mod support;

use gc_hooks::{Address, Check};
use gc_sweep::fault::RecordField::{self, *};
use gc_sweep::{PAGE_BYTES, Withdrawal};
use support::{Class, Lab, assert_withdrawn, number};

const FIELDS: [RecordField; 8] = [
    FirstPage,
    Pages,
    SlotGranules,
    Slots,
    TypeIndex,
    RecordField::Class,
    Flags,
    Seal,
];

/// Every field, with bits that leave a plausible value and bits that do not.
fn each_flip(mut test: impl FnMut(RecordField, u32)) {
    for field in FIELDS {
        let bits: &[u32] = if field == Flags {
            &[0, 1, 2]
        } else {
            &[0, 1, 7, 31]
        };
        for bit in bits {
            test(field, *bit);
        }
    }
}

fn flip(lab: &Lab, address: usize, field: RecordField, bit: u32) {
    assert!(lab.space.fault().flip_record_bit(address, field, bit));
}

/// A lab whose first span is not the first of the heap, nor of the first class.
fn lab_with_neighbours() -> (Lab, Class, Vec<usize>, Vec<usize>) {
    let mut lab = Lab::new();
    let (other, class) = (lab.class(256), lab.class(64));
    let neighbours = lab.alloc_many(other, 20);
    let mut objects = lab.alloc_many(class, 101);
    lab.retire_all();
    objects.pop();
    let live = [&neighbours[..], &objects[..]].concat();
    lab.collect(&live);
    lab.assert_silent();
    (lab, class, neighbours, objects)
}

/// The record was restored, once, and nobody noticed anything else.
#[track_caller]
fn assert_restored(lab: &Lab, objects: &[usize]) {
    let violation = lab.assert_only(Check::SpanSeal, 1);
    assert_eq!(violation.reason, "restored from its second copy");
    assert_eq!(violation.type_name, Some("Specimen"));
    let offset = (objects[0] - lab.space.base()) as u64;
    assert_eq!(violation.address, Some(Address::Offset(offset)));
    assert_eq!(violation.span, Some((offset / PAGE_BYTES as u64) as u32));
    lab.assert_balanced();
}

#[test]
fn a_flipped_bit_is_found_by_the_sweep_and_the_record_restored() {
    each_flip(|field, bit| {
        let (mut lab, class, neighbours, objects) = lab_with_neighbours();
        let before = lab.space.span_of(objects[0]).unwrap().slots();
        lab.open_cycle();
        let live = [&neighbours[..], &objects[..60]].concat();
        live.iter().for_each(|object| lab.mark(*object));
        lab.flip();
        flip(&lab, objects[0], field, bit);
        assert_eq!(lab.sweep().bytes_freed, 40 * 64, "{field:?} {bit}");
        assert_restored(&lab, &objects);
        let span = lab.space.span_of(objects[0]).unwrap();
        assert_eq!((span.slots(), span.slot_bytes()), (before, 64));
        assert_eq!(lab.objects(), live);
        // All of its free slots serve.
        let born = lab.alloc_many(class, 68);
        assert!(
            born.iter()
                .all(|object| lab.first_page(*object) == lab.first_page(objects[0]))
        );
        lab.retire_all();
        lab.collect(&[]);
        assert!(lab.objects().is_empty());
        assert_restored(&lab, &objects);
    });
}

#[test]
fn a_flipped_bit_is_found_when_a_lease_begins() {
    each_flip(|field, bit| {
        let (mut lab, class, neighbours, objects) = lab_with_neighbours();
        flip(&lab, objects[0], field, bit);
        let object = lab.alloc(class);
        assert_eq!(object, objects[99] + 64, "{field:?} {bit}");
        lab.retire_all();
        assert_restored(&lab, &objects);
        lab.collect(&neighbours);
        assert_eq!(lab.objects(), neighbours);
        assert_restored(&lab, &objects);
    });
}

#[test]
fn a_flipped_bit_is_found_when_a_lease_ends() {
    each_flip(|field, bit| {
        let (mut lab, class, neighbours, mut objects) = lab_with_neighbours();
        objects.extend(lab.alloc_many(class, 9));
        flip(&lab, objects[0], field, bit);
        lab.retire_all();
        assert_restored(&lab, &objects);
        let all = [&neighbours[..], &objects[..]].concat();
        assert_eq!(lab.objects(), all);
        lab.collect(&all);
        assert_eq!(lab.objects(), all);
        assert_restored(&lab, &objects);
    });
}

#[test]
fn a_flipped_bit_is_found_by_a_sweep_beside_a_lease() {
    each_flip(|field, bit| {
        let (mut lab, class, _, mut objects) = lab_with_neighbours();
        objects.extend(lab.alloc_many(class, 9));
        flip(&lab, objects[0], field, bit);
        lab.collect(&objects[50..]);
        assert_restored(&lab, &objects);
        objects.extend(lab.alloc_many(class, 9));
        lab.retire_all();
        assert_eq!(lab.objects(), objects[50..]);
        assert_restored(&lab, &objects);
    });
}

#[test]
fn a_flipped_bit_is_found_before_pages_are_given_back() {
    each_flip(|field, bit| {
        let mut lab = Lab::new();
        let class = lab.class_with_drop(64);
        let objects = lab.alloc_many(class, 10);
        lab.retire(class);
        lab.open_cycle();
        lab.flip();
        // The destructor that runs last writes over the record of its own span.
        let address = objects[9];
        lab.sweep_with(&mut |space, dead| {
            if dead == address {
                space.fault().flip_record_bit(dead, field, bit);
            }
        });
        assert_eq!(lab.space.usage().spans, 0);
        assert!(lab.space.span_of(address).is_none());
        assert_restored(&lab, &objects);
    });
}

#[test]
fn a_flipped_bit_is_found_by_a_recount_and_by_a_walk() {
    each_flip(|field, bit| {
        let (lab, _, neighbours, objects) = lab_with_neighbours();
        flip(&lab, objects[0], field, bit);
        assert_eq!(lab.space.ledger().imbalance(), None, "{field:?} {bit}");
        assert_restored(&lab, &objects);
        flip(&lab, objects[0], field, bit);
        assert_eq!(lab.objects(), [&neighbours[..], &objects[..]].concat());
        lab.assert_only(Check::SpanSeal, 2);
        flip(&lab, objects[0], field, bit);
        assert_eq!(lab.space.quarantine_span_of(objects[3]), Withdrawal::Done);
        lab.assert_only(Check::SpanSeal, 3);
        lab.assert_balanced();
    });
}

#[test]
fn a_report_names_the_field_and_both_values() {
    let (lab, _, _, objects) = lab_with_neighbours();
    let reports = [
        (FirstPage, "first page", 0, 1),
        (Slots, "slots", 129, 128),
        (Flags, "flags", 0, 1),
    ];
    for (field, name, found, right) in reports {
        flip(&lab, objects[0], field, 0);
        let _recounted = lab.space.ledger();
        let violation = lab.health.last().unwrap();
        assert_eq!(
            violation.first_line().to_string(),
            "span record does not match its seal (restored from its second copy)"
        );
        assert_eq!(
            (
                number(&violation, name),
                number(&violation, "as it was cut")
            ),
            (found, right)
        );
    }
    flip(&lab, objects[0], Seal, 4);
    let _recounted = lab.space.ledger();
    let violation = lab.health.last().unwrap();
    let (found, right) = (
        number(&violation, "seal"),
        number(&violation, "as it was cut"),
    );
    assert_eq!(found ^ right, 16);
    lab.assert_balanced();
}

#[test]
fn a_second_copy_that_is_broken_alone_is_not_missed() {
    for bit in [0, 31, 32, 63] {
        let (mut lab, class, neighbours, objects) = lab_with_neighbours();
        assert!(lab.space.fault().flip_deed_bit(objects[0], bit));
        lab.alloc(class);
        lab.retire_all();
        lab.collect(&neighbours);
        lab.assert_balanced();
        lab.assert_silent();
    }
}

/// Where the record and its second copy are broken, the class that has the span in its list, and the pages, are still
/// known: enough to withdraw it and to keep the books.
#[test]
fn with_both_copies_broken_the_span_is_withdrawn_by_the_sweep() {
    for deed_bit in [3, 32, 63] {
        each_flip(|field, bit| {
            let (mut lab, class, _, objects) = lab_with_neighbours();
            lab.open_cycle();
            objects[..60].iter().for_each(|object| lab.mark(*object));
            lab.flip();
            flip(&lab, objects[0], field, bit);
            lab.space.fault().flip_deed_bit(objects[0], deed_bit);
            lab.sweep();
            assert_lost(&mut lab, class, &objects);
        });
    }
}

#[test]
fn with_both_copies_broken_the_span_is_not_leased() {
    each_flip(|field, bit| {
        let (mut lab, class, _, objects) = lab_with_neighbours();
        flip(&lab, objects[0], field, bit);
        lab.space.fault().flip_deed_bit(objects[0], 40);
        let object = lab.alloc(class);
        assert_ne!(lab.first_page(object), lab.first_page(objects[0]));
        assert_lost(&mut lab, class, &objects);
    });
}

#[test]
fn with_both_copies_broken_the_span_is_withdrawn_when_its_lease_ends() {
    for sweeps_first in [false, true] {
        each_flip(|field, bit| {
            let (mut lab, class, _, mut objects) = lab_with_neighbours();
            objects.extend(lab.alloc_many(class, 9));
            flip(&lab, objects[0], field, bit);
            lab.space.fault().flip_deed_bit(objects[0], 40);
            if sweeps_first {
                lab.collect(&[]);
            }
            lab.retire_all();
            assert_lost(&mut lab, class, &objects);
        });
    }
}

#[test]
fn with_both_copies_broken_a_recount_and_a_wish_withdraw_the_span() {
    each_flip(|field, bit| {
        for by_wish in [false, true] {
            let (mut lab, class, _, objects) = lab_with_neighbours();
            flip(&lab, objects[0], field, bit);
            lab.space.fault().flip_deed_bit(objects[0], 40);
            if by_wish {
                assert_eq!(
                    lab.space.quarantine_span_of(objects[0]),
                    Withdrawal::Already
                );
            } else {
                assert_eq!(lab.space.ledger().imbalance(), None);
            }
            assert_lost(&mut lab, class, &objects);
        }
    });
}

#[test]
fn a_large_span_is_restored_too() {
    each_flip(|field, bit| {
        for both in [false, true] {
            let mut lab = Lab::new();
            let class = lab.large_class();
            let object = lab.alloc_large(class, 100_000).unwrap();
            lab.collect(&[object]);
            flip(&lab, object, field, bit);
            if both {
                lab.space.fault().flip_deed_bit(object, 40);
            }
            lab.collect(&[object]);
            assert!(lab.is_object(object));
            lab.assert_only(Check::SpanSeal, 1);
            lab.assert_balanced();
            assert_eq!(lab.space.usage().spans_quarantined, u64::from(both));
            lab.collect(&[]);
            assert_eq!(lab.is_object(object), both);
            lab.assert_balanced();
        }
    });
}

#[track_caller]
fn assert_lost(lab: &mut Lab, class: Class, objects: &[usize]) {
    let violation = lab.assert_only(Check::SpanSeal, 1);
    assert_eq!(violation.reason, "its second copy is broken too");
    lab.assert_balanced();
    assert_withdrawn(lab, class, objects);
    lab.assert_only(Check::SpanSeal, 1);
}
