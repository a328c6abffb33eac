//! Memory that is withdrawn at the wish of the heap above: spans, slots, objects, and the limit on all of it.

mod support;

use gc_hooks::Check;
use gc_sweep::{Found, SpaceConfig, Withdrawal};
use support::{CONFIG, Lab, assert_withdrawn, lab_with_a_span, number};

#[test]
fn the_quarantine_limit_is_reported_once_when_it_is_crossed() {
    let mut lab = Lab::with(SpaceConfig {
        quarantine_limit_bytes: 8192 + 64,
        ..CONFIG
    });
    let class = lab.class(64);
    let objects = lab.alloc_many(class, 128 + 256);
    lab.retire(class);
    assert_eq!(lab.space.quarantine_span_of(objects[0]), Withdrawal::Done);
    assert!(lab.space.quarantine_slot(objects[200]));
    lab.assert_silent();
    assert!(lab.space.quarantine_slot(objects[201]));
    let violation = lab.assert_only(Check::QuarantineLimit, 1);
    assert_eq!(number(&violation, "quarantined bytes"), 8192 + 128);
    assert_eq!(number(&violation, "limit bytes"), 8192 + 64);
    assert_eq!(lab.space.quarantine_span_of(objects[200]), Withdrawal::Done);
    lab.assert_only(Check::QuarantineLimit, 1);
    assert_eq!(lab.space.usage().bytes_quarantined, 3 * 8192);
    lab.assert_balanced();
}

#[test]
fn a_span_is_withdrawn_at_wish_wherever_it_stands() {
    let (mut lab, class, objects) = lab_with_a_span();
    assert_eq!(
        lab.space.quarantine_span_of(lab.space.base() - 1),
        Withdrawal::NoSpan
    );
    assert_eq!(
        lab.space.quarantine_span_of(objects[0] + (1 << 20)),
        Withdrawal::NoSpan
    );
    assert_eq!(lab.space.quarantine_span_of(objects[3]), Withdrawal::Done);
    assert_eq!(
        lab.space.quarantine_span_of(objects[5]),
        Withdrawal::Already
    );
    assert_withdrawn(&mut lab, class, &objects);
    lab.assert_silent();
}

#[test]
fn an_unswept_span_is_withdrawn_and_counts_as_swept() {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.open_cycle();
    lab.mark(objects[0]);
    lab.flip();
    assert_eq!(lab.space.quarantine_span_of(objects[3]), Withdrawal::Done);
    assert!(lab.space.is_swept());
    assert!(
        objects
            .iter()
            .all(|object| lab.state(*object).has_colour(lab.colour))
    );
    assert_withdrawn(&mut lab, class, &objects);
    lab.assert_silent();
}

#[test]
fn a_leased_span_is_withdrawn_when_its_lease_ends() {
    for sweeps_in_between in [false, true] {
        let (mut lab, class, mut objects) = lab_with_a_span();
        objects.push(lab.alloc(class));
        assert_eq!(
            lab.space.quarantine_span_of(objects[3]),
            Withdrawal::Deferred
        );
        if sweeps_in_between {
            assert_eq!(
                lab.collect(&[]).bytes_freed,
                0,
                "nothing is freed in a span that is to be withdrawn"
            );
            lab.assert_balanced();
        }
        let next = lab.alloc_many(class, 60);
        assert_eq!(
            lab.first_page(next[0]),
            0,
            "the run that was found is used up"
        );
        assert_ne!(lab.first_page(next[59]), 0, "and no other is found");
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_silent();
    }
}

#[test]
fn a_withdrawn_slot_is_never_handed_out() {
    let (mut lab, class, objects) = lab_with_a_span();
    let (free, unused) = (objects[99] + 64, objects[0] + 110 * 64);
    for slot in [free, unused] {
        assert!(lab.space.quarantine_slot(slot));
        assert!(!lab.space.quarantine_slot(slot), "it is withdrawn already");
        assert!(matches!(lab.space.find(slot), Found::QuarantinedSlot(_)));
    }
    for no_slot in [free + 16, objects[0] + 8, lab.space.base() + (1 << 20), 0] {
        assert!(!lab.space.quarantine_slot(no_slot));
    }
    lab.assert_balanced();
    for _ in 0..3 {
        let fresh = lab.alloc_many(class, 26);
        assert!(fresh.iter().all(|object| lab.first_page(*object) == 0));
        assert!(!fresh.contains(&free) && !fresh.contains(&unused));
        assert!(!lab.space.quarantine_slot(fresh[0] + 64 * 60));
        lab.retire(class);
        lab.collect(&objects);
        lab.assert_balanced();
    }
    assert_eq!(lab.space.usage().slots_quarantined, 2);
    lab.assert_silent();
}

#[test]
fn a_pinned_object_outlives_every_cycle() {
    for is_leased in [false, true] {
        let mut lab = Lab::new();
        let class = lab.class_with_drop(64);
        let objects = lab.alloc_many(class, 10);
        if !is_leased {
            lab.retire(class);
        }
        assert!(lab.space.quarantine_slot(objects[4]));
        lab.assert_balanced();
        for _ in 0..9 {
            lab.collect(&[]);
            assert!(lab.is_object(objects[4]) && lab.state(objects[4]).has_colour(lab.colour));
            lab.assert_balanced();
        }
        assert!(!lab.reaper.buried.contains(&objects[4]) && lab.reaper.buried.len() == 9);
        lab.retire(class);
        lab.assert_balanced();
        assert!(!lab.alloc_many(class, 127).contains(&objects[4]));
        lab.assert_silent();
    }
}

#[test]
fn a_free_slot_of_a_leased_span_is_not_withdrawn_under_its_run() {
    let (mut lab, class, objects) = lab_with_a_span();
    let fresh = lab.alloc(class);
    assert!(!lab.space.quarantine_slot(fresh + 64));
    assert_eq!(lab.alloc(class), fresh + 64);
    lab.retire(class);
    assert!(lab.space.quarantine_slot(fresh + 128));
    lab.collect(&objects);
    lab.assert_balanced();
}
