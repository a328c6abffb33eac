//! The checks of span states and of the books fire from an injected fault, say where, are contained, and leave balanced
//! books.

mod support;

use gc_hooks::Check;
use support::{assert_withdrawn, lab_with_a_span, number};

#[test]
fn an_impossible_state_is_refused_wherever_a_span_stands() {
    // Every state but the one that its place asks for, and two that do not exist.
    for state in [0, 2, 3, 4, 5, 6, u32::MAX] {
        let (mut lab, class, objects) = lab_with_a_span();
        lab.open_cycle();
        objects[..40].iter().for_each(|object| lab.mark(*object));
        lab.flip();
        assert!(lab.space.fault().set_span_word(objects[0], 1, state));
        let progress = lab.sweep();
        assert_eq!(progress.bytes_freed, 0);
        let violation = lab.assert_only(Check::SpanState, 1);
        assert_eq!((violation.span, violation.cycle), (Some(0), 2));
        assert_eq!(violation.first_line().to_string(), "sweep: bad span state");
        assert_eq!(number(&violation, "state"), u64::from(state));
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_only(Check::SpanState, 1);
    }
}

#[test]
fn a_span_in_an_impossible_state_is_not_leased() {
    for state in [0, 2, 3, 4, 5, 77] {
        let (mut lab, class, objects) = lab_with_a_span();
        lab.space.fault().set_span_word(objects[0], 1, state);
        let object = lab.alloc(class);
        assert_ne!(lab.first_page(object), 0);
        let violation = lab.assert_only(Check::SpanState, 1);
        assert_eq!(
            (violation.span, number(&violation, "state")),
            (Some(0), u64::from(state))
        );
        assert_withdrawn(&mut lab, class, &objects);
    }
}

#[test]
fn a_leased_span_in_an_impossible_state_is_withdrawn() {
    for state in [0, 1, 3, 5, 77] {
        let (mut lab, class, mut objects) = lab_with_a_span();
        objects.push(lab.alloc(class));
        lab.space.fault().set_span_word(objects[0], 1, state);
        lab.open_cycle();
        lab.flip();
        lab.sweep();
        lab.assert_only(Check::SpanState, 1);
        lab.retire(class);
        assert_withdrawn(&mut lab, class, &objects);
        lab.assert_only(Check::SpanState, 1);
    }
}

#[test]
fn a_lease_that_ends_in_an_impossible_state_withdraws_the_span() {
    for state in [0, 1, 3, 77] {
        let (mut lab, class, mut objects) = lab_with_a_span();
        objects.push(lab.alloc(class));
        lab.space.fault().set_span_word(objects[0], 1, state);
        lab.retire(class);
        lab.assert_only(Check::SpanState, 1);
        assert_withdrawn(&mut lab, class, &objects);
    }
}

#[test]
fn a_second_sweep_of_a_span_is_refused() {
    let (mut lab, class, objects) = lab_with_a_span();
    assert!(lab.space.fault().requeue_unswept(objects[0]));
    assert!(!lab.space.is_swept());
    assert_eq!(lab.sweep().spans_swept, 0);
    let violation = lab.assert_only(Check::DoubleSweep, 1);
    assert_eq!(
        violation.first_line().to_string(),
        "sweep: span swept twice"
    );
    assert_eq!(
        (violation.span, number(&violation, "generation")),
        (Some(0), 1)
    );
    assert_eq!(lab.objects(), objects);
    lab.assert_balanced();
    let object = lab.alloc_many(class, 28)[27];
    assert_eq!(lab.first_page(object), 0, "the span is sound and serves on");
    lab.collect(&objects);
    lab.retire_all();
    lab.assert_balanced();
    lab.assert_only(Check::DoubleSweep, 1);
}

#[test]
fn a_second_sweep_of_a_leased_span_leaves_its_lease_alone() {
    let (mut lab, class, mut objects) = lab_with_a_span();
    objects.push(lab.alloc(class));
    assert!(lab.space.fault().requeue_unswept(objects[0]));
    lab.sweep();
    lab.assert_only(Check::DoubleSweep, 1);
    objects.extend(lab.alloc_many(class, 3));
    lab.retire(class);
    objects.extend(lab.alloc_many(class, 3));
    objects.sort_unstable();
    assert_eq!(lab.objects(), objects, "no slot is handed out twice");
    lab.collect(&objects);
    lab.retire_all();
    lab.assert_balanced();
    lab.assert_only(Check::DoubleSweep, 1);
}

#[test]
fn a_second_sweep_of_a_withdrawn_span_leaves_it_withdrawn() {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.space.quarantine_span_of(objects[0]);
    let withdrawn = lab.space.ledger().bytes_quarantined;
    assert!(withdrawn > 0);
    assert!(lab.space.fault().requeue_unswept(objects[0]));
    lab.sweep();
    lab.assert_only(Check::DoubleSweep, 1);
    for _ in 0..2 {
        lab.collect(&objects);
        assert_eq!(lab.space.ledger().bytes_quarantined, withdrawn);
        lab.assert_balanced();
    }
    assert_withdrawn(&mut lab, class, &objects);
    lab.assert_only(Check::DoubleSweep, 1);
}

#[test]
fn a_second_sweep_in_the_allocation_path_is_refused_too() {
    let (mut lab, class, objects) = lab_with_a_span();
    lab.space.fault().requeue_unswept(objects[0]);
    let object = lab.alloc(class);
    assert_eq!(lab.first_page(object), 0);
    lab.assert_only(Check::DoubleSweep, 1);
    assert!(lab.space.is_swept());
    lab.assert_balanced();
}

#[test]
fn a_flip_over_unswept_spans_is_reported_and_loses_nothing() {
    let (mut lab, _, objects) = lab_with_a_span();
    lab.open_cycle();
    objects[..10].iter().for_each(|object| lab.mark(*object));
    lab.flip();
    lab.colour = lab.colour.next();
    objects[..5].iter().for_each(|object| lab.mark(*object));
    lab.flip();
    let violation = lab.assert_only(Check::SpanState, 1);
    assert_eq!(
        (violation.reason, number(&violation, "spans")),
        ("spans left unswept at a flip", 1)
    );
    lab.sweep();
    assert_eq!(lab.objects(), &objects[..5]);
    lab.assert_balanced();
}

#[test]
fn books_that_do_not_balance_are_reported_and_rebuilt() {
    for skew in [4096, -4096, -1 << 40] {
        let (lab, _, _) = lab_with_a_span();
        lab.assert_balanced();
        lab.space.fault().skew_ledger(skew);
        let ledger = lab.space.ledger();
        assert_eq!(ledger.imbalance(), Some("bytes live"));
        let violation = lab.assert_only(Check::Ledger, 1);
        assert_eq!(
            violation.first_line().to_string(),
            "heap accounts do not balance (bytes live)"
        );
        assert_eq!(number(&violation, "counted"), 6400);
        assert_eq!(
            number(&violation, "in the books"),
            (6400 + skew).max(0) as u64
        );
        lab.assert_balanced();
        assert_eq!(lab.space.usage().bytes_live, 6400);
        lab.assert_only(Check::Ledger, 1);
    }
}
