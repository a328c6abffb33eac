//! The checks of counts fire from an injected fault, say where, are contained, and leave balanced books.

mod support;

use gc_hooks::{Address, Check, Origin, Phase, Severity};
use gc_sweep::{StateByte, Suspect};
use support::{Lab, assert_withdrawn, lab_with_a_span, number};

#[test]
fn sweep_count_frees_nothing_and_withdraws_the_span() {
    let (mut lab, class, objects) = lab_with_a_span();
    let free = objects[99] + 64;
    lab.open_cycle();
    objects[..60].iter().for_each(|object| lab.mark(*object));
    lab.mark_blindly(free);
    lab.flip();
    let progress = lab.sweep();
    assert_eq!(progress.bytes_freed, 0, "40 dead objects are not freed");
    let violation = lab.assert_only(Check::SweepCount, 1);
    assert_eq!(
        violation.first_line().to_string(),
        "sweep increased allocation count"
    );
    assert_eq!(
        (violation.cycle, violation.phase, violation.span),
        (2, Phase::Sweep, Some(0))
    );
    assert_eq!(violation.type_name, Some("Specimen"));
    assert_eq!(violation.severity(), Severity::Metadata);
    assert_eq!(number(&violation, "allocated"), 100);
    assert_eq!(number(&violation, "objects"), 101);
    assert_eq!(number(&violation, "marked"), 61);
    assert!(!lab.health.is_healthy());
    assert_eq!(
        lab.space.span_of(free).unwrap().alloc_count(),
        101,
        "recounted from the state bytes"
    );
    assert_withdrawn(&mut lab, class, &objects);
    lab.assert_only(Check::SweepCount, 1);
}

#[test]
fn sweep_count_names_the_store_behind_the_mark() {
    let (mut lab, _, objects) = lab_with_a_span();
    let free = objects[99] + 64;
    lab.open_cycle();
    objects.iter().for_each(|object| lab.mark(*object));
    let call_site = std::panic::Location::caller();
    lab.space.suspects().record(Suspect {
        address: free,
        cycle: 2,
        origin: Origin::BarrierOld,
        call_site: Some(call_site),
        stale_cycles: Some(1),
    });
    lab.mark_blindly(free);
    lab.flip();
    lab.sweep();
    let violation = lab.assert_only(Check::SweepCount, 1);
    assert_eq!(
        violation.address,
        Some(Address::Offset((free - lab.space.base()) as u64))
    );
    assert_eq!(
        (violation.slot, violation.origin),
        (Some(100), Origin::BarrierOld)
    );
    assert_eq!(
        (violation.call_site, violation.stale_cycles),
        (Some(call_site), Some(1))
    );
    assert_eq!(violation.severity(), Severity::OverMarking);
    lab.assert_balanced();
}

#[test]
fn a_zombie_slot_is_withdrawn_and_the_rest_of_its_span_is_swept() {
    let (mut lab, class, objects) = lab_with_a_span();
    let zombie = objects[0] + 120 * 64;
    lab.open_cycle();
    objects[..60].iter().for_each(|object| lab.mark(*object));
    lab.mark_blindly(zombie);
    lab.flip();
    assert_eq!(lab.sweep().bytes_freed, 40 * 64);
    let violation = lab.assert_only(Check::Zombie, 1);
    assert_eq!(
        violation.first_line().to_string(),
        "found pointer to free object (slot was never handed out)"
    );
    assert_eq!((violation.span, violation.slot), (Some(0), Some(120)));
    assert_eq!(violation.address, Some(Address::Offset(120 * 64)));
    assert_eq!(lab.state(zombie), StateByte::QUARANTINED);
    let usage = lab.space.usage();
    assert_eq!(
        (
            usage.slots_quarantined,
            usage.bytes_quarantined,
            usage.bytes_live
        ),
        (1, 64, 60 * 64)
    );
    lab.assert_balanced();
    let rest = lab.alloc_many(class, 67);
    assert!(!rest.contains(&zombie), "a zombie slot is never handed out");
    assert!(rest.iter().all(|object| lab.first_page(*object) == 0));
    lab.retire(class);
    lab.collect(&[]);
    lab.assert_balanced();
    assert_eq!(
        lab.space.usage().spans,
        1,
        "the span of a withdrawn slot is not given back"
    );
    assert!(!lab.alloc_many(class, 127).contains(&zombie));
    lab.assert_only(Check::Zombie, 1);
}

#[test]
fn a_mark_on_no_slot_is_taken_back() {
    let mut lab = Lab::new();
    let class = lab.class(448);
    let objects = lab.alloc_many(class, 5);
    lab.retire(class);
    let span_bytes = lab.space.span_of(objects[0]).unwrap().bytes();
    let tail = objects[0] + span_bytes - 16;
    let inside = objects[2] + 32;
    let inside_unused = objects[4] + 448 + 32;
    lab.open_cycle();
    objects.iter().for_each(|object| lab.mark(*object));
    for address in [tail, inside, inside_unused] {
        lab.mark_blindly(address);
    }
    lab.flip();
    assert_eq!(lab.sweep().bytes_freed, 0);
    lab.assert_only(Check::Zombie, 3);
    let mut reported: Vec<_> = lab
        .health
        .recent()
        .iter()
        .map(|violation| (violation.reason, violation.slot))
        .collect();
    reported.sort_unstable();
    assert_eq!(
        reported,
        [
            (
                "pointer into the middle of a slot that was never handed out",
                Some(5)
            ),
            ("pointer into the middle of an object", Some(2)),
            ("pointer to the unused tail of a span", None),
        ]
    );
    assert!(
        [tail, inside, inside_unused]
            .iter()
            .all(|address| lab.state(*address) == StateByte::FREE_FRESH)
    );
    assert_eq!(
        lab.space.usage().bytes_quarantined,
        0,
        "no slot was at stake"
    );
    assert_eq!(lab.objects(), objects);
    lab.assert_balanced();
}

#[test]
fn alloc_count_found_by_the_sweep_withdraws_the_span() {
    for amount in [5, i32::MAX] {
        let (mut lab, class, objects) = lab_with_a_span();
        assert!(lab.space.fault().add_alloc_count(objects[0], amount));
        assert!(!lab.space.ledger().is_balanced());
        lab.open_cycle();
        lab.flip();
        assert_eq!(lab.sweep().bytes_freed, 0);
        let violation = lab.assert_only(Check::AllocCount, 1);
        assert_eq!((violation.span, violation.cycle), (Some(0), 2));
        assert_eq!(number(&violation, "objects"), 100);
        assert_eq!(number(&violation, "allocated"), 100 + amount as u64);
        assert_withdrawn(&mut lab, class, &objects);
    }
}

#[test]
fn a_count_that_wrapped_below_zero_is_no_huge_number_anywhere() {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.space.fault().add_alloc_count(objects[0], -101);
    lab.open_cycle();
    lab.flip();
    lab.sweep();
    lab.assert_only(Check::AllocCount, 1);
    let usage = lab.space.usage();
    assert!(
        usage.bytes_live == 0 && usage.bytes_quarantined == 8192 && usage.bytes_in_spans == 8192
    );
    assert_withdrawn(&mut lab, class, &objects);
}

#[test]
fn alloc_count_found_when_a_lease_begins_takes_another_span() {
    for amount in [-3, 3] {
        let (mut lab, class, objects) = lab_with_a_span();
        lab.space.fault().add_alloc_count(objects[0], amount);
        let object = lab.alloc(class);
        assert_ne!(lab.first_page(object), 0);
        let violation = lab.assert_only(Check::AllocCount, 1);
        assert_eq!(
            (violation.span, violation.reason),
            (Some(0), "found when its lease began")
        );
        assert_eq!(number(&violation, "objects"), 100);
        assert_withdrawn(&mut lab, class, &objects);
    }
}

#[test]
fn alloc_count_found_when_a_lease_ends_withdraws_the_span() {
    let (mut lab, class, mut objects) = lab_with_a_span();
    objects.extend(lab.alloc_many(class, 5));
    lab.space
        .fault()
        .set_state_byte(objects[104] + 64 * 20, StateByte::object(lab.colour));
    lab.retire(class);
    let violation = lab.assert_only(Check::AllocCount, 1);
    assert_eq!(
        (violation.span, violation.reason),
        (Some(0), "found when its lease ended")
    );
    assert_eq!(
        (
            number(&violation, "allocated"),
            number(&violation, "objects")
        ),
        (105, 106)
    );
    assert_withdrawn(&mut lab, class, &objects);
}

#[test]
fn a_mark_ahead_of_a_run_is_found_when_the_span_is_used_up() {
    let (mut lab, class, mut objects) = lab_with_a_span();
    objects.drain(50..60);
    lab.collect(&objects);
    objects.push(lab.alloc(class));
    let ahead = objects[0] + 64 * 105;
    lab.space
        .fault()
        .set_state_byte(ahead, StateByte::object(lab.colour));
    let more = lab.alloc_many(class, 9 + 5 + 22);
    assert!(!more.contains(&ahead));
    lab.assert_silent();
    let elsewhere = lab.alloc(class);
    assert_ne!(lab.first_page(elsewhere), 0);
    let violation = lab.assert_only(Check::AllocCount, 1);
    assert_eq!(violation.reason, "found when its lease ended");
    assert_eq!(
        (
            number(&violation, "allocated"),
            number(&violation, "objects")
        ),
        (127, 128)
    );
    objects.extend(more);
    lab.retire_all();
    assert_withdrawn(&mut lab, class, &objects);
}

#[test]
fn alloc_count_found_after_a_sweep_beside_the_lease_withdraws_the_span() {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.retire(class);
    lab.alloc_many(class, 2);
    lab.open_cycle();
    objects[..10].iter().for_each(|object| lab.mark(*object));
    lab.flip();
    assert_eq!(
        lab.sweep().bytes_freed,
        92 * 64,
        "beside a lease the count is not checked"
    );
    lab.space
        .fault()
        .set_state_byte(objects[50], StateByte::object(lab.colour));
    lab.assert_silent();
    lab.retire(class);
    let violation = lab.assert_only(Check::AllocCount, 1);
    assert_eq!(
        (number(&violation, "allocated"), number(&violation, "freed")),
        (102, 92)
    );
    assert_eq!(number(&violation, "objects"), 11);
    assert_withdrawn(&mut lab, class, &objects[..10]);
}

#[test]
fn many_faults_in_one_cycle_are_each_contained() {
    let mut lab = Lab::new();
    let (first, second) = (lab.class(64), lab.class_with_drop(256));
    let mut live: Vec<usize> = lab.alloc_many(first, 2000);
    live.extend(lab.alloc_many(second, 500));
    lab.retire_all();
    let spans = lab.space.usage().spans;
    lab.open_cycle();
    live.iter().step_by(2).for_each(|object| lab.mark(*object));
    let fault = lab.space.fault();
    fault.add_alloc_count(live[0], -1);
    fault.add_alloc_count(live[200], 1);
    fault.set_state_byte(live[600] + 16, StateByte::object(lab.colour));
    lab.flip();
    lab.space.fault().set_span_word(live[2001], 0, 9);
    lab.space.fault().requeue_unswept(live[2400]);
    lab.sweep();
    let counts = [
        Check::SweepCount,
        Check::AllocCount,
        Check::Zombie,
        Check::SpanState,
    ];
    assert_eq!(
        counts.map(|check| lab.health.count(check)),
        [1, 1, 1, 1],
        "{:?}",
        lab.health.recent()
    );
    assert_eq!(lab.space.usage().spans_quarantined, 3);
    assert!(lab.space.usage().spans <= spans);
    assert!(
        live.iter().step_by(2).all(|object| lab.is_object(*object)),
        "nothing marked is lost"
    );
    lab.assert_balanced();
}

#[test]
fn a_span_whose_free_slots_are_gone_does_not_hold_allocation_up() {
    let (mut lab, class, objects) = lab_with_a_span();
    for slot in 100..128 {
        lab.space
            .fault()
            .set_state_byte(objects[0] + slot * 64, StateByte::QUARANTINED);
    }
    let object = lab.alloc(class);
    assert_ne!(lab.first_page(object), 0);
    let violation = lab.assert_only(Check::AllocCount, 1);
    assert_eq!(
        (violation.span, violation.reason),
        (Some(0), "withdrawn slots")
    );
    assert_eq!(
        (number(&violation, "withdrawn"), number(&violation, "found")),
        (0, 28)
    );
    assert_withdrawn(&mut lab, class, &objects);
}

#[test]
fn withdrawn_slots_are_counted_by_the_sweep_too() {
    for slot in [40, 127] {
        let (mut lab, class, objects) = lab_with_a_span();
        let state = lab.state(objects[0] + slot * 64).with_quarantine();
        lab.space
            .fault()
            .set_state_byte(objects[0] + slot * 64, state);
        lab.collect(&objects[..30]);
        assert!(
            lab.health.count(Check::AllocCount) == 1,
            "{:?}",
            lab.health.recent()
        );
        assert!(objects[..30].iter().all(|object| lab.is_object(*object)));
        assert_withdrawn(&mut lab, class, &objects);
    }
}
